"""The institution's screens: subscriptions with their deliveries, datasets with their quality reports."""

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from belvedere.engine.exchange.access import STRUCTURE
from belvedere.engine.exchange.contracts import contracts
from belvedere.engine.exchange.topics import topics
from belvedere.engine.exchange.vocabulary import PURPOSES
from belvedere.engine.nomenclature.territories import names
from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.exchange import aggregates, gating, keys, subscribing
from belvedere.observatory.exchange import datasets as lots
from belvedere.observatory.exchange.models import TOLD, Dataset, Party, Subscription

SHOWN = 100
GIRS = ("*", "1", "2", "3", "4", "5", "6", "ND")


def _party(request: HttpRequest) -> Party:
    party = check(request.user, Action.RECEIVE).party
    assert party is not None
    return party


class SubscribeForm(forms.Form):
    """What to be told of, why, where."""

    topic = forms.ChoiceField(label="Sujet", choices=[(topic.code, topic.label) for topic in topics().values()])
    purpose = forms.ChoiceField(label="Finalité", choices=list(PURPOSES.items()))
    endpoint = forms.CharField(label="Adresse (https)", max_length=500)
    departements = forms.CharField(label="Départements (vide : tous)", max_length=200, required=False)


@require_http_methods(["GET", "HEAD", "POST"])
def subscriptions(request: HttpRequest) -> HttpResponse:
    """The institution's subscriptions; a new one shows its secret once."""
    party, secret = _party(request), ""
    form = SubscribeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        codes = [code for code in given["departements"].replace(",", " ").split() if code]
        try:
            _, secret = subscribing.subscribe(
                party=party,
                topic=given["topic"],
                purpose=given["purpose"],
                endpoint=given["endpoint"],
                filters={"departement": codes} if codes else {},
                level=keys.level_of(party),
            )
            form = SubscribeForm()
        except subscribing.SubscriptionRefused as error:
            form.add_error("endpoint", str(error))
    rows = [(row, topics()[row.topic].label, row.deliveries.filter(told_at=None).count()) for row in Subscription.objects.filter(party=party)]
    return render(
        request, "exchange/subscriptions.html", {"party": party, "rows": rows, "form": form, "secret": secret}, status=422 if form.errors else 200
    )


@require_http_methods(["GET", "HEAD", "POST"])
def subscription(request: HttpRequest, reference: str) -> HttpResponse:
    """One subscription: its deliveries; start again, renew the secret, replay, stop."""
    found = Subscription.objects.select_related("party").filter(party=_party(request), uid=reference).first()
    if found is None:
        raise Http404
    secret = ""
    if request.method == "POST":
        match request.POST.get("act"):
            case "resume":
                subscribing.resume(found)
            case "rotate":
                secret = subscribing.rotate(found)
            case "stop":
                subscribing.stop(found, by=request.user.actor, why="Arrêté par l’abonné.")
            case "replay":
                number = request.POST.get("number", "")
                row = found.deliveries.filter(number=number).first() if number.isdecimal() and len(number) < 16 else None
                if row is None:
                    raise Http404
                subscribing.replay(row)
        if not secret:
            messages.success(request, "C’est fait.")
            return redirect("exchange:subscription", reference=found.uid)
    rows = found.deliveries.select_related("event").order_by("-number")[:SHOWN]
    return render(
        request,
        "exchange/subscription.html",
        {
            "subscription": found,
            "label": topics()[found.topic].label,
            "rows": rows,
            "secret": secret,
            "waiting": found.deliveries.filter(told_at=None).count(),
        },
    )


def _placed(party: Party) -> dict[str, object]:
    """The newest counts by establishment that the institution reads, an establishment a line; those of which nothing is told are named apart."""
    row = next(iter(aggregates.placed_to(party)), None)
    if row is None:
        return {}
    aggregates.taken(row, party, gating.PLACES)
    held = {cell.finess: cell.persons for cell in aggregates.place_cells(row, party)}
    known = dict(Party.objects.filter(finess__in=held).values_list("finess", "name"))
    told = [(known[finess], finess, persons) for finess, persons in sorted(held.items()) if persons is not None]
    return {"row": row, "told": told, "silent": len(held) - len(told)}


@require_safe
def datasets(request: HttpRequest) -> HttpResponse:
    """The datasets made for the institution, with the quality gate's findings; its masked counts."""
    party = _party(request)
    rows = [
        (row, contracts()[row.code].title, row.report.get("findings", []), row.report.get("league", []))
        for row in Dataset.objects.filter(consumer=party, state__in=TOLD).exclude(code=gating.CODE)[:SHOWN]
    ]
    strong = keys.level_of(party) >= STRUCTURE  # as its machine must be
    counts = aggregates.told_to(party).first() if strong else None
    table: list[tuple[str, list[object]]] = []
    if counts:
        aggregates.taken(counts, party)
        held = {(cell.territory, cell.gir): cell.persons for cell in aggregates.cells(counts, party) if cell.sex == "*"}
        order = sorted({key[0] for key in held}, key=lambda code: (code != "*", not code.startswith("R"), code))
        table = [(names().get(code, "Ensemble"), [held.get((code, gir)) for gir in GIRS]) for code in order]
    placed = _placed(party) if strong else {}
    told, silent = (
        [row for row in table if any(value is not None for value in row[1])],
        [row[0] for row in table if not any(value is not None for value in row[1])],
    )
    return render(
        request,
        "exchange/datasets.html",
        {"party": party, "rows": rows, "counts": counts, "table": told, "silent": silent, "placed": placed, "strong": strong},
    )


@require_safe
def dataset(request: HttpRequest, number: int) -> HttpResponse:
    """The file of a dataset; the journal tells each person's page."""
    party = _party(request)
    found = Dataset.objects.filter(consumer=party, pk=number, state__in=TOLD).first()
    if found is None or keys.level_of(party) < STRUCTURE:  # what leaves by the lot holds health data
        raise Http404
    try:
        made = HttpResponse(lots.content(found, by=party.code, person=request.user.actor), content_type="application/zip")
    except lots.DatasetRefused as error:
        messages.error(request, str(error))
        return redirect("exchange:datasets")
    made["Content-Disposition"] = f'attachment; filename="{found.code}-{found.period}-v{found.version}.zip"'
    return made
