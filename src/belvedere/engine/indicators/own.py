"""A provider's own figures, from its own facts: series, families, territories, new patients."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from belvedere.engine.indicators.cells import MEASURES

Row = dict[str, int]


@dataclass(frozen=True)
class OwnFigures:
    """Measures (amounts in cents) by month, family, department… of one group, over the whole of its data and
    for each twelve-month period that ends with a given month."""

    months: tuple[str, ...]
    by_month: dict[str, Row]
    by_family_month: dict[tuple[str, str], Row]
    years: dict[tuple[str, int], Row]
    by_family_year: dict[tuple[str, int, str], Row]
    by_department_year: dict[tuple[str, int, str], Row]
    new_by_month: dict[str, int]
    by_mode_year: dict[tuple[str, int, str], Row]


def compute(connection: duckdb.DuckDBPyConnection, anchors: Sequence[str] = ()) -> OwnFigures:
    """All figures of the facts that the connection offers. Years are keyed (last month, rank): rank 0 is the
    twelve months that end with that month, rank 1 the twelve before. They are computed for the last month of
    the data and for each of `anchors` (AAAA-MM), the last months of what the figures are compared to."""
    months = tuple(str(row[0]) for row in connection.sql("SELECT DISTINCT month FROM facts ORDER BY 1").fetchall())
    if not months:
        return OwnFigures((), {}, {}, {}, {}, {}, {}, {})
    connection.execute("CREATE OR REPLACE TEMP TABLE own_facts AS SELECT * FROM facts")
    found = OwnFigures(
        months=months,
        by_month={str(key[0]): row for key, row in _grouped(connection, ["month"])},
        by_family_month={(str(key[0]), str(key[1])): row for key, row in _grouped(connection, ["month", "family"])},
        years={},
        by_family_year={},
        by_department_year={},
        new_by_month=_new(connection),
        by_mode_year={},
    )
    for anchor in dict.fromkeys((months[-1], *anchors)):
        year = f"date_diff('month', period, DATE '{anchor}-01') // 12"
        where = f"period <= DATE '{anchor}-01'"
        found.years.update({(anchor, int(str(k[0]))): row for k, row in _grouped(connection, [year], where)})
        for column, target in (("family", found.by_family_year), ("department", found.by_department_year), ("mode", found.by_mode_year)):
            target.update({(anchor, int(str(k[0])), str(k[1])): row for k, row in _grouped(connection, [year, column], where)})
    return found


def _grouped(connection: duckdb.DuckDBPyConnection, columns: Sequence[str], where: str = "true") -> list[tuple[tuple[object, ...], Row]]:
    selected = ", ".join(f"{sql} AS {name}" for name, sql in MEASURES.items())
    grouped = ", ".join(columns)
    rows = connection.sql(f"SELECT {grouped}, {selected} FROM own_facts WHERE {where} GROUP BY {grouped} ORDER BY {grouped}").fetchall()
    size = len(columns)
    return [(row[:size], dict(zip(MEASURES, map(int, row[size:]), strict=True))) for row in rows]


def _new(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Patients with no line of the family in the twelve months before, by month; the first twelve months of
    the data are left out, where everybody would look new."""
    rows = connection.sql("""
        WITH seen AS (SELECT DISTINCT patient, family, period FROM own_facts),
             before AS (SELECT *, lag(period) OVER (PARTITION BY patient, family ORDER BY period) AS previous FROM seen)
        SELECT strftime(period, '%Y-%m') AS month, count(DISTINCT patient) FROM before
        WHERE (previous IS NULL OR previous < period - INTERVAL 12 MONTH)
          AND period >= (SELECT min(period) FROM own_facts) + INTERVAL 12 MONTH
        GROUP BY 1 ORDER BY 1
    """).fetchall()
    return {str(month): int(count) for month, count in rows}
