"""Exact audit of a mask, independent of the code that made it (secrecy brief §4.2).

Works in constraint space: what an attacker does not know is a vector of the null space of the relations
restricted to the masked cells. A masked cell is exactly determined if and only if every null vector is
zero there; one random null vector over a prime field tells all of them at once.
"""

import heapq
from dataclasses import dataclass

import numpy as np
from numba import njit

from belvedere.engine.secrecy.field import draw_prime, inverse
from belvedere.engine.secrecy.lattice import Lattice
from belvedere.engine.secrecy.suppression import relation_matrix


@dataclass(frozen=True)
class System:
    """The relations of a lattice, ready to be audited again and again: M by rows, and each cell's usage."""

    indptr: np.ndarray
    indices: np.ndarray
    signs: np.ndarray
    cells: int

    @classmethod
    def of(cls, lattice: Lattice) -> "System":
        """The system of a lattice."""
        matrix = relation_matrix(lattice)
        matrix.sort_indices()
        return cls(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data.astype(np.int64), len(lattice))


def null_vectors(system: System, unknown: np.ndarray, *, seed: int, run: int = 0, count: int = 1) -> np.ndarray:
    """(count x cells): random vectors of what the relations leave open to someone who ignores just the `unknown`
    cells (bool, cells), modulo the run's prime; zero elsewhere. Each one is uniform among all such vectors."""
    prime = draw_prime(seed, 100 + run)
    random = np.random.default_rng([seed, 200 + run]).integers(1, prime, (count, system.cells))
    random[:, ~unknown] = 0
    return np.asarray(_null_vectors(system.indptr, system.indices, system.signs, np.ascontiguousarray(unknown), random, prime))


def determined(system: System, unknown: np.ndarray, *, seed: int, runs: int = 2) -> np.ndarray:
    """Cells among `unknown` (bool, cells) that the known ones give away exactly (bool, cells).

    A cell is declared safe as soon as one run shows a null vector that moves it; an error would need the
    random vector to vanish there by chance in every run (odds below 1e-18 a cell for two runs).
    """
    still = unknown.copy()
    for run in range(runs):
        still &= null_vectors(system, unknown, seed=seed, run=run)[0] == 0
    return still


def tied(system: System, unknown: np.ndarray, sensitive: np.ndarray, *, seed: int) -> np.ndarray:
    """Cells (bool) among `unknown` whose publication alone would give a sensitive one away.

    Those are the cells that move in proportion with a sensitive one in every null vector: their ratio in two
    random vectors is the same (odds of a false tie below 1e-9, and a tie only keeps a cell hidden)."""
    vectors = null_vectors(system, unknown, seed=seed, count=2)
    moving = np.flatnonzero(vectors[0])
    ratios = _ratios(vectors[:, moving], draw_prime(seed, 100))
    found = np.zeros(len(unknown), dtype=bool)
    found[moving[np.isin(ratios, ratios[sensitive[moving]])]] = True
    return found


@njit(cache=True)
def _ratios(vectors, prime):
    ratios = np.empty(vectors.shape[1], np.int64)
    for k in range(len(ratios)):
        ratios[k] = vectors[1, k] * inverse(vectors[0, k], prime) % prime
    return ratios


@njit(cache=True)
def _null_vectors(indptr, indices, signs, unknown, random, prime):
    n, wanted = len(unknown), random.shape[0]
    lengths = np.zeros(len(indptr) - 1, np.int64)
    usage = np.zeros(n, np.int64)
    room = 16
    for r in range(len(lengths)):
        for k in range(indptr[r], indptr[r + 1]):
            if unknown[indices[k]]:
                lengths[r] += 1
                usage[indices[k]] += 1
        room += 4 * lengths[r]
    order = np.argsort(lengths, kind="mergesort")
    pivot_rank = np.full(n, -1, np.int64)  # rank of the reduced row whose pivot is this column
    pivots = np.empty(len(order), np.int64)
    kept_start = np.empty(len(order) + 1, np.int64)
    kept_start[0] = 0
    kept_columns, kept_values = np.empty(room, np.int32), np.empty(room, np.int64)
    work, touched_mark = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    touched = np.empty(n, np.int64)
    ranks = 0
    for position in range(len(order)):
        r = order[position]
        if lengths[r] == 0:
            continue
        n_touched = 0
        todo = [np.int64(0)]
        todo.pop()
        for k in range(indptr[r], indptr[r + 1]):
            c = indices[k]
            if not unknown[c]:
                continue
            work[c] = signs[k] % prime
            touched_mark[c] = True
            touched[n_touched] = c
            n_touched += 1
            if pivot_rank[c] >= 0:
                heapq.heappush(todo, pivot_rank[c])
        while len(todo) > 0:
            rank = heapq.heappop(todo)
            c = pivots[rank]
            factor = work[c]
            if factor == 0:
                continue
            factor = prime - factor
            for k in range(kept_start[rank], kept_start[rank + 1]):
                d = kept_columns[k]
                if not touched_mark[d]:
                    touched_mark[d] = True
                    touched[n_touched] = d
                    n_touched += 1
                    if pivot_rank[d] > rank:
                        heapq.heappush(todo, pivot_rank[d])
                elif work[d] == 0 and pivot_rank[d] > rank:
                    heapq.heappush(todo, pivot_rank[d])
                work[d] = (work[d] + factor * kept_values[k]) % prime
        best = -1
        alive = 0
        for k in range(n_touched):
            c = touched[k]
            if work[c] != 0:
                alive += 1
                if best == -1 or usage[c] < usage[best] or (usage[c] == usage[best] and c < best):
                    best = c
        if best >= 0:
            scale = inverse(work[best], prime)
            end = kept_start[ranks]
            if end + alive > len(kept_columns):
                size = max(2 * len(kept_columns), end + alive + 1024)
                wider_columns, wider_values = np.empty(size, np.int32), np.empty(size, np.int64)
                wider_columns[:end], wider_values[:end] = kept_columns[:end], kept_values[:end]
                kept_columns, kept_values = wider_columns, wider_values
            for k in range(n_touched):
                c = touched[k]
                if work[c] != 0:
                    kept_columns[end], kept_values[end] = c, work[c] * scale % prime
                    end += 1
            pivots[ranks] = best
            pivot_rank[best] = ranks
            ranks += 1
            kept_start[ranks] = end
        for k in range(n_touched):
            work[touched[k]] = 0
            touched_mark[touched[k]] = False
    vectors = random.copy()
    for w in range(wanted):
        vector = vectors[w]
        for place in range(ranks - 1, -1, -1):
            total = 0
            for k in range(kept_start[place], kept_start[place + 1]):
                if kept_columns[k] != pivots[place]:
                    total = (total + kept_values[k] * vector[kept_columns[k]]) % prime
            vector[pivots[place]] = (prime - total) % prime
    return vectors
