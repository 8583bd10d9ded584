"""Publish again the secondaries that turn out superfluous once everything is protected (secrecy brief §9.2).

A batch of cells that are each tied to nothing sensitive, for the outsider and for every insider, and that
share no relation, is published and audited; what leaks is taken back and tried one by one.
"""

from collections.abc import Callable

import numpy as np

from belvedere.engine.secrecy import attackers, audit
from belvedere.engine.secrecy.attackers import Insiders
from belvedere.engine.secrecy.lattice import Lattice

Broken = Callable[[np.ndarray], np.ndarray]


def republish(
    lattice: Lattice,
    system: audit.System,
    mask: np.ndarray,
    kept: np.ndarray,
    sensitive: np.ndarray,
    who: Insiders,
    value: np.ndarray,
    broken: Broken,
    *,
    seed: int,
    rounds: int,
) -> np.ndarray:
    """A smaller mask with the same guarantees, the most valuable cells first.

    `kept` cells stay hidden; `sensitive` ones must stay undetermined; `broken(mask)` gives the cells (ranks)
    that the told sums breaking a rule were told with, empty when none breaks."""
    frozen = kept.copy()
    cells, offsets = _relations_of(lattice)
    for round_ in range(rounds):
        candidates = mask & ~frozen & ~audit.tied(system, mask, sensitive, seed=seed + round_)
        for _, partition, number in who.each():
            if not candidates.any():
                return mask
            ignored = who.ignores(mask, partition, number)
            candidates &= ~audit.tied(system, ignored, sensitive, seed=seed + round_)
        ranks = np.flatnonzero(candidates)
        ranks = ranks[np.lexsort((ranks, -value[ranks]))]
        batch = _apart(ranks, cells, offsets, lattice.relations)
        if not len(batch):
            return mask
        tried = mask.copy()
        tried[batch] = False
        taken_back = np.intersect1d(batch, broken(tried))
        while len(taken_back):
            frozen[taken_back] = True
            tried[taken_back] = True
            batch = np.setdiff1d(batch, taken_back)
            taken_back = np.intersect1d(batch, broken(tried))
        while len(batch) and _leaks(system, tried, sensitive, who, seed + round_):
            half = batch[len(batch) // 2 :] if len(batch) > 1 else batch
            tried[half] = True
            frozen[half] |= len(batch) == 1
            batch = batch[: len(batch) - len(half)]
        if len(batch) and len(broken(tried)):
            frozen[batch] = True
            continue
        mask = tried
    return mask


def _leaks(system: audit.System, unknown: np.ndarray, sensitive: np.ndarray, who: Insiders, seed: int) -> bool:
    if (audit.determined(system, unknown, seed=seed, runs=1) & sensitive).any():
        return True
    return next(attackers.disclosed(system, unknown, sensitive, who, seed=seed), None) is not None


def _relations_of(lattice: Lattice) -> tuple[np.ndarray, np.ndarray]:
    """(relations, offsets): the relations that hold each cell, by cell."""
    cells = np.concatenate([lattice.children, lattice.parents])
    relations = np.concatenate([lattice.relation_of_child(), np.arange(lattice.relations)])
    order = np.argsort(cells, kind="stable")
    return relations[order], np.concatenate([[0], np.cumsum(np.bincount(cells, minlength=len(lattice)))])


def _apart(ranks: np.ndarray, relations: np.ndarray, offsets: np.ndarray, count: int) -> np.ndarray:
    """The first cells of `ranks` no two of which share a relation."""
    used = np.zeros(count, dtype=bool)
    chosen = []
    for cell in ranks.tolist():
        mine = relations[offsets[cell] : offsets[cell + 1]]
        if not used[mine].any():
            used[mine] = True
            chosen.append(cell)
    return np.array(chosen, dtype=np.int64)
