"""Counts of persons by territory, GIR and sex, protected alone and against the counts that went out before (secrecy reference §6.2).

What changed since each of those is protected first, as a table of its own: a cell shows a second number only where the change may be told, and masks only
grow. A sum that two counts tell is then told by the newer one alone, whose cells are all told of the change, which is proven safe.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from belvedere.engine.exchange.turnover import between
from belvedere.engine.secrecy.contributions import fill
from belvedere.engine.secrecy.protect import Protection, protect
from belvedere.engine.secrecy.rules import Parameters
from belvedere.engine.secrecy.specification import Specification, parse

UNKNOWN, SEED = "ND", 11
Key = tuple[str, str, str]


class Unprotected(Exception):
    """No mask protects these counts."""


class TooFewMoved(Exception):
    """Too few persons, or too few establishments, changed since the counts named: their difference waits for more."""


@dataclass(frozen=True)
class Earlier:
    """Counts that went out: how they are named, the number of each cell (None where masked), who was counted (`turnover.SCHEMA`)."""

    name: str
    cells: dict[Key, int | None]
    counted: pa.Table


def protected(counted: pa.Table, earlier: Sequence[Earlier], parameters: Parameters) -> dict[Key, int | None]:
    """Persons of each cell, None where masked, with every territory ever told. TooFewMoved, Unprotected, SecrecyError S110 or S111."""
    places = {key[0] for one in earlier for key in one.cells} | set(counted["territory"].to_pylist())
    filled = fill(_specification(places, {"distinct": "person"}, "one"), counted.append_column("one", pa.array(np.ones(len(counted)))))
    index, given = filled.table.lattice.index, filled.table.given
    sticky = np.zeros(len(index), dtype=bool)
    for one in earlier:
        sticky[[index[key] for key, value in one.cells.items() if value is None]] = True
    moves = _specification(places, {"column": "moved"}, "moved")
    for one in earlier:
        change = between(one.counted, counted)
        if not change:
            continue
        if change.moved < parameters.patients or change.establishments < parameters.holdings:
            raise TooFewMoved(one.name)
        sticky |= _sound(protect(fill(moves, change.rows).table, parameters, seed=SEED, sticky=sticky, certified=False))
    mask = _sound(protect(filled.table, parameters, seed=SEED, sticky=sticky))
    # What has somebody, but few, is never told, whatever the mask; that a cell has nobody is told unless the mask holds it.
    mask = mask | ((given.patients > 0) & (given.patients < parameters.patients))
    return {(key[0], key[1], key[2]): None if mask[place] else int(filled.measures["persons"][place]) for key, place in index.items()}


def _specification(places: Iterable[str], patients: dict[str, Any], measure: str) -> Specification:
    territories = {"*": None, **dict.fromkeys(sorted(set(places) - {"*"}), "*")}
    girs = {"*": None, **dict.fromkeys((*map(str, range(1, 7)), UNKNOWN), "*")}
    return parse(yaml.safe_dump({
        "title": "Personnes accompagnées", "contributor": "establishment", "holding": "establishment", "patients": patients | {"splits": ["territory", "gir", "sex"]},
        "dimensions": {"territory": {"tree": territories}, "gir": {"tree": girs}, "sex": {"tree": {"*": None, "F": "*", "M": "*", UNKNOWN: "*"}}},
        "measures": {"persons": measure}, "seed": SEED,
    }, allow_unicode=True, sort_keys=False), Path())  # fmt: skip


def _sound(done: Protection) -> np.ndarray:
    if done.leaks:
        raise Unprotected("; ".join(done.leaks))
    return done.mask
