"""Public pages: two frozen tables and a map, the method, the definitions."""

from itertools import pairwise

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from belvedere.engine.indicators import definitions
from belvedere.engine.nomenclature.territories import departments
from belvedere.observatory.digests import actions as digests
from belvedere.observatory.publication import frozen, gate
from belvedere.observatory.publication.models import Release, ReleaseState
from belvedere.portal import exports, maps, market, numbers
from belvedere.portal.public import quotable

AROUND_FRANCE = (0.7, 0.9, 1.1, 1.4)  # class bounds, as multiples of the published national rate


def density_map(release: frozen.Frozen, product: str = "*") -> maps.Choropleth:
    """Patients per 10 000 inhabitants by department, in classes around the published national rate: the
    bounds come from one published cell, so that no masked value moves them."""
    rows = market.by_department(release, product)
    national = release.measure("patients", period=release.years[-1], product=product)
    people = sum(item.population for item in departments())
    rate = national / people * 10_000 if isinstance(national, int) else 1.0
    digits = 1 if rate >= 1 else 2
    bounds = [round(rate * factor, digits) for factor in AROUND_FRANCE]
    texts = [numbers.decimal(bound, digits) for bound in bounds]
    labels = [f"moins de {texts[0]}", *(f"{low} à {high}" for low, high in pairwise(texts)), f"{texts[-1]} et plus"]

    def tell(row: market.MarketRow) -> str:
        if row.per_10k == "masked":
            return f"{row.label} : masqué"
        return f"{row.label} : {'sans donnée' if row.per_10k is None else numbers.decimal(float(row.per_10k)) + ' patients pour 10 000 habitants'}"

    return maps.choropleth({row.code: row.per_10k for row in rows}, bounds, labels, {row.code: tell(row) for row in rows})


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """The market for everybody: headline, map, families, regions."""
    asked = request.GET.get("v")
    found = frozen.labelled(asked) if asked else None
    if asked and found is None:
        raise Http404
    release, row = (found[1], found[0]) if found else (frozen.current(), None)
    if release is None:
        return render(request, "public/closed.html")
    return render(request, "public/overview.html", {
        "release": release,
        "row": row,
        "newest": frozen.current(),
        "frozen_because": gate.frozen_because(),
        "last": release.until,
        "totals": market.totals(release),
        "families": market.by_family(release),
        "regions": market.by_region(release),
        "departments": market.by_department(release),
        "map": density_map(release),
    })  # fmt: skip


@require_safe
def press(request: HttpRequest) -> HttpResponse:
    """Figures ready to be quoted: a sentence, a picture, a source and a permanent address each."""
    release = frozen.current()
    if release is None:
        return render(request, "public/closed.html")
    return render(request, "public/press.html", {"cards": quotable.figures_of(release), "release": release, "when": quotable.when(release)})


@require_safe
def versions(request: HttpRequest) -> HttpResponse:
    """Every release that went out, withdrawn ones with their reason: nothing is ever taken away in silence."""
    out = Release.objects.filter(state__in=(ReleaseState.PUBLISHED, ReleaseState.WITHDRAWN))
    return render(request, "public/versions.html", {"releases": out, "frozen_because": gate.frozen_because()})


@require_safe
def table_csv(request: HttpRequest, table: str) -> HttpResponse:
    """A public table as CSV; `?format=excel` for spreadsheets."""
    release = frozen.current()
    makers = {"familles": market.by_family, "regions": market.by_region, "departements": market.by_department}
    if release is None or table not in makers:
        raise Http404
    rows = [
        (row.code, row.label, row.patients, row.amount if not isinstance(row.amount, int) else row.amount / 100) for row in makers[table](release)
    ]
    return exports.csv_response(
        f"{table}_12-mois_{release.label}", ("code", "libelle", "patients", "montant_amo_eur"), rows, excel=request.GET.get("format") == "excel"
    )


@require_safe
def method(request: HttpRequest) -> HttpResponse:
    """How figures are made and protected."""
    return render(request, "public/method.html", {"release": frozen.current(), "definitions": definitions.catalogue().values()})


@require_safe
def accessibility(request: HttpRequest) -> HttpResponse:
    """What is accessible, what is not yet, and how we know."""
    return render(request, "public/accessibility.html")


@require_http_methods(["GET", "HEAD", "POST"])
def mute(request: HttpRequest, token: str) -> HttpResponse:
    """The link of a monthly letter: mute one indicator, or the letter; nothing changes before the button."""
    found = digests.asked(token)
    if found is None:
        raise Http404
    person, indicator = found
    back = request.method == "POST" and "reprendre" in request.POST
    if request.method == "POST":
        (digests.hear if back else digests.mute)(person, indicator)
    label = definitions.catalogue()[indicator].label if indicator in definitions.catalogue() else ""
    return render(request, "public/mute.html", {"done": request.method == "POST" and not back, "back": back, "label": label, "whole": not label})
