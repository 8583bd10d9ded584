"""The market for those who may see it, and what a statistician reads of its protection."""

from functools import lru_cache

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from belvedere.engine.nomenclature.products import MODES, families
from belvedere.engine.nomenclature.territories import FRANCE, departments, names
from belvedere.engine.warehouse.engine import PAYERS
from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.publication import frozen, statement
from belvedere.observatory.publication.models import Release
from belvedere.portal import charts, market, numbers
from belvedere.portal.public.views import density_map


def _patients_and_amount(release: frozen.Frozen, **codes: str) -> tuple[market.Value, market.Value]:
    return release.measure("patients", **codes), release.measure("amount_amo", **codes)


@require_safe
def market_page(request: HttpRequest) -> HttpResponse:
    """The market of a territory and family, from the current release."""
    check(request.user, Action.SEE_MARKET)
    release = frozen.current()
    if release is None:
        return render(request, "public/closed.html")
    territory, product = request.GET.get("zone", FRANCE), request.GET.get("famille", "*")
    regions = dict.fromkeys(item.region for item in departments())
    if territory not in (FRANCE, *regions) or product not in ("*", *families()):
        raise Http404
    return render(request, "federation/market.html", {"body": _body(release, territory, product)})


@lru_cache(maxsize=256)
def _body(release: frozen.Frozen, territory: str, product: str) -> SafeString:
    """The page of a zone and a family: the same for everybody as long as the release stands, so set once."""
    regions = dict.fromkeys(item.region for item in departments())
    codes = {"territory": territory, "product": product}
    chosen = market.index_100(market.series(release, "lines", release.months, **codes))
    france = market.index_100(market.series(release, "lines", release.months))
    label = names()[territory] if product == "*" else families()[product]
    shown = {label: chosen} | ({"France, toutes familles": france} if codes != {"territory": FRANCE, "product": "*"} else {})
    colours = dict(zip(shown, (charts.MARKET, charts.GREY), strict=False))
    finding = " ; ".join(f"{name} : indice {numbers.decimal(points[-1][1], 0)}" for name, points in shown.items() if points)
    rows = market.by_department(release, product)
    ages = [
        (age, [release.measure("patients", period=release.years[-1], product=product, age=age, sex=sex) for sex in ("*", "1", "2")])
        for age in ("0-19", "20-39", "40-59", "60-74", "75+")
    ]
    last_year = release.years[-1]
    payers = [(label, *_patients_and_amount(release, period=last_year, payer=code, **codes)) for code, label in PAYERS.items()]
    modes = [(label, *_patients_and_amount(release, period=last_year, mode=code, **codes)) for code, label in MODES.items()]
    return render_to_string("federation/market_body.html", {
        "release": release,
        "last": release.until,
        "zones": [(FRANCE, "France entière"), *sorted(((code, names()[code]) for code in regions), key=lambda pair: market.sort_key(pair[1]))],
        "products": [("*", "Toutes familles"), *families().items()],
        "territory": territory, "product": product,
        "territory_name": names()[territory], "product_name": "toutes familles" if product == "*" else families()[product],
        "totals": market.totals(release, **codes),
        "chart": charts.figure(shown, colours, finding) if any(shown.values()) else "",
        "months": [(month, release.measure("patients", period=month, **codes), release.measure("amount_amo", period=month, **codes)) for month in release.months[-12:]],
        "families": market.by_family(release, territory),
        "regions": market.by_region(release, product),
        "map": density_map(release, product),
        "departments": rows,
        "ages": ages, "payers": payers,
            "modes": modes,
    })  # fmt: skip


@require_safe
def secrecy(request: HttpRequest, label: str) -> HttpResponse:
    """What a federation's statistician needs: the rules, what was tried, how to replay it."""
    check(request.user, Action.SEE_REVIEW)
    release = get_object_or_404(Release, label=label)
    return render(request, "federation/secrecy.html", {
        "release": release, "attacks": statement.attacks(), "cubes": statement.cubes(), "before": release.basis,
        "federations_closed": release.report.get("federations_closed"), "mask_share": release.masked_cells / max(release.masked_cells + release.released_cells, 1),
    })  # fmt: skip


@require_safe
def publication_csv(request: HttpRequest, label: str) -> HttpResponse:
    """Every cell of a release with its status, as the audit reads it."""
    check(request.user, Action.SEE_REVIEW)
    return _file(statement.publication_csv(get_object_or_404(Release, label=label)), "text/csv; charset=utf-8", f"publication-{label}.csv")


@require_safe
def specification_yaml(request: HttpRequest, label: str) -> HttpResponse:
    """The declared lattice of a release, as the audit reads it."""
    check(request.user, Action.SEE_REVIEW)
    return _file(
        statement.specification_yaml(get_object_or_404(Release, label=label)), "application/yaml; charset=utf-8", f"publication-{label}.yaml"
    )


def _file(content: bytes, kind: str, name: str) -> HttpResponse:
    return HttpResponse(content, content_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})
