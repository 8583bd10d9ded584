"""Long work taken up by one worker at a time: held by a lease, taken up again when its worker dies, and never in the way of what waits behind it."""

import logging
from collections.abc import Callable
from typing import Any

from django.core.cache import cache
from django.db import models

logger = logging.getLogger(__name__)
SECONDS = 600


def _key(model: type[models.Model], number: int) -> str:
    return f"bail:{model._meta.label_lower}:{number}"


def go_on(row: models.Model) -> None:
    """Say that its worker is still at it: no other takes it up."""
    cache.touch(_key(type(row), row.pk), SECONDS)


def each(rows: models.QuerySet, work: Callable[[Any], object], *, most: int) -> int:
    """Do the work of at most so many of these rows, in their order; how many. One that fails keeps its lease: it is tried again when that ends, and
    those behind it go on meanwhile."""
    done = 0
    for number in rows.values_list("pk", flat=True):
        if done == most:
            break
        if not cache.add(_key(rows.model, number), 1, SECONDS):
            continue
        done += 1
        try:
            work(rows.get(pk=number))
        except Exception as error:  # one's fault must not stop the others
            logger.error("%s %s interrompu : %s", rows.model._meta.verbose_name, number, type(error).__name__)
    return done
