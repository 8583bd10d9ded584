"""A provider's own figures, from its own facts: the same cells as a release, whole, and what only it may read.

An `OwnFigures` is asked like a release (`measure(name, territory=…, period=…)`); nothing in it is masked, and a cell without a
line is a true zero.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from belvedere.engine.indicators import anomalies, counting, payments, prescriptions, treatments
from belvedere.engine.indicators.cells import text_of
from belvedere.engine.indicators.lattice import ALL, COLUMNS, DIMENSIONS, PERIOD, TOTALS, Shape, cubes, level_of, shapes
from belvedere.engine.indicators.measures import DISTINCT, MEASURES
from belvedere.engine.nomenclature.territories import FRANCE
from belvedere.engine.nomenclature.vocabulary import parts_of
from belvedere.engine.warehouse import engine
from belvedere.engine.warehouse.connection import Connection

Row = Mapping[str, int]
Key = tuple[str, ...]
ADDED = {name: item.sql for name, item in MEASURES.items() if item.additive}


class Cells(Mapping[Key, Row]):
    """Measures by cell, as one table of integers (cells, measures): a provider has tens of thousands of cells, and pages keep several providers' in memory."""

    def __init__(self, rows: Iterable[tuple[Key, Row]] = ()) -> None:
        held = dict(rows)
        self._place = {tuple(map(sys.intern, key)): place for place, key in enumerate(held)}  # a code is written once, not once a cell
        self._values = np.array([[row[name] for name in MEASURES] for row in held.values()], dtype=np.int64).reshape(len(held), len(MEASURES))

    def __getitem__(self, key: Key) -> Row:
        return dict(zip(MEASURES, self._values[self._place[key]].tolist(), strict=True))

    def __iter__(self) -> Iterator[Key]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)


@dataclass(frozen=True)
class OwnFigures:
    """Figures of one provider. `months` of its data; `cells` by full key; the rest by family ("*": all) or by period."""

    months: tuple[str, ...]
    years: tuple[str, ...] = ()
    cells: Mapping[Key, Row] = field(default_factory=Cells)
    courses: Mapping[tuple[str, str, str], int] = field(default_factory=dict)  # (family, period, course)
    new_by_month: Mapping[tuple[str, str], int] = field(default_factory=dict)
    survival: Mapping[str, treatments.Survival] = field(default_factory=dict)
    migrations: Mapping[tuple[str, str], Mapping[tuple[str, str], int]] = field(default_factory=dict)  # (family, period)
    initiations: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    prescribed: Mapping[tuple[str, str], prescriptions.Prescriptions] = field(default_factory=dict)  # (family, period)
    flaws: Mapping[str, anomalies.Anomalies] = field(default_factory=dict)
    suspects: Sequence[anomalies.Suspect] = ()  # of the last twelve months
    answered: Mapping[str, payments.Payments] = field(default_factory=dict)  # by twelve months, where returns came
    rejects: Sequence[payments.Reject] = ()  # of the last twelve months, not paid since
    behind: bool = False  # a flow came that is not counted yet

    @property
    def label(self) -> str:
        """What its figures are dated by."""
        return self.months[-1]

    def measure(self, name: str, **codes: str) -> int | None:
        """One measure of a cell; 0 where nothing was billed, None for a cell or a period that is not computed."""
        key = tuple(codes.get(d, FRANCE if d == "territory" else ALL) for d in DIMENSIONS)
        if found := self.cells.get(key):
            return found[name]
        period = key[PERIOD]
        if period not in self.months and period not in self.years:
            return None
        shape = tuple(None if place == PERIOD else level_of(d, code) for place, (d, code) in enumerate(zip(DIMENSIONS, key, strict=True)))
        asked = shapes(cubes("own_cubes.yaml")).get(shape, set())
        return 0 if ("month" if period in self.months else "year") in asked else None

    def course(self, product: str, period: str, code: str) -> int | None:
        """Persons of a family who took a course (`treatments.COURSES`) over a twelve-month period."""
        if period not in self.years or not any(key[0] == product and key[1] == period for key in self.courses):
            return None
        return self.courses.get((product, period, code), 0)


def window(last: str) -> str:
    """Code of the twelve months that end with a month."""
    return f"12m-{last}"


def year_before(last: str) -> str:
    """The same month, a year before."""
    return f"{int(last[:4]) - 1}{last[4:]}"


def compute(connection: Connection, anchors: Sequence[str] = ()) -> OwnFigures:
    """All figures of the facts that the connection offers: by month, and for the twelve months that end with the last month of the data,
    with each of `anchors` (AAAA-MM, the last months of what the figures are compared to), and for the twelve before each."""
    months = tuple(str(row[0]) for row in connection.sql("SELECT DISTINCT month FROM facts ORDER BY 1").fetchall())
    if not months:
        return OwnFigures(())
    ends = list(dict.fromkeys(end for last in (months[-1], *anchors) for end in (last, year_before(last))))
    ends = [end for end in ends if end >= months[0]]
    spans = {window(end): [month for month in months if year_before(end) < month <= end] for end in ends}
    pairs = [(year, month) for year, some in spans.items() for month in some]
    connection.register("own_year", pa.table({"year12": [year for year, _ in pairs], "month": [month for _, month in pairs]}))
    treatments.prepare(connection)
    families = [str(row[0]) for row in connection.sql("SELECT DISTINCT family FROM facts ORDER BY 1").fetchall()]
    tiers = {code: part for family in families for part, (_, codes) in parts_of(family).items() for code in codes}
    answers = payments.prepare(connection)
    telemonitored = tuple(code for part in ("TL1",) for code in parts_of("PPC")[part][1])
    return OwnFigures(
        months=months,
        years=tuple(sorted(window(end) for end in ends)),
        cells=Cells(_cells(connection, spans, months) if engine.in_process(connection) else _asked(connection)),
        courses={
            (family, window(end), code): count for end in ends for family, code, group, count in treatments.courses(connection, end) if group == -1
        },
        new_by_month=treatments.new_by_month(connection),
        survival=treatments.survivals(connection),
        migrations={(family, window(end)): rows for end in ends for family, rows in treatments.migrations(connection, end, tiers).items()},
        initiations={window(end): treatments.initiations(connection, parts_of("PPC")["INI"][1][0], telemonitored, end) for end in ends},
        prescribed={(family, window(end)): found for end in ends for family, found in prescriptions.compute(connection, end).items()},
        flaws={window(end): anomalies.compute(connection, end) for end in ends},
        suspects=anomalies.suspects(connection, months[-1]),
        answered={window(end): found for end in ends if (found := payments.compute(connection, end))} if answers else {},
        rejects=payments.open_rejects(connection, months[-1]) if answers else (),
    )


def _cells(connection: Connection, years: Mapping[str, Sequence[str]], months: Sequence[str]) -> Iterator[tuple[Key, Row]]:
    """Every measure of every cell: added up from one reading of the lines, persons and invoices counted in another (`counting`)."""
    asked = shapes(cubes("own_cubes.yaml"))
    connection.execute(f"""
        CREATE OR REPLACE TEMP VIEW window_facts AS SELECT * FROM facts;
        CREATE OR REPLACE TEMP TABLE window_base AS
        SELECT {", ".join(counting.CODES)}, {", ".join(f"{sql} AS {name}" for name, sql in ADDED.items())} FROM window_facts GROUP BY ALL
    """)
    lines = dict(connection.sql("SELECT month, CAST(sum(lines) AS BIGINT) FROM window_base GROUP BY ALL").fetchall())
    counted = counting.count(connection, asked, years, set(months), lines)
    held = dict(zip(_keys(counted), zip(*(counted[name].to_pylist() for name in DISTINCT), strict=True), strict=True))
    sums = ", ".join(f"CAST(sum({name}) AS BIGINT) AS {name}" for name in ADDED)
    for shape, periods in asked.items():
        for period in sorted(periods):
            source = "window_base" if period == "month" else "window_base JOIN own_year USING (month)"
            table = connection.sql(f"SELECT {_grouped(shape, period)}, {sums} FROM {source} GROUP BY ALL").to_arrow_table()
            for key, figures in zip(_keys(table), zip(*(table[name].to_pylist() for name in ADDED), strict=True), strict=True):
                yield key, dict(zip((*DISTINCT, *ADDED), (*held[key], *figures), strict=True))


def _asked(connection: Connection) -> Iterator[tuple[Key, Row]]:
    """The same, as a server is asked for them."""
    measured = ", ".join(f"{item.sql} AS {name}" for name, item in MEASURES.items())
    for shape, periods in shapes(cubes("own_cubes.yaml")).items():
        for period in sorted(periods):
            source = "facts" if period == "month" else "facts JOIN own_year USING (month)"
            rows = connection.sql(f"SELECT {_grouped(shape, period)}, {measured} FROM {source} GROUP BY ALL").to_arrow_table()
            for key, figures in zip(_keys(rows), zip(*(rows[name].to_pylist() for name in MEASURES), strict=True), strict=True):
                yield key, dict(zip(MEASURES, figures, strict=True))


def _grouped(shape: Shape, period: str) -> str:
    columns = [COLUMNS[level] if level else None for level in shape]
    columns[PERIOD] = "month" if period == "month" else "year12"
    return ", ".join(f"{text_of(column, total)} AS {d}" for d, column, total in zip(DIMENSIONS, columns, TOTALS, strict=True))


def _keys(table: pa.Table) -> Iterator[Key]:
    return zip(*(table[name].to_pylist() for name in DIMENSIONS), strict=True)
