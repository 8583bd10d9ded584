"""The declared lattice: every cell that a release may say something about, and how cells add up.

Dimensions are trees of codes, with as many further hierarchies as wanted (old regions, another product tree,
quarters, year to date, rolling twelve months); a hierarchy may hold during some periods only. A cube is a
choice of levels per dimension, the dimensions it does not name standing at their root. All cubes of a release
are cells of one lattice, protected jointly (secrecy brief §6.1). Nothing outside the lattice is ever answered.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from belvedere.engine.secrecy.errors import SecrecyError

Key = tuple[str, ...]


@dataclass(frozen=True)
class Hierarchy:
    """Sums of codes of one dimension: total -> codes that add up to it. With `during`, they hold only in cells
    whose period is one of these codes (a product that moved to another family in January)."""

    name: str
    sums: Mapping[str, Sequence[str]]
    during: frozenset[str] | None = None


@dataclass(frozen=True)
class Dimension:
    """A tree of codes: `parent` maps each code to its parent (None at a root), `level` to its level name;
    `also` are further hierarchies over the same codes."""

    name: str
    parent: Mapping[str, str | None]
    level: Mapping[str, str]
    also: tuple[Hierarchy, ...] = ()

    def codes(self, level: str) -> list[str]:
        """Codes of one level, in declared order."""
        return [code for code, name in self.level.items() if name == level]

    @property
    def roots(self) -> list[str]:
        return [code for code, parent in self.parent.items() if parent is None]

    def children(self) -> dict[str, list[str]]:
        """Children of each code that has some, in the tree."""
        found: dict[str, list[str]] = {}
        for code, parent in self.parent.items():
            if parent is not None:
                found.setdefault(parent, []).append(code)
        return found

    def hierarchies(self) -> list[Hierarchy]:
        """The tree, then the further hierarchies."""
        return [Hierarchy("tree", self.children()), *self.also]

    def check(self) -> None:
        """Refuse a parent that no row declares (S102), a cycle (S103), an unknown code in a hierarchy (S104)."""
        for code, parent in self.parent.items():
            if parent is not None and parent not in self.parent:
                raise SecrecyError("S102", f"{self.name}={code}", code=code, parent=parent)
        below = {code: [kids for h in self.hierarchies() for kids in h.sums.get(code, ())] for code in self.parent}
        for hierarchy in self.also:
            for total, codes in hierarchy.sums.items():
                for code in (total, *codes):
                    if code not in self.parent:
                        raise SecrecyError("S104", f"{self.name}={code}", code=code, hierarchy=hierarchy.name)
        state: dict[str, int] = {}
        for start in self.parent:
            stack = [(start, iter(below[start]))] if start not in state else []
            state.setdefault(start, 1)
            while stack:
                code, rest = stack[-1]
                following = next(rest, None)
                if following is None:
                    state[code] = 2
                    stack.pop()
                elif state.get(following) == 1:
                    raise SecrecyError("S103", f"{self.name}={following}", code=following)
                elif following not in state:
                    state[following] = 1
                    stack.append((following, iter(below[following])))


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
    along: np.ndarray  # rank of the hierarchy along which each relation adds up
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

    def dimension_of(self, hierarchy: int) -> int:
        """Rank of the dimension that a hierarchy (a value of `along`) belongs to."""
        return [place for place, d in enumerate(self.dimensions) for _ in d.hierarchies()][hierarchy]

    def name(self, cell: int) -> str:
        """A cell's codes on one line."""
        return " · ".join(self.keys[cell])


def build(dimensions: Sequence[Dimension], cubes: Sequence[Cube], *, calendar: str | None = None) -> Lattice:
    """All cells of the cubes, and every relation (one hierarchy, one total) whose cells are all declared.

    `calendar` names the dimension whose codes limit dated hierarchies. SecrecyError as `Dimension.check`."""
    names = [dimension.name for dimension in dimensions]
    for dimension in dimensions:
        dimension.check()
    index: dict[Key, int] = {}
    for cube in cubes:
        for key in product(*(_choice(cube, d) for d in dimensions)):
            index.setdefault(key, len(index))
        if unknown := set(cube.levels) - set(names):
            raise SecrecyError("S105", f"cube {cube.name}", code=", ".join(sorted(unknown)))
    when = names.index(calendar) if calendar else None
    parents: list[int] = []
    along: list[int] = []
    offsets: list[int] = [0]
    children: list[int] = []
    for kind, (place, hierarchy) in enumerate(_hierarchies(dimensions)):
        for key, cell in index.items():
            if key[place] not in hierarchy.sums or (hierarchy.during is not None and (when is None or key[when] not in hierarchy.during)):
                continue
            found = [index.get((*key[:place], code, *key[place + 1 :])) for code in hierarchy.sums[key[place]]]
            if found and None not in found:
                parents.append(cell)
                along.append(kind)
                children.extend(child for child in found if child is not None)
                offsets.append(len(children))
    a, b, c, d = (np.array(column, dtype=np.int64) for column in (parents, offsets, children, along))
    return Lattice(tuple(dimensions), list(index), a, b, c, d, index)


def _choice(cube: Cube, dimension: Dimension) -> list[str]:
    if dimension.name not in cube.levels:
        return dimension.roots[:1]
    return [code for level in cube.levels[dimension.name] for code in dimension.codes(level)]


def _hierarchies(dimensions: Sequence[Dimension]) -> Iterator[tuple[int, Hierarchy]]:
    """(rank of the dimension, hierarchy) in the order of `Lattice.along`."""
    for place, dimension in enumerate(dimensions):
        for hierarchy in dimension.hierarchies():
            yield place, hierarchy
