"""Derived sums: what the masked cells under a published total add up to is itself told (secrecy brief §4.5).

Such a sum must satisfy the primary rules like any cell. Besides the masked children of each relation, the
masked descendants are looked at, through one more relation along each dimension and through two: a total
less what is published at several levels is told as well. Where a sum breaks a rule, the cheapest published
cell that makes it safe is hidden too, and failing that the total.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse

from belvedere.engine.secrecy.lattice import Lattice
from belvedere.engine.secrecy.rules import Contributions, Parameters, unsafe

Picks = Any  # scipy.sparse.csr_matrix, which carries no types


def _matrix(lattice: Lattice, given: Contributions) -> Picks:
    holdings = int(given.holding.max()) + 1 if len(given.holding) else 1
    return sparse.csr_matrix((given.amount, (given.cell, given.holding)), shape=(len(lattice), holdings))


def _children_along(lattice: Lattice, dimension: int) -> Picks:
    """(cells x cells): the children of each cell along one dimension."""
    owner = lattice.relation_of_child()
    use = lattice.along[owner] == dimension
    ones = np.ones(int(use.sum()))
    return sparse.csr_matrix((ones, (lattice.parents[owner[use]], lattice.children[use])), shape=(len(lattice), len(lattice)))


def _told_sums(lattice: Lattice, mask: np.ndarray) -> Iterator[tuple[np.ndarray, Picks, Picks, bool]]:
    """(relations, hidden, open, direct): for each relation whose total is published, the masked cells whose
    sum it tells and the published ones it was told with, directly and after one or two expansions."""
    owner = lattice.relation_of_child()
    ones = np.ones(len(lattice.children))
    every = sparse.csr_matrix((ones, (owner, lattice.children)), shape=(lattice.relations, len(lattice)))
    rows = np.flatnonzero(~mask[lattice.parents])
    hidden_cells, open_cells = sparse.diags(mask.astype(float)), sparse.diags((~mask).astype(float))
    start = (rows, (every[rows] @ hidden_cells).tocsr(), (every[rows] @ open_cells).tocsr())
    yield (*start, True)
    trees = [_children_along(lattice, rank) for rank in range(len(lattice.dimensions))]
    frontier = [start]
    for _ in range(2):
        reached = []
        for below, hidden, told in frontier:
            for tree in trees:
                has = np.diff(tree.indptr) > 0
                going = hidden @ sparse.diags(has.astype(float))
                some = np.flatnonzero(np.asarray(going.sum(axis=1)).ravel())
                if not len(some):
                    continue
                opened = going[some] @ tree
                stays = hidden[some] @ sparse.diags((~has).astype(float))
                item = (below[some], (stays + opened @ hidden_cells).tocsr(), (told[some] + opened @ open_cells).tocsr())
                reached.append(item)
                yield (*item, False)
        frontier = reached


def _broken(
    lattice: Lattice, mask: np.ndarray, given: Contributions, parameters: Parameters, partition: np.ndarray
) -> Iterator[tuple[int, np.ndarray, np.ndarray, bool]]:
    """(relation, masked cells, published cells, persons add up) of every told sum that breaks a rule."""
    matrix = _matrix(lattice, given)
    persons_of = sparse.diags(given.patients.astype(float))
    for relations, hidden, told, direct in _told_sums(lattice, mask):
        hidden.eliminate_zeros()
        told.eliminate_zeros()
        sums = (hidden @ matrix).tocoo()
        counted = hidden @ persons_of
        splits = partition[lattice.along[relations]] & direct
        # Where persons may stand under several cells, the largest cell is a lower bound of their number.
        persons = np.where(splits, np.asarray(counted.sum(axis=1)).ravel(), counted.max(axis=1).toarray().ravel())
        bad = unsafe(persons, sums.row.astype(np.int64), sums.data, parameters)
        # Nothing at all under masked cells tells that each of them is empty.
        bad |= (np.diff(hidden.indptr) > 0) & (np.bincount(sums.row, minlength=len(relations)) == 0)
        for row in np.flatnonzero(bad):
            yield int(relations[row]), hidden[row].indices, told[row].indices, bool(splits[row])


def violations(lattice: Lattice, mask: np.ndarray, given: Contributions, parameters: Parameters, partition: np.ndarray) -> np.ndarray:
    """Relations whose total is published while a sum it tells breaks a primary rule.

    `partition[d]` says whether dimension d splits persons (each has one code)."""
    return np.unique(np.array([found[0] for found in _broken(lattice, mask, given, parameters, partition)], dtype=np.int64))


def close(lattice: Lattice, mask: np.ndarray, given: Contributions, parameters: Parameters, partition: np.ndarray, value: np.ndarray) -> list[int]:
    """Cells to hide besides, so that no derived sum breaks a rule; empty when none does."""
    matrix = _matrix(lattice, given)
    extra: set[int] = set()
    for relation, hidden, told, splits in _broken(lattice, mask, given, parameters, partition):
        if int(lattice.parents[relation]) in extra or not extra.isdisjoint(told.tolist()):
            continue  # re-examined at the next round
        base = np.asarray(matrix[hidden].sum(axis=0)).ravel()
        persons = given.patients[hidden].sum() if splits else given.patients[hidden].max(initial=0)
        candidates = told[np.lexsort((told, value[told]))]
        extra.update(_safer(candidates, base, persons, splits, matrix, given, parameters) or [int(lattice.parents[relation])])
    return sorted(extra)


def _safer(
    candidates: np.ndarray,
    base: np.ndarray,
    persons: float,
    splits: bool,
    matrix: Picks,
    given: Contributions,
    parameters: Parameters,
) -> list[int]:
    """The cheapest published cell that makes a derived sum safe, else the shortest run of cheapest ones; [] if none."""
    rows = matrix[candidates].toarray() if len(candidates) else np.zeros((0, matrix.shape[1]))

    def safe(chosen: np.ndarray) -> bool:
        total = base + rows[chosen].sum(axis=0)
        more = given.patients[candidates[chosen]]
        who = persons + more.sum() if splits else max(persons, more.max(initial=0))
        some = np.flatnonzero(total)
        return len(some) > 0 and not unsafe(np.array([who]), np.zeros(len(some), np.int64), total[some], parameters)[0]

    for rank in range(len(candidates)):
        if safe(np.array([rank])):
            return [int(candidates[rank])]
    for stop in range(2, len(candidates) + 1):
        if safe(np.arange(stop)):
            return candidates[:stop].tolist()
    return []
