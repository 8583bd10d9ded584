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
    frozen, held_back, retried = kept.copy(), False, False
    cells, offsets = _relations_of(lattice)
    for round_ in range(rounds):
        candidates = mask & ~frozen & ~audit.tied(system, mask, sensitive, seed=seed + round_)
        for _, partition, number in who.each():
            if not candidates.any():
                break
            ignored = who.ignores(mask, partition, number)
            candidates &= ~audit.tied(system, ignored, sensitive, seed=seed + round_)
        ranks = np.flatnonzero(candidates)
        ranks = ranks[np.lexsort((ranks, -value[ranks]))]
        batch = _apart(ranks, cells, offsets, lattice.relations)
        if not len(batch):
            if retried or not held_back:
                return mask
            frozen, retried = kept.copy(), True  # what failed in a larger company is tried once more
            continue
        tried = mask.copy()
        tried[batch] = False
        taken_back = np.intersect1d(batch, broken(tried))
        while len(taken_back):
            frozen[taken_back] = True
            tried[taken_back] = True
            batch = batch[~np.isin(batch, taken_back)]  # the most valuable first, still
            taken_back = np.intersect1d(batch, broken(tried))
        while len(batch) and (len(broken(tried)) or _leaks(system, tried, sensitive, who, seed + round_)):
            kept_half, dropped = batch[: len(batch) // 2], batch[len(batch) // 2 :]
            tried[dropped] = True
            frozen[dropped] |= len(batch) == 1
            batch = kept_half
        held_back |= len(batch) > 0
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
