"""How far a federation's own members have come: enrolled, signed, sending. No figure of anybody's activity."""

import datetime as dt

from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.members.models import Enrolment, EnrolmentState, Member

SILENT_DAYS = 62


@require_safe
def coverage(request: HttpRequest) -> HttpResponse:
    """Enrolments of the federation by state, and which of its members send."""
    user = check(request.user, Action.SEE_COVERAGE)
    members = Member.objects.present().filter(group__federation=user.federation).select_related("group").annotate(last=Max("flows__period_to"))
    limit = timezone.localdate() - dt.timedelta(days=SILENT_DAYS)
    rows = sorted(members, key=lambda member: (member.last is not None, member.last or dt.date.min, member.name))
    states = Enrolment.objects.filter(federation=user.federation)
    return render(request, "federation/coverage.html", {
        "federation": user.federation, "rows": rows, "sending": sum(bool(row.last and row.last >= limit.replace(day=1)) for row in rows),
        "groups": len({row.group_id for row in rows}), "limit": limit.replace(day=1),
        "enrolments": states.filter(state=EnrolmentState.SIGNED)[:100],
    })  # fmt: skip
