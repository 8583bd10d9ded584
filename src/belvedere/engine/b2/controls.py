"""Structural controls of a framed flow (norm reference §9): format, grammar, keys, counts, totals.

Every control looks at whole columns and reports the first record concerned and how many there are.
"""

import numpy as np

from belvedere.engine.b2 import keys
from belvedere.engine.b2.findings import ERROR, Finding, finding
from belvedere.engine.b2.lines import LPP_DIGITS, SOURCES
from belvedere.engine.b2.records import CODE, KINDS, Records

_ALPHABET = np.zeros(256, dtype=bool)
_ALPHABET[32:127] = True
_ALPHABET[ord("a") : ord("z") + 1] = False
_ALPHABET[ord("?")] = True


def _follows() -> np.ndarray:
    """allowed[previous, next] over record types, from the grammar of §3."""
    allowed = np.zeros((len(KINDS), len(KINDS)), dtype=bool)
    invoice_head = ("2", "2S", "2M", "2P", "2B", "2C")
    threes, fours = ("3", "3S", "3E", "3F", "3H"), tuple(k for k in KINDS if k.startswith("4"))
    lines = threes + fours

    def may(before: tuple[str, ...], after: tuple[str, ...]) -> None:
        for a in before:
            for b in after:
                allowed[CODE[a], CODE[b]] = True

    may(("000", "6"), ("1",))
    may(("1", "5"), ("2",))
    may(("2",), ("2S",))
    may(invoice_head, ("2M", "2P", "2B", "2C", "3", "4"))
    may(lines, ("3", "4", "5"))
    may(threes, ("3S", "3E", "3F", "3H"))
    may(fours, tuple(k for k in fours if k != "4"))
    may(("5",), ("6",))
    may(("6",), ("999",))
    return allowed


_MAY_FOLLOW = _follows()


def calendar_ok(dates: np.ndarray) -> np.ndarray:
    """Whether AAMMJJ integers are calendar dates (29 February accepted in leap years of 2000-2099)."""
    year, month, day = dates // 10_000, dates // 100 % 100, dates % 100
    lengths = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    known = (month >= 1) & (month <= 12)
    last = lengths[np.where(known, month, 0)] + ((month == 2) & (year % 4 == 0))
    return known & (day >= 1) & (day <= last)


def control(records: Records) -> list[Finding]:
    """All structural findings of a flow, those of framing included, in order of record."""
    found = list(records.findings)

    def report(code: str, where: np.ndarray, rows: np.ndarray, position: str = "") -> None:
        hits = np.flatnonzero(where)
        if len(hits):
            found.append(finding(code, int(rows[hits[0]]) + 1, position, len(hits)))

    everywhere = np.arange(len(records))
    report("F007", ~_ALPHABET[records.view].all(axis=1), everywhere)
    kind = records.kind
    misplaced = np.zeros(len(kind), dtype=bool)
    misplaced[1:] = ~_MAY_FOLLOW[kind[:-1], kind[1:]]
    report("S101", misplaced, everywhere)
    if misplaced.any():
        return found  # sums over a broken grammar would only repeat the same fault
    _format(records, report)
    _keys(records, report)
    _headers(records, report)
    _totals(records, report, found)
    return sorted(found, key=lambda item: (item.record, item.code))


def refused(findings: list[Finding]) -> bool:
    """Whether any finding refuses the flow."""
    return any(item.severity == ERROR for item in findings)


def _format(records: Records, report) -> None:
    source = SOURCES[records.family]
    for kind, zones in (
        ("2", source.invoice.values()),
        (source.base, source.line.values()),
        (source.detail, [zone for zone in source.item.values() if zone != "lpp_code"]),
    ):
        for name in dict.fromkeys(zones):
            zone = records.layout(kind)[name]
            blank = (records.text(kind, name) == 32).all(axis=1) if zone.presence != "O" else False
            _, bad = records.number_and_bad(kind, name)
            report("F008", bad & ~np.asarray(blank), records.rows(kind), f"{zone.start}-{zone.end}")
    date_zone = records.layout(source.base)[source.line["act_date"]]
    dates = records.number(source.base, source.line["act_date"])
    report("D401", ~calendar_ok(dates), records.rows(source.base), f"{date_zone.start}-{date_zone.end}")


def _keys(records: Records, report) -> None:
    source = SOURCES[records.family]
    computed, unreadable = keys.nir_keys(records.text("2", "nir"))
    report("K201", unreadable | (computed != records.number("2", "nir_key")), records.rows("2"), "12-26")
    report("K202", ~keys.luhn_ok(records.number("1", "ps_no"), 9), records.rows("1"), "2-10")
    codes = records.text(source.detail, "lpp_code")[:, :LPP_DIGITS].astype(np.int64) - 48
    numeric = ((codes >= 0) & (codes <= 9)).all(axis=1)
    values = np.where(numeric, codes @ 10 ** np.arange(LPP_DIGITS - 1, -1, -1), 0)
    # The trade press speaks of alphanumeric codes: only numeric ones have a key to check.
    report("K203", numeric & ~keys.lpp_ok(values), records.rows(source.detail), "43-49")
    if source.supply_type:
        letters = records.text(source.detail, source.supply_type)[:, 0]
        known = np.isin(letters, np.frombuffer(b"AELPRSV", dtype=np.uint8))
        report("C306", ~known, records.rows(source.detail), "56")


def _headers(records: Records, report) -> None:
    inside = np.flatnonzero((records.kind >= CODE["2"]) & (records.kind <= CODE["5"]))
    owner = np.searchsorted(records.rows("2"), inside, side="right") - 1
    head = records.block("2")[owner]
    body = records.view[inside]
    # Ranks 27-29 precede the number on CP base records but not on its details: compare up to the NIR key there.
    last = 35 if records.family == "STD" else 26
    differs = (head[:, 1:last] != body[:, 1:last]).any(axis=1)
    report("S104", differs, inside, "2-35" if last == 35 else "2-26")
    numbers = records.number("2", "invoice_no")
    _, first = np.unique(numbers, return_index=True)
    again = np.ones(len(numbers), dtype=bool)
    again[first] = False
    report("S105", again, records.rows("2"), "27-35" if records.family == "STD" else "30-38")


def _sums(records: Records, kind: str, zone: str, starts: np.ndarray) -> np.ndarray:
    """Sum of a zone of one record type per enclosing group that starts at `starts`."""
    owner = np.searchsorted(starts, records.rows(kind), side="right") - 1
    return np.bincount(owner, weights=records.number(kind, zone), minlength=len(starts)).astype(np.int64)


def _counts(rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(starts, rows, side="right") - 1, minlength=len(starts))


# T5 zone -> signed sums of (base record, zone); norm reference §8 and §4.3.
_INVOICE_TOTALS: dict[str, dict[str, tuple[tuple[int, str, str], ...]]] = {
    "STD": {
        "total_billed": ((1, "4", "amount_expense"),),
        "total_amo": ((1, "4", "amount_amo"),),
        "total_insured": ((1, "4", "amount_expense"), (-1, "4", "amount_amo")),
        "total_oc": ((1, "4", "amount_oc"),),
    },
    "CP": {
        "hosp_base_total": ((1, "3", "base_amo"),),
        "hosp_amo_total": ((1, "3", "amount_amo"),),
        "hosp_billed_total": ((1, "3", "amount_expense"),),
        "hosp_oc_total": ((1, "3", "amount_oc"),),
        "fees_total": ((1, "4", "amount_expense"),),
        "fees_amo_total": ((1, "4", "amount_amo"),),
        "fees_oc_total": ((1, "4", "amount_oc"),),
    },
}
# T6 zone -> T5 zones it adds up.
_LOT_TOTALS: dict[str, dict[str, tuple[str, ...]]] = {
    "STD": {"total_billed": ("total_billed",), "total_amo": ("total_amo",), "total_amc": ("total_oc",)},
    "CP": {
        "total_billed": ("hosp_billed_total", "fees_total"),
        "total_amo": ("hosp_amo_total", "fees_amo_total"),
        "total_amc": ("hosp_oc_total", "fees_oc_total"),
    },
}


def _totals(records: Records, report, found: list[Finding]) -> None:
    source = SOURCES[records.family]
    base, invoices, fives = source.base, records.rows("2"), records.rows("5")
    for zone, terms in _INVOICE_TOTALS[records.family].items():
        expected = sum(sign * _sums(records, kind, name, invoices) for sign, kind, name in terms)
        place = records.layout("5")[zone]
        report("A504", expected != records.number("5", zone), fives, f"{place.start}-{place.end}")
    lines_at = np.flatnonzero((records.kind >= CODE["3"]) & (records.kind < CODE["5"]))
    count_zone = "n_type4" if records.family == "STD" else "n_lines"
    declared = records.number("5", count_zone)
    bases = _counts(np.sort(np.concatenate([records.rows("3"), records.rows("4")])), invoices)
    report("A506", (declared != _counts(lines_at, invoices)) & (declared != bases), fives, "39-41")

    amount, rate = records.number(base, "amount_amo"), records.number(base, "rate")
    expected = (records.number(base, "base_amo") * rate * 2 + 100) // 200
    report("A501", amount != expected, records.rows(base))
    details = records.rows(source.detail)
    if len(details):
        starts = records.rows(base)
        total = _sums(records, source.detail, "total_billed", starts)
        has = _counts(details, starts) > 0
        report("A503", has & (total != records.number(base, "amount_expense")), starts)

    lots, sixes = records.rows("1"), records.rows("6")
    for zone, names in _LOT_TOTALS[records.family].items():
        expected = sum(_sums(records, "5", name, lots) for name in names)
        place = records.layout("6")[zone]
        report("A505", expected != records.number("6", zone), sixes, f"{place.start}-{place.end}")
    for zone, kind in (("n_invoices", "2"), ("n_type5", "5")):
        place = records.layout("6")[zone]
        report("A505", _counts(records.rows(kind), lots) != records.number("6", zone), sixes, f"{place.start}-{place.end}")
    differ = (records.number("1", "lot_no") != records.number("6", "lot_no")) | (records.number("1", "ps_no") != records.number("6", "ps_no"))
    report("S103", differ, sixes)
    _file_end(records, found)


def _file_end(records: Records, found: list[Finding]) -> None:
    last = len(records)
    declared = int(records.number("999", "n_records")[0])
    if declared != last:
        found.append(finding("F005", last, "56-63", declared=declared, counted=last))
    declared_lots, lots = int(records.number("999", "n_lots")[0]), len(records.rows("1"))
    # The worked example of the norm's reference leaves the zone on one lot: blank is tolerated.
    if declared_lots != lots and (records.text("999", "n_lots") != 32).any():
        found.append(finding("F006", last, "83-85", declared=declared_lots, counted=lots))
    if bytes(records.view[0, 3:55]).replace(b" ", b"") != bytes(records.view[-1, 3:55]).replace(b" ", b""):
        first, end = bytes(records.view[0]), bytes(records.view[-1])
        if first[5:19] != end[5:19] or first[49:55] != end[49:55]:
            found.append(finding("F004", last, "6-55"))
