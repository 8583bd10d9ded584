"""An answer told in French: where and when, the value with its unit, the finding, and why there is none."""

import re

from belvedere.engine.indicators.answering import Answer, Row
from belvedere.engine.indicators.formulas import Value
from belvedere.engine.secrecy.answers import Refused
from belvedere.portal import numbers
from belvedere.portal.restitutions import choices

MONTH = re.compile(r"\d{4}-\d{2}")


def spoken(period: str) -> str:
    """« douze mois jusqu’en octobre 2026 », or a month."""
    return f"douze mois jusqu’en {numbers.month(period[4:], full=True)}" if period.startswith("12m-") else numbers.month(period, full=True)


class Told(Answer):
    """An answer and its words."""

    @property
    def place(self) -> str:
        """Where, what and when, in French."""
        words = [choices.zone_name(self.codes["territory"])] if "territory" in self.definition.dimensions else ["France entière"]
        words.append(choices.product_name(self.codes["product"]))
        words.append(spoken(self.codes["period"]) if "period" in self.definition.dimensions else "toutes vos données")
        return ", ".join(words)

    @property
    def text(self) -> str:
        """The value with its unit."""
        return self.shown(self.value)

    @staticmethod
    def label(row: Row) -> str:
        """What a row is called on a screen: months by their names."""
        return numbers.month(row.code) if MONTH.fullmatch(row.code) else row.label

    def shown(self, value: Value, *, short: bool = False) -> str:
        """A value as the definition displays it, with its unit where the display does not say it."""
        text = numbers.shown(value, self.definition.display, short=short)
        plain = self.definition.display in ("nombre", "decimal") and isinstance(value, int | float)
        return f"{text}{numbers.NBSP}{self.definition.unit}" if plain else text

    @property
    def why_not(self) -> str:
        """Why there is no figure, and what to do; "" when there is one."""
        value = self.value if not self.parts or self.definition.kind == "place" else 0
        if self.definition.needs and value is None and not self.rows:
            return f"Cet indicateur attend {self.definition.needs}. Il se calculera dès qu’ils seront là."
        if isinstance(value, Refused):
            return value.why
        if value == "masked":
            return "Ce chiffre est masqué : moins de 11 patients, moins de 3 groupes, ou une valeur qui permettrait d’en déduire une autre. Élargissez la zone, le produit ou la période."
        if value is None and not self.rows:
            return "Cette combinaison n’est pas calculée : le recul manque, ou la publication ne croise pas ces dimensions. Essayez une zone plus large ou douze mois."
        return ""

    @property
    def finding(self) -> str:
        """The text alternative of the figure: what it shows, not how it is drawn."""
        told = [(row.value, self.label(row)) for row in self.rows if isinstance(row.value, int | float)]
        if not told:
            return f"{self.definition.label}, {self.place} : {self.text}."
        top, low = max(told, key=lambda pair: abs(pair[0])), min(told, key=lambda pair: pair[0])
        text = f"{self.definition.label}, {self.place}. Le plus fort : {top[1]}, {self.shown(top[0])}"
        return text + (f" ; le plus faible : {low[1]}, {self.shown(low[0])}." if low is not top else ".")
