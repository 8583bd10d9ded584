"""Distinct persons and invoices of the declared cells, exactly and in one reading.

Lines come sorted by person and invoice: a cell counts a person when it is not the one it saw last, so that every choice of levels is
counted in the same pass, and memory holds the cells and one batch of lines, whatever their number. Lines too many to be sorted at once
come by buckets of persons, which no person shares. A server of its own (Spark) counts them where its lines lie (ADR 41).
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from belvedere.engine.indicators.lattice import COLUMNS, DIMENSIONS, PERIOD, TOTALS, Shape
from belvedere.engine.indicators.measures import DISTINCT
from belvedere.engine.privacy.pseudonyms import BUCKETS
from belvedere.engine.warehouse import engine
from belvedere.engine.warehouse.connection import Connection

SORTED_AT_ONCE = 20_000_000  # lines; about 0.1 GB a million while DuckDB sorts them
BATCH = 1_000_000
MONTH = "month"
CODES = tuple(dict.fromkeys(column for column in COLUMNS.values() if column and column != "year12"))
_PLACE = {column: place for place, column in enumerate(CODES)}


@numba.njit(cache=True, nogil=True)
def _pass(codes, used, strides, patient, invoice, last_patient, last_invoice, persons, invoices):  # type: ignore[no-untyped-def] # pragma: no cover
    """Add a batch, sorted by patient then invoice, to the counts of one choice of levels."""
    for line in range(len(patient)):
        cell = 0
        for rank in range(len(used)):
            cell += strides[rank] * codes[used[rank], line]
        other = persons[cell] == 0 or last_patient[cell] != patient[line]
        if other:
            persons[cell] += 1
            last_patient[cell] = patient[line]
        if other or last_invoice[cell] != invoice[line]:
            invoices[cell] += 1
            last_invoice[cell] = invoice[line]


@dataclass
class _Tally:
    """Counts of one choice of levels over one span: a dense table whose axes are the codes of `columns`."""

    shape: Shape
    period: str  # a twelve-month period, or MONTH
    columns: tuple[str, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        cells = int(np.prod(self.sizes, dtype=np.int64)) if self.sizes else 1
        self._used = np.array([_PLACE[column] for column in self.columns], dtype=np.int64)
        self._strides = np.array([int(np.prod(self.sizes[rank + 1 :], dtype=np.int64)) for rank in range(len(self.sizes))], dtype=np.int64)
        self._last = np.zeros((2, cells), dtype=np.int64)
        self.counts = np.zeros((2, cells), dtype=np.int64)

    def add(self, codes: np.ndarray, patient: np.ndarray, invoice: np.ndarray) -> None:
        _pass(codes, self._used, self._strides, patient, invoice, self._last[0], self._last[1], self.counts[0], self.counts[1])

    def table(self, names: Mapping[str, np.ndarray]) -> pa.Table:
        """The cells that hold somebody: codes of every dimension, persons, invoices."""
        held = np.flatnonzero(self.counts[0])
        places = dict(zip(self.columns, np.unravel_index(held, self.sizes) if self.sizes else (), strict=True))
        found = {}
        for rank, dimension in enumerate(DIMENSIONS):
            level = MONTH if rank == PERIOD and self.period == MONTH else self.shape[rank]
            column = COLUMNS[level] if level else None
            total = self.period if rank == PERIOD else TOTALS[rank]
            found[dimension] = pa.array(names[column][places[column]] if column else np.full(len(held), total, dtype=object), pa.string())
        return pa.table(found | {name: self.counts[rank][held] for rank, name in enumerate(DISTINCT)})


def count(
    connection: Connection, asked: Mapping[Shape, set[str]], windows: Mapping[str, Sequence[str]], months: set[str], lines: Mapping[str, int]
) -> pa.Table:
    """`patients` and `invoices` of every cell of these shapes over twelve-month `windows` (code -> months) and `months`. The connection, DuckDB's,
    offers `window_facts`, and `window_base` with every combination of codes in it; `lines` are those of each month."""
    names = {column: np.array(_distinct(connection, column), dtype=object) for column in CODES}
    found, left = [], set(months)
    spans = [(window, sorted(some)) for window, some in windows.items()]
    for window, span in [*spans, ("", sorted(left.difference(*windows.values())))]:
        own = left & set(span)
        tallies = _tallies(asked, window, bool(own), {column: len(codes) for column, codes in names.items()})
        _fill(connection, tallies, span, names, sum(lines.get(month, 0) for month in span))
        listed = pa.array(sorted(own), pa.string())
        for tally in tallies:
            table = tally.table(names)
            found.append(table.filter(pc.is_in(table["period"], listed)) if tally.period == MONTH else table)
        left -= own
    return pa.concat_tables(found) if found else _Tally((None,) * len(DIMENSIONS), "", (), ()).table(names)


def _tallies(asked: Mapping[Shape, set[str]], window: str, monthly: bool, sizes: Mapping[str, int]) -> list[_Tally]:
    """What is to be counted over a span: its twelve-month cells if it is a window, its months if some are open."""
    found = []
    for shape, levels in asked.items():
        columns = tuple(column for column in (COLUMNS[level] for level in shape if level) if column)
        if window and "year" in levels:
            found.append(_Tally(shape, window, columns, tuple(sizes[column] for column in columns)))
        if monthly and MONTH in levels:
            found.append(_Tally(shape, MONTH, (*columns, MONTH), tuple(sizes[column] for column in (*columns, MONTH))))
    return found


def _distinct(connection: Connection, column: str) -> list[str]:
    return [str(row[0]) for row in connection.sql(f"SELECT DISTINCT {column} FROM window_base ORDER BY 1").fetchall()]


def _fill(connection: Connection, tallies: Sequence[_Tally], span: Sequence[str], names: Mapping[str, np.ndarray], lines: int) -> None:
    if not (tallies and span and lines):
        return
    with ThreadPoolExecutor(2) as pool:
        for batch in _batches(connection, span, names, lines):
            codes = np.stack([batch[column].to_numpy() for column in CODES])
            patient, invoice = batch["patient"].to_numpy(), batch["invoice"].to_numpy()
            list(pool.map(lambda tally, *given: tally.add(*given), tallies, *([given] * len(tallies) for given in (codes, patient, invoice))))


def _batches(connection: Connection, span: Sequence[str], names: Mapping[str, np.ndarray], lines: int) -> Iterator[pa.RecordBatch]:
    """The lines of these months, coded, sorted by person and invoice within each bucket of persons."""
    passes = next((number for number in (1, 2, 4, 8) if lines <= number * SORTED_AT_ONCE), BUCKETS)
    coded = ", ".join(f"{_coded(column, codes)} AS {column}" for column, codes in names.items())
    dates = ", ".join(f"DATE '{month}-01'" for month in span)
    for rank in range(passes):
        bucket = f"AND patient_bucket % {passes} = {rank}" if passes > 1 else ""
        query = f"SELECT patient, invoice, {coded} FROM window_facts WHERE period IN ({dates}) {bucket} ORDER BY patient, invoice"
        yield from engine.in_order(connection, query, BATCH)


def _coded(column: str, codes: np.ndarray) -> str:
    listed = ", ".join("'" + code.replace("'", "''") + "'" for code in codes)
    return f"CAST(enum_code(CAST({column} AS ENUM({listed}))) AS USMALLINT)"
