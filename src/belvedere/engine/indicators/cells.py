"""The declared cells computed from the facts: measures of each cell, and what each group brings to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import duckdb
import numpy as np
import pyarrow as pa

from belvedere.engine.indicators.lattice import ALL, COLUMNS, DIMENSIONS, cubes, years
from belvedere.engine.nomenclature.territories import FRANCE
from belvedere.engine.secrecy.lattice import Lattice
from belvedere.engine.secrecy.rules import Contributions

# Measures of a cell, as SQL over the `facts` view. Amounts are integer cents. All but patients add up.
MEASURES = {
    "patients": "count(DISTINCT patient)",
    "invoices": "count(DISTINCT invoice)",
    "lines": "count(*)",
    "units": "CAST(sum(units) AS BIGINT)",
    "amount_amo": "CAST(sum(amount_amo) AS BIGINT)",
    "amount_amc": "CAST(sum(amount_amc) AS BIGINT)",
    "amount_billed": "CAST(sum(amount_billed) AS BIGINT)",
}


@dataclass
class CellTable:
    """Measures (int64, cells) and contributions of a lattice; group codes are numbered 0..n in `groups`."""

    measures: dict[str, np.ndarray]
    contributions: Contributions
    groups: np.ndarray


def level_choices() -> list[tuple[str | None, ...]]:
    """Every distinct choice of fact columns (None: total) that some cube asks for, dimension by dimension."""
    found: dict[tuple[str | None, ...], None] = {}
    for cube in cubes():
        options = [[COLUMNS[level] for level in cube.levels[d]] if d in cube.levels else [None] for d in DIMENSIONS]
        for choice in product(*options):
            found.setdefault(choice)
    return list(found)


def compute(connection: duckdb.DuckDBPyConnection, lattice: Lattice, months: Sequence[str]) -> CellTable:
    """Measures and group contributions of every cell. `connection` offers the view `facts`; lines outside
    the window do not count."""
    of = years(months)
    connection.register("raw_period", pa.table({"month": list(of), "year12": list(of.values())}))
    connection.execute("CREATE OR REPLACE TEMP TABLE window_facts AS SELECT * FROM facts JOIN raw_period USING (month)")
    measures = {name: np.zeros(len(lattice), dtype=np.int64) for name in MEASURES}
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    totals = (FRANCE, ALL, "", ALL, ALL, ALL, ALL)
    selected = ", ".join(f"{sql} AS {name}" for name, sql in MEASURES.items())
    for choice in level_choices():
        columns = [column for column in choice if column]
        grouped = ", ".join(columns)
        table = connection.sql(f"SELECT {grouped}, {selected} FROM window_facts GROUP BY {grouped}").to_arrow_table()
        at = _cells(table, choice, totals, lattice)
        for name in MEASURES:
            measures[name][at[at >= 0]] = table[name].to_numpy()[at >= 0]
        shares = connection.sql(
            f"SELECT {grouped}, grp, CAST(sum(abs(amount_billed)) AS DOUBLE) AS amount FROM window_facts GROUP BY {grouped}, grp"
        ).to_arrow_table()
        at = _cells(shares, choice, totals, lattice)
        keep = at >= 0
        parts.append((at[keep], shares["grp"].to_numpy()[keep], shares["amount"].to_numpy()[keep]))
    cell, group, amount = (np.concatenate(column) for column in zip(*parts, strict=True))
    groups, holding = np.unique(group, return_inverse=True)
    order = np.lexsort((holding, cell))
    given = Contributions(cell[order], holding[order], amount[order], measures["patients"])
    return CellTable(measures, given, groups)


def _cells(table: pa.Table, choice: tuple[str | None, ...], totals: tuple[str, ...], lattice: Lattice) -> np.ndarray:
    """Cell of each row of a grouped table; -1 for codes outside the lattice (an LPP code no family claims)."""
    parts = [table[column].to_pylist() if column else [total] * len(table) for column, total in zip(choice, totals, strict=True)]
    return np.array([lattice.index.get(key, -1) for key in zip(*parts, strict=True)], dtype=np.int64)
