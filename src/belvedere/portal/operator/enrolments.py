"""Enrolments for the operator: by state and by federation, who sends, who is silent, reminders."""

import datetime as dt

from django.contrib import messages
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.collect.coverage import counted, months_by
from belvedere.observatory.members import enrolment
from belvedere.observatory.members.actions import verify_group
from belvedere.observatory.members.models import Enrolment, EnrolmentState, Federation, Member

MONTHS = 12


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Every enrolment, coverage by federation, months received."""
    check(request.user, Action.MANAGE_ENROLMENTS)
    chosen = request.GET.get("etat", "")
    rows = Enrolment.objects.select_related("federation", "group")
    counts = dict(rows.values_list("state").annotate(Count("pk")).order_by())
    present = Member.objects.present()
    coverage = [
        (
            federation,
            present.filter(group__federation=federation).count(),
            present.filter(group__federation=federation, flows__isnull=False).distinct().count(),
        )
        for federation in [*Federation.objects.order_by("pk"), None]
    ]
    months = _months()
    grid = months_by("member_id", counted().filter(period_to__gte=dt.date.fromisoformat(months[0] + "-01")))
    members = present.select_related("group").annotate(last=Max("flows__period_to")).order_by("last", "name")
    return render(request, "operator/enrolments.html", {
        "rows": rows.filter(state=chosen)[:200] if chosen in EnrolmentState.values else rows[:200],
        "states": [(code, EnrolmentState(code).label, counts.get(code, 0), code == chosen) for code in EnrolmentState.values], "chosen": chosen,
        "coverage": coverage, "silent": [member for member in members if member.last is None or f"{member.last:%Y-%m}" < months[-2]][:100], "months": months,
        "grid": [(member, [month in grid.get(member.pk, ()) for month in months]) for member in members[:200]],
    })  # fmt: skip


def _months() -> list[str]:
    today = timezone.localdate()
    rank = today.year * 12 + today.month - 1
    return [f"{month // 12}-{month % 12 + 1:02d}" for month in range(rank - MONTHS, rank)]


@require_safe
def one(request: HttpRequest, reference: str) -> HttpResponse:
    """What a provider declared; each reading is told to the journal."""
    check(request.user, Action.MANAGE_ENROLMENTS)
    found = get_object_or_404(Enrolment, reference=reference)
    return render(request, "operator/enrolment.html", {"item": found, "age": (timezone.now() - found.created_at) // dt.timedelta(days=1)})


@require_POST
def act(request: HttpRequest, reference: str) -> HttpResponse:
    """Release what was held, remind, or end."""
    user = check(request.user, Action.MANAGE_ENROLMENTS)
    found = get_object_or_404(Enrolment, reference=reference)
    try:
        if request.POST.get("act") == "send":
            enrolment.send_agreement(enrolment=found, by=user.actor)
            messages.success(request, "Convention envoyée au signataire.")
        elif request.POST.get("act") == "remind":
            enrolment.remind(enrolment=found, by=user.actor)
            messages.success(request, "Relance envoyée ; le lien précédent n’ouvre plus rien.")
        elif request.POST.get("act") == "verify" and found.group:
            verify_group(group=found.group, by=user.actor)
            messages.success(request, "Groupe vérifié : il comptera dès la prochaine publication.")
        elif request.POST.get("act") == "end":
            enrolment.end(enrolment=found, by=user.actor, reason=request.POST.get("reason", "")[:200] or "sans motif")
            messages.success(request, "Adhésion terminée : clés révoquées, entités sorties, comptes fermés.")
        elif request.POST.get("act") == "cancel":
            enrolment.cancel(enrolment=found, by=user.actor, reason=request.POST.get("reason", "")[:200] or "sans motif")
            messages.success(request, "Adhésion sans suite.")
    except enrolment.EnrolmentRefused as refusal:
        messages.error(request, str(refusal))
    return redirect("operator:enrolment", reference=reference)
