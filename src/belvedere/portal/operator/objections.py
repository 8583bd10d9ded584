"""Objections for the operator: how many, how fast, no identity and no pseudonym."""

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Max, Min, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.objections.models import Kind, Objection, Request


@require_safe
def objections(request: HttpRequest) -> HttpResponse:
    """Counts by kind and delays of the purge."""
    check(request.user, Action.SEE_OPERATION)
    rows = []
    for kind in Kind:
        found = Objection.objects.filter(kind=kind)
        rows.append((kind.label, found.aggregate(
            all=Count("pk"), standing=Count("pk", filter=Q(until=None)), waiting=Count("pk", filter=Q(purged_at=None)), oldest=Min("at", filter=Q(purged_at=None)),
        )))  # fmt: skip
    delay = ExpressionWrapper(F("purged_at") - F("at"), output_field=DurationField())
    first = Objection.objects.exclude(purged_at=None).annotate(delay=delay).aggregate(mean=Avg("delay"))
    return render(
        request,
        "operator/objections.html",
        {"rows": rows, "delay": first["mean"], "last": Request.objects.aggregate(last=Max("at"))["last"], "requests": Request.objects.count()},
    )
