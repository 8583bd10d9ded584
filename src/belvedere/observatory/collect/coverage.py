"""Which months an entity's accepted flows cover."""

import datetime as dt
from collections.abc import Iterator

from django.db.models import QuerySet

from belvedere.observatory.collect.models import COUNTED, Flow


def counted(flows: QuerySet[Flow] | None = None) -> QuerySet[Flow]:
    """Flows that count (of some, else of all): billing, accepted, no trial, with months."""
    return (Flow.objects.all() if flows is None else flows).filter(kind="b2", state__in=COUNTED, test=False, period_from__isnull=False)


def months_between(first: dt.date, last: dt.date) -> Iterator[str]:
    """Months (AAAA-MM) from that of `first` to that of `last`."""
    for rank in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
        yield f"{rank // 12}-{rank % 12 + 1:02d}"


def months_by(name: str, flows: QuerySet[Flow]) -> dict:
    """Months covered by the flows of each entity, told by one of its fields (`member_id`, `member__name`)."""
    held: dict = {}
    for key, first, last in flows.values_list(name, "period_from", "period_to").distinct():
        held.setdefault(key, set()).update(months_between(first, last))
    return held
