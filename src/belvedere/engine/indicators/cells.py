"""The declared cells computed from the facts: measures of each cell, and what each group brings to it.

Figures are first added up by month and group. A month that was published is closed: its amounts come from
the sealed ledger kept at that time, never from later lines, so that two releases can be compared without
telling what came in between (secrecy brief §6.2). Distinct persons and invoices do not add up: they are counted in the facts, once; a
period whose months are all closed keeps the counts that were sealed with them, so that a new month reads little more than itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from belvedere.engine.indicators import counting
from belvedere.engine.indicators.lattice import COLUMNS, DIMENSIONS, PERIOD, TOTALS, cubes, shapes
from belvedere.engine.indicators.measures import ADDITIVE, DISTINCT
from belvedere.engine.secrecy.lattice import Lattice
from belvedere.engine.secrecy.rules import Contributions
from belvedere.engine.warehouse import engine
from belvedere.engine.warehouse.connection import Connection

GROSS = "gross"  # amounts without their sign: a credit note must not hide a dominance
_READ = (*counting.CODES, "grp", "patient", "invoice", "units", "amount_amo", "amount_amc", "amount_billed")
_SUMS = {name: f"CAST(sum({name}) AS BIGINT)" for name in (*ADDITIVE, GROSS)}


@dataclass
class CellTable:
    """Measures (int64, cells) and contributions of a lattice; group codes are numbered 0..n in `groups`. `ledger`
    holds the additive figures by month, cell and group of the months that this computation closes, `counts` the distinct counts by cell of
    the periods that it counted."""

    measures: dict[str, np.ndarray]
    contributions: Contributions
    groups: np.ndarray
    ledger: pa.Table
    counts: pa.Table


def level_choices() -> list[tuple[str | None, ...]]:
    """Every distinct choice of fact columns (None: total) that some cube asks for, period left out."""
    return [tuple(COLUMNS[level] if level else None for level in shape) for shape in shapes(cubes())]


def compute(
    connection: Connection,
    lattice: Lattice,
    periods: Mapping[str, Sequence[str]],
    *,
    months: Sequence[str] = (),
    closed: Sequence[pa.Table] = (),
    counted: Sequence[pa.Table] = (),
    cutoffs: Mapping[str, int] | None = None,
) -> CellTable:
    """Measures and group contributions of every cell of `lattice`, over twelve-month `periods` (code -> months) and `months` besides.
    `connection` offers the view `facts`; `closed` are the ledgers of the months already published, `counted` the counts sealed
    with them, `cutoffs` the last flow of each of these months: persons of a closed month are counted among the lines that its amounts were
    made of, those of the groups in its ledger that had come by then."""
    pairs = [(window, month) for window, months in periods.items() for month in months]
    whole = sorted({month for some in (*periods.values(), months) for month in some})
    # What was added up is kept here: a server adds up lines, and its answers are not sent back to it.
    here = connection if engine.in_process(connection) else engine.opened()
    for one in {id(connection): connection, id(here): here}.values():
        one.register("raw_month", pa.table({"month": pa.array(whole, pa.string())}))
        one.register("raw_period", pa.table({"period12": [window for window, _ in pairs], "month": [month for _, month in pairs]}))
    done = pa.concat_tables(closed) if closed else None
    shut = sorted(set(done["month"].to_pylist())) if done is not None else []
    connection.register("raw_closed", pa.table({"month": pa.array(shut, pa.string())}))
    sealed = set().union(*(table["period"].to_pylist() for table in counted)) if counted else set()
    open_windows = [window for window, some in periods.items() if window not in sealed or not set(some) <= set(shut)]
    open_months = [month for month in whole if month not in sealed or month not in shut]
    read = sorted({*open_months, *(month for window in open_windows for month in periods[window])})
    listed = ", ".join(f"DATE '{month}-01'" for month in read) or "DATE '0001-01-01'"
    connection.register("raw_admitted", _admitted(done, cutoffs or {}))
    # A server keeps what it reads time and again, and keeps no more of it than is asked for.
    kept, lines = ("VIEW", "f.*") if engine.in_process(connection) else ("TABLE", ", ".join(f"f.{name}" for name in _READ))
    connection.execute(f"""
        CREATE OR REPLACE TEMP {kept} window_facts AS
        SELECT {lines} FROM facts f ANTI JOIN raw_closed c ON f.month = c.month WHERE f.period IN ({listed})
        UNION ALL
        SELECT {lines} FROM facts f SEMI JOIN raw_admitted a ON f.month = a.month AND f.grp = a.grp AND f.flow_id <= a.last_flow WHERE f.period IN ({listed})
    """)
    fresh = [connection.sql(text).to_arrow_table() for text in _added(connection)]
    ledger = pa.concat_tables(fresh)
    whole_ledger = [ledger] if done is None else [ledger, done]
    here.register("raw_monthly", pa.concat_tables([part.select(ledger.column_names) for part in whole_ledger]))
    sums = ", ".join(f"{sql} AS {name}" for name, sql in _SUMS.items())
    others = ", ".join(d for d in DIMENSIONS if d != "period")
    rows = here.sql(f"""
        SELECT {others}, month AS period, grp, {sums} FROM raw_monthly WHERE month IN (SELECT month FROM raw_month) GROUP BY ALL
        UNION ALL
        SELECT {others}, period12 AS period, grp, {sums} FROM raw_monthly JOIN raw_period USING (month) GROUP BY ALL
    """).to_arrow_table()
    at = _cells(rows, lattice)
    keep = at >= 0
    measures = {name: np.zeros(len(lattice), dtype=np.int64) for name in (*DISTINCT, *ADDITIVE)}
    for name in ADDITIVE:
        np.add.at(measures[name], at[keep], rows[name].to_numpy()[keep])
    by_month = dict(connection.sql(f"SELECT month, {_SUMS['lines']} FROM window_base GROUP BY ALL").fetchall())
    if engine.in_process(connection):
        counts = counting.count(connection, shapes(cubes()), {window: periods[window] for window in open_windows}, set(open_months), by_month)
    else:
        counts = _count(connection, {*open_windows, *open_months})
    for table in (*counted, counts):
        place = _cells(table, lattice)
        for name in DISTINCT:
            measures[name][place[place >= 0]] = table[name].to_numpy()[place >= 0]
    # A figure without anybody who brings it was not weighed by the rules: it is nobody's.
    nobody = np.ones(len(lattice), dtype=bool)
    nobody[at[keep]] = False
    for name in DISTINCT:
        measures[name][nobody] = 0
    groups, holding = np.unique(rows["grp"].to_numpy()[keep], return_inverse=True)
    order = np.lexsort((holding, at[keep]))
    given = Contributions(at[keep][order], holding[order], rows[GROSS].to_numpy()[keep][order].astype(float), measures["patients"])
    return CellTable(measures, given, groups, ledger, counts)


def _added(connection: Connection) -> Iterator[str]:
    """Texts that add up the open months for every choice of levels, from one reading of the lines (`window_base`)."""
    added = ", ".join(f"{sql} AS {name}" for name, sql in ADDITIVE.items())
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE window_base AS
        SELECT {", ".join(counting.CODES)}, grp, {added}, CAST(sum(abs(amount_billed)) AS BIGINT) AS {GROSS} FROM window_facts GROUP BY ALL
    """)
    sums = ", ".join(f"{sql} AS {name}" for name, sql in _SUMS.items())
    for choice in level_choices():
        columns = ", ".join(f"{text_of(column, total)} AS {d}" for d, column, total in zip(DIMENSIONS, choice, TOTALS, strict=True))
        yield f"SELECT {columns}, month, grp, {sums} FROM window_base ANTI JOIN raw_closed USING (month) GROUP BY ALL"


def _admitted(closed: pa.Table | None, cutoffs: Mapping[str, int]) -> pa.Table:
    """(month, group, last flow) whose lines stand in the closed months; without a cutoff, all that came."""
    schema = pa.schema([("month", pa.string()), ("grp", pa.int64()), ("last_flow", pa.int64())])
    if closed is None:
        return schema.empty_table()
    pairs = sorted(set(zip(closed["month"].to_pylist(), closed["grp"].to_pylist(), strict=True)))
    last = [cutoffs.get(month, 2**62) for month, _ in pairs]
    return pa.table([[month for month, _ in pairs], [int(group) for _, group in pairs], last], schema=schema)


def _count(connection: Connection, open_periods: set[str]) -> pa.Table:
    """Distinct persons and invoices of every cell of these periods, as a server is asked for them: an invoice is one person's, so each person's are counted
    first, where its lines lie together, and only counts travel."""
    connection.register("raw_open", pa.table({"period": pa.array(sorted(open_periods), pa.string())}))
    found = []
    for shape, periods in shapes(cubes()).items():
        choice = tuple(COLUMNS[level] if level else None for level in shape)
        for period, source in (("month", "window_facts"), ("period12", "window_facts JOIN raw_period USING (month)")):
            if period == "month" and "month" not in periods:
                continue
            at_period = (*choice[:PERIOD], period, *choice[PERIOD + 1 :])
            columns = [f"{text_of(column, total)} AS {d}" for d, column, total in zip(DIMENSIONS, at_period, TOTALS, strict=True)]
            found.append(
                connection.sql(f"""
                SELECT {", ".join(DIMENSIONS)}, CAST(count(*) AS BIGINT) AS patients, CAST(sum(held) AS BIGINT) AS invoices FROM (
                    SELECT {", ".join(columns)}, patient, count(DISTINCT invoice) AS held FROM {source}
                    WHERE {period} IN (SELECT period FROM raw_open) GROUP BY ALL) GROUP BY ALL
            """).to_arrow_table()
            )
    return pa.concat_tables(found)


def text_of(column: str | None, total: str) -> str:
    """SQL of a dimension's code: its column, or its total."""
    return f"CAST({column} AS VARCHAR)" if column else f"'{total}'"


def _cells(table: pa.Table, lattice: Lattice) -> np.ndarray:
    """Cell of each row of a grouped table; -1 for codes outside the lattice (an LPP code no family claims)."""
    place = np.zeros(len(table), dtype=np.int64)
    outside = np.zeros(len(table), dtype=bool)
    known = np.zeros(len(lattice), dtype=np.int64)
    keys = list(lattice.index)
    for rank, name in enumerate(DIMENSIONS):
        codes = pa.array(sorted({key[rank] for key in keys}), pa.string())
        found = pc.index_in(table[name], codes).fill_null(-1).to_numpy()
        outside |= found < 0
        place = place * len(codes) + found
        known = known * len(codes) + pc.index_in(pa.array([key[rank] for key in keys], pa.string()), codes).to_numpy()
    order = np.argsort(known)
    at = np.minimum(np.searchsorted(known[order], place), len(lattice) - 1)
    cell = np.fromiter(lattice.index.values(), dtype=np.int64, count=len(lattice))[order[at]]
    return np.where(outside | (known[order[at]] != place), -1, cell)
