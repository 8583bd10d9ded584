"""Publications in time: epochs, revisions, and why their union tells no more than each (secrecy brief §6.2).

The first epoch publishes a table. Each later one publishes an increment, protected as a table of its own: a
cell shows its revision only where the increment may be told, and the first revision that may not freezes the
cell for good. What all epochs tell together is then what each increment tells, one system beside the other,
so a union is safe when every increment is. An increment from too few holdings waits for the next epoch.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from belvedere.engine.secrecy.protect import Protection, protect
from belvedere.engine.secrecy.rules import Contributions, Parameters
from belvedere.engine.secrecy.table import Table


@dataclass(frozen=True)
class Increment:
    """What came in since the last epoch: `net` amount (signed) of each (cell, holding), and persons."""

    cell: np.ndarray
    holding: np.ndarray
    net: np.ndarray
    patients: np.ndarray

    def and_then(self, other: "Increment") -> "Increment":
        """Both, holding by holding."""
        width = int(max(self.holding.max(initial=0), other.holding.max(initial=0))) + 1
        pair = np.concatenate([self.cell * width + self.holding, other.cell * width + other.holding])
        unique, place = np.unique(pair, return_inverse=True)
        net = np.bincount(place, weights=np.concatenate([self.net, other.net]), minlength=len(unique))
        return Increment(unique // width, unique % width, net, self.patients + other.patients)

    def contributions(self) -> Contributions:
        """As contributions: what a holding changes, whatever the direction."""
        return Contributions(self.cell, self.holding, np.abs(self.net), self.patients)


@dataclass(frozen=True)
class Series:
    """The state of a published series. `shown` (cells) is NaN where masked; `revisable` cells may still change;
    `told[k]` are the cells whose k-th increment was told; `waiting` is what came in and was not published."""

    parameters: Parameters
    shown: np.ndarray | None = None
    revisable: np.ndarray | None = None
    told: tuple[np.ndarray, ...] = ()
    increments: tuple[Increment, ...] = ()
    waiting: Increment | None = None
    protections: tuple[Protection, ...] = field(default=(), repr=False)

    def receive(self, increment: Increment) -> "Series":
        """The series once an increment has come in, nothing being published yet."""
        waiting = increment if self.waiting is None else self.waiting.and_then(increment)
        return replace(self, waiting=waiting)

    def postponed(self) -> str:
        """Why the next epoch must wait, in French; empty when it may go out."""
        present = 0 if self.waiting is None else len(np.unique(self.waiting.holding))
        least = self.parameters.holdings
        return "" if present >= least else f"L’époque réunit {present} groupe{'s' * (present > 1)} ; il en faut {least}."

    def publish(self, table: Table, *, seed: int) -> "Series":
        """The series after one more epoch (unchanged when it is postponed). `table` gives the lattice and what splits
        persons; its contributions are replaced by the increment's."""
        if self.postponed() or self.waiting is None:
            return self
        given, cells = self.waiting.contributions(), len(table.lattice)
        value = np.bincount(given.cell, weights=given.amount, minlength=cells)
        moved = np.bincount(self.waiting.cell, weights=self.waiting.net, minlength=cells)
        change = Table.of(table.lattice, given, value=value, partition=table.partition)
        frozen = None if self.revisable is None else ~self.revisable
        done = protect(change, self.parameters, seed=seed + len(self.told), sticky=frozen, certified=False)
        if done.leaks:
            return self
        told = ~done.mask
        before = np.where(told, 0.0, np.nan) if self.shown is None else self.shown
        shown = np.where(told, before + moved, before)
        revisable = told if self.revisable is None else self.revisable & told
        return replace(
            self, shown=shown, revisable=revisable, told=(*self.told, told), increments=(*self.increments, self.waiting), waiting=None,
            protections=(*self.protections, done),
        )  # fmt: skip
