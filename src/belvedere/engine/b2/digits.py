"""Fixed-width numbers, whole columns at a time.

Zones are read by a compiled loop, record by record and digit by digit: one pass over the bytes, which whole-array
arithmetic cannot do (benchmarks/intake.py has both). Reading eight digits from a 64-bit word was tried in the same
loop and is no faster. Writing goes four digits at a time through a table.
"""

from collections.abc import Sequence

import numba
import numpy as np

_QUADS = np.array([list(f"{n:04d}".encode()) for n in range(10_000)], dtype=np.uint8)


@numba.njit(cache=True, nogil=True)
def _read(view, rows, starts, stops, values, bad):
    for at in range(len(rows)):
        row = rows[at]
        for zone in range(len(starts)):
            total = np.int64(0)
            wrong = False
            for place in range(starts[zone], stops[zone]):
                digit = np.int64(view[row, place]) - 48
                if digit < 0 or digit > 9:
                    wrong = True
                total = total * 10 + digit
            values[zone, at] = 0 if wrong else total
            bad[zone, at] = wrong


def read_many(view: np.ndarray, rows: np.ndarray, zones: Sequence[slice]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of several zones (at most 18 digits each) of some rows of (n, 128) records: (values int64, bad
    bool), both (zones, rows). A value whose zone is not made of digits alone is 0 and marked bad."""
    values = np.empty((len(zones), len(rows)), dtype=np.int64)
    bad = np.empty((len(zones), len(rows)), dtype=np.bool_)
    starts, stops = np.array([zone.start for zone in zones]), np.array([zone.stop for zone in zones])
    _read(view, rows, starts, stops, values, bad)
    return values, bad


def read(records: np.ndarray, zone: slice) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of one zone of (n, 128) records: (values int64, bad bool), both (n,)."""
    values, bad = read_many(records, np.arange(len(records)), [zone])
    return values[0], bad[0]


@numba.njit(cache=True, nogil=True)
def classify(view, table, ranked, out):
    """Type of each record by its first byte and its letter: byte 36, or byte 39 where ranks shift it (`ranked`)."""
    for row in range(len(view)):
        first, letter = view[row, 0], view[row, 35]
        if ranked and (letter < 65 or letter > 90):
            letter = view[row, 38]
        kind = table[first, letter]
        if (first == 48 or first == 57) and (view[row, 1] != first or view[row, 2] != first):
            kind = 0
        out[row] = kind


@numba.njit(cache=True, nogil=True)
def differing(view, kind, head, end, last, out):
    """Mark records of types above `head` up to `end` whose bytes 1 to `last` are not those of the last `head` before."""
    first = -1
    for row in range(len(kind)):
        if kind[row] == head:
            first = row
        elif first >= 0 and head < kind[row] <= end:
            for place in range(1, last):
                if view[row, place] != view[first, place]:
                    out[row] = True
                    break


@numba.njit(cache=True, nogil=True)
def share(totals, owner, weights, out):
    """Split `totals[owner]` among consecutive rows of one owner in proportion to `weights`, exactly."""
    first = 0
    while first < len(owner):
        last = first
        whole = np.int64(0)
        while last < len(owner) and owner[last] == owner[first]:
            whole += weights[last]
            last += 1
        total, running = totals[owner[first]], np.int64(0)
        for at in range(first, last):
            before = running
            running += 1 if whole == 0 else weights[at]
            parts = last - first if whole == 0 else whole
            out[at] = total * running // parts - total * before // parts
        first = last


def write(out: np.ndarray, zone: slice, values: np.ndarray) -> None:
    """Write non-negative integers zero-padded into a zone of (n, 128) records; OverflowError if one does not fit."""
    width = zone.stop - zone.start
    rest = np.asarray(values, dtype=np.int64)
    if rest.size and (rest.min() < 0 or rest.max() >= 10**width):
        raise OverflowError(f"a value between {rest.min()} and {rest.max()} does not fit {width} digits")
    end = zone.stop
    while end > zone.start:
        take = min(4, end - zone.start)
        end -= take
        if end == zone.start:
            out[:, end : end + take] = _QUADS[rest][:, 4 - take :]
        else:
            high = rest // 10_000
            out[:, end : end + take] = _QUADS[rest - high * 10_000][:, 4 - take :]
            rest = high
