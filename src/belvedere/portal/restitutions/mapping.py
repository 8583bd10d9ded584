"""The map of an answer by department: circles for counts, fixed classes for rates; never a class drawn from the data."""

from collections.abc import Mapping
from itertools import pairwise

from belvedere.engine.indicators.formulas import evaluate
from belvedere.portal import maps, numbers
from belvedere.portal.restitutions.answering import Told

AROUND = (0.7, 0.9, 1.1, 1.4)  # class bounds, as multiples of the national figure
CHANGES = (-0.05, -0.01, 0.01, 0.05)  # class bounds of a change, around zero


def of(answer: Told) -> maps.Choropleth | maps.Circles | None:
    """The map of an answer whose rows are departments; None otherwise."""
    if answer.by != "departement" or answer.view.query.territory != "FR":
        return None
    values = {row.code: row.value for row in answer.rows}
    tell = {
        row.code: f"{row.label} : {'masqué' if row.value == 'masked' else 'sans donnée' if row.value is None else answer.shown(row.value)}"
        for row in answer.rows
    }
    if answer.definition.display in ("nombre", "euros") and answer.definition.kind in ("measure", "difference"):
        return maps.circles(values, tell, lambda value: answer.shown(value, short=True))
    return _classes(answer, values, tell)


def _classes(answer: Told, values: Mapping[str, object], tell: Mapping[str, str]) -> maps.Choropleth | None:
    display = answer.definition.display
    if display in ("variation", "points"):
        bounds: tuple[float, ...] = CHANGES
    else:
        national = evaluate(answer.definition.kind, answer.ask)
        if not isinstance(national, int | float) or not national:
            return None
        bounds = tuple(national * factor for factor in AROUND)
    texts = [numbers.shown(bound, display) for bound in bounds]
    labels = [f"moins de {texts[0]}", *(f"{low} à {high}" for low, high in pairwise(texts)), f"{texts[-1]} et plus"]
    return maps.choropleth(values, bounds, labels, tell, diverging=display in ("variation", "points"))
