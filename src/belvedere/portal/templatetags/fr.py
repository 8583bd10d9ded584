"""Template filters for French figures."""

import datetime as dt

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from belvedere.observatory import printing
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


@register.filter
def centiemes(value: int) -> str:
    """A rate in hundredths of a per cent: 2000 is 20 %."""
    return f"{value / 100:g}".replace(".", ",") + "\u00a0%"


@register.filter
def duree(value: dt.timedelta) -> str:
    """A duration in the unit that one would say."""
    seconds = value.total_seconds()
    for size, name in ((86400, "j"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f}\u00a0{name}"
    return f"{seconds:.0f}\u00a0s"


@register.filter
def prix(cents: int) -> str:
    """Euros to the cent: 233040 is 2 330,40 €."""
    return printing.euros(cents)
