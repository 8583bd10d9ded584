"""The objections as the warehouse applies them, and a version that changes with them."""

import datetime as dt

from django.db.models import Count, Max

from belvedere.engine.warehouse import objected
from belvedere.engine.warehouse.objected import Objected
from belvedere.observatory.objections.models import Kind, Objection

_DAY_ZERO = dt.date(1970, 1, 1)


def standing() -> Objected:
    """Whose lines are left out now."""
    patients, prescribers = [], []
    for kind, pseudonym, until in Objection.objects.values_list("kind", "pseudonym", "until"):
        if kind == Kind.PATIENT:
            patients.append((pseudonym, (until - _DAY_ZERO).days if until else None))
        elif until is None:
            prescribers.append(pseudonym)
    return objected.of(patients, prescribers)


def version() -> tuple[int, int, int]:
    """Changes whenever `standing` does: objections, those withdrawn, the last one."""
    found = Objection.objects.aggregate(all=Count("pk"), over=Count("until"), last=Max("pk"))
    return found["all"], found["over"], found["last"] or 0
