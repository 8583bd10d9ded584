"""Primary rules: which cells are sensitive by themselves (secrecy brief §2).

Contributions are those of holdings (groups), never of single entities, and shares are taken on absolute
amounts so that credit notes cannot hide a dominance. One mask holds for all measures of a cell.
"""

from dataclasses import dataclass

import numpy as np

from belvedere.engine.secrecy.lattice import Lattice


@dataclass(frozen=True)
class Parameters:
    """Thresholds of a tier. Kept in configuration; concentration parameters are never published."""

    patients: int = 11
    holdings: int = 3
    dominance_share: float = 0.85
    p_percent: float = 0.10
    federation_percent: float | None = None  # the federation remainder rule, off unless a rate is given
    federations_attack: bool = False  # whether federations are closed as insiders (else only measured)
    others: int = 0  # where amounts are persons: how many must be left once the largest holding takes its own away


@dataclass(frozen=True)
class Contributions:
    """What each holding brings to each cell, as coordinates: `cell`, `holding` (int64, n) and `amount`
    (non-negative, n). `patients` (cells) counts persons of each cell."""

    cell: np.ndarray
    holding: np.ndarray
    amount: np.ndarray
    patients: np.ndarray

    @property
    def holdings(self) -> int:
        return int(self.holding.max()) + 1 if len(self.holding) else 0

    def counted(self) -> np.ndarray:
        """Holdings present in each cell (int64, cells)."""
        return np.bincount(self.cell, minlength=len(self.patients))


@dataclass(frozen=True)
class Affiliations:
    """The same contributions split by federation too, as coordinates: a holding may have entities in several.
    `federation` is -1 for those of none."""

    cell: np.ndarray
    holding: np.ndarray
    federation: np.ndarray
    amount: np.ndarray

    @classmethod
    def of(cls, given: Contributions, federation: np.ndarray) -> "Affiliations":
        """Each holding whole in one federation: `federation` (int64, holdings)."""
        return cls(given.cell, given.holding, federation[given.holding], given.amount)

    @property
    def federations(self) -> int:
        return int(self.federation.max(initial=-1)) + 1


def top_two(cell: np.ndarray, amount: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(contributors, total, largest, second largest) of each cell."""
    order = np.lexsort((-amount, cell))
    cell, amount = cell[order], amount[order]
    count = np.bincount(cell, minlength=cells)
    total = np.bincount(cell, weights=amount, minlength=cells)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    largest, second = np.zeros(cells), np.zeros(cells)
    some, several = count > 0, count > 1
    largest[some] = amount[start[some]]
    second[several] = amount[start[several] + 1]
    return count, total, largest, second


def unsafe(patients: np.ndarray, cell: np.ndarray, amount: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Whether each non-empty cell breaks a rule: too few persons or holdings, dominance (1, k) or p %, too few left to the largest one."""
    count, total, largest, second = top_two(cell, amount, len(patients))
    return (count > 0) & (
        (patients < parameters.patients)
        | (count < parameters.holdings)
        | (largest > parameters.dominance_share * total)
        | (total - largest - second < parameters.p_percent * largest)
        | (total - largest < parameters.others)
    )


def primary(lattice: Lattice, given: Contributions, parameters: Parameters, affiliated: Affiliations | None = None) -> np.ndarray:
    """Sensitive cells (bool, cells). An empty cell is told as zero only where every total above it has
    enough holdings; elsewhere "nobody" would say that the few who work there have none (attack A9).

    `affiliated` serves the federation remainder rule when it is on."""
    mask = unsafe(given.patients, given.cell, given.amount, parameters)
    if parameters.federation_percent is not None and affiliated is not None:
        mask = mask | federation_remainder(affiliated, len(lattice), parameters.federation_percent)
    return mask | _thin_zeros(lattice, np.bincount(given.cell, minlength=len(lattice)), parameters)


def _thin_zeros(lattice: Lattice, count: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Empty cells to hide: those under a total with too few holdings, unless other zeros already tell them
    (the children of a told zero, and a total whose children are all told zeros)."""
    empty, owner = count == 0, lattice.relation_of_child()
    thin = np.zeros(len(lattice), dtype=bool)
    few = count[lattice.parents] < parameters.holdings
    thin[lattice.children[few[owner]]] = True
    thin &= empty
    while True:
        told = empty & ~thin
        implied = np.zeros(len(lattice), dtype=bool)
        implied[lattice.children[told[lattice.parents][owner]]] = True
        told_children = np.bincount(owner, weights=told[lattice.children], minlength=lattice.relations)
        implied[lattice.parents[told_children == np.diff(lattice.offsets)]] = True
        if not (thin & implied).any():
            return thin
        thin &= ~implied


def federation_remainder(given: Affiliations, cells: int, percent: float) -> np.ndarray:
    """Cells where a federation that knows its members' part bounds the largest other holding too closely.

    With R what is left of the cell and r1 its largest holding: R > 0 and R - r1 < percent * r1 (brief §2)."""
    found = np.zeros(cells, dtype=bool)
    for number in range(given.federations):
        member = given.federation == number
        present = np.bincount(given.cell[member], minlength=cells) > 0
        holdings = int(given.holding.max(initial=0)) + 1
        pair, place = np.unique(given.cell[~member] * holdings + given.holding[~member], return_inverse=True)
        others = np.bincount(place, weights=given.amount[~member], minlength=len(pair))
        _, rest, largest, _ = top_two(pair // holdings, others, cells)
        found |= present & (rest > 0) & (rest - largest < percent * largest)
    return found


def upper_levels(given: Contributions, percent: float) -> np.ndarray:
    """How far above its value each cell must stay possible (same unit as the amounts), by the p % rule.

    U = p x1 - (X - x1 - x2) where positive (Handbook 4.2); the second contributor would otherwise bound the first."""
    _, total, largest, second = top_two(given.cell, given.amount, len(given.patients))
    return np.maximum(percent * largest - (total - largest - second), 0.0)
