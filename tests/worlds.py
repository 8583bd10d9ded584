"""Small random lattices with a known truth, and slow exact algebra to judge the engine by."""

from collections.abc import Mapping
from fractions import Fraction
from itertools import product

import numpy as np

from belvedere.engine.secrecy.lattice import Cube, Dimension, Lattice, build
from belvedere.engine.secrecy.rules import Contributions


def tree(name: str, groups: list[int]) -> Dimension:
    """A two-level tree: a total, `len(groups)` groups, and that many leaves under each."""
    parent: dict[str, str | None] = {"T": None}
    level = {"T": "total"}
    for rank, leaves in enumerate(groups):
        parent[f"{name}{rank}"], level[f"{name}{rank}"] = "T", "group"
        for leaf in range(leaves):
            parent[f"{name}{rank}.{leaf}"], level[f"{name}{rank}.{leaf}"] = f"{name}{rank}", "leaf"
    return Dimension(name, parent, level)


def small_lattice(first: list[int], second: list[int], linked: bool) -> Lattice:
    """Two hierarchies crossed; with `linked`, the leaves of each are declared only against the other's groups."""
    a, b = tree("a", first), tree("b", second)
    all_levels = ["total", "group", "leaf"]
    if linked:
        cubes = [Cube("one", {"a": all_levels, "b": ["total", "group"]}), Cube("two", {"a": ["total", "group"], "b": all_levels})]
    else:
        cubes = [Cube("whole", {"a": all_levels, "b": all_levels})]
    return build([a, b], cubes)


def below(dimension: Dimension, code: str) -> list[str]:
    """Leaves under a code."""
    children = dimension.children()
    return [leaf for child in children[code] for leaf in below(dimension, child)] if code in children else [code]


def fill(lattice: Lattice, rng: np.random.Generator, holdings: int, density: float) -> Contributions:
    """Random persons and amounts by holding at the finest level, added up to every cell."""
    first, second = lattice.dimensions
    persons: dict[tuple[str, str], np.ndarray] = {}
    for a in below(first, "T"):
        for b in below(second, "T"):
            counts = rng.poisson(6, holdings) * (rng.random(holdings) < density)
            persons[a, b] = counts
    price = rng.integers(1, 9, holdings)
    cell, holding, amount, patients = [], [], [], np.zeros(len(lattice), dtype=np.int64)
    for rank, (a, b) in enumerate(lattice.keys):
        total = sum(persons[x, y] for x in below(first, a) for y in below(second, b))
        patients[rank] = total.sum()
        for who in np.flatnonzero(total):
            cell.append(rank)
            holding.append(int(who))
            amount.append(float(total[who] * price[who]))
    return Contributions(np.array(cell, np.int64), np.array(holding, np.int64), np.array(amount), patients)


def from_leaves(lattice: Lattice, leaves: Mapping[tuple[str, ...], Mapping[int, float]], patients: int = 50) -> Contributions:
    """Amounts by holding at the finest cells, added up to every cell the long way; as many persons everywhere."""
    cell, holding, amount = [], [], []
    for rank, key in enumerate(lattice.keys):
        total: dict[int, float] = {}
        for leaf in product(*(below(d, code) for d, code in zip(lattice.dimensions, key, strict=True))):
            for who, what in leaves.get(leaf, {}).items():
                total[who] = total.get(who, 0.0) + what
        for who, what in sorted(total.items()):
            cell.append(rank)
            holding.append(who)
            amount.append(float(what))
    return Contributions(np.array(cell), np.array(holding), np.array(amount), np.full(len(lattice), patients))


def rank_of(rows: list[list[int]]) -> int:
    """Rank over the rationals, by plain elimination."""
    matrix = [[Fraction(value) for value in row] for row in rows]
    rank = 0
    for column in range(len(matrix[0]) if matrix else 0):
        pivot = next((r for r in range(rank, len(matrix)) if matrix[r][column]), None)
        if pivot is None:
            continue
        matrix[rank], matrix[pivot] = matrix[pivot], matrix[rank]
        for r in range(rank + 1, len(matrix)):
            if matrix[r][column]:
                factor = matrix[r][column] / matrix[rank][column]
                matrix[r] = [x - factor * y for x, y in zip(matrix[r], matrix[rank], strict=True)]
        rank += 1
    return rank


def determined_slowly(lattice: Lattice, unknown: np.ndarray) -> set[int]:
    """Unknown cells whose unit vector lies in the row space of the relations, over the rationals."""
    columns = np.flatnonzero(unknown)
    rows = []
    for relation in range(lattice.relations):
        row = dict.fromkeys(columns.tolist(), 0)
        if lattice.parents[relation] in row:
            row[int(lattice.parents[relation])] += 1
        for child in lattice.members(relation).tolist():
            if child in row:
                row[child] -= 1
        rows.append(list(row.values()))
    full = rank_of(rows)
    found = set()
    for place, cell in enumerate(columns.tolist()):
        unit = [int(rank == place) for rank in range(len(columns))]
        if rank_of([*rows, unit]) == full:
            found.add(cell)
    return found
