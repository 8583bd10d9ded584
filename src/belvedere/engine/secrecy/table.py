"""The table that is protected, and who reads it knowing what."""

from dataclasses import dataclass

import numpy as np

from belvedere.engine.secrecy import attackers, audit
from belvedere.engine.secrecy.attackers import Insiders
from belvedere.engine.secrecy.lattice import Lattice
from belvedere.engine.secrecy.rules import Affiliations, Contributions


@dataclass(frozen=True)
class Table:
    """What is to be protected. `value` (cells) orders what is worth publishing; `partition` (dimensions) says
    which dimensions split persons; `affiliated` says which federation holds what. `told` cells are known to every reader
    beforehand (earlier releases, external totals); `settled` ones by a release whose derived sums were closed then."""

    lattice: Lattice
    given: Contributions
    value: np.ndarray
    partition: np.ndarray
    affiliated: Affiliations
    told: np.ndarray
    settled: np.ndarray

    @classmethod
    def of(cls, lattice: Lattice, given: Contributions, *, value: np.ndarray, partition: np.ndarray, federation: np.ndarray | None = None) -> "Table":
        """A table that nothing is known of beforehand."""
        nothing = np.zeros(len(lattice), dtype=bool)
        federation = np.full(given.holdings, -1, dtype=np.int64) if federation is None else federation
        return cls(lattice, given, value, partition, Affiliations.of(given, federation), nothing, nothing)


def readers(table: Table, primary: np.ndarray, *, federations: bool) -> Insiders:
    """The insiders of a table: each holding, and with `federations` each federation. `primary` (bool, cells) says
    which empty cells are not told to be empty."""
    partitions = {"groupe": (table.given.cell, table.given.holding)}
    if federations and table.affiliated.federations:
        partitions["fédération"] = (table.affiliated.cell, table.affiliated.federation)
    return attackers.insiders(table.given, table.lattice, partitions, primary)


def without_implied_zeros(table: Table, primary: np.ndarray, *, seed: int) -> np.ndarray:
    """Primary cells less the empty ones that the zeros which may be told give away together."""
    empty, system = table.given.counted() == 0, audit.System.of(table.lattice)
    while True:
        implied = audit.determined(system, ~(empty & ~primary), seed=seed, runs=1) & empty & primary
        if not implied.any():
            return primary
        primary = primary & ~implied


def room_of(table: Table, reader: str, who: Insiders) -> np.ndarray:
    """How far each cell may fall in the eyes of a reader (unit of the amounts): what others than itself bring."""
    given = table.given
    room = np.bincount(given.cell, weights=given.amount, minlength=len(table.lattice))
    if reader:
        mine = given.holding == who.names[0].index(reader)
        room[given.cell[mine]] -= given.amount[mine]
    return np.maximum(room, 0.0)
