"""Secondary suppression by exact elimination over a prime field (secrecy brief §4.1).

Each cell is a column over the free cells of the lattice. Going through the publishable cells from the
most to the least valuable, a cell is published unless that would put a sensitive one in the span of
what is published, which is when the two reduced columns are proportional.
"""

import numpy as np
from numba import njit
from scipy import sparse

from belvedere.engine.secrecy.field import inverse
from belvedere.engine.secrecy.lattice import Lattice


def columns(lattice: Lattice) -> tuple[sparse.csc_matrix, sparse.csc_matrix]:
    """(X, E): every cell, and every relation's remainder, as combinations of free cells.

    A cell that is the parent of no relation is free. Each other cell is the sum of its children through its
    first relation; what the other relations then add, where cubes are linked, are the columns of E (each
    is known to be zero).
    """
    n = len(lattice)
    first = np.full(n, -1, dtype=np.int64)
    for relation in range(lattice.relations - 1, -1, -1):
        first[lattice.parents[relation]] = relation
    free = np.flatnonzero(first < 0)
    row_of = np.full(n, -1, dtype=np.int64)
    row_of[free] = np.arange(len(free))
    blank = np.zeros(0, dtype=np.int64)
    done = np.zeros(n, dtype=bool)
    held: list[np.ndarray] = [blank] * n
    coefficient: list[np.ndarray] = [blank] * n
    for cell in free.tolist():
        done[cell] = True
        held[cell], coefficient[cell] = np.array([row_of[cell]]), np.ones(1, dtype=np.int64)

    def expand(start: int) -> None:
        stack = [start]
        while stack:
            cell = stack[-1]
            members = lattice.members(first[cell])
            missing = [int(child) for child in members if not done[child]]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            done[cell] = True
            rows = np.concatenate([held[child] for child in members])
            weights = np.concatenate([coefficient[child] for child in members])
            held[cell], inverse_of = np.unique(rows, return_inverse=True)
            coefficient[cell] = np.bincount(inverse_of, weights=weights).astype(np.int64)

    for cell in range(n):
        if not done[cell]:
            expand(cell)
    indptr = np.concatenate([[0], np.cumsum([len(rows) for rows in held])])
    x = sparse.csc_matrix((np.concatenate(coefficient), np.concatenate(held), indptr), shape=(len(free), n))
    m = relation_matrix(lattice)
    remainder = (x @ m.T).tocsc()
    remainder.eliminate_zeros()
    remainder.sort_indices()
    x.sort_indices()
    linked = np.flatnonzero(np.diff(remainder.indptr))
    return x, remainder[:, linked]


def relation_matrix(lattice: Lattice) -> sparse.csr_matrix:
    """M (relations x cells): parent minus children equals zero."""
    owner = lattice.relation_of_child()
    rows = np.concatenate([np.arange(lattice.relations), owner])
    cells = np.concatenate([lattice.parents, lattice.children])
    signs = np.concatenate([np.ones(lattice.relations, np.int64), -np.ones(len(owner), np.int64)])
    return sparse.csr_matrix((signs, (rows, cells)), shape=(lattice.relations, len(lattice)))


def secondary(
    x: sparse.csc_matrix, linked: sparse.csc_matrix, *, sensitive: np.ndarray, known: np.ndarray, value: np.ndarray, prime: int
) -> tuple[np.ndarray, np.ndarray]:
    """(mask, exposed): cells to hide, sensitive ones included, so that none can be derived exactly.

    `known` cells are published whatever happens (true zeros); `value` orders the others. `exposed` lists
    sensitive cells that the known ones already give away: a release that has any must not go out.
    """
    hidden = np.flatnonzero(sensitive)
    forced = np.flatnonzero(known & ~sensitive)
    rest = np.flatnonzero(~known & ~sensitive)
    rest = rest[np.lexsort((rest, -value[rest]))]
    stacked = sparse.hstack([linked, x[:, forced], x[:, rest], x[:, hidden]], format="csc")
    stacked.sort_indices()
    n_forced = linked.shape[1] + len(forced)
    state = _eliminate(
        stacked.indptr.astype(np.int64), stacked.indices.astype(np.int64), stacked.data.astype(np.int64) % prime,
        x.shape[0], n_forced, n_forced + len(rest), prime,
    )  # fmt: skip
    mask = np.array(sensitive, dtype=bool, copy=True)
    mask[rest[state[n_forced : n_forced + len(rest)] == 1]] = True
    exposed = hidden[state[n_forced + len(rest) :] == 2]
    return mask, exposed


@njit(cache=True)
def _grown(array, size):
    bigger = np.empty(size, array.dtype)
    bigger[: len(array)] = array
    return bigger


@njit(cache=True)
def _find(rows, start, length, row):
    low, high = start, start + length
    while low < high:
        middle = (low + high) // 2
        if rows[middle] < row:
            low = middle + 1
        else:
            high = middle
    if low < start + length and rows[low] == row:
        return low
    return -1


@njit(cache=True)
def _proportional(rows, values, a, la, b, lb, pa, pb, prime):
    if la != lb:
        return False
    for k in range(la):
        if rows[a + k] != rows[b + k]:
            return False
    for k in range(la):  # noqa: SIM110 (the compiler knows no generator)
        if values[a + k] * values[pb] % prime != values[b + k] * values[pa] % prime:
            return False
    return True


@njit(cache=True)
def _eliminate(indptr, indices, data, n_rows, n_forced, n_open, prime):
    """State of each column: 0 published, 1 suppressed (or still safe if sensitive), 2 sensitive but exposed.

    Columns lie in an arena (sorted rows, values); each row keeps a linked list of the columns that hold it,
    cleaned lazily: a node whose column lost the row is passed over."""
    n = len(indptr) - 1
    rows, values = indices.copy(), data.copy()
    start, length = indptr[:-1].copy(), indptr[1:] - indptr[:-1]
    used = len(rows)
    head, count = np.full(n_rows, -1, np.int64), np.zeros(n_rows, np.int64)
    node_next, node_column = np.empty(2 * used + 16, np.int64), np.empty(2 * used + 16, np.int64)
    nodes = 0
    for column in range(n):
        for k in range(start[column], start[column] + length[column]):
            node_next[nodes], node_column[nodes] = head[rows[k]], column
            head[rows[k]] = nodes
            count[rows[k]] += 1
            nodes += 1
    active = np.ones(n, np.bool_)
    state = np.zeros(n, np.int8)
    for j in range(n_open):
        active[j] = False
        if length[j] == 0:
            continue
        pivot = start[j]
        for k in range(start[j], start[j] + length[j]):
            if count[rows[k]] < count[rows[pivot]]:
                pivot = k
        row = rows[pivot]
        if j >= n_forced:
            node = head[row]
            hit = False
            while node != -1 and not hit:
                b = node_column[node]
                if b >= n_open and length[b] == length[j]:
                    at = _find(rows, start[b], length[b], row)
                    hit = at >= 0 and _proportional(rows, values, start[j], length[j], start[b], length[b], pivot, at, prime)
                node = node_next[node]
            if hit:
                state[j] = 1
                continue
        scale = inverse(values[pivot], prime)
        node = head[row]
        while node != -1:
            c = node_column[node]
            node = node_next[node]
            if not active[c]:
                continue
            at = _find(rows, start[c], length[c], row)
            if at < 0:
                continue
            factor = (prime - values[at] * scale % prime) % prime
            need = length[c] + length[j]
            if used + need > len(rows):
                size = max(2 * len(rows), used + need + 1024)
                rows, values = _grown(rows, size), _grown(values, size)
            a, a_end, b, b_end, out = start[c], start[c] + length[c], start[j], start[j] + length[j], used
            while a < a_end or b < b_end:
                if b == b_end or (a < a_end and rows[a] < rows[b]):
                    rows[out], values[out] = rows[a], values[a]
                    a += 1
                    out += 1
                elif a == a_end or rows[b] < rows[a]:
                    r = rows[b]
                    rows[out], values[out] = r, factor * values[b] % prime
                    if nodes == len(node_next):
                        node_next, node_column = _grown(node_next, 2 * nodes), _grown(node_column, 2 * nodes)
                    node_next[nodes], node_column[nodes] = head[r], c
                    head[r] = nodes
                    nodes += 1
                    count[r] += 1
                    b += 1
                    out += 1
                else:
                    mixed = (values[a] + factor * values[b]) % prime
                    if mixed != 0:
                        rows[out], values[out] = rows[a], mixed
                        out += 1
                    else:
                        count[rows[a]] -= 1
                    a += 1
                    b += 1
            start[c], length[c] = used, out - used
            used = out
        head[row] = -1
    for b in range(n_open, n):
        state[b] = 2 if length[b] == 0 else 1
    return state
