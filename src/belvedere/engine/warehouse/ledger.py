"""Which invoices were already counted: the same number again, or the same care under another number.

An invoice is known by its number within its period (numbers may be used again years later) and by its
content: person, codes, dates, quantities and amounts of all its lines, as one 64-bit sum. Whatever comes
twice, in one file or in several, counts once; a corrected invoice replaces the one it corrects.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

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

    @cached_property
    def by_number(self) -> tuple[np.ndarray, np.ndarray]:
        """(numbers ascending, their ranks)."""
        order = np.argsort(self.number, kind="stable")
        return self.number[order], order

    @cached_property
    def by_content(self) -> tuple[np.ndarray, np.ndarray]:
        """(content sums ascending, their ranks)."""
        order = np.argsort(self.content, kind="stable")
        return self.content[order], order


def _mixed(value: np.ndarray) -> np.ndarray:
    """Finaliser of splitmix64: every bit of the input moves half the bits of the output."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def invoices_of(table: pa.Table, rank: np.ndarray | None = None) -> Invoices:
    """The invoices of fact rows, in order of first row. `rank` tells the invoices of one file apart, whose numbers
    may repeat; without it an invoice is its number, and its rows need not be neighbours."""
    number = table["invoice_no"].to_numpy()
    apart = number if rank is None else rank
    day = table["act_date"].cast(pa.int32()).to_numpy()
    if not len(number):
        empty = np.zeros(0, dtype=np.int64)
        return Invoices(empty, empty, empty, empty.astype(np.uint64), empty)
    line = np.zeros(len(number), dtype=np.uint64)
    for name in _MIXED:
        values = day if name == "act_date" else table[name].to_numpy()
        line = _mixed(line + values.astype(np.int64).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
    starts = np.concatenate([[0], np.flatnonzero(apart[1:] != apart[:-1]) + 1])
    order = None
    if rank is None and len(np.unique(number[starts])) != len(starts):
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


Past = Callable[[Invoices], list[tuple[int, Invoices, bool]]]


def nothing_before(invoices: Invoices) -> list[tuple[int, Invoices, bool]]:
    """The past of a member that sent nothing yet."""
    return []


@dataclass
class Sifted:
    """What became of a batch of invoices, as bool columns: `kept` are to be counted; `again` are identical to
    one already counted, `clash` have the number of another invoice of the file, `corrects` replace an earlier
    one of their number, `elsewhere` repeat the care of another number, `outdated` came after a later version."""

    kept: np.ndarray
    again: np.ndarray
    clash: np.ndarray
    corrects: np.ndarray
    elsewhere: np.ndarray
    outdated: np.ndarray


@dataclass
class Ledger:
    """The invoices of one flow as they come, compared with each other and with the member's past: (live file, its
    invoices, whether it came after this flow). `replaced` gathers, by live file, the numbers of invoices that no
    longer count."""

    past: Past = nothing_before
    replaced: dict[int, set[int]] = field(default_factory=dict)
    _numbers: _Seen = field(default_factory=_Seen)
    _contents: _Seen = field(default_factory=_Seen)

    def sift(self, invoices: Invoices) -> Sifted:
        """Decide for each invoice of a batch."""
        size = len(invoices)
        corrects, elsewhere, outdated = (np.zeros(size, dtype=bool) for _ in range(3))
        seen, content = self._numbers.find(invoices.number)
        again = seen & (content == invoices.content)
        clash = seen & ~again
        repeated, _ = self._contents.find(invoices.content)
        fresh = np.flatnonzero(~seen)
        unique = np.zeros(size, dtype=bool)
        unique[fresh[np.unique(invoices.content[fresh], return_index=True)[1]]] = True
        elsewhere |= ~seen & (repeated | ~unique)
        kept = ~again & ~clash & ~elsewhere
        for reference, old, later in self.past(invoices):
            self._compare(reference, old, later, invoices, Sifted(kept, again, clash, corrects, elsewhere, outdated))
        self._numbers.add(invoices.number[~seen], invoices.content[~seen])
        self._contents.add(invoices.content[fresh], invoices.content[fresh])
        return Sifted(kept, again, clash, corrects, elsewhere, outdated)

    def _compare(self, reference: int, old: Invoices, later: bool, invoices: Invoices, found: Sifted) -> None:
        kept = found.kept
        if not len(old):
            return
        keys, order = old.by_number
        at = order[np.minimum(np.searchsorted(keys, invoices.number), len(old) - 1)]
        gap = np.maximum(invoices.first - old.last[at], old.first[at] - invoices.last)
        same = kept & (old.number[at] == invoices.number) & (gap <= SAME_PERIOD_DAYS)
        identical = same & (old.content[at] == invoices.content)
        found.again[identical] = True
        changed = same & ~identical
        kept[identical] = False
        if later:  # the version that came last stands, whichever is treated first
            found.outdated[changed], kept[changed] = True, False
        elif changed.any():
            found.corrects[changed] = True
            self.replaced.setdefault(reference, set()).update(old.number[at[changed]].tolist())
        keys, order = old.by_content
        at = order[np.minimum(np.searchsorted(keys, invoices.content), len(old) - 1)]
        copied = kept & (old.content[at] == invoices.content) & (old.number[at] != invoices.number)
        found.elsewhere[copied] = True
        if later:
            kept[copied] = False
        elif copied.any():
            self.replaced.setdefault(reference, set()).update(old.number[at[copied]].tolist())
