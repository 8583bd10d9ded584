"""Derived sums: what the masked children of a published total add up to is itself told (secrecy brief §4.5).

Such a sum must satisfy the primary rules like any cell. Where it does not, the cheapest published sibling
that makes it safe is hidden too, and failing that the total.
"""

import numpy as np
from scipy import sparse

from belvedere.engine.secrecy.lattice import Lattice
from belvedere.engine.secrecy.rules import Contributions, Parameters, unsafe


def _matrix(lattice: Lattice, given: Contributions) -> sparse.csr_matrix:
    holdings = int(given.holding.max()) + 1 if len(given.holding) else 1
    return sparse.csr_matrix((given.amount, (given.cell, given.holding)), shape=(len(lattice), holdings))


def _patients(lattice: Lattice, mask: np.ndarray, patients: np.ndarray, partition: np.ndarray) -> np.ndarray:
    """Persons behind the masked children of each relation: their sum where the dimension splits persons,
    else the largest child, a lower bound (one person may appear under several children)."""
    owner = lattice.relation_of_child()
    hidden = mask[lattice.children]
    total = np.bincount(owner[hidden], weights=patients[lattice.children[hidden]], minlength=lattice.relations)
    largest = np.zeros(lattice.relations)
    np.maximum.at(largest, owner[hidden], patients[lattice.children[hidden]])
    return np.where(partition[lattice.along], total, largest)


def violations(lattice: Lattice, mask: np.ndarray, given: Contributions, parameters: Parameters, partition: np.ndarray) -> np.ndarray:
    """Relations whose total is published while the sum of its masked children breaks a primary rule.

    `partition[d]` says whether dimension d splits persons (each has one code)."""
    owner = lattice.relation_of_child()
    told = ~mask[lattice.parents]
    use = mask[lattice.children] & told[owner]
    picks = sparse.csr_matrix((np.ones(int(use.sum())), (owner[use], lattice.children[use])), shape=(lattice.relations, len(lattice)))
    sums = (picks @ _matrix(lattice, given)).tocoo()
    persons = _patients(lattice, mask, given.patients, partition)
    return np.flatnonzero(unsafe(persons, sums.row.astype(np.int64), sums.data, parameters))


def close(lattice: Lattice, mask: np.ndarray, given: Contributions, parameters: Parameters, partition: np.ndarray, value: np.ndarray) -> list[int]:
    """Cells to hide besides, so that no derived sum breaks a rule; empty when none does."""
    matrix = _matrix(lattice, given)
    extra: set[int] = set()
    for relation in violations(lattice, mask, given, parameters, partition):
        members = lattice.members(relation)
        if any(int(child) in extra for child in members):
            continue  # re-examined at the next round
        hidden = members[mask[members]]
        base = np.asarray(matrix[hidden].sum(axis=0)).ravel()
        splits = partition[lattice.along[relation]]
        persons = given.patients[hidden]
        persons = persons.sum() if splits else persons.max(initial=0)
        open_children = members[~mask[members]]
        open_children = open_children[np.argsort(value[open_children], kind="stable")]
        extra.update(_safer(open_children, base, persons, splits, matrix, given, parameters) or [int(lattice.parents[relation])])
    return sorted(extra)


def _safer(
    candidates: np.ndarray,
    base: np.ndarray,
    persons: float,
    splits: bool,
    matrix: sparse.csr_matrix,
    given: Contributions,
    parameters: Parameters,
) -> list[int]:
    """The cheapest sibling that makes a derived sum safe, else the shortest run of cheapest ones; [] if none."""
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
