"""An answer told in French: where and when, the value with its unit, the finding, and why there is none."""

from belvedere.engine.indicators import answering
from belvedere.engine.indicators.answering import Answer, Released, Row
from belvedere.engine.indicators.definitions import Definition
from belvedere.engine.indicators.formulas import Value
from belvedere.engine.indicators.own import OwnFigures
from belvedere.engine.indicators.query import View
from belvedere.engine.secrecy.answers import Refused
from belvedere.portal import numbers
from belvedere.portal.restitutions import choices


class Told(Answer):
    """An answer and its words."""

    @property
    def place(self) -> str:
        """Where, what and when, in French."""
        words = [choices.zone_name(self.codes["territory"])] if "territory" in self.definition.dimensions else ["France entière"]
        words.append(choices.product_name(self.codes["product"]))
        if self.codes["period"].startswith("12m-"):
            words.append(f"douze mois jusqu’en {numbers.month(self.codes['period'][4:], full=True)}")
        else:
            words.append(numbers.month(self.codes["period"], full=True))
        return ", ".join(words)

    @property
    def text(self) -> str:
        """The value with its unit."""
        return self.shown(self.value)

    def shown(self, value: Value, *, short: bool = False) -> str:
        """A value as the definition displays it, with its unit where the display does not say it."""
        text = numbers.shown(value, self.definition.display, short=short)
        plain = self.definition.display in ("nombre", "decimal") and isinstance(value, int | float)
        return f"{text}{numbers.NBSP}{self.definition.unit}" if plain else text

    @property
    def why_not(self) -> str:
        """Why there is no figure, and what to do; "" when there is one."""
        value = self.value if not self.parts or self.definition.kind == "place" else 0
        if self.definition.needs:
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
        told = [row for row in self.rows if isinstance(row.value, int | float)]
        if not told:
            return f"{self.definition.label}, {self.place} : {self.text}."
        top = max(told, key=lambda row: abs(row.value))  # type: ignore[arg-type]
        low = min(told, key=lambda row: row.value)  # type: ignore[arg-type,return-value]
        text = f"{self.definition.label}, {self.place}. Le plus fort : {top.label}, {self.shown(top.value)}"
        return text + (f" ; le plus faible : {low.label}, {self.shown(low.value)}." if low is not top else ".")


def answer(definition: Definition, view: View, *, release: Released | None, own: OwnFigures | None, mine: bool = False) -> Told | None:
    """`answering.answer`, with its words."""
    found = answering.answer(definition, view, release=release, own=own, mine=mine)
    return Told(found.definition, found.view, found.source, found.release, found.own, found.mine) if found is not None else None


__all__ = ["Answer", "Row", "Told", "answer"]
