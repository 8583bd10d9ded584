"""Persons accompanied by each establishment: one more level under the one table of counts (`counts.py`), for the few whom the matrix lets read it.

Totals alone, no GIR and no sex: an establishment then splits its department in one way only. Whatever a reader of both tables computes is, in each department, either
what the counts of the month tell of it, or a union of establishments that are told and of the rest that is not. So two conditions are enough:

- every establishment that is told has eleven persons, and the rest of its department eleven too; or there is no rest, and the counts tell the department;
- against each earlier table, the same of whoever came or left for good: eleven in every establishment that is told again, eleven in the rest. Who only moved from
  one to another counts for nothing, so that no union of them has fewer. What was not told once is not told later.

The audit of the secrecy engine looks at the result with the counts of the month, and has the last word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from belvedere.engine.exchange.counts import SEED, Key, Unprotected, filled, specification
from belvedere.engine.exchange.turnover import SCHEMA, TOP, between
from belvedere.engine.secrecy import audit
from belvedere.engine.secrecy.rules import Parameters


@dataclass(frozen=True)
class Before:
    """An earlier table by establishment: its name, what it told (None: masked), the departments that its counts told, who was counted (`turnover.SCHEMA`)."""

    name: str
    cells: Mapping[str, int | None]
    departments: frozenset[str]
    counted: pa.Table


@dataclass(frozen=True)
class _Since:
    """What an earlier table leaves to tell: what it told, whoever came or left for good since, establishments that had or have persons, departments told."""

    told: Mapping[str, int | None]
    moved: Mapping[str, int]
    met: frozenset[str]
    departments: frozenset[str]


def by_establishment(
    counted: pa.Table,
    above_cells: Mapping[Key, int | None],
    earlier: Sequence[Before],
    parameters: Parameters,
    above: Mapping[str, str],
    places: Mapping[int, tuple[str, str]],
) -> dict[str, int | None]:
    """Persons of each establishment, None where masked. `above_cells`: the table of counts made of the same persons; `above`: region of each department;
    `places`: code and department of each establishment counted now or before. Unprotected."""
    for table in (counted, *(one.counted for one in earlier)):
        if any(places[number][1] != department for number, department in _homes(table)):
            raise Unprotected("un établissement a changé de département")
    size = _sizes(counted, places)
    since = [_since(one, counted, size, above, places) for one in earlier]
    departments = frozenset(key[0] for key, value in above_cells.items() if value is not None and key[1] == key[2] == TOP)
    told: set[str] = set()
    for department in {home for _, home in places.values()}:
        codes = {code for code, home in places.values() if home == department}
        told |= _told_of(department, codes, size, since, departments, parameters.patients)
    found = {code: size[code] if code in told else None for code in sorted(size)}
    _audited(counted, above_cells, found, parameters, above, places)
    return found


def _told_of(department: str, codes: set[str], size: Mapping[str, int], since: Sequence[_Since], departments: frozenset[str], least: int) -> set[str]:
    """The establishments of a department that may be told, the smallest given up first."""
    told = {
        code for code in codes
        if size.get(code, 0) >= least and all(one.told.get(code) is not None and one.moved.get(code, 0) >= least for one in since)
    }  # fmt: skip
    while told:
        rest = codes - told
        enough = sum(size.get(code, 0) for code in rest)
        sound = enough >= least or (not enough and department in departments)
        for one in since:
            gone = sum(one.moved.get(code, 0) for code in rest)
            sound = sound and (gone >= least or (not rest & one.met and department in departments & one.departments))
        if sound:
            return told
        told.remove(min(told, key=lambda code: (size[code], code)))
    return told


def _homes(counted: pa.Table) -> list[tuple[int, str]]:
    """Establishment and department of whom was counted, each pair once."""
    found = counted.group_by(["establishment", "territory"]).aggregate([])
    return list(zip(found["establishment"].to_pylist(), found["territory"].to_pylist(), strict=True))


def _sizes(counted: pa.Table, places: Mapping[int, tuple[str, str]]) -> dict[str, int]:
    found = counted.group_by(["establishment"]).aggregate([("person", "count")])
    return {places[number][0]: count for number, count in zip(found["establishment"].to_pylist(), found["person_count"].to_pylist(), strict=True)}


def _since(one: Before, counted: pa.Table, size: Mapping[str, int], above: Mapping[str, str], places: Mapping[int, tuple[str, str]]) -> _Since:
    tree = {**above, **dict(places.values())}
    rows = between(_finely(one.counted, places), _finely(counted, places), tree).rows
    moved: dict[str, int] = {}
    for code, count in zip(rows["territory"].to_pylist(), rows["moved"].to_pylist(), strict=True):
        moved[code] = moved.get(code, 0) + int(count)
    return _Since(one.cells, moved, frozenset({*size, *_sizes(one.counted, places)}), one.departments)


def _finely(counted: pa.Table, places: Mapping[int, tuple[str, str]]) -> pa.Table:
    """The same persons counted in their establishment, which stands for its operator."""
    codes = pa.array([places[number][0] for number in counted["establishment"].to_pylist()], pa.string())
    for name in ("territory", "operator"):
        counted = counted.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), codes)
    return counted


def _audited(
    counted: pa.Table, above_cells: Mapping[Key, int | None], found: Mapping[str, int | None], parameters: Parameters, above: Mapping[str, str],
    places: Mapping[int, tuple[str, str]],
) -> None:  # fmt: skip
    """No cell of few, and none that the counts of the month mask, may be computed from both tables. Unprotected."""
    tree = {**above, **dict(places.values())}
    table = filled(specification(tree, {"distinct": "person"}, "one"), _finely(counted, places)).table
    index = table.lattice.index
    if not above_cells.keys() <= index.keys():
        raise Unprotected("les territoires des comptes ne sont plus ceux d’aujourd’hui")
    unknown, hidden = np.ones(len(index), dtype=bool), np.zeros(len(index), dtype=bool)
    for key, value in above_cells.items():
        (hidden if value is None else unknown)[index[key]] = value is None
    for code, value in found.items():
        unknown[index[code, TOP, TOP]] = value is None
    some = table.given.patients > 0
    sensitive = some & (hidden | (table.given.patients < parameters.patients))
    if (audit.determined(audit.System.of(table.lattice), unknown, seed=SEED) & sensitive).any():
        raise Unprotected("une cellule masquée se calcule")
