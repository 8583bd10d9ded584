"""A study as sections that a page, a PDF and a workbook share: formatted rows, a figure, and the footnote of each number."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.utils.safestring import SafeString

from belvedere.engine.study.definitions import Column
from belvedere.engine.study.market import Cell, Period
from belvedere.engine.study.tiers import GOVERNANCE, MASKED, PUBLIC, Told
from belvedere.portal import numbers
from belvedere.portal.study import figures

_DIGITS = {"share": 2, "cumulated": 2, "rate": 2, "low": 2, "high": 2, "others": 2}


@dataclass(frozen=True)
class Section:
    """One table as it is read."""

    code: str
    title: str
    question: str
    header: list[tuple[str, str]]  # label, class
    rows: list[list[tuple[str, str]]]  # text, class: "num", "secret", ""
    left_out: int  # rows that only the annexes hold
    quartiles: list[list[str]]
    footnote: list[tuple[str, str]]
    figure: SafeString | str = ""
    svg: str = field(default="", repr=False)

    @property
    def beside(self) -> bool:
        """Whether the table is narrow enough to stand beside its figure."""
        return bool(self.figure) and len(self.header) <= 5


@dataclass(frozen=True)
class Document:
    """A study for one reader."""

    title: str
    period: str
    before: str
    tier: str
    reader: str
    version: str
    rows: str
    unmapped: tuple[str, ...]
    sections: list[Section]
    empty: list[tuple[str, str, str]]  # code, title, source: tables that the inputs do not fill


def text(value: Cell, column: Column) -> str:
    """A cell as French readers expect it."""
    if value is None:
        return "n. d."
    if isinstance(value, dt.date):
        return numbers.month(f"{value:%Y-%m}", full=True) if column.name == "month" else f"{value:%d/%m/%Y}"
    if isinstance(value, str):
        return value
    if column.unit == "%":
        written = numbers.decimal(float(value), 0 if isinstance(value, int) else _DIGITS.get(column.name, 1))
        signed = f"+{written}" if column.name == "evolution" and value > 0 else written
        return f"{signed}{numbers.NBSP}%"
    if column.name == "effect" and value > 0:
        return f"+{numbers.integer(int(value))}"
    return numbers.integer(round(value))


def _kind(told: Told, at: int) -> str:
    numeric = any(isinstance(row[at], int | float) or row[at] == MASKED for row in told.rows)
    return "num" if numeric else ""


def _across(told: Told) -> Told:
    """A table read across: a row for each first value, a column for each second one."""
    names = [column.name for column in told.columns]
    row_at, column_at, value_at = (names.index(name) for name in told.definition.pivot)
    held = {(row[row_at], row[column_at]): row[value_at] for row in told.rows}
    heads, lines = (sorted({str(row[at]) for row in told.rows}) for at in (column_at, row_at))
    columns = (told.columns[row_at], *(Column(head, head.replace("_", " ").capitalize() if len(head) > 5 else head, "") for head in heads))
    return Told(told.definition, columns, tuple((line, *(held.get((line, head), "") for head in heads)) for line in lines))


def section(told: Told, period: Period, version: str) -> Section:
    """A table that has rows, ready to be read."""
    definition = told.definition
    figure, svg = figures.of(told)
    told = _across(told) if definition.pivot else told
    kinds = [_kind(told, at) for at in range(len(told.columns))]
    shown: Sequence[tuple[Cell, ...]] = told.rows[: definition.top] if definition.top else told.rows
    return Section(
        definition.code, definition.title, definition.question, [(column.label, kind) for column, kind in zip(told.columns, kinds, strict=True)],
        [
            [(text(value, column), kind + (" secret" if value == MASKED else "")) for value, column, kind in zip(row, told.columns, kinds, strict=True)]
            for row in shown
        ], len(told.rows) - len(shown),
        [[label, *(numbers.decimal(value, 0 if value >= 10 else 1) for value in three)] for label, *three in told.quartiles],
        [
            ("Définition", definition.definition), ("Population", definition.population), ("Source", definition.source),
            ("Calcul", f"période {period}, requête {definition.digest}, données {version}"),
        ],
        figure, svg,
    )  # fmt: skip


def _months(low: dt.date, high: dt.date) -> str:
    first, last = (numbers.month(f"{day:%Y-%m}", full=True) for day in (low, high))
    return f"{first} à {last}" if low != high else first


def document(period: Period, version: str, read: int, told: Sequence[Told], tier: str, unmapped: tuple[str, ...] = ()) -> Document:
    """The whole study of a reader: the tables that have something to say, then those that wait for their inputs."""
    before = [day.replace(year=day.year - 1) for day in (period.low, period.high)]
    reader = {PUBLIC: "version publique, sans volume par éditeur", GOVERNANCE: "version de la gouvernance"}.get(tier, f"version de {tier}")
    return Document(
        "Étude de marché des logiciels de facturation", _months(period.low, period.high), _months(*before), tier, reader, version,
        numbers.integer(read), unmapped, [section(one, period, version) for one in told if one.rows],
        [(one.definition.code, one.definition.title, one.definition.source) for one in told if not one.rows],
    )  # fmt: skip
