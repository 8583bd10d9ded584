"""The catalogue of data items, who asks for each, and what is asked several times ("dites-le-nous une fois")."""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from belvedere.engine.exchange.vocabulary import Actor, Category

YEARLY = {"continue": 12, "mensuelle": 12, "annuelle": 1, "quinquennale": 0.2, "évènement": 1}


@dataclass(frozen=True)
class DataItem:
    """One item: category, where it lies in FHIR, its nomenclature, how often it is asked, on which basis, by whom."""

    name: str
    category: Category
    path: str
    nomenclature: str
    frequency: str
    basis: str
    asked_by: tuple[Actor, ...]

    @property
    def entries(self) -> float:
        """Entries a year and a person or establishment, were each asker told apart."""
        return YEARLY[self.frequency] * len(self.asked_by)

    @property
    def saved(self) -> float:
        """Entries that one deposit saves."""
        return YEARLY[self.frequency] * (len(self.asked_by) - 1)


@cache
def items() -> tuple[DataItem, ...]:
    """The items that we know to be asked; the framework speaks of ten to six hundred."""
    with (files(__package__) / "items.csv").open(encoding="utf-8") as stream:
        return tuple(
            DataItem(row["item"], Category(row["category"]), row["path"], row["nomenclature"], row["frequency"], row["basis"], tuple(Actor(code) for code in row["asked_by"].split()))
            for row in csv.DictReader(stream)
        )  # fmt: skip


@dataclass(frozen=True)
class Redundancy:
    """How much is asked more than once."""

    items: int
    repeated: int
    entries: float
    once: float
    by_actor: tuple[tuple[Actor, int], ...]

    @property
    def saved(self) -> float:
        """Share of the entries that depositing once would save."""
        return 1 - self.once / self.entries if self.entries else 0.0


def redundancy(listed: Iterable[DataItem]) -> Redundancy:
    """The report over some items; entries are counted a year for one person or establishment."""
    rows = tuple(listed)
    asked = Counter(actor for row in rows for actor in row.asked_by)
    return Redundancy(
        len(rows),
        sum(len(row.asked_by) > 1 for row in rows),
        sum(row.entries for row in rows),
        sum(row.entries - row.saved for row in rows),
        tuple(asked.most_common()),
    )
