"""What changed between two counts of persons: who came, who left, who is counted elsewhere (secrecy reference §6.2).

Two counts that are told both tell their difference, and a difference of one is somebody. The change is therefore a table of its own, protected before the
second count. Whoever came or left makes it thicker. Whoever moved from one cell to another makes both sensitive and never thicker, for a move inside a
total changes nothing there; it weighs in what an operator brings to the change of each cell where it is counted no more, or newly.

A number may be had anew without anybody coming: persons without an INS, whom their establishment's software names, make nothing thicker, and take away as
many arrivals, or departures, of their operator the other way, for an INS may come or go with a number; nor do persons erased since, nor their coming back.
Whoever passes from an operator to another is, to both, somebody who left or came: the cell where it happens is sensitive, though its number stays.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from belvedere.engine.secrecy.lattice import Lattice
from belvedere.engine.secrecy.rules import Parameters, unsafe

SCHEMA = pa.schema([
    ("territory", pa.string()), ("gir", pa.string()), ("sex", pa.string()), ("operator", pa.string()), ("establishment", pa.int64()), ("person", pa.int64()),
    ("identified", pa.bool_()), ("known", pa.bool_()),
])  # fmt: skip
LEAF = ["territory", "gir", "sex"]
NOBODY = 0  # somebody whose number was erased since: counted then, gone now
TOP = "*"


@dataclass(frozen=True)
class Change:
    """`rows` (territory, gir, sex, operator, moved: float): how many came or left, 0 where persons only moved. `shifted` (same, count: float): persons newly or
    no longer counted in a cell of the lattice, moves included; a person may be in many of its rows."""

    rows: pa.Table
    shifted: pa.Table
    sure: pa.Table  # as `shifted`, without whoever came or left of operators that have persons without an INS on the other side
    people: pa.Table  # whoever is counted otherwise: SCHEMA, and whether it is as it was `first`

    @property
    def moved(self) -> int:
        """How many came or left in all."""
        return int(self.rows["moved"].to_numpy().sum())

    def __bool__(self) -> bool:
        return bool(len(self.rows))


def table_of(rows: list[tuple[str, str, str, str, int, int, bool, bool]]) -> pa.Table:
    """Who was counted where, one row a person (SCHEMA). `identified`: named by its INS; `known`: somebody the hub knew before the counts that went out last."""
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def between(before: pa.Table, after: pa.Table, above: Mapping[str, str]) -> Change:
    """What changed from a count to another (SCHEMA both; a person has the same number in both). `above`: region of each department."""
    both = pa.concat_tables([before, after])
    first = np.arange(len(both)) < len(before)
    person, operator = both["person"].to_numpy(), both["operator"].to_numpy(zero_copy_only=False).astype(str)
    rank = _ranks([both[name].to_numpy(zero_copy_only=False).astype(str) for name in (*LEAF, "operator")] + [person])
    same = (np.bincount(rank[first], minlength=len(both)) == np.bincount(rank[~first], minlength=len(both)))[rank] & (person != NOBODY)
    stayed = np.isin(person, np.intersect1d(person[first], person[~first])) & (person != NOBODY)
    erased = (person[first] == NOBODY).any()
    # Whoever the hub knew already may be one of the erased who came back: it makes nothing thicker while some are missing.
    counts = ~stayed & (person != NOBODY) & ~(~first & both["known"].to_numpy(zero_copy_only=False) & erased)
    identified = both["identified"].to_numpy(zero_copy_only=False)
    changed = ~same
    leaf = _ranks([both[name].to_numpy(zero_copy_only=False).astype(str) for name in (*LEAF, "operator")])
    size = int(leaf.max(initial=-1)) + 1
    thick = _thickness(leaf, operator, first, counts & identified, ~stayed & ~identified & (person != NOBODY), size)
    places = np.unique(leaf[changed])
    example = np.zeros(size, dtype=np.int64)
    example[leaf[::-1]] = np.arange(len(both))[::-1]
    chosen = both.select([*LEAF, "operator"]).take(pa.array(example[places]))
    rows = chosen.append_column("moved", pa.array(thick[places])).sort_by([(name, "ascending") for name in (*LEAF, "operator")])
    people = both.filter(pa.array(changed)).append_column("first", pa.array(first[changed]))
    renaming = np.isin(operator, np.unique(operator[~stayed & ~identified])) & ~stayed
    sure = (changed & ~renaming)[changed]
    shifted = _shifted(people, first[changed], person[changed], operator[changed], above)
    return Change(
        rows, shifted, _shifted(people.filter(pa.array(sure)), first[changed][sure], person[changed][sure], operator[changed][sure], above), people
    )


def _thickness(leaf: np.ndarray, operator: np.ndarray, first: np.ndarray, known: np.ndarray, anonymous: np.ndarray, size: int) -> np.ndarray:
    """How many came or left for sure, by leaf and operator: those named by an INS, less what anonymous persons of the operator may be the other side of."""
    codes = np.unique(operator, return_inverse=True)[1]
    owner = np.zeros(size, dtype=np.int64)
    owner[leaf] = codes
    found = np.zeros(size)
    for side in (first, ~first):
        other = np.bincount(codes[anonymous & ~side], minlength=int(codes.max(initial=-1)) + 1)
        found += np.maximum(0, np.bincount(leaf[known & side], minlength=size) - other[owner])
    return found


def _shifted(rows: pa.Table, first: np.ndarray, person: np.ndarray, operator: np.ndarray, above: Mapping[str, str]) -> pa.Table:
    """Of every cell of the lattice, how many persons each operator counts there newly, or no longer."""
    found: list[pa.Table] = []
    for level in itertools.product(*_levels(rows, above)):
        keys = [part.astype(str) for part in level]
        cell = _ranks([*keys, operator, person]) if len(rows) else np.zeros(0, dtype=np.int64)
        inside = np.zeros(int(cell.max(initial=-1)) + 1)
        np.add.at(inside, cell, np.where(first, -1.0, 1.0))
        gone_or_come = (inside[cell] != 0) | (person == NOBODY)
        if gone_or_come.any():
            found.append(
                pa.table([*(pa.array(part[gone_or_come]) for part in keys), pa.array(operator[gone_or_come])], names=[*LEAF, "operator"])
                .append_column("count", pa.array(np.ones(int(gone_or_come.sum()))))
                .group_by([*LEAF, "operator"]).aggregate([("count", "sum")]).rename_columns([*LEAF, "operator", "count"])
            )  # fmt: skip
    empty = pa.table({name: pa.array([], pa.string()) for name in (*LEAF, "operator")} | {"count": pa.array([], pa.float64())})
    return pa.concat_tables([empty, *found])


def sensitive(change: Change, lattice: Lattice, thick: np.ndarray, cell: np.ndarray, amount: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Cells (bool) whose change may not be told: too few came or left, or few once an operator takes away its own, or one operator makes nearly all of it.

    `thick` (cells) counts who came or left; `cell`, `amount` are the same by operator (coordinates)."""
    some = amount > 0
    shifted = np.zeros(len(lattice), dtype=bool)
    places = np.array([lattice.index[key] for key in zip(*(change.shifted[name].to_pylist() for name in LEAF), strict=True)], dtype=np.int64)
    shifted[places] = True
    few = unsafe(thick, cell[some], amount[some], parameters) | (np.bincount(cell[some], minlength=len(lattice)) == 0)
    weighed = unsafe(np.full(len(lattice), parameters.patients), places, change.shifted["count"].to_numpy(), parameters)
    # Numbers had anew make an operator look heavier than it is, and another lighter: the others are weighed without them too.
    at = np.array([lattice.index[key] for key in zip(*(change.sure[name].to_pylist() for name in LEAF), strict=True)], dtype=np.int64)
    weighed |= unsafe(np.full(len(lattice), parameters.patients), at, change.sure["count"].to_numpy(), parameters)
    return shifted & (few | weighed)


def outweighed(change: Change, lattice: Lattice, mask: np.ndarray, parameters: Parameters, above: Mapping[str, str]) -> np.ndarray:
    """Told cells (bool) under which what is masked, along one dimension, shifted by one operator's doing. A move between two masked cells is nothing there."""
    people = change.people
    levels = _levels(people, above)
    first = people["first"].to_numpy(zero_copy_only=False)
    person, operator = people["person"].to_numpy(), np.unique(people["operator"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)[1]
    found = np.zeros(len(lattice), dtype=bool)
    for place in range(len(LEAF)):
        for low in range(len(levels[place]) - 1):
            for others in itertools.product(*(held for rank, held in enumerate(levels) if rank != place)):
                keys = list(others)
                child, parent = (_cells(lattice, [*keys[:place], levels[place][low + up], *keys[place:]]) for up in (0, 1))
                inside = mask[child] & ~mask[parent]
                if not inside.any():
                    continue
                one = _ranks([parent[inside], operator[inside], person[inside]])
                net = np.bincount(one, weights=np.where(first[inside], -1.0, 1.0))
                left = (net[one] != 0) | (person[inside] == NOBODY)
                at, pair = np.unique(parent[inside][left] * (int(operator.max()) + 1) + operator[inside][left], return_counts=True)
                found |= unsafe(np.full(len(lattice), parameters.patients), at // (int(operator.max()) + 1), pair.astype(float), parameters)
    return found


def _cells(lattice: Lattice, keys: list[np.ndarray]) -> np.ndarray:
    return np.array([lattice.index[key] for key in zip(*keys, strict=True)], dtype=np.int64)


def _levels(rows: pa.Table, above: Mapping[str, str]) -> list[list[np.ndarray]]:
    """Of each dimension, the codes of the rows from the finest level to the top. `above` leads from a place to the one that holds it; the highest have none."""
    place, gir, sex = (np.array(rows[name].to_pylist(), dtype=object) for name in LEAF)
    top = np.full(len(rows), TOP, dtype=object)
    places = [place]
    while any(code in above for code in places[-1]):
        places.append(np.array([above[code] for code in places[-1]], dtype=object))
    return [[*places, top], [gir, top], [sex, top]]


def _ranks(columns: list[np.ndarray]) -> np.ndarray:
    """A number of each row, the same for equal rows."""
    if not len(columns[0]):
        return np.zeros(0, dtype=np.int64)
    codes = [np.unique(column, return_inverse=True)[1] for column in columns]
    return np.unique(np.stack(codes), axis=1, return_inverse=True)[1].ravel()


def forgotten(counted: pa.Table, person: int, establishment: int) -> pa.Table:
    """The same count, one person of an establishment having lost its number."""
    gone = (counted["person"].to_numpy() == person) & (counted["establishment"].to_numpy() == establishment)
    numbers = np.where(gone, NOBODY, counted["person"].to_numpy())
    return counted.set_column(SCHEMA.get_field_index("person"), SCHEMA.field("person"), pa.array(numbers))
