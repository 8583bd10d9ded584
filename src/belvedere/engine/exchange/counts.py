"""Counts of persons by territory, GIR and sex: one table for all institutions, protected alone and against those that went out before (secrecy reference §6).

Institutions read slices of one table under one mask: whatever several of them put together is that table. What changed since each table that went out is
protected first, as a table of its own: a cell shows a second number only where the change may be told, and masks only grow. A sum that two tables tell is
then told by the newer one alone, whose cells are all told of the change.

Persons are what is counted and what an operator knows of its own: every number told, and every change told, leaves eleven persons at least to whoever takes
its own away. A cell of nobody is masked as a cell of few is: which of two masked places is empty is not said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from belvedere.engine.exchange.turnover import TOP, Change, between, outweighed, sensitive
from belvedere.engine.secrecy.contributions import Filled, fill
from belvedere.engine.secrecy.protect import Protection, protect
from belvedere.engine.secrecy.rules import Parameters
from belvedere.engine.secrecy.specification import Specification, parse

UNKNOWN, SEED = "ND", 11
Key = tuple[str, str, str]


class Unprotected(Exception):
    """No mask protects these counts."""


class TooFewMoved(Exception):
    """Too few persons, or too few operators, changed since the counts named: their difference waits for more."""


@dataclass(frozen=True)
class Earlier:
    """Counts that went out: how they are named, the number of each cell (None where masked), who was counted (`turnover.SCHEMA`)."""

    name: str
    cells: dict[Key, int | None]
    counted: pa.Table


def protected(counted: pa.Table, earlier: Sequence[Earlier], parameters: Parameters, above: Mapping[str, str]) -> dict[Key, int | None]:
    """Persons of each cell, None where masked; `above` gives the region of every department, counted or not. TooFewMoved, Unprotected, SecrecyError S110
    or S111."""
    rules = replace(parameters, others=parameters.patients)
    persons = specification(above, {"distinct": "person"}, "one")
    full = filled(persons, counted)
    index, given = full.table.lattice.index, full.table.given
    sticky = np.zeros(len(index), dtype=bool)
    silent = np.zeros(len(index), dtype=bool)
    places = np.array([index[key[0], TOP, TOP] for key in index], dtype=np.int64)
    for one in earlier:
        if not one.cells.keys() <= index.keys():
            raise Unprotected(f"les territoires des comptes de {one.name} ne sont plus ceux d’aujourd’hui")
        masked = np.zeros(len(index), dtype=bool)
        masked[[index[key] for key, value in one.cells.items() if value is None]] = True
        then = filled(persons, one.counted).table.given.patients
        sticky |= masked & (then > 0)
        # A cell of nobody was masked as one of few: to tell it now would say that it had nobody. A territory that begins whole had no establishment.
        silent |= masked & (then == 0) & (then[places] > 0)
    moves = specification(above, {"column": "moved"}, "moved")
    for one in earlier:
        if change := between(one.counted, counted, above):
            sticky |= _kept(one, change, moves, rules, sticky, above)
    mask = sound(protect(full.table, rules, seed=SEED, sticky=sticky, certified=len(index) <= CERTIFIED))
    mask = mask | silent | (given.patients < parameters.patients)
    return {(key[0], key[1], key[2]): None if mask[place] else int(full.measures["persons"][place]) for key, place in index.items()}


TURNS = 8
CERTIFIED = 1_000  # cells up to which intervals are proven too; beyond, the sums alone


def _kept(one: Earlier, change: Change, moves: Specification, rules: Parameters, sticky: np.ndarray, above: Mapping[str, str]) -> np.ndarray:
    """What must be masked for a change not to be told. TooFewMoved, Unprotected."""
    table = fill(moves, change.rows).table
    given, lattice = table.given, table.lattice
    primary = sensitive(change, lattice, given.patients, given.cell, given.amount, rules)
    for _ in range(TURNS):
        if primary[lattice.index[TOP, TOP, TOP]]:
            raise TooFewMoved(one.name)
        mask = sound(protect(table, rules, seed=SEED, sticky=sticky, primary=primary, certified=False))
        # What is left under a told change, once its told parts are taken away, must not be one operator's either.
        if not (heavy := outweighed(change, lattice, mask, rules, above)).any():
            return mask
        primary = primary | heavy
    raise Unprotected("trop de restes d’un seul opérateur")


def filled(shape: Specification, counted: pa.Table) -> Filled:
    """The table of who was counted, each person for one."""
    return fill(shape, counted.append_column("one", pa.array(np.ones(len(counted)))))


def specification(above: Mapping[str, str], patients: dict[str, Any], measure: str) -> Specification:
    """Territory (`above` leads from each to the one that holds it), GIR and sex."""
    territories = {TOP: None, **dict.fromkeys(sorted(set(above.values()) - set(above)), TOP), **above}
    girs = {TOP: None, **dict.fromkeys((*map(str, range(1, 7)), UNKNOWN), TOP)}
    return parse(yaml.safe_dump({
        "title": "Personnes accompagnées", "contributor": "operator", "holding": "operator", "patients": patients | {"splits": ["territory", "gir", "sex"]},
        "dimensions": {"territory": {"tree": territories}, "gir": {"tree": girs}, "sex": {"tree": {TOP: None, "F": TOP, "M": TOP, UNKNOWN: TOP}}},
        "measures": {"persons": measure}, "seed": SEED,
    }, allow_unicode=True, sort_keys=False), Path())  # fmt: skip


def sound(done: Protection) -> np.ndarray:
    """The mask of a protection that holds. Unprotected."""
    if done.leaks:
        raise Unprotected("; ".join(done.leaks))
    return done.mask
