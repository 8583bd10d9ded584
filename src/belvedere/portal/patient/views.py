"""Rights of patients and prescribers, in plain words, and the opposition in two minutes."""

from typing import Any

from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from belvedere.observatory import pdfseal, printing
from belvedere.observatory.environment import read
from belvedere.observatory.objections import actions
from belvedere.observatory.objections.models import Kind, Request
from belvedere.portal import limits
from belvedere.portal.patient import forms

MOST, SECONDS = 10, 3600


@require_safe
def rights(request: HttpRequest) -> HttpResponse:
    """What is collected, why, for how long, and what one may ask."""
    return render(request, "patient/rights.html", {"operator": printing.operator(), "years": read("BELVEDERE_KEEP_YEARS")})


def _identity(form: Form, kind: str) -> actions.Identity:
    data: dict[str, Any] = form.cleaned_data
    if kind == Kind.PRESCRIBER:
        return actions.prescriber(data["number"])
    return actions.patient(data["nir"], data["birth"], data["rank"])


@sensitive_post_parameters()
@sensitive_variables()
@require_http_methods(["GET", "POST"])
def oppose(request: HttpRequest, kind: str) -> HttpResponse:
    """Object: identity to pseudonym in memory, a reference in return. Whether the person is known changes nothing, not even the time it takes."""
    maker = {"patient": forms.PatientForm, "prescripteur": forms.PrescriberForm}.get(kind)
    if maker is None:
        raise Http404
    whose = Kind.PATIENT if kind == "patient" else Kind.PRESCRIBER
    form = maker(request.POST or None)
    if request.method == "POST":
        if not limits.allowed(request, "oppose", MOST, SECONDS):
            return render(request, "join/too_many.html", status=429)
        if form.is_valid():
            try:
                made = actions.object_to(_identity(form, whose))
                return render(request, "patient/done.html", {"reference": made.reference, "kind": whose, "purge": read("BELVEDERE_PURGE_MINUTES")})
            except actions.ObjectionRefused as refusal:
                form.add_error(refusal.where, refusal.why)
    return render(request, "patient/oppose.html", {"form": form, "kind": kind}, status=422 if form.errors else 200)


@sensitive_post_parameters()
@sensitive_variables()
@require_http_methods(["GET", "POST"])
def withdraw(request: HttpRequest, kind: str) -> HttpResponse:
    """Take an objection back, with its reference and the identity again."""
    maker = {"patient": forms.PatientForm, "prescripteur": forms.PrescriberForm}.get(kind)
    if maker is None:
        raise Http404
    form, about = maker(request.POST or None), forms.ReferenceForm(request.POST or None)
    if request.method == "POST":
        if not limits.allowed(request, "withdraw", MOST, SECONDS):
            return render(request, "join/too_many.html", status=429)
        if form.is_valid() and about.is_valid():
            try:
                whose = Kind.PATIENT if kind == "patient" else Kind.PRESCRIBER
                actions.withdraw(reference=about.cleaned_data["reference"], identity=_identity(form, whose))
                return render(request, "patient/withdrawn.html", {"day": timezone.localdate()})
            except actions.ObjectionRefused as refusal:
                (about if refusal.where == "reference" else form).add_error(refusal.where, refusal.why)
    wrong = form.errors or about.errors
    return render(request, "patient/withdraw.html", {"form": form, "about": about, "kind": kind}, status=422 if wrong else 200)


@require_safe
def proof(request: HttpRequest, reference: str) -> HttpResponse:
    """The proof of a request: its reference, its date, the observatory's seal; no identity, for none was kept."""
    found = Request.objects.select_related("objection").filter(reference=reference).first()
    if found is None or not limits.allowed(request, "proof", 30, SECONDS):
        raise Http404
    local = timezone.localtime(found.at)
    data = {
        "reference": found.reference, "operator": printing.operator(), "day": printing.day(local.date()), "hour": f"{local:%H h %M}",
        "prescriber": found.objection.kind == Kind.PRESCRIBER, "withdrawn": printing.day(timezone.localtime(found.withdrawn_at).date()) if found.withdrawn_at else "",
        "purge": read("BELVEDERE_PURGE_MINUTES"),
    }  # fmt: skip
    text = printing.render("belvedere.observatory.objections.texts", "opposition.typ", data)
    document = pdfseal.seal(text, {"reference": found.reference, "at": found.at.isoformat()}, name="Observatoire", reason="Opposition enregistrée")
    return HttpResponse(
        document, content_type="application/pdf", headers={"Content-Disposition": f'inline; filename="opposition-{found.reference}.pdf"'}
    )
