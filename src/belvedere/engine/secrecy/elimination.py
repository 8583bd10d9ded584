"""The compiled elimination behind secondary suppression (secrecy brief §4.1), for an outsider and for insiders.

Columns are reduced modulo the span of what is already published. A candidate that has become proportional
to a sensitive column may not be published. An insider who knows some rows (the inner cells it fills alone)
sees columns without those rows, so the test also holds "but for the rows of one owner"; rows without an
owner are eliminated first, so that owned ones stay readable as long as possible.
"""

import numpy as np
from numba import njit

from belvedere.engine.secrecy.field import inverse


@njit(cache=True)
def _grown(array, size):
    bigger = np.empty(size, array.dtype)
    bigger[: len(array)] = array
    return bigger


@njit(cache=True)
def _find(rows, low, high, row):
    end = high
    while low < high:
        middle = (low + high) // 2
        if rows[middle] < row:
            low = middle + 1
        else:
            high = middle
    return low if low < end and rows[low] == row else -1


@njit(cache=True)
def _proportional(rows, values, a, a_end, b, b_end, scale_a, scale_b, owner, prime, one_owner, out):
    """Whether two columns are proportional, to the outsider or once the rows of some single owner are left out.

    `one_owner` and `out` are scratch space, one place per partition of `owner`."""
    partitions = owner.shape[0]
    standing = partitions
    same_everywhere = True
    for k in range(partitions):
        one_owner[k] = -1
        out[k] = False
    while a < a_end or b < b_end:
        if b == b_end or (a < a_end and rows[a] < rows[b]):
            row = rows[a]
            a += 1
        elif a == a_end or rows[b] < rows[a]:
            row = rows[b]
            b += 1
        else:
            row = rows[a]
            equal = values[a] * scale_b % prime == values[b] * scale_a % prime
            a += 1
            b += 1
            if equal:
                continue
        same_everywhere = False
        for k in range(partitions):
            if not out[k]:
                who = owner[k, row]
                if who < 0 or (one_owner[k] >= 0 and one_owner[k] != who):
                    out[k] = True
                    standing -= 1
                else:
                    one_owner[k] = who
        if standing == 0:
            return False
    return same_everywhere or standing > 0


@njit(cache=True)
def _compacted(rows, values, start, end):
    """Move the living columns to the front of the arena; returns the room used."""
    used = 0
    for column in np.argsort(start):
        size = end[column] - start[column]
        if size > 0:
            origin = start[column]
            for k in range(size):
                rows[used + k], values[used + k] = rows[origin + k], values[origin + k]
            start[column], end[column] = used, used + size
            used += size
    return used


@njit(cache=True)
def eliminate(indptr, indices, data, n_rows, n_forced, n_open, owner, prime):
    """State of each column: 0 published, 1 suppressed (or still safe if sensitive), 2 sensitive but exposed.

    Columns are sorted sparse vectors: `n_forced` that are known whatever happens, candidates up to `n_open`
    in the order of what is worth publishing, then the sensitive ones. `owner[k, row]` is the member of
    partition k that knows the row by itself, or -1. Columns lie in an arena (rows, values) compacted when it
    is half dead; each row keeps a linked list of the columns that hold it, cleaned lazily."""
    n, partitions = len(indptr) - 1, owner.shape[0]
    live = used = len(indices)
    room = 2 * used + 1024
    rows, values = np.empty(room, np.int32), np.empty(room, np.int64)
    rows[:used], values[:used] = indices, data
    start, end = indptr[:-1].copy(), indptr[1:].copy()
    head, count = np.full(n_rows, -1, np.int32), np.zeros(n_rows, np.int32)
    after, holder = np.empty(2 * used + 16, np.int32), np.empty(2 * used + 16, np.int32)
    nodes = 0
    for column in range(n):
        for k in range(start[column], end[column]):
            after[nodes], holder[nodes] = head[rows[k]], column
            head[rows[k]] = nodes
            count[rows[k]] += 1
            nodes += 1
    spare = -1
    owned = np.zeros(n_rows, np.bool_)
    for k in range(partitions):
        for row in range(n_rows):
            owned[row] |= owner[k, row] >= 0
    state = np.zeros(n, np.int8)
    one_owner, out_of = np.zeros(partitions + 1, np.int64), np.zeros(partitions + 1, np.bool_)
    for j in range(n_open):
        if start[j] == end[j]:
            continue
        pivot = start[j]
        for k in range(start[j], end[j]):
            row, best = rows[k], rows[pivot]
            count[row] -= 1
            if owned[row] < owned[best] or (owned[row] == owned[best] and count[row] < count[best]):
                pivot = k
        row = rows[pivot]
        if j >= n_forced:
            hit = False
            # The pivot's own list serves every reader but the row's owners; those need a row that they do not know.
            for scan in range(-1, partitions):
                place = pivot
                if scan >= 0:
                    if owner[scan, row] < 0:
                        continue
                    place = -1
                    for k in range(start[j], end[j]):
                        if owner[scan, rows[k]] != owner[scan, row] and (place < 0 or count[rows[k]] < count[rows[place]]):
                            place = k
                    if place < 0:
                        continue
                node = head[rows[place]]
                while node != -1 and not hit:
                    b = holder[node]
                    node = after[node]
                    if b >= n_open and (partitions > 0 or end[b] - start[b] == end[j] - start[j]):
                        at = _find(rows, start[b], end[b], rows[place])
                        if at >= 0:
                            hit = _proportional(
                                rows, values, start[j], end[j], start[b], end[b], values[place], values[at],
                                owner, prime, one_owner, out_of,
                            )  # fmt: skip
                if hit:
                    break
            if hit:
                state[j] = 1
                live -= end[j] - start[j]
                start[j] = end[j] = 0
                continue
        scale = inverse(values[pivot], prime)
        node = head[row]
        while node != -1:
            c = holder[node]
            following = after[node]
            after[node] = spare
            spare = node
            node = following
            if c <= j or start[c] == end[c]:
                continue
            at = _find(rows, start[c], end[c], row)
            if at < 0:
                continue
            factor = (prime - values[at] * scale % prime) % prime
            need = end[c] - start[c] + end[j] - start[j]
            if used + need > room:
                if 2 * live + need < room:
                    used = _compacted(rows, values, start, end)
                else:
                    room = max(2 * room, used + need + 1024)
                    rows, values = _grown(rows, room), _grown(values, room)
            a, a_end, b, b_end, out = start[c], end[c], start[j], end[j], used
            while a < a_end or b < b_end:
                if b == b_end or (a < a_end and rows[a] < rows[b]):
                    rows[out], values[out] = rows[a], values[a]
                    a += 1
                    out += 1
                elif a == a_end or rows[b] < rows[a]:
                    new = rows[b]
                    rows[out], values[out] = new, factor * values[b] % prime
                    if spare >= 0:
                        place = spare
                        spare = after[spare]
                    else:
                        if nodes == len(after):
                            after, holder = _grown(after, 2 * nodes), _grown(holder, 2 * nodes)
                        place = nodes
                        nodes += 1
                    after[place], holder[place] = head[new], c
                    head[new] = place
                    count[new] += 1
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
            live += (out - used) - (end[c] - start[c])
            start[c], end[c], used = used, out, out
        head[row] = -1
        live -= end[j] - start[j]
        start[j] = end[j] = 0
    for b in range(n_open, n):
        state[b] = 2 if start[b] == end[b] else 1
    return state
