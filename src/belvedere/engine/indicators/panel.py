"""The market's index over a constant panel of groups, and extrapolated to the groups of today: what a newly plugged member does to the
market's series, taken away (domain reference §7, trap 4).

- constant: the groups that sent every month of the window, those alone.
- extrapolated: today's level carried back by the growth, month after month, of the groups that sent both months (a chained index).

Both are indices over the twelve months of a window, 100 at the first, rounded to one point, and told of families, never of their total. With the
raw series beside them they tell what the groups that came or went bill. So (ADR 35): every set of groups that stands in a difference obeys the
primary rules in each month, or is empty, as seen by the public and by each federation, which knows its members; the lines read are those that the
published cells were made of, where a month was closed before; an index never leaves one half to double, where a point would be too fine. Windows
share no month, so that two panels have no difference.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from belvedere.engine.indicators.weeks import mondays
from belvedere.engine.nomenclature.products import UNKNOWN_FAMILY, families
from belvedere.engine.secrecy import rules
from belvedere.engine.secrecy.rules import Parameters
from belvedere.engine.warehouse.connection import Connection

Series = dict[str, int]
Sealed = Mapping[tuple[str, str], Mapping[int, int]]  # (family, month) -> group -> cents reimbursed, of the months closed before
SPREAD = 2.0  # an index beyond double or under half is not told


class Amounts:
    """Amounts of each family, month and group, and the persons of any set of groups."""

    def __init__(self, connection: Connection, months: Sequence[str], federations: Mapping[int, int]) -> None:
        self._connection, self.months, self._federations = connection, tuple(months), federations
        listed = ", ".join(f"'{month}'" for month in months)
        self._people: dict[int, dict[tuple[str, str, int], set[object]]] = {}
        self.sent: dict[str, set[int]] = {month: set() for month in months}
        self.amo: dict[tuple[str, str], dict[int, int]] = {}
        self.billed: dict[tuple[str, str], dict[int, float]] = {}
        self._persons_of: dict[tuple[str, str], dict[int, int]] = {}
        for family, month, group, amo, billed, persons in connection.sql(f"""
            SELECT family, month, grp, CAST(sum(amount_amo) AS BIGINT), CAST(sum(abs(amount_billed)) AS BIGINT), count(DISTINCT patient)
            FROM facts WHERE month IN ({listed}) GROUP BY ALL
        """).fetchall():
            self.sent[month].add(int(group))
            self.amo.setdefault((str(family), month), {})[int(group)] = int(amo)
            self.billed.setdefault((str(family), month), {})[int(group)] = float(billed)
            self._persons_of.setdefault((str(family), month), {})[int(group)] = int(persons)

    def of(self, family: str, month: str, groups: set[int]) -> int:
        """What these groups were reimbursed (cents)."""
        return sum(amount for group, amount in self.amo.get((family, month), {}).items() if group in groups)

    def may_be_told(self, family: str, month: str, groups: set[int], parameters: Parameters) -> bool:
        """Whether the groups' sum would obey the primary rules, whole and less the members of each federation; nothing to hide where they
        bill nothing."""
        present = {group for group in self.billed.get((family, month), {}) if group in groups}
        houses = {self._federations[group] for group in present if group in self._federations}
        seen = [present, *({group for group in present if self._federations.get(group) != house} for house in houses)]
        return all(self._safe(family, month, some, parameters) for some in seen)

    def _safe(self, family: str, month: str, groups: set[int], parameters: Parameters) -> bool:
        if not groups:
            return True
        amounts = np.array([self.billed[family, month][group] for group in sorted(groups)])
        # One group with persons enough is enough; only small ones are counted together, since a person may be with several.
        persons = max(self._persons_of[family, month][group] for group in groups)
        if persons < parameters.patients:
            held = self._people_of_few(parameters.patients)
            persons = len(set().union(*(held.get((family, month, group), set()) for group in groups)))
        return not rules.unsafe(np.array([persons]), np.zeros(len(amounts), dtype=np.int64), amounts, parameters)[0]

    def _people_of_few(self, patients: int) -> dict[tuple[str, str, int], set[object]]:
        """The persons of each family, month and group that has fewer than so many."""
        if patients not in self._people:
            few = [(*key, group) for key, held in self._persons_of.items() for group, count in held.items() if count < patients]
            listed = ", ".join(f"('{family}', '{month}', {group})" for family, month, group in few)
            months = ", ".join(f"'{month}'" for month in self.months)
            made: dict[tuple[str, str, int], set[object]] = {}
            for family, month, group, patient in self._connection.sql(f"""
                SELECT DISTINCT family, month, grp, patient FROM facts JOIN (VALUES {listed}) few (family, month, grp) USING (family, month, grp)
                WHERE month IN ({months})
            """).fetchall():
                made.setdefault((str(family), str(month), int(group)), set()).add(patient)
            self._people[patients] = made
        return self._people[patients]


def compute(
    connection: Connection,
    months: Sequence[str],
    parameters: Parameters,
    *,
    sealed: Sealed | None = None,
    federations: Mapping[int, int] | None = None,
) -> dict[str, dict[str, Series] | None]:
    """By family: the series that may be told, "constant" and "extrapolated" (index by month); None where neither may."""
    found = Amounts(connection, months, federations or {})
    told: dict[str, dict[str, Series] | None] = {}
    for family in families():
        if family != UNKNOWN_FAMILY and any(found.amo.get((family, month)) for month in months):
            told[family] = _of(found, family, parameters) if _as_published(found, family, sealed or {}) else None
    return told


def _as_published(found: Amounts, family: str, sealed: Sealed) -> bool:
    """Whether the lines of the months closed before are still those of the published cells: late lines would tell what came in between."""
    for month in {month for _, month in sealed} & set(found.months):
        senders = {group for (_, at), given in sealed.items() if at == month for group in given}
        if senders != found.sent[month] or dict(sealed.get((family, month), {})) != found.amo.get((family, month), {}):
            return False
    return True


def _of(found: Amounts, family: str, parameters: Parameters) -> dict[str, Series] | None:
    made = {"constant": _constant(found, family, parameters), "extrapolated": _extrapolated(found, family, parameters)}
    return {name: series for name, series in made.items() if series} or None


def _always(found: Amounts) -> set[int]:
    return set.intersection(*found.sent.values())


def _constant(found: Amounts, family: str, parameters: Parameters) -> Series | None:
    always = _always(found)
    for month in found.months:
        for groups in (always, found.sent[month] - always):
            if not found.may_be_told(family, month, groups, parameters):
                return None
    return _index({month: found.of(family, month, always) for month in found.months})


def _extrapolated(found: Amounts, family: str, parameters: Parameters) -> Series | None:
    last, always = found.months[-1], _always(found)
    levels = {last: float(found.of(family, last, found.sent[last]))}
    for before, month in reversed(list(pairwise(found.months))):
        both = found.sent[before] & found.sent[month]
        for at in (before, month):
            for groups in (both, found.sent[at] - both, both - always):  # the last: both series are told
                if not found.may_be_told(family, at, groups, parameters):
                    return None
        after = found.of(family, month, both)
        if after <= 0:
            return None
        levels[before] = levels[month] * found.of(family, before, both) / after
    return _index({month: levels[month] for month in found.months})


def _index(levels: Mapping[str, float]) -> Series | None:
    weekly = {month: amount / mondays(month) for month, amount in levels.items()}
    base = next(iter(weekly.values()))
    if base <= 0 or max(weekly.values()) > SPREAD * base or min(weekly.values()) < base / SPREAD:
        return None
    return {month: round(amount / base * 100) for month, amount in weekly.items()}
