"""Whether deposits are taken around the clock: the door is asked each minute, as an establishment would, and the minutes it answered are told.

A minute that nobody watched counts as closed: a house that is wholly down cannot say so itself.
"""

import datetime as dt
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.core.cache import cache
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from belvedere.observatory.environment import read
from belvedere.observatory.exchange.models import Uptime
from belvedere.observatory.journal import sealing

DAYS = 30
TIMEOUT = 10.0
MINUTE = dt.timedelta(minutes=1)


@dataclass(frozen=True)
class Told:
    """Share of the minutes (0 to 1) at which the door was open, over all and day by day (None: not watched yet), since when."""

    share: float | None
    days: Sequence[tuple[dt.date, float | None]]
    since: dt.datetime | None


def due(now: dt.datetime) -> bool:
    """Whether this process asks at this minute: one of the house does."""
    return bool(cache.add(f"door:{now:%d%H%M}", 1, 300))


def opened() -> bool:
    """Whether a deposit would be taken now: the address answers, and entries can be dated."""
    if sealing.stamp_overdue():
        return False
    public = urlsplit(read("BELVEDERE_PUBLIC_URL"))
    base = (read("BELVEDERE_PROBE_URL") or read("BELVEDERE_PUBLIC_URL")).rstrip("/")
    if urlsplit(base).scheme not in ("http", "https"):
        return False
    # Behind the front end the house is called by its public name, over HTTPS: so is it here.
    asked = urllib.request.Request(f"{base}/fhir/metadata", headers={"Host": public.netloc, "X-Forwarded-Proto": public.scheme})  # noqa: S310
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT) as answer:  # noqa: S310 (http or https, above)
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def watch(now: dt.datetime | None = None) -> bool:
    """Ask the door, once a minute for the whole house; whether it was asked and open."""
    now = now or timezone.now()
    if not due(now) or not opened():
        return False
    with transaction.atomic():
        row, _ = Uptime.objects.get_or_create(day=timezone.localdate(now), defaults={"since": now})
        Uptime.objects.filter(pk=row.pk).update(minutes=F("minutes") + 1)
    return True


def _midnight(day: dt.date) -> dt.datetime:
    return timezone.make_aware(dt.datetime.combine(day, dt.time()))


def told(now: dt.datetime | None = None, days: int = DAYS) -> Told:
    """What anybody may read of it, over the last days."""
    now = now or timezone.now()
    today = timezone.localdate(now)
    first = Uptime.objects.order_by("day").first()
    rows = {row.day: row for row in Uptime.objects.filter(day__gt=today - dt.timedelta(days))}
    found: list[tuple[dt.date, float | None]] = []
    opened_for, watched_for = 0.0, 0.0
    for back in range(days - 1, -1, -1):
        day = today - dt.timedelta(back)
        if first is None or day < first.day:
            found.append((day, None))
            continue
        start = first.since if day == first.day else _midnight(day)
        span = max(1.0, (min(now, _midnight(day + dt.timedelta(1))) - start) / MINUTE)
        held = min(span, rows[day].minutes) if day in rows else 0.0
        opened_for, watched_for = opened_for + held, watched_for + span
        found.append((day, held / span))
    return Told(opened_for / watched_for if watched_for else None, found, first.since if first else None)
