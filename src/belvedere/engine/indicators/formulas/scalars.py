"""Measures, their differences and ratios, and parts of a whole."""

from belvedere.engine.indicators.formulas.ask import Ask, Value, formula, ratio, told
from belvedere.engine.nomenclature.products import families
from belvedere.engine.nomenclature.vocabulary import parts_of


@formula("measure")
def measure(ask: Ask) -> Value:
    """`of`, divided by `per` (7 turns days into weeks)."""
    found = ask.measure(ask.formula["of"])
    per = ask.formula.get("per", 1)
    return found / per if per != 1 and isinstance(found, int | float) else found


@formula("difference")
def difference(ask: Ask) -> Value:
    """`of` less every measure of `less`."""
    values = [ask.measure(name) for name in (ask.formula["of"], *ask.formula["less"])]
    if (bad := told(*values)) is not None:
        return bad
    numbers = [value for value in values if isinstance(value, int | float)]
    return numbers[0] - sum(numbers[1:]) if len(numbers) == len(values) else None


@formula("ratio")
def quotient(ask: Ask) -> Value:
    """`above` over `below`, times `scale`."""
    return ratio(ask.measure(ask.formula["above"]), ask.measure(ask.formula["below"]), ask.formula.get("scale", 1.0))


@formula("per_month")
def per_month(ask: Ask) -> Value:
    """`above` over the persons of each month added up: patient-months."""
    months = [ask.measure("patients", period=month) for month in ask.window()]
    values = [ask.measure(ask.formula["above"], period=month) for month in ask.window()]
    if (bad := told(*months, *values)) is not None:
        return bad
    return ratio(_sum(values), _sum(months))


@formula("part")
def part(ask: Ask) -> Value:
    """Share of `of` that falls on one `product`, or on some `parts` of a family's vocabulary."""
    if codes := ask.formula.get("product"):
        return ratio(ask.measure(ask.formula["of"], product=codes), ask.measure(ask.formula["of"]))
    family = ask.formula["family"]
    if ask.codes["product"] not in (family, "*"):
        return None
    vocabulary = parts_of(family)
    values = [ask.measure(ask.formula["of"], product=code) for name in ask.formula["parts"] for code in vocabulary[name][1]]
    if (bad := told(*values)) is not None:
        return bad
    return ratio(_sum(values), ask.measure(ask.formula["of"], product=family))


def _sum(values: list[Value]) -> Value:
    numbers = [value for value in values if isinstance(value, int | float)]
    return sum(numbers) if numbers and len(numbers) == len(values) else None


def family_codes(product: str) -> list[str]:
    """LPP codes under a product: a family's, all families', or the code itself."""
    if product in families():
        return [code for _, codes in parts_of(product).values() for code in codes]
    if product == "*":
        return [code for family in families() for _, codes in parts_of(family).values() for code in codes]
    return [product]
