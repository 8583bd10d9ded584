"""Fixed-width numbers, whole columns at a time.

Eight digits are read from one 64-bit word (multiply and mask, three steps) instead of eight
strided byte columns: the strided copies are what a plain NumPy reader spends its time on.
Writing goes four digits at a time through a table.
"""

import numpy as np

_ZEROS = np.uint64(0x3030303030303030)
_HIGH = np.uint64(0xF0F0F0F0F0F0F0F0)
_SIX = np.uint64(0x0606060606060606)
_QUADS = np.array([list(f"{n:04d}".encode()) for n in range(10_000)], dtype=np.uint8)


def _word(records: np.ndarray, start: int, width: int) -> np.ndarray:
    """The `width` bytes from `start` as the low-order text of a word, padded with '0' before."""
    padded = np.full((len(records), 8), 48, dtype=np.uint8)
    padded[:, 8 - width :] = records[:, start : start + width]
    return padded.view("<u8").ravel()


def _value(word: np.ndarray) -> np.ndarray:
    word = word - _ZEROS
    word = (word * np.uint64(10) + (word >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    word = (word * np.uint64(100) + (word >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    word = word * np.uint64(10_000) + (word >> np.uint64(32))
    return (word & np.uint64(0xFFFFFFFF)).astype(np.int64)


def read(records: np.ndarray, zone: slice) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of a zone and where they are not digits.

    `records` is (n, 128) uint8; returns (values int64, bad bool), both (n,). A value whose zone is
    not made of digits alone is 0 and marked bad.
    """
    total = np.zeros(len(records), dtype=np.int64)
    bad = np.zeros(len(records), dtype=bool)
    position = zone.start
    while position < zone.stop:
        width = min(8, zone.stop - position)
        word = _word(records, position, width)
        bad |= (((word & _HIGH) ^ _ZEROS) | (((word + _SIX) & _HIGH) ^ _ZEROS)) != 0
        total = total * 10**width + _value(word)
        position += width
    if bad.any():
        total[bad] = 0
    return total, bad


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
