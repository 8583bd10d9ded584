"""Interval protection: every sensitive cell must stay possible well above and well below its value (brief §4.6).

Exact secrecy says that a reader cannot compute a cell; this says that it cannot come close. One feasible
alternative table on each side is proof enough: a vector that moves the cell far enough and moves nothing the
reader knows. Linear programmes find such vectors for hundreds of cells at once; anyone checks them without one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from belvedere.engine.secrecy.attackers import Insiders
from belvedere.engine.secrecy.lattice import Lattice
from belvedere.engine.secrecy.repair import solve_lp
from belvedere.engine.secrecy.rules import Contributions, top_two, upper_levels
from belvedere.engine.secrecy.suppression import relation_matrix

ENOUGH = 1e-6  # relative shortfall allowed to a certificate
NEAR = (1, 2, 3, 5)  # relations away from the cells, before the whole system


@dataclass(frozen=True)
class Demand:
    """What a reader must leave possible: cell `cell[d]` moved by `level[d]` (same unit as the measure) in direction
    `sign[d]` (+1, -1). `reader` is "" for the public, else an insider's label."""

    reader: str
    cell: np.ndarray
    sign: np.ndarray
    level: np.ndarray

    def __len__(self) -> int:
        return len(self.cell)

    def only(self, which: np.ndarray) -> "Demand":
        """Some of the demands (bool, demands)."""
        return Demand(self.reader, self.cell[which], self.sign[which], self.level[which])

    def met(self, vector: np.ndarray) -> np.ndarray:
        """Which demands a vector (cells) meets."""
        return np.asarray(self.sign * vector[self.cell] >= self.level * (1 - ENOUGH))


@dataclass(frozen=True)
class System:
    """What moves are possible to a reader: `unknown` cells (ranks), `matrix` (rows x unknown) with bounds, and how
    far down each unknown cell may go (`room`, unit of the measure)."""

    cells: int
    unknown: np.ndarray
    matrix: sparse.csr_matrix
    row_lower: np.ndarray
    row_upper: np.ndarray
    room: np.ndarray


def amounts_system(lattice: Lattice, ignored: np.ndarray, room: np.ndarray) -> System:
    """The moves of an additive measure for someone who ignores the `ignored` cells; none may fall by more than `room`."""
    unknown = np.flatnonzero(ignored)
    matrix = relation_matrix(lattice)[:, unknown].tocsr()
    matrix = matrix[np.flatnonzero(np.diff(matrix.indptr))]
    zero = np.zeros(matrix.shape[0])
    return System(len(lattice), unknown, matrix, zero, zero, room[unknown])


def counts_system(lattice: Lattice, ignored: np.ndarray, patients: np.ndarray, partition: np.ndarray) -> System:
    """The moves of distinct persons: sums where a dimension splits persons, else max(children) <= total <= sum(children)."""
    unknown = np.flatnonzero(ignored)
    splits = np.array([partition[lattice.dimension_of(int(kind))] for kind in lattice.along], dtype=bool)
    full = relation_matrix(lattice)
    exact = full[splits][:, unknown].tocsr()
    exact = exact[np.flatnonzero(np.diff(exact.indptr))]
    loose = full[~splits]
    gap = -(loose @ patients)  # sum of children less total, at least 0
    upper = loose[:, unknown].tocsr()
    some = np.flatnonzero(np.diff(upper.indptr))
    owner = lattice.relation_of_child()
    pair = ~splits[owner]
    total, child = lattice.parents[owner[pair]], lattice.children[pair]
    rows = np.arange(len(child))
    order = sparse.csr_matrix((np.ones(len(rows)), (rows, child)), shape=(len(rows), len(lattice)))
    order = (order - sparse.csr_matrix((np.ones(len(rows)), (rows, total)), shape=order.shape))[:, unknown].tocsr()
    touched = np.flatnonzero(np.diff(order.indptr))
    matrix = sparse.vstack([exact, upper[some], order[touched]], format="csr")
    infinite = np.full(len(some) + len(touched), -np.inf)
    row_lower = np.concatenate([np.zeros(exact.shape[0]), infinite])
    row_upper = np.concatenate([np.zeros(exact.shape[0]), gap[some], (patients[total] - patients[child])[touched]])
    return System(len(lattice), unknown, matrix, row_lower, row_upper, patients[unknown].astype(float))


def common(parts: list[tuple[System, Demand]], lattice: Lattice) -> tuple[System, Demand]:
    """(system, demands) of several readers at once: what none of them knows may move, and no further than the
    nearest to it allows. A move found there proves the demands of each; not all demands need have one."""
    ignored, room = np.ones(len(lattice), dtype=bool), np.full(len(lattice), np.inf)
    for system, _ in parts:
        mine = np.zeros(len(lattice), dtype=bool)
        mine[system.unknown] = True
        ignored &= mine
        room[system.unknown] = np.minimum(room[system.unknown], system.room)
    keep = [ignored[asked.cell] for _, asked in parts]
    cell, sign, level = (
        np.concatenate([getattr(asked, name)[k] for (_, asked), k in zip(parts, keep, strict=True)]) for name in ("cell", "sign", "level")
    )
    return amounts_system(lattice, ignored, room), Demand("", cell, sign, level)


def demands(given: Contributions, sensitive: np.ndarray, percent: float, room: np.ndarray) -> Demand:
    """What the public must leave possible of the cells that break the p % rule (levels: `rules.upper_levels`)."""
    level = upper_levels(given, percent)
    cells = np.flatnonzero(sensitive & (level > 0))
    return _both_ways("", cells, level[cells], room)


def count_demands(patients: np.ndarray, sensitive: np.ndarray, threshold: int) -> Demand:
    """A masked count from 1 to threshold - 1 must stay anything from 1 to threshold - 1."""
    cells = np.flatnonzero(sensitive & (patients > 0) & (patients < threshold))
    up, down = threshold - 1 - patients[cells], patients[cells] - 1
    cell, level = np.concatenate([cells, cells]), np.concatenate([up, down]).astype(float)
    sign = np.repeat([1.0, -1.0], len(cells))
    return Demand("", cell[level > 0], sign[level > 0], level[level > 0])


def insider_demands(given: Contributions, lattice: Lattice, sensitive: np.ndarray, percent: float, who: Insiders) -> Iterator[tuple[Demand, int]]:
    """(demands, holding) for each holding: x_t of the largest other holding must stay p % uncertain where the reader
    is one of the two largest of a cell: p x_t - (X - x_g - x_t)."""
    cells = len(lattice)
    _, total, largest, second = top_two(given.cell, given.amount, cells)
    owner = np.zeros(len(given.cell))
    owner[:] = np.where(given.amount == largest[given.cell], second[given.cell], largest[given.cell])
    level = percent * owner - (total[given.cell] - given.amount - owner)
    use = (level > 0) & (owner > 0) & sensitive[given.cell] & (given.amount >= second[given.cell])
    room = np.zeros(cells)
    for number, name in enumerate(who.names[0]):
        mine = given.holding == number
        room[:] = total
        room[given.cell[mine]] -= given.amount[mine]
        chosen = use & mine
        yield _both_ways(name, given.cell[chosen], level[chosen], room), number


def _both_ways(reader: str, cells: np.ndarray, level: np.ndarray, room: np.ndarray) -> Demand:
    down = np.minimum(level, room[cells])
    keep = down > 0
    return Demand(
        reader, np.concatenate([cells, cells[keep]]), np.repeat([1.0, -1.0], [len(cells), int(keep.sum())]), np.concatenate([level, down[keep]])
    )


def certify(
    system: System, asked: Demand, *, seed: int, batches: int = 40, singles: bool = True, whole: bool = True
) -> tuple[list[np.ndarray], np.ndarray]:
    """(vectors, left): feasible moves (cells) that meet the demands together, and the demands that none meets.

    Neighbourhoods of the cells are tried before the `whole` system, many cells before one if `singles`."""
    vectors: list[np.ndarray] = []
    left = np.arange(len(asked))
    random = np.random.default_rng([seed, len(asked)])
    solver = _Moves(system)
    for steps in (*NEAR, None) if whole else NEAR[:3]:
        for _ in range(batches):
            if not len(left):
                break
            first = left[random.permutation(len(left))]
            _, once = np.unique(asked.cell[first], return_index=True)
            found = solver.best(asked, first[once], steps)
            if found is None:
                break
            met = asked.met(found)[left]
            if met.any():
                vectors.append(found)
            before, left = len(left), left[~met]
            if before - len(left) < max(2, before // 50):
                break
    failed = []
    while singles and len(left):
        found = solver.best(asked, left[:1], None)
        if found is None or not asked.met(found)[left[0]]:
            failed.append(left[0])
            left = left[1:]
            continue
        vectors.append(found)
        left = left[~asked.met(found)[left]]
    return vectors, np.array(failed, dtype=np.int64) if singles else left


class _Moves:
    """The linear programmes of one system."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.by_row, self.by_cell = system.matrix.tocsr(), system.matrix.tocsc()
        self.place_of = np.full(system.cells, -1)
        self.place_of[system.unknown] = np.arange(len(system.unknown))

    def best(self, asked: Demand, chosen: np.ndarray, steps: int | None) -> np.ndarray | None:
        """The move that meets most of the chosen demands at once, within so many relations of their cells."""
        system, place = self.system, self.place_of[asked.cell[chosen]]
        if (place < 0).any():
            return None
        columns = self._around(place, steps)
        place = np.searchsorted(columns, place)
        matrix = self.by_cell[:, columns].tocsr()
        used = np.flatnonzero(np.diff(matrix.indptr))
        n, k = len(columns), len(chosen)
        level = asked.level[chosen]
        moves = sparse.csr_matrix((asked.sign[chosen] / level, (np.arange(k), place)), shape=(k, n))
        table = sparse.bmat([[matrix[used], None], [moves, -sparse.identity(k)]], format="csc")
        room = system.room[columns]
        cost = np.concatenate([np.zeros(n), -np.ones(k)])
        lower = np.concatenate([-room, np.full(k, -1e3)])
        upper = np.concatenate([np.maximum(20 * room, 20 * float(level.max())), np.ones(k)])
        row_lower = np.concatenate([system.row_lower[used], np.zeros(k)])
        row_upper = np.concatenate([system.row_upper[used], np.full(k, np.inf)])
        values = solve_lp(cost, lower, upper, table, row_lower, row_upper)
        if values is None:
            return None
        vector = np.zeros(system.cells)
        vector[system.unknown[columns]] = values[:n]
        return vector

    def _around(self, place: np.ndarray, steps: int | None) -> np.ndarray:
        if steps is None:
            return np.arange(len(self.system.unknown))
        reached = np.zeros(len(self.system.unknown), dtype=bool)
        new = np.unique(place)
        reached[new] = True
        for _ in range(steps):
            rows = np.unique(self.by_cell[:, new].indices)
            near = np.unique(self.by_row[rows].indices)
            new = near[~reached[near]]
            reached[new] = True
        return np.flatnonzero(reached)
