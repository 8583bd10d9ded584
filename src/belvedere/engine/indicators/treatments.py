"""Treatments of persons over time: who is new, who stopped, who changed provider, how long a treatment lasts.

A treatment is what one person receives of one family. A month without a line for three months in a row ends it. Rules that
depend on the past need a past: what begins less than twelve months after its sender's first data is told apart ("unsure"),
so that a newly plugged sender never looks like a boom (domain §7.4).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from belvedere.engine.warehouse.connection import Connection

LOOK_BACK = 12  # months without a line of the family before somebody is new again
SILENCE = 3  # months without a line after which a treatment has stopped
COURSES = {
    "new": "Nouveaux", "known": "Déjà suivis", "unsure": "Recul insuffisant", "stopped": "Arrêtés", "going": "En cours", "switched": "Passés d’un groupe à un autre",
    "stayed": "Restés dans leur groupe",
}  # fmt: skip
SPLITS = (("new", "known", "unsure"), ("stopped", "going"), ("switched", "stayed"))
MARKS = (1, 3, 6, 12, 24)  # months at which a survival curve is told


def prepare(connection: Connection) -> None:
    """The table `treated`: one row per person, family and month of care, with what came before; from the view `facts`."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE senders AS SELECT member_id, min(period) AS since FROM facts GROUP BY ALL;
        CREATE OR REPLACE TEMP TABLE treated AS
        WITH seen AS (
            SELECT patient, family, period, min(s.since) AS since, min(grp) AS low, max(grp) AS high
            FROM facts JOIN senders s USING (member_id) GROUP BY ALL
        ),
        followed AS (SELECT *, lag(period) OVER (PARTITION BY patient, family ORDER BY period) AS before FROM seen)
        SELECT *, coalesce(before < period - INTERVAL {LOOK_BACK} MONTH, true) AS starts, since > period - INTERVAL {LOOK_BACK} MONTH AS unsure
        FROM followed;
    """)


def courses(connection: Connection, last: str) -> list[tuple[str, str, int, int]]:
    """(family, course, group, persons) over the twelve months that end with `last` (AAAA-MM); -1 counts everybody once. After `prepare`."""
    rows = connection.sql(f"""
        WITH bounds AS (SELECT DATE '{last}-01' AS stop),
        own AS (
            SELECT patient, family, min_by(starts, period) AS starts, min_by(unsure, period) AS unsure, max(period) AS latest,
                   min(low) AS low, max(high) AS high
            FROM treated, bounds WHERE period > stop - INTERVAL 12 MONTH AND period <= stop GROUP BY ALL
        ),
        told AS (
            SELECT patient, family, unnest([
                CASE WHEN NOT starts THEN 'known' WHEN unsure THEN 'unsure' ELSE 'new' END,
                CASE WHEN latest <= stop - INTERVAL {SILENCE} MONTH THEN 'stopped' ELSE 'going' END,
                CASE WHEN low < high THEN 'switched' ELSE 'stayed' END]) AS course FROM own, bounds
        ),
        held AS (SELECT DISTINCT patient, family, grp FROM facts, bounds WHERE period > stop - INTERVAL 12 MONTH AND period <= stop)
        SELECT family, course, -1, count(*) FROM told GROUP BY ALL
        UNION ALL SELECT family, course, grp, count(*) FROM told JOIN held USING (patient, family) GROUP BY ALL
    """).fetchall()
    return [(str(family), str(course), int(group), int(count)) for family, course, group, count in rows]


def new_by_month(connection: Connection) -> dict[tuple[str, str], int]:
    """(month, family) to the persons who begin a treatment; months without enough past are left out. "*": any family."""
    rows = connection.sql("""
        SELECT strftime(period, '%Y-%m') AS month, family, count(*) FILTER (starts AND NOT unsure), count(*) FILTER (starts AND unsure) FROM treated GROUP BY ALL
        UNION ALL
        SELECT strftime(period, '%Y-%m') AS month, '*', count(DISTINCT patient) FILTER (starts AND NOT unsure), count(*) FILTER (starts AND unsure) FROM treated GROUP BY ALL
        ORDER BY 1, 2
    """).fetchall()
    return {(str(month), str(family)): int(new) for month, family, new, unsure in rows if not unsure}


@dataclass(frozen=True)
class Survival:
    """A Kaplan-Meier curve: `still` is the share still treated after each of `months` (0 first); `treatments` are those followed."""

    months: tuple[int, ...]
    still: tuple[float, ...]
    treatments: int
    stops: int

    def at(self, months: int) -> float | None:
        """Share still treated after so many months; None past what was observed."""
        if not self.months or months > self.months[-1]:
            return None
        return self.still[int(np.searchsorted(self.months, months, side="right")) - 1]

    @property
    def median(self) -> int | None:
        """Months after which half have stopped; None when fewer have."""
        return next((month for month, share in zip(self.months, self.still, strict=True) if share <= 0.5), None)


def kaplan_meier(lasted: np.ndarray, stopped: np.ndarray) -> Survival:
    """The curve of treatments that lasted whole months (int, n), stopped (bool, n) or still going when last seen (Kaplan and Meier, 1958)."""
    if not len(lasted):
        return Survival((), (), 0, 0)
    longest = int(lasted.max())
    ends = np.bincount(lasted[stopped], minlength=longest + 1)
    gone = np.bincount(lasted, minlength=longest + 1)
    at_risk = len(lasted) - np.concatenate([[0], np.cumsum(gone)[:-1]])
    with np.errstate(invalid="ignore", divide="ignore"):
        kept = np.where(at_risk > 0, 1 - ends / at_risk, 1.0)
    return Survival(tuple(range(longest + 1)), tuple(np.cumprod(kept).tolist()), len(lasted), int(stopped.sum()))


def survivals(connection: Connection) -> dict[str, Survival]:
    """The curve of each family, over treatments that began at least three months after their sender's first data; still going
    when a line stands in the last three months of the data. After `prepare`."""
    table = connection.sql(f"""
        WITH marked AS (
            SELECT *, CASE WHEN before IS NULL OR before < period - INTERVAL {SILENCE} MONTH THEN 1 ELSE 0 END AS fresh FROM treated
        ),
        numbered AS (SELECT *, sum(fresh) OVER (PARTITION BY patient, family ORDER BY period) AS number FROM marked),
        spans AS (SELECT patient, family, number, min(period) AS start, max(period) AS latest, min_by(since, period) AS since FROM numbered GROUP BY ALL)
        SELECT family, date_diff('month', start, latest) + 1 AS lasted,
               latest <= (SELECT max(period) FROM treated) - INTERVAL {SILENCE} MONTH AS stopped
        FROM spans WHERE start >= since + INTERVAL {SILENCE} MONTH
    """).to_arrow_table()
    families, lasted, stopped = (table[name].to_numpy(zero_copy_only=False) for name in ("family", "lasted", "stopped"))
    return {
        str(family): kaplan_meier(lasted[families == family].astype(np.int64), stopped[families == family].astype(bool))
        for family in np.unique(families.astype(str))
    }


def migrations(connection: Connection, last: str, parts: Mapping[str, str]) -> dict[str, dict[tuple[str, str], int]]:
    """family -> (part at first, part at last) -> persons, over the twelve months that end with `last`: `parts` (LPP code to part) of the
    first and of the last month of care of each person seen in at least two months."""
    if not parts:
        return {}
    cases = " ".join(f"WHEN '{code}' THEN '{part}'" for code, part in parts.items())
    rows = connection.sql(f"""
        WITH lines AS (
            SELECT patient, family, period, max(CASE lpp_code {cases} END) AS part FROM facts
            WHERE period > DATE '{last}-01' - INTERVAL 12 MONTH AND period <= DATE '{last}-01' GROUP BY ALL HAVING part IS NOT NULL
        ),
        ends AS (SELECT patient, family, min_by(part, period) AS first, max_by(part, period) AS latest, count(*) AS months FROM lines GROUP BY ALL)
        SELECT family, first, latest, count(*) FROM ends WHERE months > 1 GROUP BY ALL
    """).fetchall()
    found: dict[str, dict[tuple[str, str], int]] = {}
    for family, first, latest, count in rows:
        found.setdefault(str(family), {})[str(first), str(latest)] = int(count)
    return found


def initiations(connection: Connection, start: str, after: tuple[str, ...], last: str) -> tuple[int, int]:
    """(persons whose first `start` code falls in the twelve months that end with `last` and who were seen past its fourteenth week, those
    then billed one of `after`). Rule: initiation is billed thirteen weeks at most (LPP 1.1.2.3, 9.INI)."""
    row = connection.sql(f"""
        WITH begun AS (SELECT patient, min(act_date) AS day FROM facts WHERE lpp_code = '{start}' GROUP BY ALL),
        later AS (
            SELECT b.patient, bool_or(f.lpp_code IN ({", ".join(f"'{code}'" for code in after)})) AS passed
            FROM begun b JOIN facts f ON f.patient = b.patient AND f.family = 'PPC' AND f.act_date >= b.day + INTERVAL 91 DAY
            WHERE b.day >= DATE '{last}-01' - INTERVAL 11 MONTH AND b.day < DATE '{last}-01' + INTERVAL 1 MONTH GROUP BY ALL
        )
        SELECT count(*), count(*) FILTER (passed) FROM later
    """).fetchall()[0]
    return int(row[0]), int(row[1])
