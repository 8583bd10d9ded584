"""Secondary suppression by exact elimination over a prime field (secrecy brief §4.1).

Each cell is a column over the free cells of the lattice. Going through the publishable cells from the
most to the least valuable, a cell is published unless that would put a sensitive one in the span of
what is published (or, for an insider, of what is published and what it knows by itself).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from belvedere.engine.secrecy.elimination import eliminate
from belvedere.engine.secrecy.lattice import Lattice


@dataclass(frozen=True)
class Columns:
    """Every cell as a combination of free cells (`cells`, rows x cells), the combinations known to be zero
    (`linked`, rows x k), and the free cell of each row (`free`)."""

    cells: Any  # scipy.sparse.csc_matrix, which carries no types
    linked: Any
    free: np.ndarray


def columns(lattice: Lattice) -> Columns:
    """Columns of a lattice.

    A cell that is the parent of no relation is free. Each other cell is the sum of its children through its
    first relation; what the other relations then add, where cubes are linked, is known to be zero.
    """
    n = len(lattice)
    first = np.full(n, -1, dtype=np.int64)
    first[lattice.parents[::-1]] = np.arange(lattice.relations)[::-1]
    free = np.flatnonzero(first < 0)
    x = sparse.csr_matrix((np.ones(len(free), np.int64), (free, np.arange(len(free)))), shape=(n, len(free)))
    # children[c] = first relation of c; substituting it level by level ends because relations go down trees.
    owner = lattice.relation_of_child()
    use = first[lattice.parents[owner]] == owner
    step = sparse.csr_matrix((np.ones(int(use.sum()), np.int64), (lattice.parents[owner[use]], lattice.children[use])), shape=(n, n))
    grown = x
    for _ in range(n):
        grown = step @ grown
        if grown.nnz == 0:
            break
        x = x + grown
    else:
        raise ValueError("relations of the lattice form a cycle")
    m = relation_matrix(lattice)
    remainder = (m @ x).tocsr()
    remainder.eliminate_zeros()
    linked = remainder[np.flatnonzero(np.diff(remainder.indptr))].T.tocsc()
    return Columns(x.T.tocsc(), linked, free)


def relation_matrix(lattice: Lattice) -> Any:
    """M (relations x cells): parent minus children equals zero."""
    owner = lattice.relation_of_child()
    rows = np.concatenate([np.arange(lattice.relations), owner])
    cells = np.concatenate([lattice.parents, lattice.children])
    signs = np.concatenate([np.ones(lattice.relations, np.int64), -np.ones(len(owner), np.int64)])
    return sparse.csr_matrix((signs, (rows, cells)), shape=(lattice.relations, len(lattice)))


def secondary(
    given: Columns,
    *,
    sensitive: np.ndarray,
    known: np.ndarray,
    value: np.ndarray,
    prime: int,
    owners: np.ndarray | None = None,
    never: np.ndarray | None = None,
    sums: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(mask, exposed): cells to hide, sensitive ones included, so that none can be derived exactly.

    `known` cells are told whatever happens (true zeros, earlier releases); `value` orders the others, ties by
    rank. `owners` (k x cells, -1: nobody) says who knows a cell by itself, in k partitions of insiders; `never`
    cells are not publishable and need no protection; `sums` (cells x s) are sums of cells that are as
    sensitive as cells. `exposed` lists sensitive cells that the known ones already give away.
    """
    never = np.zeros(len(sensitive), dtype=bool) if never is None else never
    owners = np.zeros((0, len(sensitive)), dtype=np.int64) if owners is None else owners
    hidden = np.flatnonzero(sensitive)
    forced = np.setdiff1d(np.flatnonzero(known & ~sensitive & ~never), given.free)
    rest = np.flatnonzero(~known & ~sensitive & ~never)
    rest = rest[np.lexsort((rest, -value[rest]))]
    told = known & ~sensitive & ~never
    rows = np.flatnonzero(~told[given.free])  # eliminating a known free cell is leaving its row out
    blocks = [given.linked, given.cells[:, forced], given.cells[:, rest], given.cells[:, hidden]]
    if sums is not None:
        blocks.append(given.cells @ sums)
    stacked = sparse.hstack(blocks, format="csr")[rows].tocsc()
    stacked.eliminate_zeros()
    stacked.sort_indices()
    n_forced = given.linked.shape[1] + len(forced)
    state = eliminate(
        stacked.indptr.astype(np.int64), stacked.indices.astype(np.int32), stacked.data.astype(np.int64) % prime,
        len(rows), n_forced, n_forced + len(rest), np.ascontiguousarray(owners[:, given.free[rows]]), prime,
    )  # fmt: skip
    mask = sensitive | never
    mask[rest[state[n_forced : n_forced + len(rest)] == 1]] = True
    return mask, hidden[state[n_forced + len(rest) : n_forced + len(rest) + len(hidden)] == 2]
