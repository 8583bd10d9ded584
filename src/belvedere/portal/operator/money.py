"""The fee, who bears it, invoices and their payment."""

import datetime as dt

from django import forms
from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.members import fees as fee_rules
from belvedere.observatory.members import invoicing
from belvedere.observatory.members.actions import name_federation
from belvedere.observatory.members.models import Bearing, Federation, Fee, FeeInvoice
from belvedere.portal.exports import pdf


class FeeForm(forms.Form):
    """A fee to come."""

    valid_from = forms.DateField(label="À partir du", widget=forms.DateInput(attrs={"type": "date"}))
    amount = forms.DecimalField(label="Montant HT, en euros", min_value=0, max_value=100_000, decimal_places=2)
    vat = forms.DecimalField(label="TVA, en %", min_value=0, max_value=100, decimal_places=2)
    days = forms.IntegerField(label="Délai de paiement, en jours", min_value=0, max_value=365)


@require_http_methods(["GET", "POST"])
def fees(request: HttpRequest) -> HttpResponse:
    """Fee, bearings, invoices; a POST fixes a fee to come."""
    user = check(request.user, Action.MANAGE_FEES)
    today = timezone.localdate()
    form = FeeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            fee_rules.set_fee(
                valid_from=data["valid_from"], amount=int(data["amount"] * 100), vat=int(data["vat"] * 100), days=data["days"], today=today, by=user
            )
            messages.success(request, f"Cotisation fixée à partir du {data['valid_from']:%d/%m/%Y}.")
            return redirect("operator:fees")
        except fee_rules.FeeRefused as refusal:
            form.add_error("valid_from", str(refusal))
    return render(request, "operator/fees.html", {
        "form": form, "fees": Fee.objects.all(), "current": fee_rules.fee_on(today), "today": today,
        "bearings": [(federation, fee_rules.borne(federation, today), Bearing.objects.filter(federation=federation)) for federation in Federation.objects.order_by("pk")],
        "invoices": [(invoice, invoice.late(today)) for invoice in FeeInvoice.objects.select_related("group")[:200]],
    }, status=422 if form.errors else 200)  # fmt: skip


@require_POST
def bearing(request: HttpRequest, number: int) -> HttpResponse:
    """A federation begins or ceases to bear the fee."""
    user = check(request.user, Action.MANAGE_FEES)
    federation = get_object_or_404(Federation, pk=number)
    fee_rules.set_bearing(federation=federation, day=timezone.localdate(), bears=request.POST.get("bears") == "1", by=user)
    messages.success(request, f"Prise en charge de {federation} mise à jour.")
    return redirect("operator:fees")


@require_POST
def federation(request: HttpRequest) -> HttpResponse:
    """Enrol a federation, or rename one."""
    user = check(request.user, Action.MANAGE_FEES)
    number = request.POST.get("federation", "")
    known = get_object_or_404(Federation, pk=int(number)) if number.isdecimal() else None
    try:
        named = name_federation(name=request.POST.get("name", ""), by=user.actor, federation=known)
        messages.success(
            request, f"{named} : {'nom changé' if known else 'fédération inscrite ; ses valideurs auront leur avis sur chaque publication'}."
        )
    except ValueError:
        messages.error(request, "Donnez un nom qui ne soit pas déjà pris.")
    return redirect("operator:fees")


@require_POST
def pay(request: HttpRequest, number: str) -> HttpResponse:
    """Note a payment."""
    user = check(request.user, Action.MANAGE_FEES)
    invoice = get_object_or_404(FeeInvoice, number=number)
    try:
        day = dt.date.fromisoformat(request.POST.get("day") or timezone.localdate().isoformat())
        invoicing.pay(invoice=invoice, day=day, reference=request.POST.get("reference", "")[:80], by=user)
        messages.success(request, f"Facture {invoice.number} payée.")
    except (fee_rules.FeeRefused, ValueError) as refusal:
        messages.error(request, str(refusal) if isinstance(refusal, fee_rules.FeeRefused) else "Cette date n’existe pas.")
    return redirect("operator:fees")


@require_safe
def document(request: HttpRequest, number: str) -> FileResponse:
    """An invoice's document."""
    check(request.user, Action.MANAGE_FEES)
    invoice = get_object_or_404(FeeInvoice, number=number)
    return pdf(invoicing.path(invoice), f"facture-{invoice.number}.pdf")
