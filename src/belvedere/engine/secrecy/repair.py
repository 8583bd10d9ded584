"""Repair: the cheapest cells to hide so that a given reader can no longer work out a given cell (secrecy brief §4.4).

What would move the cell without moving anything that the reader knows is a circuit of the relations; HiGHS
finds the one that hides least. The neighbourhood of the cell is tried first, then the whole lattice.
"""

import highspy
import numpy as np
from scipy import sparse

from belvedere.engine.secrecy.lattice import Lattice
from belvedere.engine.secrecy.suppression import relation_matrix

REACH = 50.0  # a circuit may move other cells up to this many times the cell that it protects
ALREADY_HIDDEN = 1e-4
TINY = 1e-7


class Unprotectable(Exception):
    """No set of cells to hide protects this one from this reader: what is known of it gives it away."""


class Repairer:
    """Min-cost circuits over one lattice; `value` (cells) is what hiding costs, `known` cells move for nobody."""

    def __init__(self, lattice: Lattice, value: np.ndarray, known: np.ndarray) -> None:
        self.by_cell = relation_matrix(lattice).tocsc()
        self.by_relation = relation_matrix(lattice).tocsr()
        self.cost = (np.maximum(value, 0) + 1) ** 0.25  # the exponent that hid fewest cells on the 1k cube, of 0 to 0.75
        self.known = known

    def circuit(self, cell: int, mask: np.ndarray, learned: np.ndarray) -> np.ndarray:
        """Cells (ranks) that must all be hidden so that `cell` moves; `learned` (bool, cells) cannot move."""
        for steps in (3, 5, None):
            near = self._around(cell, steps)
            near = near[~(learned | self.known)[near]]
            found = self._solve(cell, near, mask)
            if found is not None:
                return found
        raise Unprotectable(cell)

    def move(self, cell: int, by: float, mask: np.ndarray, learned: np.ndarray, room: np.ndarray) -> np.ndarray:
        """Cells that must all be hidden so that `cell` can move by `by` while none falls by more than its `room`."""
        for steps in (4, None):
            near = self._around(cell, steps)
            near = near[~(learned | self.known)[near]]
            found = self._solve(cell, near, mask, by, room)
            if found is not None:
                return found
        raise Unprotectable(cell)

    def _around(self, cell: int, steps: int | None) -> np.ndarray:
        if steps is None:
            return np.arange(len(self.known))
        reached = np.zeros(len(self.known), dtype=bool)
        reached[cell] = True
        for _ in range(steps):
            relations = self.by_relation[:, np.flatnonzero(reached)]
            touched = np.flatnonzero(np.diff(relations.tocsr().indptr))
            reached[self.by_relation[touched].indices] = True
            if reached.sum() > 20_000:
                break
        return np.flatnonzero(reached)

    def _solve(self, cell: int, cells: np.ndarray, mask: np.ndarray, by: float = 1.0, room: np.ndarray | None = None) -> np.ndarray | None:
        block = self.by_cell[:, cells]
        rows = np.flatnonzero(np.diff(block.tocsr().indptr))
        matrix = block.tocsr()[rows].tocsc()
        n = len(cells)
        cost = np.where(mask[cells], ALREADY_HIDDEN, self.cost[cells])
        both = sparse.hstack([matrix, -matrix], format="csc")
        lower, upper = np.zeros(2 * n), np.full(2 * n, REACH)
        if room is not None:
            upper[n:] = np.minimum(REACH, room[cells] / abs(by))  # in units of the move asked for
        place = int(np.flatnonzero(cells == cell)[0])
        up, down = (place, n + place) if by > 0 else (n + place, place)
        if upper[up] < 1.0:
            return None
        lower[up] = upper[up] = 1.0
        upper[down] = 0.0
        values = solve_lp(np.concatenate([cost, cost]), lower, upper, both, np.zeros(len(rows)), np.zeros(len(rows)))
        if values is None:
            return None
        return np.asarray(cells[np.abs(values[:n] - values[n:]) > TINY])


def solve_lp(
    cost: np.ndarray, lower: np.ndarray, upper: np.ndarray, matrix: sparse.csc_matrix, row_lower: np.ndarray, row_upper: np.ndarray
) -> np.ndarray | None:
    """The minimum of a linear programme by HiGHS; None when it has no solution. One thread, so the same answer always."""
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("random_seed", 0)
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = matrix.shape[1], matrix.shape[0]
    model.col_cost_, model.col_lower_, model.col_upper_ = cost, lower, upper
    model.row_lower_, model.row_upper_ = row_lower, row_upper
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data.astype(float)
    solver.passModel(model)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    return np.array(solver.getSolution().col_value)
