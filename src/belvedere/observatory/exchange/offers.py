"""What establishments offer, from extractions of the national register of resources (`engine/exchange/register.py`), dated.

What changed begins anew on the day the register says, and what it was stays readable; offers that the register calls sensitive are never kept.
"""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

from django.db.models import QuerySet
from django.utils import timezone

from belvedere.engine.exchange import register
from belvedere.engine.exchange.register import Told
from belvedere.observatory.exchange.models import Offer

LARGEST = 256 * 1024 * 1024
_SAYS = ("finess", "name", "mode", "field", "activity", "capacity")


def load(path: Path) -> int:
    """Take an extraction, inside the caller's transaction; how many offers of it are kept. The same one again changes nothing; an older one neither. What it
    lacks is left as it is: an extraction may be partial. ValueError."""
    if path.stat().st_size > LARGEST:
        raise ValueError("l’extraction dépasse 256 Mo : demandez-la par région")
    told = {one.number: one for one in register.read(path.read_text(encoding="utf-8-sig"))}
    Offer.objects.filter(number__in=[one.number for one in told.values() if one.sensitive]).delete()
    kept = {number: one for number, one in told.items() if not one.sensitive}
    held = {row.number: row for row in Offer.objects.filter(number__in=kept).order_by("since")}
    for number, one in kept.items():
        _take(one, held.get(number), path.name[:120])
    return len(kept)


def _take(told: Told, held: Offer | None, source: str) -> None:
    """Write what an extraction tells of an offer beside the row that is in force."""
    if held is not None and told.updated <= held.updated:
        return
    says, day = {name: getattr(told, name) for name in _SAYS}, timezone.localdate(told.updated)
    if held is None:
        Offer.objects.create(
            number=told.number, since=timezone.localdate(told.created), until=told.closed, updated=told.updated, source=source, **says
        )
        return
    same = all(getattr(held, name) == value for name, value in says.items())
    # A closure may be told after it happened: the row in force ends there, and what closed has no row after it.
    if told.closed <= day or (same and held.until > day) or day <= held.since:
        Offer.objects.filter(pk=held.pk).update(until=told.closed, updated=told.updated, source=source, **(says if day <= held.since else {}))
        return
    Offer.objects.filter(pk=held.pk).update(until=min(held.until, day))
    Offer.objects.create(number=told.number, since=day, until=told.closed, updated=told.updated, source=source, **says)


def at(finess: str, day: dt.date) -> QuerySet[Offer]:
    """The offers of an establishment that are open on a day."""
    return Offer.objects.filter(finess=finess, since__lte=day, until__gt=day).order_by("number", "-since")


def opened(finess: str) -> Callable[[dt.date], bool | None]:
    """Whether an establishment has an offer open on a day; None when no extraction told of it, or not so far back. One query, whatever the days asked."""
    spans = list(Offer.objects.filter(finess=finess).values_list("since", "until"))

    def on(day: dt.date) -> bool | None:
        begun = [until for since, until in spans if since <= day]
        return any(day < until for until in begun) if begun else None

    return on
