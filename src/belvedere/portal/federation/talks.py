"""What a federation takes to the talks: the market note of a release, and the effect of a tariff decision."""

import re
from dataclasses import dataclass, replace

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from belvedere.engine.indicators.definitions import catalogue
from belvedere.engine.indicators.formulas import evaluate
from belvedere.engine.indicators.query import Query, View
from belvedere.engine.nomenclature.products import UNKNOWN_FAMILY, families, products, tariff
from belvedere.engine.nomenclature.vocabulary import parts_of
from belvedere.observatory import printing
from belvedere.observatory.accounts.permissions import Action, can, check
from belvedere.observatory.members.own import OwnFacts
from belvedere.observatory.publication import frozen
from belvedere.portal import market, numbers
from belvedere.portal.restitutions import figures
from belvedere.portal.restitutions.answering import Told

MOST = 30.0  # largest change that the simulator takes, in per cent


@dataclass(frozen=True)
class Effect:
    """What a change of tariff does to one code over twelve months of unchanged quantities; cents, or "masked"."""

    code: str
    label: str
    units: market.Value
    tariff: int | None
    amount: market.Value
    effect: market.Value
    own: int | None


@require_safe
def simulator(request: HttpRequest) -> HttpResponse:
    """The effect of a tariff change on a family's codes: quantities of the release, prices changed, nothing else moving."""
    user = check(request.user, Action.SEE_MARKET)
    release = frozen.current()
    if release is None:
        return render(request, "public/closed.html")
    family = request.GET.get("famille", "PPC")
    if family not in families() or family == UNKNOWN_FAMILY:
        raise Http404
    text = request.GET.get("variation", "-4").strip().replace("−", "-").replace("%", "").replace(",", ".").strip()
    change, error = (
        (float(text), "") if re.fullmatch(r"[+-]?\d{1,2}(\.\d{1,2})?", text) else (-4.0, "Écrivez une variation en pour cent, par exemple −4 ou 2,5.")
    )
    if abs(change) > MOST:
        change, error = -4.0, f"Une variation se tient entre −{MOST:.0f} % et +{MOST:.0f} %."
    own = OwnFacts.of(user).figures(release.until) if can(user, Action.SEE_OWN) else None
    last, today = release.years[-1], timezone.localdate().isoformat()
    rows = []
    for _, codes in parts_of(family).values():
        for code in codes:
            amount = release.measure("amount_amo", product=code, period=last)
            mine = own.measure("amount_amo", product=code, period=last) if own is not None and own.months else None
            if amount in (0, None) and not mine:
                continue
            effect = round(amount * change / 100) if isinstance(amount, int) else amount
            rows.append(Effect(code, products()[int(code)].label, release.measure("units", product=code, period=last), tariff(int(code), today), amount, effect, round(mine * change / 100) if mine else None))  # fmt: skip
    whole = release.measure("amount_amo", product=family, period=last)
    mine = own.measure("amount_amo", product=family, period=last) if own is not None and own.months else None
    return render(request, "federation/simulator.html", {
        "release": release, "rows": rows, "family": family, "family_name": families()[family], "change": change / 100, "typed": numbers.decimal(change, 2).rstrip("0").rstrip(","), "error": error,
        "families": [(code, label) for code, label in families().items() if code != UNKNOWN_FAMILY], "whole": whole,
        "effect": round(whole * change / 100) if isinstance(whole, int) else whole, "own_effect": round(mine * change / 100) if mine else None, "own": own is not None,
    })  # fmt: skip


def _asked(release: frozen.Frozen, name: str, by: str = "", **query: str) -> Told:
    found = Told.of(catalogue()[name], View(Query(**query), by), release=release, own=None)
    assert found is not None  # a release answers every indicator that is not one's own
    return found


@require_safe
def note(request: HttpRequest) -> HttpResponse:
    """The market note of the current release, as a PDF: the finding, the families, what moved and why, where, and the method."""
    check(request.user, Action.SEE_MARKET)
    release = frozen.current()
    if release is None:
        raise Http404
    return HttpResponse(
        note_pdf(release), content_type="application/pdf", headers={"Content-Disposition": f'inline; filename="note-de-marche-{release.label}.pdf"'}
    )


def note_pdf(release: frozen.Frozen) -> bytes:
    """The note of a release: the same release gives the same figures whatever the day."""
    assert release.published_at is not None  # only releases that went out are noted
    totals = market.totals(release)
    told = [row for row in market.by_family(release) if row.code != UNKNOWN_FAMILY]
    rows, effects = [], []
    for row in told:
        rows.append(
            [row.label, _cell(row.patients, "nombre"), _cell(row.amount, "euros"), _cell(row.growth, "variation"), _cell(row.average, "euros")]
        )
        asked = _asked(release, "price_effect", product=row.code).ask
        three = [evaluate("effect", replace(asked, formula={**asked.formula, "effect": name})) for name in ("price", "volume", "mix")]
        if any(isinstance(value, float) for value in three):
            billed = evaluate("growth", replace(asked, formula={"of": "amount_billed"}))
            effects.append([row.label, _cell(billed, "variation"), *(_cell(value, "variation") for value in three)])
    changes = [(row.growth, row.label) for row in told if isinstance(row.growth, float)]
    finding = (
        f"L’assurance maladie a remboursé {_cell(totals['amount_amo'], 'euros', short=True)} aux prestataires de l’observatoire sur douze mois, "
        f"{_cell(totals['amount_amo_growth'], 'variation')} en un an."
    )
    if len(changes) > 1:
        best, worst = max(changes), min(changes)
        finding += f" La plus forte hausse est celle de la famille « {best[1]} » ({_cell(best[0], 'variation')}) ; « {worst[1]} » évolue de {_cell(worst[0], 'variation')}."
    plates = [_asked(release, "index"), _asked(release, "family_contribution"), _asked(release, "penetration_standard", "region")]
    images = [[plate.definition.label, plate.definition.said, (figures.image(plate, "svg", titled=False) or b"").decode()] for plate in plates]
    data = {
        "label": release.label, "until": numbers.month(release.until, full=True), "day": printing.day(timezone.localdate(release.published_at)), "finding": finding,
        "groups": release.groups, "rows": rows, "effects": effects, "images": [image for image in images if image[2]],
        "patients": _cell(totals["patients"], "nombre"), "amount": _cell(totals["amount_amo"], "euros", short=True), "average": _cell(totals["average"], "euros"),
        "growth": _cell(totals["amount_amo_growth"], "variation"),
    }  # fmt: skip
    return printing.render("belvedere.portal.federation.texts", "note.typ", data)


def _cell(value: object, display: str, *, short: bool = False) -> str:
    return numbers.shown(value, display, short=short)
