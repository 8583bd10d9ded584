"""Which invoices were already counted: the same number again, or the same care under another number.

An invoice is known by its number within its period (numbers may be used again years later) and by its
content: person, codes, dates, quantities and amounts of all its lines, as one 64-bit sum. Whatever comes
twice, in one file or in several, counts once; a corrected invoice replaces the one it corrects.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

# The same number is the same invoice when the care is at most a quarter apart.
SAME_PERIOD_DAYS = 92
COLUMNS = ("flow_id", "invoice_no", "patient", "lpp", "units", "act_date", "amount_billed", "amount_amo", "amount_amc", "nature")
_MIXED = COLUMNS[2:]


@dataclass(frozen=True)
class Invoices:
    """n invoices: number, first and last day of care (days since 1970), content sum (uint64), first row of the table."""

    number: np.ndarray
    first: np.ndarray
    last: np.ndarray
    content: np.ndarray
    row: np.ndarray

    def __len__(self) -> int:
        return len(self.number)


def _mixed(value: np.ndarray) -> np.ndarray:
    """Finaliser of splitmix64: every bit of the input moves half the bits of the output."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def invoices_of(table: pa.Table) -> Invoices:
    """The invoices of fact rows, in order of first row. Rows of one invoice need not be neighbours."""
    number = table["invoice_no"].to_numpy()
    day = table["act_date"].cast(pa.int32()).to_numpy()
    if not len(number):
        empty = np.zeros(0, dtype=np.int64)
        return Invoices(empty, empty, empty, empty.astype(np.uint64), empty)
    line = np.zeros(len(number), dtype=np.uint64)
    for name in _MIXED:
        values = day if name == "act_date" else table[name].to_numpy()
        line = _mixed(line + values.astype(np.int64).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
    breaks = np.flatnonzero(number[1:] != number[:-1]) + 1
    starts = np.concatenate([[0], breaks])
    order = None
    if len(np.unique(number[starts])) != len(starts):
        order = np.argsort(number, kind="stable")
        number, day, line = number[order], day[order], line[order]
        starts = np.concatenate([[0], np.flatnonzero(number[1:] != number[:-1]) + 1])
    made = Invoices(
        number[starts], np.minimum.reduceat(day, starts), np.maximum.reduceat(day, starts), np.add.reduceat(line, starts),
        starts if order is None else order[starts],
    )  # fmt: skip
    return made


@dataclass
class _Seen:
    """Keys with a value each, in sorted runs whose sizes double: look-ups stay logarithmic, memory flat."""

    runs: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(found bool, value) of each key."""
        found, value = np.zeros(len(keys), dtype=bool), np.zeros(len(keys), dtype=np.uint64)
        for run, values in self.runs:
            at = np.minimum(np.searchsorted(run, keys), len(run) - 1)
            hit = run[at] == keys
            value[hit] = values[at[hit]]
            found |= hit
        return found, value

    def add(self, keys: np.ndarray, values: np.ndarray) -> None:
        while self.runs and len(self.runs[-1][0]) <= 2 * len(keys):
            before, kept = self.runs.pop()
            keys, values = np.concatenate([before, keys]), np.concatenate([kept, values])
        if len(keys):
            order = np.argsort(keys, kind="stable")
            self.runs.append((keys[order], values[order]))


Past = Callable[[Invoices], list[tuple[int, Invoices]]]


def nothing_before(invoices: Invoices) -> list[tuple[int, Invoices]]:
    """The past of a member that sent nothing yet."""
    return []


@dataclass
class Sifted:
    """What became of a batch of invoices, as bool columns: `kept` are to be counted; `again` are identical to
    one already counted, `clash` have the number of another invoice of the file, `corrects` replace an earlier
    one of their number, `elsewhere` repeat the care of another number."""

    kept: np.ndarray
    again: np.ndarray
    clash: np.ndarray
    corrects: np.ndarray
    elsewhere: np.ndarray


@dataclass
class Ledger:
    """The invoices of one flow as they come, compared with each other and with the member's past. `replaced`
    gathers, by live file, the numbers of invoices that no longer count."""

    past: Past = nothing_before
    replaced: dict[int, set[int]] = field(default_factory=dict)
    _numbers: _Seen = field(default_factory=_Seen)
    _contents: _Seen = field(default_factory=_Seen)

    def sift(self, invoices: Invoices) -> Sifted:
        """Decide for each invoice of a batch."""
        size = len(invoices)
        corrects, elsewhere = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
        seen, content = self._numbers.find(invoices.number)
        again = seen & (content == invoices.content)
        clash = seen & ~again
        repeated, _ = self._contents.find(invoices.content)
        unique = np.zeros(size, dtype=bool)
        unique[np.unique(invoices.content, return_index=True)[1]] = True
        elsewhere |= ~seen & (repeated | ~unique)
        kept = ~again & ~clash & ~elsewhere
        for reference, old in self.past(invoices):
            self._compare(reference, old, invoices, kept, again, corrects, elsewhere)
        self._numbers.add(invoices.number[kept], invoices.content[kept])
        self._contents.add(invoices.content[kept], invoices.content[kept])
        return Sifted(kept, again, clash, corrects, elsewhere)

    def _compare(self, reference, old, invoices, kept, again, corrects, elsewhere) -> None:
        order = np.argsort(old.number, kind="stable")
        at = order[np.minimum(np.searchsorted(old.number, invoices.number, sorter=order), len(old) - 1)] if len(old) else None
        if at is None:
            return
        gap = np.maximum(invoices.first - old.last[at], old.first[at] - invoices.last)
        same = kept & (old.number[at] == invoices.number) & (gap <= SAME_PERIOD_DAYS)
        identical = same & (old.content[at] == invoices.content)
        again |= identical
        kept &= ~identical
        changed = same & ~identical
        corrects |= changed
        gone = self.replaced.setdefault(reference, set()) if changed.any() else None
        if gone is not None:
            gone.update(old.number[at[changed]].tolist())
        order = np.argsort(old.content, kind="stable")
        at = order[np.minimum(np.searchsorted(old.content, invoices.content, sorter=order), len(old) - 1)]
        copied = kept & (old.content[at] == invoices.content) & (old.number[at] != invoices.number)
        if copied.any():
            elsewhere |= copied
            self.replaced.setdefault(reference, set()).update(old.number[at[copied]].tolist())
