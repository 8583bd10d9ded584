"""The declared lattice: every cell that a release may say something about, and how cells add up.

Dimensions are trees of codes (a dimension may have several roots); a cube is a choice of levels per
dimension, the dimensions it does not name standing at their root. All cubes of a release are cells of
one lattice, protected jointly (secrecy brief §6.1). Nothing outside the lattice is ever answered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

Key = tuple[str, ...]


@dataclass(frozen=True)
class Dimension:
    """A tree of codes: `parent` maps each code to its parent (None at a root), `level` to its level name."""

    name: str
    parent: Mapping[str, str | None]
    level: Mapping[str, str]

    def codes(self, level: str) -> list[str]:
        """Codes of one level, in declared order."""
        return [code for code, name in self.level.items() if name == level]

    @property
    def roots(self) -> list[str]:
        return [code for code, parent in self.parent.items() if parent is None]

    def children(self) -> dict[str, list[str]]:
        """Children of each code that has some."""
        found: dict[str, list[str]] = {}
        for code, parent in self.parent.items():
            if parent is not None:
                found.setdefault(parent, []).append(code)
        return found


@dataclass(frozen=True)
class Cube:
    """A named choice of levels: dimension name -> level names (all combinations are cells)."""

    name: str
    levels: Mapping[str, Sequence[str]]


@dataclass
class Lattice:
    """Cells and additive relations. `keys[i]` is the code of cell i in each dimension; relation r says that
    cell `parents[r]` equals the sum of cells `children[offsets[r]:offsets[r + 1]]`."""

    dimensions: tuple[Dimension, ...]
    keys: list[Key]
    parents: np.ndarray
    offsets: np.ndarray
    children: np.ndarray
    along: np.ndarray  # rank of the dimension along which each relation adds up
    index: dict[Key, int] = field(repr=False)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def relations(self) -> int:
        return len(self.parents)

    def members(self, relation: int) -> np.ndarray:
        """Children of one relation."""
        return self.children[self.offsets[relation] : self.offsets[relation + 1]]

    def relation_of_child(self) -> np.ndarray:
        """Relation of each entry of `children`."""
        return np.repeat(np.arange(self.relations), np.diff(self.offsets))


def build(dimensions: Sequence[Dimension], cubes: Sequence[Cube]) -> Lattice:
    """All cells of the cubes, and every relation (one dimension, one parent) whose cells are all declared."""
    index: dict[Key, int] = {}
    for cube in cubes:
        unknown = set(cube.levels) - {dimension.name for dimension in dimensions}
        if unknown:
            raise ValueError(f"cube {cube.name}: unknown dimensions {sorted(unknown)}")
        choices = [[code for level in cube.levels[d.name] for code in d.codes(level)] if d.name in cube.levels else d.roots[:1] for d in dimensions]
        for key in product(*choices):
            index.setdefault(key, len(index))
    parents: list[int] = []
    along: list[int] = []
    offsets: list[int] = [0]
    children: list[int] = []
    below = [d.children() for d in dimensions]
    for key, cell in index.items():
        for place, tree in enumerate(below):
            if key[place] not in tree:
                continue
            found = [index.get((*key[:place], code, *key[place + 1 :])) for code in tree[key[place]]]
            if all(child is not None for child in found):
                parents.append(cell)
                along.append(place)
                children.extend(child for child in found if child is not None)
                offsets.append(len(children))
    a, b, c, d = (np.array(column, dtype=np.int64) for column in (parents, offsets, children, along))
    return Lattice(tuple(dimensions), list(index), a, b, c, d, index)
