"""The operator's side of the gate: thresholds to come, releases to set aside or withdraw. No figure of the market."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.exchange import gating
from belvedere.observatory.exchange.models import Dataset, DatasetState
from belvedere.observatory.publication import gate
from belvedere.observatory.publication.models import RELEASE_TRANSITIONS, Release, Thresholds
from belvedere.portal import numbers


class ThresholdsForm(forms.Form):
    """What releases must reunite from a date on."""

    valid_from = forms.DateField(label="À partir du", widget=forms.DateInput(attrs={"type": "date"}))
    members = forms.IntegerField(label="Entités", min_value=3)
    groups = forms.IntegerField(label="Groupes", min_value=3)
    lines = forms.IntegerField(label="Lignes", min_value=1)
    patients = forms.IntegerField(label="Patients", min_value=11)
    biggest = forms.FloatField(label="Part maximale du plus grand groupe (0 à 1)", min_value=0.01, max_value=1)


@require_http_methods(["GET", "POST"])
def thresholds(request: HttpRequest) -> HttpResponse:
    """Thresholds in force and to come; releases and their states."""
    user = check(request.user, Action.MANAGE_GATE)
    form = ThresholdsForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            gate.set_thresholds(by=user, **form.cleaned_data)
            messages.success(request, f"Seuils fixés à partir du {form.cleaned_data['valid_from']:%d/%m/%Y}.")
            return redirect("operator:gate")
        except gate.GateClosed as refusal:
            form.add_error("valid_from", str(refusal))
    rows = [(release, bool(RELEASE_TRANSITIONS[release.state])) for release in Release.objects.all()[:24]]
    return render(request, "operator/gate.html", {
        "form": form, "current": gate.thresholds(), "rows": rows, "history": Thresholds.objects.all(), "frozen_because": gate.frozen_because(),
        "counts": [(held, gating.masked(held), held.state == DatasetState.WAITING) for held in gating.under_review()],
    }, status=422 if form.errors else 200)  # fmt: skip


@require_POST
def end(request: HttpRequest, label: str) -> HttpResponse:
    """Withdraw or set aside, with the reason."""
    user = check(request.user, Action.MANAGE_GATE)
    try:
        release = gate.end(release=get_object_or_404(Release, label=label), by=user, reason=request.POST.get("reason", "")[:400])
        messages.success(request, f"Publication {label} : {release.get_state_display().lower()}.")
    except gate.GateClosed as refusal:
        messages.error(request, str(refusal))
    return redirect("operator:gate")


@require_POST
def end_counts(request: HttpRequest, number: int) -> HttpResponse:
    """Set counts for an institution aside, with the reason."""
    user = check(request.user, Action.MANAGE_GATE)
    try:
        held = gating.set_aside(
            dataset=get_object_or_404(Dataset, pk=number, code=gating.CODE), by=user, reason=request.POST.get("reason", "").replace("\0", "")
        )
        messages.success(request, f"Comptes de {numbers.month(held.period, full=True)} écartés : ils peuvent être comptés de nouveau.")
    except gate.GateClosed as refusal:
        messages.error(request, str(refusal))
    return redirect("operator:gate")
