"""Public pages: two frozen tables and a map, the method, the definitions."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from belvedere.engine.indicators import definitions
from belvedere.observatory.publication import frozen
from belvedere.portal import exports, maps, market, numbers

DENSITY_BREAKS = (2.0, 4.0, 6.0, 8.0)
DENSITY_LABELS = ("moins de 2", "2 à 4", "4 à 6", "6 à 8", "8 et plus")


def density_map(rows: list[market.MarketRow]) -> maps.Choropleth:
    """Patients per 10 000 inhabitants by department, on fixed classes."""

    def tell(row: market.MarketRow) -> str:
        if row.per_10k == "masked":
            return f"{row.label} : masqué"
        return f"{row.label} : {'sans donnée' if row.per_10k is None else numbers.decimal(float(row.per_10k)) + ' patients pour 10 000 habitants'}"

    return maps.choropleth({row.code: row.per_10k for row in rows}, DENSITY_BREAKS, DENSITY_LABELS, {row.code: tell(row) for row in rows})


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """The market for everybody: headline, map, families, regions."""
    release = frozen.current()
    if release is None:
        return render(request, "public/closed.html")
    departments = market.by_department(release)
    return render(request, "public/overview.html", {
        "release": release,
        "last": release.months[-1],
        "totals": market.totals(release),
        "families": market.by_family(release),
        "regions": market.by_region(release),
        "departments": departments,
        "map": density_map(departments),
    })  # fmt: skip


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
def definition(request: HttpRequest, name: str) -> HttpResponse:
    """One indicator's definition."""
    found = definitions.catalogue().get(name.replace("-", "_"))
    if found is None:
        raise Http404
    return render(request, "public/definition.html", {"definition": found})
