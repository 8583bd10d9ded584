"""The LPP browser: codes of home care, where they stand, what they are worth since when, and where they are read."""

import datetime as dt

import numpy as np
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from belvedere.engine.b2 import keys
from belvedere.engine.indicators.definitions import catalogue
from belvedere.engine.indicators.formulas.ask import growth, ratio
from belvedere.engine.nomenclature import lpp_tree
from belvedere.engine.nomenclature.products import MODES, SUPPLY_MODES, UNKNOWN_FAMILY, Product, families, products, tariff, tariffs
from belvedere.engine.nomenclature.vocabulary import parts
from belvedere.observatory.publication import frozen
from belvedere.portal.restitutions.search import words

UNITS = {"week": "semaine", "day": "jour", "month": "mois", "unit": "unité"}
KINDS = {"A": "achat", "E": "entretien", "L": "location", "P": "port", "R": "réparation", "S": "service", "V": "livraison"}
INDICATORS = ("amount_amo", "patients", "units", "average_amo", "growth")


def check_digit(lpp: int) -> int:
    """The last digit that a code's first six call for."""
    return int(keys.lpp_keys(np.array([lpp]))[0])


def _matches(product: Product, asked: str) -> bool:
    if asked.isdecimal():
        return str(product.lpp).startswith(asked)
    found = words(f"{product.label} {families()[product.family]} {parts().get(product.lpp, ('', ''))[1]}")
    return all(any(each.startswith(word) for each in found) for word in words(asked))


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Codes by family; a search by number or by words; a number typed wrong is told so."""
    asked = request.GET.get("q", "").strip()[:60]
    found = [product for product in products().values() if not asked or _matches(product, asked)]
    today = timezone.localdate().isoformat()
    shelves = []
    for code, label in families().items():
        rows = [(product, tariff(product.lpp, today)) for product in found if product.family == code and code != UNKNOWN_FAMILY]
        if rows:
            shelves.append((code, label, rows))
    wrong = asked.isdecimal() and len(asked) == 7 and not found and check_digit(int(asked)) != int(asked[6])
    return render(request, "lpp/listing.html", {
        "asked": asked, "shelves": shelves, "count": sum(len(rows) for *_, rows in shelves), "wrong": f"{asked[:6]}{check_digit(int(asked))}" if wrong else "",
        "units": UNITS, "all": len(products()),
    })  # fmt: skip


def _steps(lpp: int) -> list[tuple[str, int, float | None]]:
    """(date of effect, cents, change) of each tariff, the newest first."""
    found: list[tuple[str, int, float | None]] = []
    before: int | None = None
    for day, cents in tariffs().get(lpp, ()):
        found.append((day, cents, cents / before - 1 if before else None))
        before = cents
    return found[::-1]


def _curve(lpp: int, today: dt.date) -> list[tuple[float, float, float]]:
    """Steps of the tariff as (x, y, width) in a 100 × 40 drawing."""
    steps = tariffs().get(lpp, ())
    if len(steps) < 2:
        return []
    first, last = dt.date.fromisoformat(steps[0][0]).toordinal(), today.toordinal()
    most = max(cents for _, cents in steps)
    drawn = []
    for rank, (day, cents) in enumerate(steps):
        start = dt.date.fromisoformat(day).toordinal()
        end = dt.date.fromisoformat(steps[rank + 1][0]).toordinal() if rank + 1 < len(steps) else last
        drawn.append(
            (round((start - first) / (last - first) * 100, 2), round(38 - cents / most * 32, 2), round((end - start) / (last - first) * 100, 2))
        )
    return drawn


@require_safe
def code(request: HttpRequest, number: str) -> HttpResponse:
    """One code: headings, tariffs with their dates, check digit, and its figures in the current release."""
    product = products().get(int(number)) if number.isdecimal() else None
    if product is None or product.family == UNKNOWN_FAMILY:
        raise Http404
    release, today = frozen.current(), timezone.localdate()
    figures = None
    if release is not None:
        last, before = release.years[-1], release.years[-2] if len(release.years) > 1 else None
        at = {"product": number}
        amount = release.measure("amount_amo", period=last, **at)
        figures = {
            "patients": release.measure("patients", period=last, **at), "amount": amount, "units": release.measure("units", period=last, **at),
            "growth": growth(amount, release.measure("amount_amo", period=before, **at)) if before else None,
            "part": ratio(amount, release.measure("amount_amo", period=last, product=product.family)),
        }  # fmt: skip
    part = parts().get(product.lpp)
    siblings = [other for other in products().values() if other.family == product.family and other.lpp != product.lpp]
    return render(request, "lpp/code.html", {
        "product": product, "closed": "" < product.closed_on <= today.isoformat(), "family": families()[product.family], "part": part[1] if part else "", "above": lpp_tree.above(product.lpp), "snapshot": lpp_tree.SNAPSHOT,
        "unit": UNITS[product.unit], "kind": KINDS.get(product.supply_type, "service"), "mode": MODES[SUPPLY_MODES.get(product.supply_type, "service")],
        "steps": _steps(product.lpp), "curve": _curve(product.lpp, today), "now": tariff(product.lpp, today.isoformat()), "digit": check_digit(product.lpp),
        "release": release, "figures": figures, "indicators": [catalogue()[name] for name in INDICATORS], "siblings": siblings,
    })  # fmt: skip
