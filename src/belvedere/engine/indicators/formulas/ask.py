"""One question: an indicator, the codes of a cell, and who is asked (a release, or one's own figures)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from belvedere.engine.indicators.lattice import overlapping
from belvedere.engine.indicators.measures import MEASURES
from belvedere.engine.secrecy import answers

MASKED = "masked"
Value = int | float | str | None | answers.Refused


class Source(Protocol):
    """What figures are looked up in: a frozen release or a provider's own figures."""

    @property
    def months(self) -> tuple[str, ...]: ...
    @property
    def years(self) -> tuple[str, ...]: ...
    def measure(self, name: str, **codes: str) -> int | str | None: ...
    def course(self, product: str, period: str, code: str) -> int | str | None: ...


@dataclass(frozen=True)
class Part:
    """One part of a split: its code, French label and value."""

    code: str
    label: str
    value: Value


@dataclass(frozen=True)
class Ask:
    """`formula` (a definition's parameters), `codes` by dimension, the `source` asked; `own` and `market` besides, for what compares them.

    A territory or a product may be several codes separated by commas: the sum of their cells, where sums mean something."""

    formula: Mapping[str, Any]
    codes: Mapping[str, str]
    source: Source
    own: Any = None
    market: Any = None

    @property
    def period(self) -> str:
        return self.codes["period"]

    @property
    def yearly(self) -> bool:
        return self.period.startswith("12m-")

    def at(self, **codes: str) -> "Ask":
        """The same question of another cell."""
        return replace(self, codes={**self.codes, **codes})

    def with_formula(self, **parameters: Any) -> "Ask":
        """The same cell, asked with another formula."""
        return replace(self, formula=parameters)

    def of(self, source: Source) -> "Ask":
        """The same question asked of another source."""
        return replace(self, source=source)

    def measure(self, name: str, **codes: str) -> Value:
        """A measure of the cell, or the sum of several cells; refused where the sum would say something false."""
        found = {**self.codes, **codes}
        zones, goods = found["territory"].split(","), found["product"].split(",")
        if len(zones) == len(goods) == 1:
            return self.source.measure(name, **found)
        asked = {(zone, good): {**found, "territory": zone, "product": good} for zone in zones for good in goods}

        def look(key: tuple[str, ...]) -> dict[str, int] | None:
            value = self.source.measure(name, **asked[key[0], key[1]])
            return {name: value} if isinstance(value, int) else None

        nested = overlapping("territory", zones) or overlapping("product", goods)
        return answers.summed(look, list(asked), name, nested=nested, additive=MEASURES[name].additive)

    def before(self) -> str | None:
        """The period a year before; None when the source does not have it."""
        last = self.period.removeprefix("12m-")
        earlier = f"{int(last[:4]) - 1}{last[4:]}"
        if self.yearly:
            return f"12m-{earlier}" if f"12m-{earlier}" in self.source.years else None
        return earlier if earlier in self.source.months else None

    def window(self) -> list[str]:
        """Months of the period that the source has."""
        if not self.yearly:
            return [self.period]
        last = self.period.removeprefix("12m-")
        return [month for month in self.source.months if f"{int(last[:4]) - 1}{last[4:]}" < month <= last]


def told(*values: Value) -> Value | None:
    """The first value that is no number (masked, absent, refused), as the answer of what is computed from them; None when all are numbers."""
    for bad in values:
        if isinstance(bad, answers.Refused) or bad == MASKED:
            return bad
    return None


def ratio(above: Value, below: Value, scale: float = 1.0) -> Value:
    """A ratio is told only if both terms are; None without a denominator."""
    if (bad := told(above, below)) is not None:
        return bad
    if not isinstance(above, int | float) or not isinstance(below, int | float) or not below:
        return None
    return above / below * scale


def growth(now: Value, earlier: Value) -> Value:
    """Relative change, told only if both are."""
    found = ratio(now, earlier)
    return found - 1 if isinstance(found, float) else found


Formula = Callable[[Ask], Value]
Split = Callable[[Ask], list[Part]]
FORMULAS: dict[str, Formula] = {}
SPLITS: dict[str, Split] = {}


def formula(kind: str) -> Callable[[Formula], Formula]:
    """Register the formula of a kind of indicator."""

    def keep(function: Formula) -> Formula:
        FORMULAS[kind] = function
        return function

    return keep


def split(kind: str) -> Callable[[Split], Split]:
    """Register how a kind of indicator splits into parts."""

    def keep(function: Split) -> Split:
        SPLITS[kind] = function
        return function

    return keep


def evaluate(kind: str, ask: Ask) -> Value:
    """The value of a kind of indicator; KeyError for a kind that has parts only."""
    return FORMULAS[kind](ask)


def parts_of_kind(kind: str, ask: Ask) -> list[Part]:
    """Its parts; none for a kind that has a value only."""
    return SPLITS[kind](ask) if kind in SPLITS else []
