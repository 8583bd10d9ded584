"""Template filters for French figures."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from belvedere.portal import numbers

register = template.Library()
register.filter("entier", lambda value: numbers.integer(int(value)))
register.filter("euros", lambda cents: numbers.euros(int(cents)))
register.filter("euros_court", lambda cents: numbers.euros(int(cents), short=True))
register.filter("variation", numbers.change)
register.filter("mois", numbers.month)
register.filter("mois_long", lambda code: numbers.month(code, full=True))
register.filter("pourcent", numbers.percent)

MASKED = format_html(
    '<span class="secret" title="{}">masqué</span>',
    "Secret statistique : moins de 11 patients, moins de 3 groupes, ou valeur qui permettrait d’en déduire une autre",
)
ABSENT = format_html('<span class="absent" title="{}">—</span>', "Pas de donnée")


@register.filter
def cellule(value: object, kind: str = "entier") -> SafeString | str:
    """A market value: masked, absent and zero look different."""
    if value == "masked":
        return MASKED
    if value is None:
        return ABSENT
    if kind == "euros":
        return numbers.euros(int(value))  # type: ignore[call-overload]
    if kind == "euros_court":
        return numbers.euros(int(value), short=True)  # type: ignore[call-overload]
    if kind == "pourcent":
        return numbers.percent(float(value))  # type: ignore[arg-type]
    if kind == "variation":
        return numbers.change(float(value))  # type: ignore[arg-type]
    if kind == "decimal":
        return numbers.decimal(float(value))  # type: ignore[arg-type]
    return numbers.integer(int(value))  # type: ignore[call-overload]
