"""Counts of persons by establishment and GIR: one more level under the one table of counts (`counts.py`), for the few whom the matrix lets read it.

Institutions read it, no operator does: what makes a number sensitive is persons alone, fewer than eleven. But whatever the table of counts masks must stay
unknown to who reads both, and whatever it tells is known: its cells come first, told or sensitive, and the establishments are protected under them. The sexes
of an establishment are never told.

From one such table to the next, an establishment's number is told again only where the change may be: what changed is a table of its own, protected as the
changes of the table of counts are, whose told changes are known here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from belvedere.engine.exchange.counts import CERTIFIED, SEED, Key, Unprotected, filled, sound, specification
from belvedere.engine.exchange.turnover import SCHEMA, TOP, between, sensitive
from belvedere.engine.secrecy import audit
from belvedere.engine.secrecy.contributions import fill
from belvedere.engine.secrecy.protect import protect
from belvedere.engine.secrecy.rules import Parameters
from belvedere.engine.secrecy.table import Table


@dataclass(frozen=True)
class Before:
    """An earlier table by establishment: its name, every number told with it (that of the counts above too), who was counted (`turnover.SCHEMA`)."""

    name: str
    cells: Mapping[Key, int | None]
    counted: pa.Table


def by_establishment(
    counted: pa.Table,
    above_cells: Mapping[Key, int | None],
    earlier: Sequence[Before],
    parameters: Parameters,
    above: Mapping[str, str],
    places: Mapping[int, tuple[str, str]],
) -> dict[Key, int | None]:
    """Persons of each establishment, all and by GIR (key: code, GIR, TOP), None where masked. `above_cells`: the table of counts made of the same persons;
    `above`: region of each department; `places`: code and department of each establishment counted now or before. Unprotected, SecrecyError."""
    if {department for _, department in _homes(counted)} - set(above):
        raise Unprotected("un département sans région")
    tree = {**above, **dict(places.values())}
    for table in (counted, *(one.counted for one in earlier)):
        if any(places[number][1] != department for number, department in _homes(table)):
            raise Unprotected("un établissement a changé de département")
    rules = replace(parameters, holdings=1, dominance_share=1.0, p_percent=0.0, others=0)
    full = filled(specification(tree, {"distinct": "person"}, "one"), _together(_finely(counted, places)))
    index, given = full.table.lattice.index, full.table.given
    if not above_cells.keys() <= index.keys():
        raise Unprotected("les territoires des comptes ne sont plus ceux d’aujourd’hui")
    low = np.array([key[0] not in above and key[0] in tree for key in index])
    told, hidden = _known(index, above_cells)
    sticky = hidden | (low & np.array([key[2] != TOP for key in index]))
    for one in earlier:
        if change := between(_finely(one.counted, places), _finely(counted, places), tree):
            moves = fill(specification(tree, {"column": "moved"}, "moved"), _together(change.rows)).table
            was_told, was_hidden = _known(index, one.cells)
            shifted = sensitive(change, moves.lattice, moves.given.patients, moves.given.cell, moves.given.amount, rules)
            # Under the table of counts, a change that it does not tell is sensitive whatever its size: it was masked for a reason.
            changed = _changed(moves, change.shifted)
            both = replace(moves, told=told & was_told)
            primary = np.where(low, shifted, (hidden | was_hidden) & ~_given_away(both)) & changed
            kept = sound(protect(both, rules, seed=SEED, sticky=(sticky | ~was_told) & changed, primary=primary & ~both.told, certified=False))
            sticky |= kept & was_told
    some = given.patients > 0  # that nobody is in a place is known to the engine, and told to nobody
    table = replace(full.table, told=told)
    primary = some & ((hidden & ~_given_away(table)) | (given.patients < parameters.patients))
    done = protect(table, rules, seed=SEED, sticky=sticky & some, primary=primary & ~told, certified=len(index) <= CERTIFIED)
    mask = sound(done) | sticky | (given.patients < parameters.patients)
    return {
        (key[0], key[1], key[2]): None if mask[place] else int(full.measures["persons"][place])
        for key, place in index.items() if low[place] and key[2] == TOP
    }  # fmt: skip


def _homes(counted: pa.Table) -> list[tuple[int, str]]:
    """Establishment and department of whom was counted, each pair once."""
    found = counted.group_by(["establishment", "territory"]).aggregate([])
    return list(zip(found["establishment"].to_pylist(), found["territory"].to_pylist(), strict=True))


def _finely(counted: pa.Table, places: Mapping[int, tuple[str, str]]) -> pa.Table:
    """The same persons counted in their establishment, which stands for its operator."""
    codes = pa.array([places[number][0] for number in counted["establishment"].to_pylist()], pa.string())
    for name in ("territory", "operator"):
        counted = counted.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), codes)
    return counted


def _together(rows: pa.Table) -> pa.Table:
    """The same rows under one operator: nobody who reads them has persons of its own there."""
    return rows.set_column(rows.schema.get_field_index("operator"), "operator", pa.array([TOP] * len(rows), pa.string()))


def _known(index: Mapping[tuple[str, ...], int], cells: Mapping[Key, int | None]) -> tuple[np.ndarray, np.ndarray]:
    """(told, hidden) cells of the lattice by what a table says; neither where it says nothing."""
    told, hidden = np.zeros(len(index), dtype=bool), np.zeros(len(index), dtype=bool)
    for key, value in cells.items():
        (hidden if value is None else told)[index[key]] = True
    return told, hidden


def _given_away(table: Table) -> np.ndarray:
    """Cells (bool) that what is told beforehand computes, the empty ones being known: masked without need."""
    return audit.determined(audit.System.of(table.lattice), ~(table.told | (table.given.counted() == 0)), seed=SEED)


def _changed(table: Table, shifted: pa.Table) -> np.ndarray:
    """Cells where somebody is newly, or no longer, counted."""
    found = np.zeros(len(table.lattice), dtype=bool)
    keys = zip(*(shifted[name].to_pylist() for name in ("territory", "gir", "sex")), strict=True)
    found[[table.lattice.index[key] for key in keys]] = True
    return found
