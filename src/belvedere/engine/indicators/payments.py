"""What the insurance answered to one's invoices: lots accepted at once, rejects by cause, days to be paid. Own lines only.

A payment is matched to its invoice by entity and number, the invoice of the latest date before the answer standing for numbers that
software uses again."""

from dataclasses import dataclass

from belvedere.engine.warehouse.connection import Connection

MATCH_DAYS = 730  # prescription of claims against the health insurance is two years (CSS, L. 332-1)
EARLY_DAYS = 92  # an answer may precede the version that stands: a reject, then the corrected invoice that replaced it (`ledger.SAME_PERIOD_DAYS`)
CAUSES = 12


@dataclass(frozen=True)
class Payments:
    """Answers of twelve months: `lots` and those without any reject in their first answer, `invoices` answered and `rejected` (first answers),
    cents `asked` and `rejected_amount`, median days from invoice to payment by the AMO and the AMC (None without), causes (code, label,
    invoices, cents), most frequent first."""

    lots: int
    lots_first: int
    invoices: int
    rejected: int
    asked: int
    rejected_amount: int
    days_amo: float | None
    days_amc: float | None
    causes: tuple[tuple[str, str, int, int], ...]


@dataclass(frozen=True)
class Reject:
    """A rejected invoice that was not paid since: number, day of the answer, cents asked, code and label of the cause."""

    invoice_no: int
    answered: str
    asked: int
    code: str
    label: str


def prepare(connection: Connection) -> bool:
    """Match every answer to its invoice (temporary table `answers`); whether there is any. An invoice asked without an amount (older references)
    counts for what was billed. `rank` 1 is its first answer."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE answers AS
        WITH summed AS (
            SELECT member_id, invoice_no, invoice_date, CAST(sum(amount_amo) AS BIGINT) AS amo FROM facts GROUP BY ALL
        ),
        billed AS (
            SELECT *, coalesce(lead(invoice_date) OVER (PARTITION BY member_id, invoice_no ORDER BY invoice_date), DATE '9999-12-31') AS again,
                   CASE WHEN lag(invoice_date) OVER (PARTITION BY member_id, invoice_no ORDER BY invoice_date) IS NULL
                        THEN invoice_date - INTERVAL {EARLY_DAYS} DAY ELSE invoice_date END AS since
            FROM summed
        )
        SELECT p.member_id, p.invoice_no, p.lot_no, p.lot_date, p.answered, coalesce(b.invoice_date, p.lot_date) AS invoice_date,
               b.invoice_date IS NOT NULL AS known, p.state, p.paid_amo, p.paid_amc, p.code, p.label,
               CASE WHEN p.asked_amo > 0 OR p.asked_amc > 0 THEN p.asked_amo ELSE coalesce(b.amo, p.paid_amo) END AS asked,
               row_number() OVER (PARTITION BY p.member_id, p.invoice_no, b.invoice_date ORDER BY p.answered, p.flow_id) AS rank
        FROM payments p LEFT JOIN billed b
          ON p.member_id = b.member_id AND p.invoice_no = b.invoice_no AND p.answered >= b.since AND p.answered < b.again
        WHERE b.invoice_date IS NULL OR date_diff('day', b.invoice_date, p.answered) <= {MATCH_DAYS}
    """)
    return bool(connection.sql("SELECT count(*) FROM answers").fetchall()[0][0])


def _year(last: str, column: str = "answered") -> str:
    return f"date_trunc('month', {column}) > DATE '{last}-01' - INTERVAL 12 MONTH AND date_trunc('month', {column}) <= DATE '{last}-01'"


def compute(connection: Connection, last: str) -> Payments | None:
    """Answers of the twelve months that end with `last` (AAAA-MM), after `prepare`; None when none came."""
    row = connection.sql(f"""
        WITH year AS (SELECT * FROM answers WHERE {_year(last)}),
        lots AS (SELECT member_id, lot_no, lot_date, bool_and(state <> 'R') FILTER (rank = 1) AS clean FROM year GROUP BY ALL HAVING clean IS NOT NULL)
        SELECT (SELECT count(*) FROM lots), (SELECT count(*) FILTER (clean) FROM lots),
               count(*) FILTER (rank = 1), count(*) FILTER (rank = 1 AND state = 'R'), sum(asked) FILTER (rank = 1), sum(asked) FILTER (rank = 1 AND state = 'R'),
               median(date_diff('day', invoice_date, answered)) FILTER (state = 'P' AND paid_amo > 0 AND answered >= invoice_date),
               median(date_diff('day', invoice_date, answered)) FILTER (state = 'P' AND paid_amc > 0 AND answered >= invoice_date)
        FROM year
    """).fetchall()[0]
    if not row[2]:
        return None
    causes = connection.sql(f"""
        SELECT coalesce(code, ''), any_value(coalesce(label, '')), count(*), sum(asked) FROM answers
        WHERE {_year(last)} AND state = 'R' AND rank = 1 GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT {CAUSES}
    """).fetchall()
    lots, first, invoices, rejected, asked, lost = (int(value or 0) for value in row[:6])
    days_amo, days_amc = (None if value is None else float(value) for value in row[6:8])
    told = tuple((str(code), str(label), int(count), int(cents or 0)) for code, label, count, cents in causes)
    return Payments(lots, first, invoices, rejected, asked, lost, days_amo, days_amc, told)


def open_rejects(connection: Connection, last: str, most: int = 100) -> list[Reject]:
    """Invoices rejected in the twelve months that end with `last` and not paid by a later answer, latest first. After `prepare`."""
    rows = connection.sql(f"""
        SELECT invoice_no, CAST(answered AS VARCHAR), asked, coalesce(code, ''), coalesce(label, '') FROM answers a
        WHERE {_year(last)} AND state = 'R' AND NOT EXISTS (
            SELECT 1 FROM answers later WHERE later.member_id = a.member_id AND later.invoice_no = a.invoice_no
              AND later.invoice_date IS NOT DISTINCT FROM a.invoice_date AND later.rank > a.rank AND later.state IN ('P', 'R'))
        ORDER BY answered DESC, invoice_no LIMIT {most}
    """).fetchall()
    return [Reject(int(number), str(day), int(asked or 0), str(code), str(label)) for number, day, asked, code, label in rows]
