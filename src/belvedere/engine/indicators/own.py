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


def compute(connection: duckdb.DuckDBPyConnection) -> OwnFigures:
    """All figures of the facts that the connection offers. Years are keyed (last month, rank): rank 0 is the
    twelve months that end with the last month of the data, rank 1 the twelve before."""
    months = tuple(str(row[0]) for row in connection.sql("SELECT DISTINCT month FROM facts ORDER BY 1").fetchall())
    if not months:
        return OwnFigures((), {}, {}, {}, {}, {}, {}, {})
    last = months[-1]
    end = f"DATE '{last}-01'"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE own_facts AS SELECT *, date_diff('month', period, {end}) // 12 AS year_rank FROM facts")
    return OwnFigures(
        months=months,
        by_month={str(key[0]): row for key, row in _grouped(connection, ["month"])},
        by_family_month={(str(key[0]), str(key[1])): row for key, row in _grouped(connection, ["month", "family"])},
        years={(last, int(str(key[0]))): row for key, row in _grouped(connection, ["year_rank"])},
        by_family_year={(last, int(str(k[0])), str(k[1])): row for k, row in _grouped(connection, ["year_rank", "family"])},
        by_department_year={(last, int(str(k[0])), str(k[1])): row for k, row in _grouped(connection, ["year_rank", "department"])},
        new_by_month=_new(connection),
        by_mode_year={(last, int(str(k[0])), str(k[1])): row for k, row in _grouped(connection, ["year_rank", "mode"])},
    )


def _grouped(connection: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> list[tuple[tuple[object, ...], Row]]:
    selected = ", ".join(f"{sql} AS {name}" for name, sql in MEASURES.items())
    grouped = ", ".join(columns)
    rows = connection.sql(f"SELECT {grouped}, {selected} FROM own_facts GROUP BY {grouped} ORDER BY {grouped}").fetchall()
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
