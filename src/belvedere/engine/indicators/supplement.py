"""What a release tells beside its cells: courses of treatments, bands of providers, concentration; each protected by itself.

Every figure is of France, one family, twelve months. No total over families is told, so that no family can be had by difference.
- courses: a split of a family's patients (new, known…); all its parts or none. Each part that is not empty obeys the primary rules on
  persons (11 persons, 3 groups, dominance, p %), and no part is everybody.
- bands: quantiles over groups, at least ten of them and three on each side, two significant digits (attack A14).
- concentration: the class of the Herfindahl-Hirschman index, never the index: it would give the first one's share away.
What an earlier release told stays; what it hid stays hidden.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import numpy as np

from belvedere.engine.indicators import treatments
from belvedere.engine.nomenclature.products import UNKNOWN_FAMILY, families
from belvedere.engine.secrecy import answers, rules
from belvedere.engine.secrecy.rules import Parameters

QUANTILES = {"p10": 0.10, "p25": 0.25, "p50": 0.50, "p75": 0.75, "p90": 0.90}
# Bounds of the classes of the Herfindahl-Hirschman index (0 to 10 000), those of the European merger guidelines (2004/C 31/03).
CLASSES = ("moins de 1 000", "1 000 à 2 000", "plus de 2 000")
BANDED = ("growth", "growth_patients", "growth_weeks", "average_amo", "amo_per_week", "weeks_per_patient", "delay")
ALL = "*"
Told = dict[str, dict[str, dict[str, Any]]]  # figure -> family -> period -> value, None where it is hidden


def compute(connection: duckdb.DuckDBPyConnection, periods: Mapping[str, Sequence[str]], published: Any, parameters: Parameters) -> Told:
    """Everything told beside the cells of these twelve-month periods. `connection` offers `facts`; `published(family, period)` says
    whether the family's cell is told: what is hidden has no courses, no band and no class."""
    treatments.prepare(connection)
    told: Told = {name: {} for name in ("courses", "concentration", *BANDED)}
    for window, months in periods.items():
        rows = treatments.courses(connection, max(months))
        held = _by_group(connection, months)
        earlier = _by_group(connection, [f"{int(month[:4]) - 1}{month[4:]}" for month in months])
        for family in (ALL, *families()):
            if family == UNKNOWN_FAMILY or not published(family, window):
                continue
            if family != ALL:
                told["courses"].setdefault(family, {})[window] = _courses([row for row in rows if row[0] == family], parameters)
            groups = held.get(family, {})
            told["concentration"].setdefault(family, {})[window] = _concentration(groups, parameters)
            for name, values in _values(groups, earlier.get(family, {}), parameters.patients).items():
                told[name].setdefault(family, {})[window] = _bands(values)
    return told


def kept(now: Told, before: Sequence[Told]) -> Told:
    """What is told now, each value that an earlier release gave or hid standing as it was."""
    for earlier in before:
        for figure, by_family in earlier.items():
            for family, by_period in by_family.items():
                for period, value in by_period.items():
                    if period in now.get(figure, {}).get(family, {}):
                        now[figure][family][period] = value
    return now


def _courses(rows: Sequence[tuple[str, str, int, int]], parameters: Parameters) -> dict[str, int] | None:
    """Parts of each split that may be told; None when none may."""
    whole = {course: count for _, course, group, count in rows if group == -1}
    told: dict[str, int] = {}
    for split in treatments.SPLITS:
        parts = {course: whole.get(course, 0) for course in split}
        everybody = sum(parts.values())
        if all(count == 0 or (count < everybody and _safe(rows, course, count, parameters)) for course, count in parts.items()):
            told |= parts
    return told or None


def _safe(rows: Sequence[tuple[str, str, int, int]], course: str, persons: int, parameters: Parameters) -> bool:
    given = np.array([count for _, found, group, count in rows if found == course and group != -1], dtype=float)
    return not rules.unsafe(np.array([persons]), np.zeros(len(given), dtype=np.int64), given, parameters)[0]


def _by_group(connection: duckdb.DuckDBPyConnection, months: Sequence[str]) -> dict[str, dict[int, dict[str, float]]]:
    """family -> group -> figures of the months it sent, "*" over all families; groups that lack some of the months are left out."""
    listed = ", ".join(f"'{month}'" for month in months)
    rows = connection.sql(f"""
        WITH own AS (SELECT * FROM facts WHERE month IN ({listed})),
             whole AS (SELECT grp FROM own GROUP BY grp HAVING count(DISTINCT month) = {len(months)})
        SELECT family, grp, count(DISTINCT patient), sum(amount_amo), sum(abs(amount_billed)), sum(units * unit_days), count(*),
               sum(date_diff('day', act_date, invoice_date)) FROM own SEMI JOIN whole USING (grp) GROUP BY ALL
        UNION ALL
        SELECT '{ALL}', grp, count(DISTINCT patient), sum(amount_amo), sum(abs(amount_billed)), sum(units * unit_days), count(*),
               sum(date_diff('day', act_date, invoice_date)) FROM own SEMI JOIN whole USING (grp) GROUP BY ALL
    """).fetchall()
    found: dict[str, dict[int, dict[str, float]]] = {}
    for family, group, *figures in rows:
        found.setdefault(str(family), {})[int(group)] = dict(
            zip(("patients", "amo", "billed", "days", "lines", "delay"), map(float, figures), strict=True)
        )
    return found


def _values(now: Mapping[int, Mapping[str, float]], before: Mapping[int, Mapping[str, float]], least: int) -> dict[str, list[float]]:
    """The banded figures of each group that has them. A group of fewer than `least` patients is left out: its figure is its patients'."""
    big = {group: row for group, row in now.items() if row["patients"] >= least}
    return {
        **{
            name: [row[of] / before[group][of] - 1 for group, row in big.items() if before.get(group, {}).get(of, 0) > 0]
            for name, of in (("growth", "amo"), ("growth_patients", "patients"), ("growth_weeks", "days"))
        },
        "average_amo": [row["amo"] / row["patients"] for row in big.values()],
        "amo_per_week": [row["amo"] / (row["days"] / 7) for row in big.values() if row["days"] > 0],
        "weeks_per_patient": [row["days"] / 7 / row["patients"] for row in big.values() if row["days"] > 0],
        "delay": [row["delay"] / row["lines"] for row in big.values()],
    }


def _bands(values: Sequence[float]) -> dict[str, float] | None:
    found = {name: answers.quantile(np.array(values), at) for name, at in QUANTILES.items()}
    return {name: value for name, value in found.items() if not isinstance(value, answers.Refused)} or None


def _concentration(groups: Mapping[int, Mapping[str, float]], parameters: Parameters) -> str | None:
    """The class of the index, at least three groups and no dominance (domain §4.25)."""
    amounts = np.array([row["billed"] for row in groups.values()])
    persons = np.array([int(sum(row["patients"] for row in groups.values()))])
    if not amounts.sum() or rules.unsafe(persons, np.zeros(len(amounts), dtype=np.int64), amounts, parameters)[0]:
        return None
    index = float(((amounts / amounts.sum()) ** 2).sum() * 10_000)
    return CLASSES[int(index >= 1000) + int(index > 2000)]
