"""An indicator asked: its value, its rows and its series; the same for pages, the API and files."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

from belvedere.engine.indicators import formulas
from belvedere.engine.indicators.definitions import Definition
from belvedere.engine.indicators.formulas import Ask, Part, Source, Value
from belvedere.engine.indicators.formulas.dynamics import index_series, panel_series
from belvedere.engine.indicators.grouping import MONTHLY, groupings, members
from belvedere.engine.indicators.lattice import ALL
from belvedere.engine.indicators.own import OwnFigures, window
from belvedere.engine.indicators.query import GROUPINGS, QueryError, View
from belvedere.engine.nomenclature.territories import FRANCE
from belvedere.engine.secrecy.answers import Refused

COMPANIONS = {"constant": "Champ constant", "extrapolated": "Extrapolé"}
Cell = str | int | float | None


@dataclass(frozen=True)
class Row:
    """One row: its code and label, the market's value (own tier: one's own), and one's own beside it."""

    code: str
    label: str
    value: Value
    own: Value = None


class Released(Source, Protocol):
    """A frozen release: a source with a label, a number of groups, and what it tells beside its cells."""

    @property
    def label(self) -> str: ...
    @property
    def groups(self) -> int: ...
    @property
    def published_at(self) -> object: ...
    def beside(self, figure: str, product: str, period: str) -> object: ...


@dataclass(frozen=True)
class Answer:
    """What an indicator says for a view. `source` is asked; `own` is the reader's own figures, if it has some."""

    definition: Definition
    view: View
    source: Source
    release: Released | None
    own: OwnFigures | None
    mine: bool = False  # the reader's own figures of an indicator that speaks of the market too

    @classmethod
    def of(cls, definition: Definition, view: View, *, release: Released | None, own: OwnFigures | None, mine: bool = False) -> Self | None:
        """The answer of an indicator; None when nobody can give it (no release yet, no own data). QueryError for an impossible view.

        `mine`: one's own figures rather than the market's."""
        personal = mine or definition.tier == "own"
        source: Source | None = own if personal else release
        if source is None or (personal and not source.months) or (definition.kind == "share" and release is None):
            return None
        found = cls(definition, view, source, release, own, mine)
        period = found.codes["period"]
        if period not in source.months and period not in source.years:
            raise QueryError(f"La période {period} n’est pas dans ces données.")
        return found

    @property
    def personal(self) -> bool:
        """Whether the figures are the reader's own, live."""
        return self.mine or self.definition.tier == "own"

    @cached_property
    def codes(self) -> dict[str, str]:
        found = self.view.query.codes(self.latest)
        for name in ("territory", "product"):
            if name not in self.definition.dimensions:
                found[name] = FRANCE if name == "territory" else ALL
        if "period" not in self.definition.dimensions:
            found["period"] = self.latest
        if found["product"] == ALL and self.definition.first_product:
            found["product"] = self.definition.first_product
        return found

    @property
    def latest(self) -> str:
        """The period read when none is asked: one's own last twelve months for own figures alone, the release's otherwise."""
        if self.own is not None and self.own.months and (self.release is None or (self.personal and self.definition.kind != "share")):
            return window(self.own.months[-1])
        assert self.release is not None  # `of` makes no answer without a source
        return self.release.years[-1]

    @cached_property
    def ask(self) -> Ask:
        return Ask(self.definition.formula, self.codes, self.source, self.own, self.release)

    @property
    def beside(self) -> OwnFigures | None:
        """The reader's own figures, where they may stand beside the market's."""
        if self.own is None or not self.own.months or self.personal or self.definition.alone:
            return None
        return self.own

    def _value(self, ask: Ask) -> Value:
        return formulas.evaluate(self.definition.kind, ask)

    def _own(self, ask: Ask) -> Value:
        return self._value(ask.of(self.beside)) if self.beside is not None else None

    @cached_property
    def value(self) -> Value:
        """The figure itself."""
        return self._value(self.ask)

    @cached_property
    def own_value(self) -> Value:
        """The reader's own figure beside the market's."""
        return self._own(self.ask)

    def _parts(self, ask: Ask) -> list[Part]:
        return formulas.parts_of_kind(self.definition.kind, ask)

    @cached_property
    def parts(self) -> list[Part]:
        """What the figure splits into, for the indicators that are splits."""
        return self._parts(self.ask)

    @cached_property
    def by(self) -> str:
        """The grouping in force: the one asked where it makes sense, else the first that does (a region has no regions)."""
        allowed = groupings(self.definition, self.view)
        if self.view.by in allowed:
            return self.view.by
        first = "departement" if "departement" in allowed and self.view.query.territory != FRANCE else None
        return first or (allowed[0] if allowed else "")

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of the table: parts of a split, or the members of the grouping."""
        if self.parts:
            mine = {part.code: part.value for part in self._parts(self.ask.of(self.beside))} if self.beside is not None else {}
            return [Row(part.code, part.label, part.value, mine.get(part.code)) for part in self.parts]
        if not self.by:
            return []
        found = []
        for code, label in members(self.by, self.view, self.source).items():
            here = self.ask.at(**{GROUPINGS[self.by]: code})
            row = Row(code, label, self._value(here), self._own(here))
            if row.value is not None or row.own not in (None, 0) or self.by in ("region", "departement"):
                found.append(row)
        return found

    @cached_property
    def series(self) -> list[Row]:
        """The figure month by month, where it has months."""
        if self.definition.kind == "index":
            mine = dict(index_series(self.ask.of(self.beside))) if self.beside is not None else {}
            return [Row(month, month, value, mine.get(month)) for month, value in index_series(self.ask)]
        if self.definition.kind == "panel":
            of = self.definition.formula["of"]
            mine = dict(panel_series(self.ask.of(self.beside), of)) if self.beside is not None else {}
            return [Row(month, month, value, mine.get(month)) for month, value in panel_series(self.ask, of)]
        if self.definition.kind not in MONTHLY or "period" not in self.definition.dimensions:
            return []
        found = []
        for month in self.source.months:
            here = self.ask.at(period=month)
            found.append(Row(month, month, self._value(here), self._own(here)))
        return found if any(row.value is not None for row in found) else []

    @cached_property
    def companions(self) -> dict[str, list[tuple[str, Value]]]:
        """Series that are read beside the market's index: over a constant panel, and extrapolated to the groups of today. None where nobody came
        or went: they would draw the same line."""
        if self.definition.kind != "index" or self.personal:
            return {}
        raw = dict(index_series(self.ask))
        found: dict[str, list[tuple[str, Value]]] = {}
        for of, name in COMPANIONS.items():
            points = panel_series(self.ask, of)
            start = raw.get(points[0][0]) if points else None
            if isinstance(start, float):  # the same first month, so that both are read on one scale
                levelled = [(month, value * start / 100 if isinstance(value, float) else value) for month, value in points]
                if any(_apart(raw.get(month), value) for month, value in levelled):
                    found[name] = levelled
        return found

    @property
    def masked(self) -> int:
        """Rows that are masked."""
        return sum(row.value == "masked" for row in self.rows)


def _apart(raw: Value, value: Value) -> bool:
    """Whether two indices differ by more than the rounding."""
    return isinstance(raw, float) and isinstance(value, float) and abs(raw - value) > 0.01 * raw


def unit(answer: Answer) -> str:
    """Unit of the exported numbers: amounts are in euros, rates between 0 and 1."""
    display = answer.definition.display
    return {"euros": "€", "euros_cents": "€", "pourcent": "ratio", "variation": "ratio", "points": "ratio"}.get(display, answer.definition.unit)


def number(answer: Answer, value: Value) -> Cell:
    """A value as files carry it: euros, never cents; "masked" kept, what is refused or absent empty."""
    if isinstance(value, Refused):
        return None
    if isinstance(value, int | float) and answer.definition.display in ("euros", "euros_cents"):
        return round(value / 100, 2) if answer.definition.display == "euros" else round(value / 100, 4)
    return value


def table(answer: Answer) -> tuple[list[str], list[list[Cell]]]:
    """(header, rows) of an answer: its total, its rows, then its months."""
    compared = answer.own is not None and not answer.personal
    header = ["type", "code", "libelle", "valeur", *(["vous"] if compared else [])]

    def row(kind: str, code: str, label: str, value: Value, own: Value) -> list[Cell]:
        return [kind, code, label, number(answer, value), *([number(answer, own)] if compared else [])]

    rows = [row("total", answer.codes["territory"], answer.definition.label, answer.value, answer.own_value)]
    if answer.by != "mois":
        rows += [row(answer.by or "part", item.code, item.label, item.value, item.own) for item in answer.rows]
    rows += [row("mois", item.code, item.label, item.value, item.own) for item in answer.series]
    rows += [row(name.lower(), month, month, value, None) for name, points in answer.companions.items() for month, value in points]
    return header, rows


def content(answer: Answer) -> dict[str, object]:
    """An answer as the API says it: amounts in euros, rates between 0 and 1, "masked" for what is masked."""
    header, rows = table(answer)
    return {
        "indicator": answer.definition.slug, "definition_version": answer.definition.version, "release": answer.release.label if answer.release else None,
        "query": answer.view.to_params(), "codes": answer.codes, "by": answer.by, "unit": unit(answer), "value": number(answer, answer.value),
        "masked": answer.value == "masked", "refused": answer.value.why if isinstance(answer.value, Refused) else None,
        "rows": [dict(zip(header, row, strict=True)) for row in rows],
    }  # fmt: skip
