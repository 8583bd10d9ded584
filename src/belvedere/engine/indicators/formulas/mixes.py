"""Splits of a whole: by mode, age, sex, payer, place, or by the parts of a family's vocabulary."""

from collections.abc import Mapping

from belvedere.engine.indicators.formulas.ask import Ask, Part, Value, formula, ratio, split, told
from belvedere.engine.nomenclature.products import MODES, UNKNOWN_FAMILY, families
from belvedere.engine.nomenclature.territories import FRANCE, departments
from belvedere.engine.nomenclature.vocabulary import parts_of
from belvedere.engine.warehouse.engine import AGE_BANDS, PAYERS, UNKNOWN_AGE, UNKNOWN_REGION

SEXES = {"1": "Hommes", "2": "Femmes"}
AGES = {band: "75 ans et plus" if band == "75+" else f"{band.replace('-', ' à ')} ans" for band in AGE_BANDS}


def choices(ask: Ask, over: str) -> Mapping[str, str]:
    """Codes and labels that a dimension splits a cell into."""
    if over == "territory":
        zone = ask.codes["territory"]
        if zone == FRANCE:
            return {item.region: item.region_name for item in departments()} | {UNKNOWN_REGION: "Zone inconnue"}
        return {item.code: item.name for item in departments() if item.region == zone}
    if over == "product":
        return {code: label for code, label in families().items() if code != UNKNOWN_FAMILY}
    return {"mode": MODES, "age": AGES | {UNKNOWN_AGE: "Âge inconnu"}, "sex": SEXES | {"0": "Sexe inconnu"}, "payer": PAYERS}[over]


@split("mix")
def mix(ask: Ask) -> list[Part]:
    """Share of `of` in each code of `over`; for "parts", each part of the family's vocabulary."""
    of, over = ask.formula["of"], ask.formula["over"]
    whole = ask.measure(of)
    if over == "parts":
        family = ask.codes["product"]
        if family not in families() or family == UNKNOWN_FAMILY:
            return []
        return [Part(part, label, ratio(_added(ask, of, codes), whole)) for part, (label, codes) in parts_of(family).items()]
    found = [Part(code, label, ratio(ask.measure(of, **{over: code}), whole)) for code, label in choices(ask, over).items()]
    return [part for part in found if part.value not in (0, None) or part.code in ("1", "2", *MODES)]


def _added(ask: Ask, of: str, codes: tuple[str, ...]) -> Value:
    values = [ask.measure(of, product=code) for code in codes]
    if (bad := told(*values)) is not None:
        return bad
    numbers = [value for value in values if isinstance(value, int | float)]
    return sum(numbers) if len(numbers) == len(values) else None


@formula("mix")
def leading(ask: Ask) -> Value:
    """The share of the biggest part: what the sentence of a split says first."""
    told_parts = [part.value for part in mix(ask) if isinstance(part.value, int | float)]
    return max(told_parts) if told_parts else ask.measure(ask.formula["of"]) if told(ask.measure(ask.formula["of"])) else None
