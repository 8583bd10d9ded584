"""The operator's page: flows, silent members, the journal's state. No figure of anybody's activity."""

from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.collect.models import Flow, State
from belvedere.observatory.journal.actions import broken_at
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.members.models import Member
from belvedere.observatory.publication.models import Release


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """What runs, what waits, who is silent."""
    check(request.user, Action.SEE_OPERATION)
    counts = dict(Flow.objects.values_list("state").annotate(Count("pk")))
    members = Member.objects.select_related("group").annotate(last=Max("flows__period_to"), count=Count("flows"))
    newest = max((member.last for member in members if member.last), default=None)
    return render(request, "operator/overview.html", {
        "states": [(State(code).label, counts.get(code, 0), code) for code in State.values],
        "silent": [member for member in members if member.last != newest],
        "members": members.count(),
        "newest": newest,
        "flows": Flow.objects.select_related("member", "group")[:15],
        "journal": {"entries": Entry.objects.count(), "broken": broken_at(), "last": Entry.objects.order_by("-id").first()},
        "releases": Release.objects.all()[:5],
    })  # fmt: skip
