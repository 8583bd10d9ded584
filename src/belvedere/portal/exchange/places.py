"""The establishments of an institution's perimeter, one a line, on the screen or as a file: nothing is read before a purpose is given."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from belvedere.engine.exchange.categories import categories
from belvedere.engine.exchange.vocabulary import PURPOSES, Purpose
from belvedere.engine.nomenclature.territories import names
from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.exchange import keys
from belvedere.observatory.exchange import places as lines
from belvedere.portal import numbers

MONTHS = 13


class PlacesForm(forms.Form):
    """For what, and at the end of which month."""

    purpose = forms.ChoiceField(label="Finalité")
    period = forms.ChoiceField(label="Mois")

    def __init__(self, data: object, purposes: list[Purpose], months: list[str]) -> None:
        super().__init__(data)
        self.fields["purpose"].choices = [(purpose.value, PURPOSES[purpose]) for purpose in purposes]
        self.fields["period"].choices = [(month, numbers.month(month, full=True)) for month in months]


def _months() -> list[str]:
    today = timezone.localdate()
    return [f"{(today.year * 12 + today.month - 2 - back) // 12:04d}-{(today.month - 2 - back) % 12 + 1:02d}" for back in range(MONTHS)]


@require_safe
def places(request: HttpRequest) -> HttpResponse:
    """The form alone until a purpose is given; then the lines, or their file."""
    party = check(request.user, Action.RECEIVE).party
    assert party is not None
    opened = lines.purposes(party)
    form = PlacesForm(request.GET if "purpose" in request.GET else None, opened, _months())
    if not form.is_valid():
        return render(request, "exchange/places.html", {"party": party, "form": form, "opened": opened})
    period = form.cleaned_data["period"]
    found = lines.table(party=party, purpose=Purpose(form.cleaned_data["purpose"]), period=period, level=keys.level_of(party))
    if "csv" in request.GET:
        made = HttpResponse(lines.written(found), content_type="text/csv; charset=utf-8")
        made["Content-Disposition"] = f'attachment; filename="etablissements-{period}.csv"'
        return made
    known, kinds = names(), categories()
    table = [(line, known.get(line.department, line.department), kinds.get(line.kind, line.kind)) for line in found]
    file = request.GET.copy()
    file["csv"] = "1"
    context = {"party": party, "form": form, "opened": opened, "table": table, "period": period, "file": file.urlencode()}
    return render(request, "exchange/places.html", context)
