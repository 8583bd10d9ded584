"""Records of a batch: classification and columns, without a Python loop.

The record type is told by the first byte, byte 36 and, in the CP family, byte 39 (norm reference §3.1).
"""

from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np

from belvedere.engine.b2 import digits
from belvedere.engine.b2.layouts import RECORD_LENGTH, Layout, all_layouts, layout

KINDS = ["?", "000", "1", "2", "2S", "2M", "2P", "2B", "2C", "3", "3S", "3E", "3F", "3H"]
KINDS += ["4", "4S", "4E", "4F", "4B", "4C", "4D", "4H", "4M", "4T", "4U", "5", "6", "999"]
CODE = {kind: code for code, kind in enumerate(KINDS)}

# (first byte, byte of the sub-type letter) to code; a byte that is no letter means the base record.
_TABLE = np.zeros((256, 256), dtype=np.uint8)
for _kind, _code in CODE.items():
    if _kind in ("000", "999"):
        _TABLE[ord(_kind[0]), :] = _code
    elif len(_kind) == 1 and _kind in "123456":
        _TABLE[ord(_kind), : ord("A")] = _TABLE[ord(_kind), ord("Z") + 1 :] = _code
        if _kind in "156":
            _TABLE[ord(_kind), :] = _code
for _kind, _code in CODE.items():
    if len(_kind) == 2:
        _TABLE[ord(_kind[0]), ord(_kind[1])] = _code
# (family, record type) to groups of numeric zones that are needed together; filled by who needs them.
TOGETHER: dict[tuple[str, str], list[tuple[str, ...]]] = {}


def classify(view: np.ndarray, family: str) -> np.ndarray:
    """Codes of `KINDS` of (n, 128) records; 0 for a record of no known type."""
    kind = np.empty(len(view), dtype=np.uint8)
    digits.classify(view, _table(family), family == "CP", kind)
    return kind


@cache
def _table(family: str) -> np.ndarray:
    """The types of a family: what has no layout in it is unknown there."""
    known = [code for kind, code in CODE.items() if (kind, family) in all_layouts()]
    return np.where(np.isin(_TABLE, known), _TABLE, 0).astype(np.uint8)


@dataclass
class Records:
    """Consecutive records of a file: `view` (n, 128) uint8, `kind` (n,) codes of `KINDS`, family, and
    `start`, the 0-based position of the first one in the file. Old 3F records of 02/2003 are told by `old`."""

    view: np.ndarray
    kind: np.ndarray
    family: str
    start: int = 0
    old: bool = False
    _kept: dict = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.view)

    @cached_property
    def _rows(self) -> dict[int, np.ndarray]:
        order = np.argsort(self.kind, kind="stable")
        bounds = np.searchsorted(self.kind[order], np.arange(len(KINDS) + 1))
        return {code: order[bounds[code] : bounds[code + 1]] for code in range(len(KINDS))}

    def rows(self, kind: str) -> np.ndarray:
        """0-based positions in the batch of the records of one type, ascending."""
        return self._rows[CODE[kind]]

    def counts(self) -> dict[str, int]:
        """Number of records by type."""
        found = np.bincount(self.kind, minlength=len(KINDS))
        return {KINDS[code]: int(found[code]) for code in np.flatnonzero(found)}

    def layout(self, kind: str) -> Layout:
        return layout(kind, self.family, old=self.old)

    def owner(self, parent: str, rows: np.ndarray | None = None) -> np.ndarray:
        """For each row (all of them without `rows`), the rank of the last `parent` record at or before it; -1 before
        the first one."""
        key = ("owner", parent)
        if key not in self._kept:
            self._kept[key] = np.cumsum(self.kind == CODE[parent]) - 1
        return self._kept[key] if rows is None else self._kept[key].take(rows)

    def block(self, kind: str) -> np.ndarray:
        """(n_kind, 128) bytes of the records of one type."""
        key = ("block", kind)
        if key not in self._kept:
            self._kept[key] = self.view[self.rows(kind)]
        return self._kept[key]

    def number(self, kind: str, zone: str) -> np.ndarray:
        """int64 values of a numeric zone; zones that hold no digits read as 0."""
        return self.number_and_bad(kind, zone)[0]

    def number_and_bad(self, kind: str, zone: str) -> tuple[np.ndarray, np.ndarray]:
        """(values, where they are not digits) of a numeric zone. Zones that are read together (`TOGETHER`) are
        read in one pass."""
        key = (kind, zone)
        if key not in self._kept:
            names = next((group for group in TOGETHER.get((self.family, kind), ()) if zone in group), (zone,))
            values, bad = digits.read_many(self.view, self.rows(kind), [self.layout(kind)[name].slice for name in names])
            for at, name in enumerate(names):
                self._kept[kind, name] = values[at], bad[at]
        return self._kept[key]

    def digits(self, kind: str, zone: slice) -> np.ndarray:
        """int64 values of any positions of the records of one type; 0 where they are not digits."""
        key = (kind, f"{zone.start}:{zone.stop}")
        if key not in self._kept:
            self._kept[key] = digits.read_many(self.view, self.rows(kind), [zone])[0][0]
        return self._kept[key]

    def text(self, kind: str, zone: str) -> np.ndarray:
        """(n_kind, width) bytes of a zone."""
        return self.view[:, self.layout(kind)[zone].slice].take(self.rows(kind), axis=0)

    def keep(self, key: tuple[str, str], value: np.ndarray) -> None:
        """Keep a column that another control of the same batch needs."""
        self._kept["kept", *key] = value

    def kept(self, key: tuple[str, str]) -> np.ndarray:
        """A column that `keep` was given."""
        return self._kept["kept", *key]

    def letter(self, kind: str, zone: str) -> np.ndarray:
        """(n_kind,) bytes of a zone of one character."""
        return self.view[:, self.layout(kind)[zone].start - 1].take(self.rows(kind))


__all__ = ["CODE", "KINDS", "RECORD_LENGTH", "Records", "classify"]
