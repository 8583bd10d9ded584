"""Who prescribes: how many, new, lost, how concentrated, of which specialty. Own lines only; prescribers are pseudonyms."""

from dataclasses import dataclass

from belvedere.engine.warehouse.connection import Connection

# Specialty codes of the health insurance (IR_SPE_V) as prescribers of home care carry them.
SPECIALTIES = {
    1: "Médecine générale", 2: "Anesthésie", 3: "Cardiologie", 4: "Chirurgie", 7: "Gynécologie", 8: "Gastro-entérologie", 9: "Médecine interne", 11: "ORL",
    12: "Pédiatrie", 13: "Pneumologie", 14: "Rhumatologie", 17: "Psychiatrie", 31: "Médecine physique", 32: "Neurologie", 35: "Néphrologie",
    42: "Endocrinologie", 90: "Prescripteurs hospitaliers salariés", 98: "Autres prescripteurs de ville",
}  # fmt: skip
HOSPITAL = 90
TOP = 10


@dataclass(frozen=True)
class Prescriptions:
    """Prescribers of twelve months: `active` of them, `new` and `lost` against the twelve months before (None without
    them), `top` the share of amounts reimbursed that the first ten carry, `by_specialty` (code, prescribers, patients, cents)."""

    active: int
    new: int | None
    lost: int | None
    top: float | None
    by_specialty: tuple[tuple[int, int, int, int], ...]


def compute(connection: Connection, last: str) -> dict[str, Prescriptions]:
    """Prescribers of the twelve months that end with `last` (AAAA-MM), by family and over all ("*"); unknown ones (0) count in amounts alone."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE prescribed AS
        SELECT coalesce(family, '*') AS family, prescriber, prescriber_specialty, period > DATE '{last}-01' - INTERVAL 12 MONTH AS now,
               CAST(sum(amount_amo) AS BIGINT) AS amount
        FROM facts WHERE period > DATE '{last}-01' - INTERVAL 24 MONTH AND period <= DATE '{last}-01'
        GROUP BY GROUPING SETS ((family, prescriber, prescriber_specialty, now), (prescriber, prescriber_specialty, now))
    """)
    whole = connection.sql(f"""
        SELECT count(DISTINCT period) >= 12 FROM facts
        WHERE period > DATE '{last}-01' - INTERVAL 24 MONTH AND period <= DATE '{last}-01' - INTERVAL 12 MONTH
    """).fetchall()[0][0]
    people = connection.sql(f"""
        WITH each AS (
            SELECT family, prescriber, bool_or(now) AS here, bool_or(NOT now) AS earlier, coalesce(sum(amount) FILTER (now), 0) AS given
            FROM prescribed WHERE prescriber <> 0 GROUP BY family, prescriber
        ),
        placed AS (SELECT *, row_number() OVER (PARTITION BY family ORDER BY given DESC, prescriber) AS place FROM each),
        summed AS (SELECT family, sum(amount) FILTER (now) AS whole FROM prescribed GROUP BY family)
        SELECT family, count(*) FILTER (here), count(*) FILTER (here AND NOT earlier), count(*) FILTER (earlier AND NOT here),
               sum(given) FILTER (place <= {TOP}), any_value(whole)
        FROM placed JOIN summed USING (family) GROUP BY family
    """).fetchall()
    specialties: dict[str, list[tuple[int, int, int, int]]] = {}
    for family, code, doctors, patients, amount in connection.sql(f"""
        SELECT coalesce(family, '*'), prescriber_specialty, count(DISTINCT prescriber) FILTER (prescriber <> 0), count(DISTINCT patient),
               CAST(sum(amount_amo) AS BIGINT) AS amount
        FROM facts WHERE period > DATE '{last}-01' - INTERVAL 12 MONTH AND period <= DATE '{last}-01'
        GROUP BY GROUPING SETS ((family, prescriber_specialty), (prescriber_specialty)) ORDER BY amount DESC, prescriber_specialty
    """).fetchall():
        specialties.setdefault(str(family), []).append((int(code), int(doctors), int(patients), int(amount)))
    return {
        str(family): Prescriptions(
            int(active),
            int(new) if whole else None,
            int(lost) if whole else None,
            float(top) / float(total) if total and top else None,
            tuple(specialties.get(str(family), ())),
        )
        for family, active, new, lost, top, total in people
    }
