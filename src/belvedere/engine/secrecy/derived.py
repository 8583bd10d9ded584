"""Derived sums: what the masked cells under a published total add up to is itself told (secrecy brief §4.5).

Such a sum must satisfy the primary rules like any cell. Besides the masked children of each relation, the
masked descendants are looked at, through one more relation along each dimension and through two: a total
less what is published at several levels is told as well. Where a sum breaks a rule, the cheapest published
cell that makes it safe is hidden too, and failing that the total.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from belvedere.engine.secrecy.errors import SecrecyError
from belvedere.engine.secrecy.lattice import Lattice
from belvedere.engine.secrecy.rules import Contributions, Parameters, unsafe

Picks = Any  # scipy.sparse.csr_matrix, which carries no types
EXPANSIONS = 2


@dataclass(frozen=True)
class Told:
    """Sums told by published totals: `total` (rank of the cell), the cells `hidden` in each sum and those `told`
    with it (sums x cells), whether persons add up over the hidden ones, and at least how many there are."""

    total: np.ndarray
    hidden: Picks
    told: Picks
    adds_up: np.ndarray
    persons: np.ndarray


class Sums:
    """The sums that masks of one lattice can tell, judged by the rules. `partition[d]` says whether dimension d
    splits persons (each person has one code there); totals that are `settled` (bool, cells) are not judged again."""

    def __init__(
        self, lattice: Lattice, given: Contributions, parameters: Parameters, partition: np.ndarray, settled: np.ndarray | None = None
    ) -> None:
        self.open = np.ones(len(lattice), dtype=bool) if settled is None else ~settled
        self.lattice, self.given, self.parameters, self.partition = lattice, given, parameters, partition
        cells, owner = len(lattice), lattice.relation_of_child()
        self.amounts = sparse.csr_matrix((given.amount, (given.cell, given.holding)), shape=(cells, max(given.holdings, 1)))
        # Presence in the real part, amount in the imaginary one: a holding that billed nothing is still there.
        self.presence = sparse.csr_matrix((1 + 1j * given.amount, (given.cell, given.holding)), shape=self.amounts.shape)
        self.filled = given.counted() > 0
        ones = np.ones(len(lattice.children))
        self.children = sparse.csr_matrix((ones, (owner, lattice.children)), shape=(lattice.relations, cells))
        self.trees = []
        for kind in np.unique(lattice.along):
            use = lattice.along[owner] == kind
            tree = sparse.csr_matrix((ones[use], (lattice.parents[owner[use]], lattice.children[use])), shape=(cells, cells))
            tree.data[:] = 1
            self.trees.append((bool(partition[lattice.dimension_of(int(kind))]), tree))

    def told(self, mask: np.ndarray) -> Iterator[Told]:
        """The sums that a mask tells, directly and after one or two expansions."""
        lattice = self.lattice
        rows = np.flatnonzero((~mask & self.filled & self.open)[lattice.parents])
        hidden_cells, open_cells = sparse.diags(mask.astype(float)), sparse.diags((~mask).astype(float))
        of_kind = np.array([self.partition[lattice.dimension_of(kind)] for kind in range(int(lattice.along.max(initial=-1)) + 1)], dtype=bool)
        splits = of_kind[lattice.along[rows]]
        under = self.children[rows]
        start = self._counted(lattice.parents[rows], (under @ hidden_cells).tocsr(), (under @ open_cells).tocsr(), splits, lattice.parents[rows])
        yield start
        frontier = [start]
        for _ in range(EXPANSIONS):
            reached = []
            for sums in frontier:
                for splits_too, tree in self.trees:
                    has = np.diff(tree.indptr) > 0
                    going = sums.hidden @ sparse.diags(has.astype(float))
                    some = np.flatnonzero(np.asarray(going.sum(axis=1)).ravel())
                    if not len(some):
                        continue
                    opened = going[some] @ tree
                    stays = sums.hidden[some] @ sparse.diags((~has).astype(float))
                    hidden, newly = (stays + opened @ hidden_cells).tocsr(), (opened @ open_cells).tocsr()
                    found = self._counted(sums.total[some], hidden, newly, sums.adds_up[some] & splits_too, sums.persons[some])
                    reached.append(replace(found, told=(sums.told[some] + newly).tocsr()))
                    yield reached[-1]
            frontier = reached

    def _counted(self, total: np.ndarray, hidden: Picks, told: Picks, adds_up: np.ndarray, before: np.ndarray) -> Told:
        """Sums with the number of their persons. Where persons may stand under several cells, there are at least
        those of the largest cell, and at least those there were `before` (a number, or for a first sum the total's
        cell) less those of the cells told since."""
        hidden.eliminate_zeros()
        told.eliminate_zeros()
        patients = self.given.patients.astype(float)
        counted = hidden @ sparse.diags(patients)
        largest = counted.max(axis=1).toarray().ravel() if hidden.shape[0] else np.zeros(0)
        start = patients[before] if before is total else before
        persons = np.where(adds_up, np.asarray(counted.sum(axis=1)).ravel(), np.maximum(largest, start - told @ patients))
        return Told(total, hidden, told, adds_up, persons)

    def broken(self, mask: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray, bool, float]]:
        """(total, masked cells, published cells, persons add up, persons at least) of every told sum that breaks a rule."""
        for sums in self.told(mask):
            hidden, told = sums.hidden, sums.told
            present = (hidden @ self.presence).tocoo()
            who, amount = present.row.astype(np.int64), present.data.imag
            bad = unsafe(sums.persons, who, amount, self.parameters)
            # Nothing at all under masked cells tells that each of them is empty.
            bad |= (np.diff(hidden.indptr) > 0) & (np.bincount(who, minlength=hidden.shape[0]) == 0)
            for row in np.flatnonzero(bad):
                yield int(sums.total[row]), hidden[row].indices, told[row].indices, bool(sums.adds_up[row]), float(sums.persons[row])

    def violations(self, mask: np.ndarray) -> np.ndarray:
        """Published totals (ranks of cells) under which a told sum breaks a rule."""
        return np.unique(np.array([found[0] for found in self.broken(mask)], dtype=np.int64))

    def told_with(self, mask: np.ndarray) -> np.ndarray:
        """Published cells that tell some sum breaking a rule, its total included."""
        found = [np.append(told, total) for total, _, told, _, _ in self.broken(mask)]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)

    def close(self, mask: np.ndarray, value: np.ndarray, fixed: np.ndarray) -> list[int]:
        """Cells to hide besides, so that no told sum breaks a rule; empty when none does. `fixed` cells (bool, cells)
        cannot be hidden any more; SecrecyError S110 when nothing else would do."""
        extra: set[int] = set()
        for total, hidden, told, adds_up, persons in self.broken(mask):
            if total in extra or not extra.isdisjoint(told.tolist()):
                continue  # re-examined at the next round
            candidates = told[self.filled[told] & ~fixed[told]]
            candidates = candidates[np.lexsort((candidates, value[candidates]))]
            chosen = self._safer(candidates, hidden, adds_up, persons)
            if not chosen and fixed[total]:
                raise SecrecyError("S110", self.lattice.name(total))
            extra.update(chosen or [total])
        return sorted(extra)

    def _safer(self, candidates: np.ndarray, hidden: np.ndarray, adds_up: bool, least: float) -> list[int]:
        """The cheapest published cell that makes a sum safe, else the shortest run of cheapest ones; [] if none.
        `least`: persons of the sum, at least."""
        if not len(candidates):
            return []
        base, rows = np.asarray(self.amounts[hidden].sum(axis=0)).ravel(), self.amounts[candidates].toarray()
        more = self.given.patients[candidates]
        alone = self._safe(base + rows, least + more if adds_up else np.maximum(least, more))
        if alone.any():
            return [int(candidates[np.argmax(alone)])]
        runs = self._safe(base + np.cumsum(rows, axis=0), least + np.cumsum(more) if adds_up else np.maximum(least, np.maximum.accumulate(more)))
        return candidates[: int(np.argmax(runs)) + 1].tolist() if runs.any() else []

    def _safe(self, totals: np.ndarray, persons: np.ndarray) -> np.ndarray:
        cell, who = np.nonzero(totals)
        some = np.bincount(cell, minlength=len(totals)) > 0
        return some & ~unsafe(persons, cell, totals[cell, who], self.parameters)
