"""An indicator asked: its value, its rows, its series, and the sentence that says the finding; the same for page, API and files."""

from dataclasses import dataclass
from functools import cached_property

from belvedere.engine.indicators import formulas
from belvedere.engine.indicators.definitions import Definition
from belvedere.engine.indicators.formulas import Ask, Part, Source, Value
from belvedere.engine.indicators.formulas.dynamics import index_series
from belvedere.engine.indicators.own import OwnFigures, window
from belvedere.engine.indicators.query import GROUPINGS, QueryError, View
from belvedere.engine.secrecy.answers import Refused
from belvedere.observatory.publication.frozen import Frozen
from belvedere.portal import numbers
from belvedere.portal.restitutions import choices

ALONE = ("place", "concentration", "penetration")  # kinds that mean nothing of one provider


@dataclass(frozen=True)
class Row:
    """One row: its code and label, the market's value (own tier: one's own), and one's own beside it."""

    code: str
    label: str
    value: Value
    own: Value = None


@dataclass(frozen=True)
class Answer:
    """What an indicator says for a view. `source` is asked; `own` is the reader's own figures, if it has some."""

    definition: Definition
    view: View
    source: Source
    release: Frozen | None
    own: OwnFigures | None
    mine: bool = False  # the reader's own figures of an indicator that speaks of the market too

    @property
    def personal(self) -> bool:
        """Whether the figures are the reader's own, live."""
        return self.mine or self.definition.tier == "own"

    @cached_property
    def codes(self) -> dict[str, str]:
        found = self.view.query.codes(self.latest)
        for name in ("territory", "product"):
            if name not in self.definition.dimensions:
                found[name] = "FR" if name == "territory" else choices.ALL
        if "period" not in self.definition.dimensions:
            found["period"] = self.latest
        if found["product"] == choices.ALL and self.definition.first_product:
            found["product"] = self.definition.first_product
        return found

    @property
    def latest(self) -> str:
        """The period read when none is asked: the release's last twelve months; for own figures alone, one's own."""
        if self.personal and self.definition.kind != "share" and self.own is not None and self.own.months:
            return window(self.own.months[-1])
        return self.release.years[-1] if self.release is not None else window(self.own.months[-1])  # type: ignore[union-attr]

    @cached_property
    def ask(self) -> Ask:
        return Ask(self.definition.formula, self.codes, self.source, self.own, self.release)

    @cached_property
    def value(self) -> Value:
        """The figure itself."""
        return formulas.evaluate(self.definition.kind, self.ask)

    @cached_property
    def own_value(self) -> Value:
        """The reader's own figure beside the market's."""
        if self.own is None or not self.own.months or self.personal or self.definition.kind in ALONE:
            return None
        return formulas.evaluate(self.definition.kind, self.ask.of(self.own))

    @cached_property
    def parts(self) -> list[Part]:
        """What the figure splits into, for the indicators that are splits."""
        return formulas.parts_of_kind(self.definition.kind, self.ask)

    @cached_property
    def by(self) -> str:
        """The grouping in force: the one asked, else the first that makes sense."""
        allowed = choices.groupings(self.definition, self.view)
        if self.view.by and self.view.by not in allowed:
            raise QueryError(f"Cet indicateur ne se lit pas {choices.LABELS[self.view.by]} ici.")
        first = "departement" if "departement" in allowed and self.view.query.territory != "FR" else None
        return self.view.by or first or (allowed[0] if allowed else "")

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of the table: parts of a split, or the members of the grouping."""
        if self.parts:
            mine = {part.code: part.value for part in formulas.parts_of_kind(self.definition.kind, self.ask.of(self.own))} if self._beside else {}
            return [Row(part.code, part.label, part.value, mine.get(part.code)) for part in self.parts]
        if not self.by:
            return []
        found = []
        for code, label in choices.members(self.by, self.view, self.source).items():
            here = self.ask.at(**{GROUPINGS[self.by]: code})
            value = formulas.evaluate(self.definition.kind, here)
            own = formulas.evaluate(self.definition.kind, here.of(self.own)) if self._beside else None  # type: ignore[arg-type]
            if value is not None or own not in (None, 0) or self.by in ("region", "departement"):
                found.append(Row(code, label, value, own))
        return found

    @property
    def _beside(self) -> bool:
        return self.own is not None and bool(self.own.months) and not self.personal and self.definition.kind not in ALONE

    @cached_property
    def series(self) -> list[Row]:
        """The figure month by month, where it has months."""
        if self.definition.kind == "index":
            mine = dict(index_series(self.ask.of(self.own))) if self._beside else {}  # type: ignore[arg-type]
            return [Row(month, numbers.month(month), value, mine.get(month)) for month, value in index_series(self.ask)]
        if self.definition.kind not in choices.MONTHLY or "period" not in self.definition.dimensions:
            return []
        found = []
        for month in self.source.months:
            here = self.ask.at(period=month)
            own = formulas.evaluate(self.definition.kind, here.of(self.own)) if self._beside else None  # type: ignore[arg-type]
            found.append(Row(month, numbers.month(month), formulas.evaluate(self.definition.kind, here), own))
        return found if any(row.value is not None for row in found) else []

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
    def masked(self) -> int:
        """Rows that are masked."""
        return sum(row.value == "masked" for row in self.rows)

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


def answer(definition: Definition, view: View, *, release: Frozen | None, own: OwnFigures | None, mine: bool = False) -> Answer | None:
    """The answer of an indicator; None when nobody can give it (no release yet, no own data). QueryError for an impossible view.

    `mine`: one's own figures rather than the market's."""
    personal = mine or definition.tier == "own"
    source: Source | None = own if personal else release
    if personal and (own is None or not own.months):
        return None
    if source is None or (definition.kind == "share" and release is None):
        return None
    found = Answer(definition, view, source, release, own, mine)
    period = found.codes["period"]
    if period not in source.months and period not in source.years:
        raise QueryError(f"La période {period} n’est pas dans ces données.")
    _ = found.by
    return found
