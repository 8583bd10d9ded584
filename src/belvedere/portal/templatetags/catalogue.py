"""Template filters of the catalogue: values as their definition displays them."""

from django import template
from django.utils.html import format_html

from belvedere.engine.indicators.definitions import Definition
from belvedere.engine.indicators.formulas import Value
from belvedere.engine.secrecy.answers import Refused
from belvedere.observatory.desk.models import Basket
from belvedere.portal import numbers
from belvedere.portal.restitutions import choices
from belvedere.portal.restitutions.answering import Row, Told
from belvedere.portal.templatetags.fr import ABSENT, MASKED

register = template.Library()
COLUMNS = {
    "region": "Région", "departement": "Département", "famille": "Famille", "code": "Code LPP", "mois": "Mois", "age": "Âge", "sexe": "Sexe",
    "regime": "Régime", "mode": "Mode de délivrance",
}  # fmt: skip


@register.filter
def ecrit(answer: Told, value: Value) -> str:
    """A value with its unit."""
    return answer.shown(value)


@register.filter
def case(answer: Told, value: object) -> str:
    """A value in a table: masked, absent, refused and zero look different."""
    if value == "masked":
        return MASKED
    if isinstance(value, Refused):
        return format_html('<span class="absent" title="{}">refusé</span>', value.why)
    return ABSENT if value is None else numbers.shown(value, answer.definition.display)


@register.filter
def libelle(answer: Told, row: Row) -> str:
    """What a row is called."""
    return answer.label(row)


@register.filter
def colonne(by: str) -> str:
    """Heading of the rows of a grouping."""
    return COLUMNS.get(by, "Part")


@register.filter
def attendu(definition: Definition) -> str:
    """What a worked example must give."""
    expected = definition.example["expected"]
    if isinstance(expected, dict):
        return ", ".join(
            f"{code} {numbers.shown(value, definition.display if isinstance(value, float) else 'nombre')}" for code, value in expected.items()
        )
    return numbers.shown(expected, definition.display)


register.filter("unlocalized", lambda value: f"{value:g}")


@register.filter
def court(answer: Told, value: object) -> str:
    """A value in a tile: amounts in k€ or M€, without the unit that stands below."""
    if value == "masked":
        return MASKED
    return numbers.shown(value, answer.definition.display, short=True)


@register.filter
def contenu(basket: Basket) -> str:
    """What a basket holds, in words."""
    return choices.zone_name(basket.codes) if basket.kind == "territory" else choices.product_name(basket.codes)


@register.filter
def date_fr(iso: str) -> str:
    """\"2026-11-21\" as 21/11/2026."""
    return "/".join(reversed(iso.split("-")))
