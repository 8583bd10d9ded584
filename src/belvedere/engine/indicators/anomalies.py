"""What one's own lines say against themselves: unknown codes, tariffs, credits. Own lines only."""

from dataclasses import dataclass

import pyarrow as pa

from belvedere.engine.nomenclature.products import UNKNOWN_FAMILY, tariffs
from belvedere.engine.warehouse.connection import Connection


@dataclass(frozen=True)
class Anomalies:
    """Lines of twelve months: all, of a code that no family claims, whose base differs from the dated tariff (among `priced`
    lines whose code has one), with a negative amount; `median_delay` days between care and invoice."""

    lines: int
    unknown: int
    priced: int
    off_tariff: int
    credits: int
    median_delay: float | None


def compute(connection: Connection, last: str) -> Anomalies:
    """Anomalies of the twelve months that end with `last` (AAAA-MM). The base is compared with tariff × units, to the cent."""
    steps = [
        (code, day, until, cents)
        for code, dated in tariffs().items()
        for (day, cents), until in zip(dated, [*(day for day, _ in dated[1:]), "9999-12-31"], strict=True)
    ]
    connection.register("raw_tariff", pa.table({
        "lpp": pa.array([code for code, *_ in steps], pa.int32()), "day": pa.array([day for _, day, _, _ in steps]).cast(pa.date32()),
        "until": pa.array([until for _, _, until, _ in steps]).cast(pa.date32()), "cents": pa.array([cents for *_, cents in steps], pa.int64()),
    }))  # fmt: skip
    row = connection.sql(f"""
        WITH own AS (SELECT * FROM facts WHERE period > DATE '{last}-01' - INTERVAL 12 MONTH AND period <= DATE '{last}-01')
        SELECT count(*), count(*) FILTER (family = '{UNKNOWN_FAMILY}'), count(cents),
               count(*) FILTER (cents IS NOT NULL AND amount_base <> cents * units), count(*) FILTER (amount_billed < 0),
               median(date_diff('day', act_date, invoice_date))
        FROM own LEFT JOIN raw_tariff t ON own.lpp = t.lpp AND own.act_date >= t.day AND own.act_date < t.until
    """).fetchall()[0]
    lines, unknown, priced, off_tariff, credits = (int(value) for value in row[:5])
    return Anomalies(lines, unknown, priced, off_tariff, credits, None if row[5] is None else float(row[5]))


@dataclass(frozen=True)
class Suspect:
    """A line that says something against itself: its flow and record, code, date, base and what the tariff would give (cents)."""

    flow: int
    record: int
    lpp: int
    day: str
    units: int
    base: int
    expected: int | None


def suspects(connection: Connection, last: str, most: int = 100) -> list[Suspect]:
    """The first lines of the twelve months that end with `last` whose code is in no family or whose base is not the dated tariff. After `compute`."""
    rows = connection.sql(f"""
        SELECT flow_id, record, own.lpp, CAST(act_date AS VARCHAR), units, amount_base, cents * units
        FROM (SELECT * FROM facts WHERE period > DATE '{last}-01' - INTERVAL 12 MONTH AND period <= DATE '{last}-01') own
        LEFT JOIN raw_tariff t ON own.lpp = t.lpp AND own.act_date >= t.day AND own.act_date < t.until
        WHERE family = '{UNKNOWN_FAMILY}' OR (cents IS NOT NULL AND amount_base <> cents * units)
        ORDER BY act_date DESC, flow_id, record LIMIT {most}
    """).fetchall()
    return [
        Suspect(int(f), int(r), int(lpp), str(day), int(units), int(base), None if cents is None else int(cents))
        for f, r, lpp, day, units, base, cents in rows
    ]
