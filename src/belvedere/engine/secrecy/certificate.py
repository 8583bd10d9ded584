"""Certificates: alternative tables that prove the intervals, checked by anyone without a solver (brief §4.6).

A certificate is a vector per reader: added to the true table it gives another table that the reader cannot
tell from the true one, in which a sensitive cell stands far enough. Checking costs one product by the relations.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import sparse

from belvedere.engine.secrecy import intervals
from belvedere.engine.secrecy.intervals import Demand, System

PUBLIC = ""
TOLERANCE = 1e-6  # of the largest move of a vector


@dataclass
class Certificate:
    """`moves` (vectors x cells) with the `reader` and the `measure` ("amount" or "patients") of each."""

    moves: sparse.csr_matrix
    reader: list[str] = field(default_factory=list)
    measure: list[str] = field(default_factory=list)

    @classmethod
    def empty(cls, cells: int) -> "Certificate":
        """No vector yet."""
        return cls(sparse.csr_matrix((0, cells)))

    def add(self, vectors: list[np.ndarray], reader: str, measure: str) -> None:
        """Take in the vectors found for a reader."""
        if vectors:
            self.moves = sparse.vstack([self.moves, sparse.csr_matrix(np.array(vectors))], format="csr")
            self.reader += [reader] * len(vectors)
            self.measure += [measure] * len(vectors)

    def extend(self, others: "list[Certificate]") -> None:
        """Take in other certificates of the same cells."""
        some = [other for other in others if other.reader]
        if some:
            self.moves = sparse.vstack([self.moves, *(other.moves for other in some)], format="csr")
        for other in some:
            self.reader += other.reader
            self.measure += other.measure

    def meets(self, asked: Demand) -> np.ndarray:
        """Which demands some vector meets (bool, demands)."""
        found = np.zeros(len(asked), dtype=bool)
        for rank in range(self.moves.shape[0]):
            found |= asked.met(self.moves[rank].toarray().ravel())
        return found

    def of(self, reader: str, measure: str) -> sparse.csr_matrix:
        """The vectors of one reader."""
        return self.moves[[k for k, pair in enumerate(zip(self.reader, self.measure, strict=True)) if pair == (reader, measure)]]

    def arrays(self) -> dict[str, np.ndarray]:
        """As named arrays, for `numpy.savez`."""
        return {
            "indptr": self.moves.indptr, "cell": self.moves.indices, "move": self.moves.data,
            "cells": np.array([self.moves.shape[1]]), "reader": np.array(self.reader, dtype="U64"), "measure": np.array(self.measure, dtype="U16"),
        }  # fmt: skip

    def save(self, path: Path) -> None:
        """Write the arrays to a file that `numpy.load` reads."""
        np.savez_compressed(path, allow_pickle=False, **self.arrays())

    @classmethod
    def read(cls, arrays: dict[str, np.ndarray]) -> "Certificate":
        """The inverse of `arrays`."""
        shape = (len(arrays["indptr"]) - 1, int(arrays["cells"][0]))
        moves = sparse.csr_matrix((arrays["move"], arrays["cell"], arrays["indptr"]), shape=shape)
        return cls(moves, [str(name) for name in arrays["reader"]], [str(name) for name in arrays["measure"]])


def unmet(certificate: sparse.csr_matrix, system: System, asked: Demand) -> np.ndarray:
    """Cells (ranks) of the demands that no valid vector of a certificate meets; a vector that moves a cell the
    reader knows, breaks a relation or goes below what is possible counts for nothing."""
    known = np.ones(system.cells, dtype=bool)
    known[system.unknown] = False
    met = np.zeros(len(asked), dtype=bool)
    for rank in range(certificate.shape[0]):
        vector = certificate[rank].toarray().ravel()
        slack = TOLERANCE * max(1.0, float(np.abs(vector).max(initial=0)))
        if np.abs(vector[known]).max(initial=0) > slack:  # a solver's dust on a known cell is left out of the sums below
            continue
        inside = vector[system.unknown]
        sums = system.matrix @ inside
        if (sums < system.row_lower - slack).any() or (sums > system.row_upper + slack).any() or (inside < -system.room - slack).any():
            continue
        met |= asked.met(vector)
    return np.unique(asked.cell[~met])


def search(certificate: Certificate, system: System, asked: Demand, measure: str, *, seed: int, singles: bool = True, whole: bool = True) -> Demand:
    """Add to a certificate what proves the demands for one reader; what could not be proven."""
    vectors, left = intervals.certify(system, asked, seed=seed, singles=singles, whole=whole)
    certificate.add([np.where(np.abs(vector) > 1e-9, vector, 0.0) for vector in vectors], asked.reader, measure)
    return Demand(asked.reader, asked.cell[left], asked.sign[left], asked.level[left])
