"""Figures that compare a provider with the market, or speak of the market's shape."""

from collections.abc import Mapping

from belvedere.engine.indicators.formulas.ask import MASKED, Ask, Part, Value, evaluate, formula, ratio, split, told
from belvedere.engine.nomenclature.territories import FRANCE, departments, population_by_age

BANDS = {"p10": "1er décile", "p25": "1er quartile", "p50": "Médiane", "p75": "3e quartile", "p90": "9e décile"}


@formula("share")
def share(ask: Ask) -> Value:
    """Own part of a market cell: told only where the cell is (attack A15)."""
    if ask.own is None or ask.market is None:
        return None
    whole = ask.of(ask.market).measure(ask.formula["of"])
    return whole if told(whole) is not None else ratio(ask.of(ask.own).measure(ask.formula["of"]), whole)


def _beside(ask: Ask, figure: str) -> object:
    if ask.market is None or ask.codes["territory"] != FRANCE or not ask.yearly:
        return None
    return ask.market.beside(figure, ask.codes["product"], ask.period)


@split("place")
def place(ask: Ask) -> list[Part]:
    """The published quantiles of an indicator among groups, and one's own value."""
    found = _beside(ask, ask.formula["figure"])
    bands = [Part(name, label, found[name]) for name, label in BANDS.items() if name in found] if isinstance(found, Mapping) else []
    mine = evaluate(ask.formula["kind_of"], Ask(ask.formula["formula_of"], ask.codes, ask.own, ask.own, ask.market)) if ask.own is not None else None
    return [*bands, Part("me", "Vous", mine)] if mine is not None else bands


@formula("place")
def middle(ask: Ask) -> Value:
    """The published median of the groups."""
    found = _beside(ask, ask.formula["figure"])
    return found.get("p50") if isinstance(found, Mapping) else MASKED if found == MASKED else None


@formula("concentration")
def concentration(ask: Ask) -> Value:
    """The class of the Herfindahl-Hirschman index: a text, never a number."""
    found = _beside(ask, "concentration")
    return found if isinstance(found, str) else None


def people_of(zone: str) -> dict[str, int]:
    """Inhabitants by age band of a territory."""
    found: dict[str, int] = {}
    for item in departments():
        if zone in (FRANCE, item.region, item.code):
            for band, count in population_by_age()[item.code].items():
                found[band] = found.get(band, 0) + count
    return found


@formula("penetration")
def penetration(ask: Ask) -> Value:
    """Patients for 10 000 inhabitants; `standardised`: had the territory the ages of France (indirect standardisation)."""
    patients, here = ask.measure("patients"), people_of(ask.codes["territory"])
    if not ask.formula.get("standardised"):
        return ratio(patients, sum(here.values()), 10_000)
    france, national = people_of(FRANCE), ask.measure("patients", territory=FRANCE)
    if (bad := told(patients, national)) is not None:
        return bad
    if not isinstance(patients, int | float) or not isinstance(national, int | float):
        return None
    known = {band: count for band in france if isinstance(count := ask.measure("patients", territory=FRANCE, age=band), int | float)}
    if not known:
        return MASKED
    # Ages that are not told are taken together: all less those that are, a difference that anybody may do.
    rest = [band for band in france if band not in known]
    expected = sum(count / france[band] * here[band] for band, count in known.items())
    if rest:
        expected += max(national - sum(known.values()), 0) / sum(france[band] for band in rest) * sum(here[band] for band in rest)
    return ratio(patients, expected, national / sum(france.values()) * 10_000)
