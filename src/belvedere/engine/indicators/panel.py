"""The market's index over a constant panel of groups, and extrapolated to the groups of today: what a newly plugged member does to the
market's series, taken away (ScanSanté and OpenPrescribing users ask for both; domain reference §7, trap 4).

- constant: the groups that sent every month of the window and of the year before, those alone.
- extrapolated: today's level carried back by the growth, month after month, of the groups that sent both months (a chained index).

Both are indices, 100 at the first month, rounded to one point. With the raw series beside them they tell what the groups that came or went
bill: those are told only where these groups, together, obey the primary rules in each month, or where there is none. The panel of the window
before shares twelve months with this one: what tells both apart, the groups of one alone, must obey them too.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from belvedere.engine.indicators.weeks import mondays
from belvedere.engine.nomenclature.products import UNKNOWN_FAMILY, families
from belvedere.engine.secrecy import rules
from belvedere.engine.secrecy.rules import Parameters
from belvedere.engine.warehouse.connection import Connection

ALL = "*"
Series = dict[str, int]


class Contributions:
    """Amounts of each family, month and group, and the persons of any set of groups."""

    def __init__(self, connection: Connection, months: Sequence[str], before: Sequence[str] = ()) -> None:
        self._connection, self.months = connection, tuple(months)
        self.shared = [month for month in months if month in before]
        self.earlier = _always(connection, before)
        listed = ", ".join(f"'{month}'" for month in months)
        self._persons: dict[tuple[int, ...], dict[tuple[str, str], int]] = {}
        connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE panel AS
            SELECT family, month, grp, sum(amount_amo) AS amo, sum(abs(amount_billed)) AS billed
            FROM facts WHERE month IN ({listed}) GROUP BY ALL
        """)
        self.sent: dict[str, set[int]] = {month: set() for month in months}
        self.amo: dict[tuple[str, str], dict[int, float]] = {}
        self.billed: dict[tuple[str, str], dict[int, float]] = {}
        for family, month, group, amo, billed in connection.sql("SELECT family, month, grp, amo, billed FROM panel").fetchall():
            self.sent[month].add(int(group))
            for name in (str(family), ALL):
                amounts, given = self.amo.setdefault((name, month), {}), self.billed.setdefault((name, month), {})
                amounts[int(group)] = amounts.get(int(group), 0.0) + float(amo)
                given[int(group)] = given.get(int(group), 0.0) + float(billed)

    def of(self, family: str, month: str, groups: set[int]) -> float:
        """What these groups were reimbursed (cents)."""
        return sum(amount for group, amount in self.amo.get((family, month), {}).items() if group in groups)

    def may_be_told(self, family: str, month: str, groups: set[int], parameters: Parameters) -> bool:
        """Whether the groups' sum would obey the primary rules; nothing to hide where they bill nothing."""
        given = {group: amount for group, amount in self.billed.get((family, month), {}).items() if group in groups}
        if not given:
            return True
        amounts = np.array(list(given.values()))
        persons = np.array([self._people(groups).get((family, month), 0)])
        return not rules.unsafe(persons, np.zeros(len(amounts), dtype=np.int64), amounts, parameters)[0]

    def _people(self, groups: set[int]) -> dict[tuple[str, str], int]:
        key = tuple(sorted(groups))
        if key not in self._persons:
            listed, months = ", ".join(map(str, key)), ", ".join(f"'{month}'" for month in self.months)
            rows = self._connection.sql(f"""
                SELECT coalesce(family, '{ALL}'), month, count(DISTINCT patient) FROM facts
                WHERE grp IN ({listed}) AND month IN ({months}) GROUP BY GROUPING SETS ((family, month), (month))
            """).fetchall()
            self._persons[key] = {(str(family), str(month)): int(count) for family, month, count in rows}
        return self._persons[key]


def _always(connection: Connection, months: Sequence[str]) -> set[int]:
    """Groups that sent every one of these months."""
    listed = ", ".join(f"'{month}'" for month in months)
    query = f"SELECT grp FROM facts WHERE month IN ({listed}) GROUP BY grp HAVING count(DISTINCT month) = {len(months)}"
    return {int(row[0]) for row in connection.sql(query).fetchall()} if months else set()


def compute(connection: Connection, months: Sequence[str], parameters: Parameters, before: Sequence[str] = ()) -> dict[str, dict[str, Series] | None]:
    """`before`: the months of the panel told before this one. By family ("*": all): the series that may be told, "constant" and "extrapolated" (index by month); None where neither may. The total
    is told only if every family is, so that no family can be had by difference."""
    found = Contributions(connection, months, before)
    told: dict[str, dict[str, Series] | None] = {}
    for family in families():
        if family != UNKNOWN_FAMILY and any(found.amo.get((family, month)) for month in months):
            told[family] = _of(found, family, parameters)
    complete = [set(series or ()) for series in told.values()]
    whole = _of(found, ALL, parameters) or {}
    told[ALL] = {name: series for name, series in whole.items() if all(name in names for names in complete)} or None
    return told


def _of(found: Contributions, family: str, parameters: Parameters) -> dict[str, Series] | None:
    made = {"constant": _constant(found, family, parameters), "extrapolated": _extrapolated(found, family, parameters)}
    return {name: series for name, series in made.items() if series} or None


def _constant(found: Contributions, family: str, parameters: Parameters) -> Series | None:
    everybody = set().union(*found.sent.values())
    always = set.intersection(*found.sent.values())
    for month in found.months:
        apart = found.earlier ^ always if found.earlier and month in found.shared else set()
        for groups in (always, everybody - always, apart):
            if not found.may_be_told(family, month, groups, parameters):
                return None
    return _index({month: found.of(family, month, always) for month in found.months})


def _extrapolated(found: Contributions, family: str, parameters: Parameters) -> Series | None:
    last = found.months[-1]
    levels = {last: found.of(family, last, found.sent[last])}
    for before, month in reversed(list(pairwise(found.months))):
        both = found.sent[before] & found.sent[month]
        for at, groups in ((before, both), (month, both), (before, found.sent[before] - both), (month, found.sent[month] - both)):
            if not found.may_be_told(family, at, groups, parameters):
                return None
        after = found.of(family, month, both)
        if not after:
            return None
        levels[before] = levels[month] * found.of(family, before, both) / after
    return _index({month: levels[month] for month in found.months})


def _index(levels: Mapping[str, float]) -> Series | None:
    weekly = {month: amount / mondays(month) for month, amount in levels.items()}
    base = next(iter(weekly.values()))
    return {month: round(amount / base * 100) for month, amount in weekly.items()} if base else None
