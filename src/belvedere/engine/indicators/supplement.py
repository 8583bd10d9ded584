"""What a release tells beside its cells: courses of treatments, bands of providers, concentration; each protected by itself.

Every figure is of France, one family, twelve months. No total over families is told, so that no family can be had by difference.
- courses: a split of a family's patients (new, known…); all its parts or none. Each part that is not empty obeys the primary rules on
  persons (11 persons, 3 groups, dominance, p %), and no part is everybody.
- bands: means of the five groups around a quantile, at least ten groups and three on each side, rounded (attack A14).
- concentration: the class of the Herfindahl-Hirschman index, never the index: it would give the first one's share away; told where moving any
  one group by p % would not change it.
- panel: the index over a constant panel of groups, and the extrapolated one (`panel`).
What an earlier release told stays; what it hid stays hidden.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np

from belvedere.engine.indicators import panel, treatments
from belvedere.engine.nomenclature.products import UNKNOWN_FAMILY, families
from belvedere.engine.secrecy import answers, rules
from belvedere.engine.secrecy.rules import Parameters
from belvedere.engine.warehouse.connection import Connection

QUANTILES = {"p10": 0.10, "p25": 0.25, "p50": 0.50, "p75": 0.75, "p90": 0.90}
# Bounds of the classes of the Herfindahl-Hirschman index (0 to 10 000), those of the European merger guidelines (2004/C 31/03).
CLASSES = ("moins de 1 000", "1 000 à 2 000", "plus de 2 000")
BANDED = ("growth", "growth_patients", "average_amo")
AROUND = 2  # groups on each side of the middle one that a band averages: no band is one group's figure
GROWTH_STEP = 0.01  # growths are told to one point: two significant digits of a small change would be four of the ratio
SWITCHED = "switched"
ALL = "*"
Told = dict[str, dict[str, dict[str, Any]]]  # figure -> family -> period -> value, None where it is hidden


def compute(
    connection: Connection,
    periods: Mapping[str, Sequence[str]],
    published: Any,
    parameters: Parameters,
    *,
    sealed: panel.Sealed | None = None,
    federations: Mapping[int, int] | None = None,
) -> Told:
    """Everything told beside the cells of these twelve-month periods. `connection` offers `facts`; `published(family, period)` gives
    the persons of the family's cell, None where it is not told: what is hidden has no courses, no band and no class. `sealed`: amounts by group of the months closed
    before; `federations`: of each group."""
    told: Told = {name: {} for name in ("courses", "concentration", "panel", *BANDED)}
    # The past of a shorter window would tell months that nobody declared.
    windows = {window: months for window, months in periods.items() if len(months) == 12}
    if not windows:
        return told
    treatments.prepare(connection)
    for window, months in windows.items():
        before = f"12m-{int(max(months)[:4]) - 1}{max(months)[4:]}"
        for family, series in panel.compute(connection, sorted(months), parameters, sealed=sealed, federations=federations).items():
            if published(family, window) is not None:
                whole = all(published(family, month) is not None for month in months)
                told["panel"].setdefault(family, {})[window] = series if whole else None
        rows = treatments.courses(connection, max(months))
        held = _by_group(connection, months)
        earlier = _by_group(connection, [f"{int(month[:4]) - 1}{month[4:]}" for month in months])
        for family in (ALL, *families()):
            persons = published(family, window)
            if family == UNKNOWN_FAMILY or persons is None:
                continue
            if family != ALL:
                told["courses"].setdefault(family, {})[window] = _courses([row for row in rows if row[0] == family], persons, parameters)
            groups = held.get(family, {})
            told["concentration"].setdefault(family, {})[window] = _concentration(groups, persons, parameters)
            past = earlier.get(family, {}) if published(family, before) is not None else {}
            for name, values in _values(groups, past, parameters.patients).items():
                told[name].setdefault(family, {})[window] = _bands(values, GROWTH_STEP if name.startswith("growth") else None)
    return told


def kept(now: Told, before: Sequence[Told], periods: Container[str]) -> Told:
    """What is told now and what earlier releases told or hid of the periods that are still there, as it was."""
    for earlier in before:
        for figure, by_family in earlier.items():
            for family, by_period in by_family.items():
                for period, value in by_period.items():
                    if period in periods:
                        now.setdefault(figure, {}).setdefault(family, {})[period] = value
    return now


def _courses(rows: Sequence[tuple[str, str, int, int]], persons: int, parameters: Parameters) -> dict[str, int] | None:
    """Parts of each split that may be told; None when none may, or when they do not add up to the persons that the cell tells."""
    whole = {course: count for _, course, group, count in rows if group == -1}
    told: dict[str, int] = {}
    for split in treatments.SPLITS:
        parts = {course: whole.get(course, 0) for course in split}
        everybody = sum(parts.values())
        if everybody == persons and all(
            count == 0 or (count < everybody and _safe(rows, course, count, parameters)) for course, count in parts.items()
        ):
            told |= parts
    return told or None


def _safe(rows: Sequence[tuple[str, str, int, int]], course: str, persons: int, parameters: Parameters) -> bool:
    given = np.array([count for _, found, group, count in rows if found == course and group != -1], dtype=float)
    if course == SWITCHED and persons - given.max(initial=0) < max(parameters.patients, parameters.p_percent * persons):
        return False  # each is held by two groups: without the one that most passed through, there must still be enough
    return not rules.unsafe(np.array([persons]), np.zeros(len(given), dtype=np.int64), given, parameters)[0]


def _by_group(connection: Connection, months: Sequence[str]) -> dict[str, dict[int, dict[str, float]]]:
    """family -> group -> figures of the months it sent, "*" over all families; groups that lack some of the months are left out."""
    listed = ", ".join(f"'{month}'" for month in months)
    rows = connection.sql(f"""
        WITH own AS (SELECT * FROM facts WHERE month IN ({listed})),
             whole AS (SELECT grp FROM own GROUP BY grp HAVING count(DISTINCT month) = {len(months)})
        SELECT family, grp, count(DISTINCT patient), sum(amount_amo), sum(abs(amount_billed)) FROM own SEMI JOIN whole USING (grp) GROUP BY ALL
        UNION ALL
        SELECT '{ALL}', grp, count(DISTINCT patient), sum(amount_amo), sum(abs(amount_billed)) FROM own SEMI JOIN whole USING (grp) GROUP BY ALL
    """).fetchall()
    found: dict[str, dict[int, dict[str, float]]] = {}
    for family, group, *figures in rows:
        found.setdefault(str(family), {})[int(group)] = dict(zip(("patients", "amo", "billed"), map(float, figures), strict=True))
    return found


def _values(now: Mapping[int, Mapping[str, float]], before: Mapping[int, Mapping[str, float]], least: int) -> dict[str, list[float]]:
    """The banded figures of each group that has them. A group of fewer than `least` patients, now or then, is left out: its figure is its patients'."""
    big = {group: row for group, row in now.items() if row["patients"] >= least}
    both = {group: (row, before[group]) for group, row in big.items() if before.get(group, {}).get("patients", 0) >= least}
    return {
        "growth": [row["amo"] / past["amo"] - 1 for row, past in both.values() if past["amo"] > 0],
        "growth_patients": [row["patients"] / past["patients"] - 1 for row, past in both.values()],
        "average_amo": [row["amo"] / row["patients"] for row in big.values()],
    }


def _bands(values: Sequence[float], step: float | None) -> dict[str, float] | None:
    """Means of the five groups around each quantile: at least ten groups, three on each side of its place, never an extreme (attack A14)."""
    ordered, found = np.sort(np.array(values, dtype=float)), {}
    for name, at in QUANTILES.items():
        middle = round(at * (len(ordered) - 1))
        if isinstance(answers.quantile(ordered, at), answers.Refused) or middle - AROUND < 1 or middle + AROUND > len(ordered) - 2:
            continue
        mean = float(ordered[middle - AROUND : middle + AROUND + 1].mean())
        found[name] = round(round(mean / step) * step, 6) if step else float(f"{mean:.1e}")
    return found or None


def _concentration(groups: Mapping[int, Mapping[str, float]], persons: int, parameters: Parameters) -> str | None:
    """The class of the index: ten groups at least, no dominance, and the same class were any group's amount p % higher or lower."""
    amounts = np.array([row["billed"] for row in groups.values()])
    if len(amounts) < answers.ENOUGH or not amounts.sum():
        return None
    if rules.unsafe(np.array([persons]), np.zeros(len(amounts), dtype=np.int64), amounts, parameters)[0]:
        return None
    moved = [
        amounts * np.where(np.arange(len(amounts)) == group, factor, 1.0)
        for group in range(len(amounts))
        for factor in (1 - parameters.p_percent, 1 + parameters.p_percent)
    ]
    classes = {_class(each) for each in (amounts, *moved)}
    return classes.pop() if len(classes) == 1 else None


def _class(amounts: np.ndarray) -> str:
    index = float(((amounts / amounts.sum()) ** 2).sum() * 10_000)
    return CLASSES[int(index >= 1000) + int(index > 2000)]
