"""What changed between two counts of persons: who came, who left, who is counted elsewhere (secrecy reference §6.2).

Two counts that are told both tell their difference, and a difference of one is somebody. The change is therefore a table of its own, protected before the
second count: whoever came or left makes it thicker; whoever moved from one cell to another makes it sensitive and never thicker, for a move inside
a total changes nothing there.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

SCHEMA = pa.schema([("territory", pa.string()), ("gir", pa.string()), ("sex", pa.string()), ("establishment", pa.int64()), ("person", pa.int64())])
CELL = ["territory", "gir", "sex", "establishment"]
NOBODY = 0  # somebody whose number was erased since: counted then, gone now


@dataclass(frozen=True)
class Change:
    """`rows` (territory, gir, sex, establishment, moved: float): how many came or left, 0 where persons only moved."""

    rows: pa.Table

    @property
    def moved(self) -> int:
        """How many came or left in all."""
        return int(self.rows["moved"].to_numpy().sum())

    @property
    def establishments(self) -> int:
        """Establishments where somebody came or left."""
        return len(np.unique(self.rows["establishment"].to_numpy()[self.rows["moved"].to_numpy() > 0]))

    def __bool__(self) -> bool:
        return bool(len(self.rows))


def table_of(rows: list[tuple[str, str, str, int, int]]) -> pa.Table:
    """Who was counted where, one row a person (SCHEMA)."""
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def between(before: pa.Table, after: pa.Table) -> Change:
    """What changed from a count to another (SCHEMA both; a person has the same number in both)."""
    both, first = pa.concat_tables([before, after]), len(before)
    person = both["person"].to_numpy()
    rank = _ranks(both)
    same = (np.bincount(rank[:first], minlength=len(both)) == np.bincount(rank[first:], minlength=len(both)))[rank] & (person != NOBODY)
    stayed = np.isin(person, np.intersect1d(person[:first], person[first:])) & (person != NOBODY)
    changed = both.append_column("moved", pa.array((~stayed).astype(float))).filter(pa.array(~same))
    told = changed.group_by(CELL).aggregate([("moved", "sum")]).rename_columns([*CELL, "moved"])
    return Change(told.sort_by([(name, "ascending") for name in CELL]))


def _ranks(rows: pa.Table) -> np.ndarray:
    """A number of each row, the same for equal rows."""
    codes = [np.unique(column.to_numpy(), return_inverse=True)[1] for column in rows.columns]
    return np.unique(np.stack(codes), axis=1, return_inverse=True)[1].ravel()


def forgotten(counted: pa.Table, person: int, establishment: int) -> pa.Table:
    """The same count, one person of an establishment having lost its number."""
    gone = (counted["person"].to_numpy() == person) & (counted["establishment"].to_numpy() == establishment)
    numbers = np.where(gone, NOBODY, counted["person"].to_numpy())
    return counted.set_column(SCHEMA.get_field_index("person"), SCHEMA.field("person"), pa.array(numbers))
