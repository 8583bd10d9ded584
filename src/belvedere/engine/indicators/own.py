"""A provider's own figures, from its own facts: the same cells as a release, whole, and what only it may read.

An `OwnFigures` is asked like a release (`measure(name, territory=…, period=…)`); nothing in it is masked, and a cell without a
line is a true zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from belvedere.engine.indicators import anomalies, payments, prescriptions, treatments
from belvedere.engine.indicators.cells import text_of
from belvedere.engine.indicators.lattice import ALL, COLUMNS, DIMENSIONS, PERIOD, TOTALS, cubes, level_of, shapes
from belvedere.engine.indicators.measures import MEASURES
from belvedere.engine.nomenclature.territories import FRANCE
from belvedere.engine.nomenclature.vocabulary import parts_of
from belvedere.engine.warehouse.connection import Connection

Row = Mapping[str, int]
Key = tuple[str, ...]


@dataclass(frozen=True)
class OwnFigures:
    """Figures of one provider. `months` of its data; `cells` by full key; the rest by family ("*": all) or by period."""

    months: tuple[str, ...]
    years: tuple[str, ...] = ()
    cells: Mapping[Key, Row] = field(default_factory=dict)
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
    pairs = [(window(end), month) for end in ends for month in months if year_before(end) < month <= end]
    connection.register("own_year", pa.table({"year12": [year for year, _ in pairs], "month": [month for _, month in pairs]}))
    treatments.prepare(connection)
    families = [str(row[0]) for row in connection.sql("SELECT DISTINCT family FROM facts ORDER BY 1").fetchall()]
    tiers = {code: part for family in families for part, (_, codes) in parts_of(family).items() for code in codes}
    answers = payments.prepare(connection)
    telemonitored = tuple(code for part in ("TL1",) for code in parts_of("PPC")[part][1])
    return OwnFigures(
        months=months,
        years=tuple(sorted(window(end) for end in ends)),
        cells=dict(_cells(connection)),
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


def _cells(connection: Connection) -> list[tuple[Key, Row]]:
    measured = ", ".join(f"{item.sql} AS {name}" for name, item in MEASURES.items())
    size = len(DIMENSIONS)
    found: list[tuple[Key, Row]] = []
    for shape, periods in shapes(cubes("own_cubes.yaml")).items():
        columns = [COLUMNS[level] if level else None for level in shape]
        for period in sorted(periods):
            columns[PERIOD] = "month" if period == "month" else "year12"
            source = "facts" if period == "month" else "facts JOIN own_year USING (month)"
            grouped = ", ".join(f"{text_of(column, total)} AS {d}" for d, column, total in zip(DIMENSIONS, columns, TOTALS, strict=True))
            rows = connection.sql(f"SELECT {grouped}, {measured} FROM {source} GROUP BY ALL").fetchall()
            found += [(tuple(map(str, row[:size])), dict(zip(MEASURES, map(int, row[size:]), strict=True))) for row in rows]
    return found
