"""The quality report of a release under review: what came, how clean, what is missing. No figure of the market."""

import datetime as dt
from collections.abc import Sequence

from belvedere.observatory.collect.coverage import counted, months_by
from belvedere.observatory.collect.models import Flow, State
from belvedere.observatory.members.models import Member


def report(months: Sequence[str]) -> dict[str, object]:
    """Counts of entities and flows over the months of a release."""
    first, last = (dt.date.fromisoformat(month + "-01") for month in (months[0], months[-1]))
    flows = counted().filter(group__verified_at__isnull=False, period_to__gte=first, period_from__lte=last)
    held: dict[str, set[int]] = {month: set() for month in months}
    for member, covered in months_by("member_id", flows).items():
        for month in covered & held.keys():
            held[month].add(member)
    present = set().union(*held.values())
    return {
        "entities": len(set(Member.objects.present().filter(group__verified_at__isnull=False).values_list("pk", flat=True)) | present),
        "entities_present": len(present),
        "entities_complete": sum(all(member in held[month] for month in months[-12:]) for member in present),
        "by_month": {month: len(members) for month, members in held.items()},
        "flows": flows.count(),
        "flows_clean": flows.filter(state=State.ACCEPTED).count(),
        "flows_refused": Flow.objects.filter(test=False, state=State.REFUSED, received_at__date__gte=first).count(),
    }
