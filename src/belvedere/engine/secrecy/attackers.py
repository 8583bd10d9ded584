"""Who reads a release knowing more than the release: holdings, federations, payers, coalitions (secrecy brief §1, §4.3).

An insider knows what its members contribute, and in the worst case that they are alone there: cells whose
contributors are all its own are known to it. What it must not learn is any sensitive cell of the others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from belvedere.engine.secrecy import audit
from belvedere.engine.secrecy.lattice import Lattice
from belvedere.engine.secrecy.rules import Contributions


@dataclass(frozen=True)
class Insiders:
    """Partitions of the holdings into insiders: `owners[k, cell]` is the insider of partition k that fills the
    cell alone, or -1; `names[k][insider]` its label; `voids[k][insider]` ranks the hidden empty cells that an
    insider knows to be empty: those under a total that it fills alone, and what follows from told zeros."""

    owners: np.ndarray
    names: tuple[tuple[str, ...], ...]
    voids: tuple[tuple[np.ndarray, ...], ...] = ()

    def each(self) -> Iterator[tuple[str, int, int]]:
        """(label, partition, number) of every insider."""
        for partition, names in enumerate(self.names):
            for number, name in enumerate(names):
                yield name, partition, number

    def ignores(self, unknown: np.ndarray, partition: int, number: int) -> np.ndarray:
        """Cells that this insider ignores (bool, cells), among those `unknown` to an outsider."""
        ignored = unknown & (self.owners[partition] != number)
        ignored[self.voids[partition][number]] = False
        return ignored

    def without_holdings(self) -> "Insiders":
        """The insiders of the partitions after the first, which is the holdings themselves."""
        return Insiders(self.owners[1:], self.names[1:], self.voids[1:])

    def learned(self, partition: int, number: int) -> np.ndarray:
        """Cells that this insider knows by itself (bool, cells)."""
        return ~self.ignores(np.ones(self.owners.shape[1], dtype=bool), partition, number)


def insiders(given: Contributions, lattice: Lattice, partitions: Mapping[str, tuple[np.ndarray, np.ndarray]], hidden: np.ndarray) -> Insiders:
    """Insiders from partitions of the contributions: label -> (cell, insider) of each contribution (insider -1: none).
    `hidden` empty cells (bool, cells) are not told to be empty; the other empty ones are.

    The usual ones are the holdings themselves and the federations. Sources: secrecy brief §1 (A1, A2)."""
    cells = len(lattice)
    owners = np.full((len(partitions), cells), -1, dtype=np.int64)
    names = []
    for rank, (label, (cell, who)) in enumerate(partitions.items()):
        low, high = np.full(cells, np.iinfo(np.int64).max), np.full(cells, -2, dtype=np.int64)
        np.minimum.at(low, cell, who)
        np.maximum.at(high, cell, who)
        owners[rank] = np.where(low == high, high, -1)
        names.append(tuple(f"{label} {number}" for number in range(int(who.max(initial=-1)) + 1)))
    empty = given.counted() == 0
    voids = []
    for owner, labels in zip(owners, names, strict=True):
        voids.append(tuple(_voids(lattice, owner == number, empty & hidden, empty & ~hidden) for number in range(len(labels))))
    return Insiders(owners, tuple(names), tuple(voids))


def _voids(lattice: Lattice, mine: np.ndarray, hidden: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Hidden empty cells that the insider who fills the cells `mine` knows to be empty, however deep."""
    if not len(lattice.children):
        return np.zeros(0, dtype=np.int64)
    of_child = lattice.parents[lattice.relation_of_child()]
    void = np.zeros(len(lattice), dtype=bool)
    while True:
        grown = void.copy()
        grown[lattice.children[(mine | void)[of_child]]] = True
        whole = np.logical_and.reduceat((void | told)[lattice.children], lattice.offsets[:-1])
        grown[lattice.parents[whole]] = True
        grown &= hidden
        if (grown == void).all():
            return np.flatnonzero(void)
        void = grown


def disclosed(
    system: audit.System, unknown: np.ndarray, sensitive: np.ndarray, who: Insiders, *, seed: int, runs: int = 1
) -> Iterator[tuple[str, int, int, np.ndarray]]:
    """(label, partition, number, cells) of each insider that learns sensitive cells exactly, and which ones."""
    for label, partition, number in who.each():
        ignored = who.ignores(unknown, partition, number)
        if ignored.sum() == unknown.sum():
            continue  # it knows what everybody knows
        found = audit.determined(system, ignored, seed=seed, runs=runs) & sensitive
        if found.any():
            yield label, partition, number, np.flatnonzero(found)
