"""Controls of a flow, batch by batch (norm reference §9): format, grammar, keys, codes, dates, amounts, totals.

Every control looks at whole columns and reports the first records concerned and how many there are. What
must hold across batches (order of types, lots, counts of the file) is carried from one to the next.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from belvedere.engine.b2 import digits, grammar, keys, totals, values
from belvedere.engine.b2.coherence import Reference, coherence
from belvedere.engine.b2.findings import ERROR, EXAMPLES, B2Error, Finding, Findings, finding, rules
from belvedere.engine.b2.framing import Framer
from belvedere.engine.b2.lines import SOURCES
from belvedere.engine.b2.records import CODE, Records

WHOLE, BY_INVOICE = "whole", "invoice"  # what an error in an invoice refuses


class Report(Protocol):
    """How a control tells: code, where it failed (bool), rows of the batch these stand for, position."""

    def __call__(self, code: str, where: np.ndarray, rows: np.ndarray, position: str = "") -> None: ...


@dataclass
class Control:
    """The controls of one file. Feed `batch` in order, then `end`; `findings` gathers what they say."""

    findings: Findings
    reference: Reference | None = None
    counts: dict[str, int] = field(default_factory=dict)
    test: bool = False
    _previous: int | None = None
    _first: bytes = b""
    _lots: totals.Lots = field(default_factory=totals.Lots)
    _created: int = 0

    def batch(self, records: Records) -> np.ndarray:
        """(n_invoices,) bool: invoices of the batch with an error of their own. B2Error S101 when the order
        of types is broken, for nothing after it could be trusted."""
        refused = np.zeros(len(records.rows("2")), dtype=bool)
        everywhere = np.arange(len(records))

        def report(code: str, where: np.ndarray, rows: np.ndarray, position: str = "") -> None:
            hits = np.flatnonzero(where)
            if not len(hits):
                return
            at = rows[hits]
            self.findings.add(code, (at[:EXAMPLES] + records.start + 1).tolist(), position, len(hits))
            rule = rules()[code]
            if rule.severity == ERROR and rule.scope == "invoice":
                owner = records.owner("2", at)
                refused[owner[owner >= 0]] = True

        for kind, count in records.counts().items():
            self.counts[kind] = self.counts.get(kind, 0) + count
        wrong = grammar.misplaced(records.kind, self._previous)
        if wrong.any():
            raise B2Error(finding("S101", record=records.start + int(np.argmax(wrong)) + 1))
        if self._previous is None:
            self._first = bytes(records.view[0])
            self._created = int(self._first[55:61]) if self._first[55:61].isdigit() else 0
        self._previous = int(records.kind[-1])
        if records.old:
            self._note_old(records)
        # One subtraction and one comparison find bytes outside 32..96; the few tolerated above are looked at then.
        if (records.view - np.uint8(32) > 64).any():
            strange = np.asarray(((records.view < 32) | (records.view > 126) | ((records.view >= 97) & (records.view <= 122))).any(axis=1))
            report("F007", strange, everywhere)
        _format(records, report)
        _keys(records, report)
        for check, failed in values.failures(records):
            zone = records.layout(check.record)[check.zone]
            report(check.code, failed, records.rows(check.record), zone.place)
        _headers(records, report)
        _sequences(records, report)
        _dates(records, report, self._created)
        totals.invoices(records, report)
        self._lots.add(records, report)
        if (np.isin(records.letter("6", "marking"), (ord("T"), ord("D")))).any():
            if not self.test:
                self.findings.add("S109", [])
            self.test = True
        coherence(records, report, self.reference)
        if len(records.rows("999")):
            self._end(records)
        return refused

    def _note_old(self, records: Records) -> None:
        if len(records.rows("3F")):
            self.findings.add("F019", [int(records.rows("3F")[0]) + records.start + 1], "", len(records.rows("3F")))

    def _end(self, records: Records) -> None:
        """What the 999 says of the whole file."""
        last = records.start + len(records)
        declared = int(records.number("999", "n_records")[0])
        if declared != last:
            self.findings.add("F005", [last], "56-63", declared=declared, counted=last)
        declared_lots, lots = int(records.number("999", "n_lots")[0]), self.counts.get("1", 0)
        blank = (records.text("999", "n_lots") == 32).all()
        if blank:
            self.findings.add("F014", [last], "83-85")
        elif declared_lots != lots:
            self.findings.add("F006", [last], "83-85", declared=declared_lots, counted=lots)
        end = bytes(records.view[-1])
        if self._first[5:19] != end[5:19] or self._first[49:55] != end[49:55]:
            self.findings.add("F004", [last], "6-55")


def control(batches: Iterable[Records], findings: Findings, reference: Reference | None = None) -> list[Finding]:
    """All findings of the batches of a file, by record."""
    run = Control(findings, reference)
    try:
        for batch in batches:
            run.batch(batch)
    except B2Error as error:
        return sorted([*findings.sorted(), error.finding], key=lambda item: (item.record, item.code))
    return findings.sorted()


def control_bytes(data: bytes, reference: Reference | None = None) -> list[Finding]:
    """All findings of a clear file held in memory."""
    framer = Framer()
    return control(framer.batches([data]), framer.findings, reference)


def _format(records: Records, report: Report) -> None:
    source = SOURCES[records.family]
    for kind, zones in (
        ("2", source.invoice.values()),
        (source.base, source.line.values()),
        (source.detail, [zone for zone in source.item.values() if zone != "lpp_code"]),
    ):
        for name in dict.fromkeys(zones):
            zone = records.layout(kind)[name]
            _, bad = records.number_and_bad(kind, name)
            if not bad.any():
                continue
            blank = (records.text(kind, name) == 32).all(axis=1) if zone.presence != "O" else np.zeros(len(bad), dtype=bool)
            report("F008", bad & ~blank, records.rows(kind), zone.place)
            report("F014", blank, records.rows(kind), zone.place)


def _keys(records: Records, report: Report) -> None:
    computed, unreadable = keys.nir_keys(records.text("2", "nir"))
    report("K201", unreadable | (computed != records.number("2", "nir_key")), records.rows("2"), "12-26")
    report("K202", ~keys.luhn_ok(records.number("1", "ps_no"), 9), records.rows("1"), "2-10")


def _headers(records: Records, report: Report) -> None:
    # Ranks 27-29 precede the number on CP base records but not on its details: compare up to the NIR key there.
    last = 35 if records.family == "STD" else 26
    differs = np.zeros(len(records), dtype=np.bool_)
    digits.differing(records.view, records.kind, CODE["2"], CODE["5"], last, differs)
    report("S104", differs, np.arange(len(records)), f"2-{last}")


def _sequences(records: Records, report: Report) -> None:
    """Details of a line are numbered 01, 02, 03… and are not too many (§3)."""
    line_of = np.cumsum((records.kind == CODE["3"]) | (records.kind == CODE["4"]))
    for detail in grammar.DETAILS[records.family]:
        rows = records.rows(detail)
        if not len(rows):
            continue
        line = line_of[rows]
        opens = np.concatenate([[True], line[1:] != line[:-1]])
        at = np.arange(len(rows))
        rank = at - np.maximum.accumulate(np.where(opens, at, 0)) + 1
        if (records.family, detail) in grammar.MOST:
            report("S111", rank == grammar.MOST[records.family, detail] + 1, rows)
        report("S102", rank % 100 != records.number(detail, "sequence"), rows, "37-38")
    lines = np.bincount(records.owner("2", np.concatenate([records.rows("3"), records.rows("4")])), minlength=len(records.rows("2")))
    report("S110", lines > grammar.MOST_LINES, records.rows("2"))


def _dates(records: Records, report: Report, created: int) -> None:
    source = SOURCES[records.family]
    rows, dates = records.rows(source.base), records.number(source.base, source.line["act_date"])
    zone = records.layout(source.base)[source.line["act_date"]]
    place, valid = zone.place, values.calendar_ok(dates)
    owner = records.owner("2", rows)
    billed = records.number("2", source.invoice["invoice_date"])[owner]
    report("D402", valid & values.calendar_ok(billed) & (dates > billed), rows, place)
    if "prescriber_no" in source.invoice:
        prescribed = records.number("2", "prescription_date")[owner]
        report("D403", valid & values.calendar_ok(prescribed) & (prescribed > dates), rows, place)
    if values.calendar_ok(np.array([created]))[0]:
        report("D405", valid & (dates < created - 10_000), rows, place)
    if records.family == "STD":
        start, end = records.number("4F", "start_date"), records.number("4F", "end_date")
        report("D404", (end != 0) & (end < start), records.rows("4F"), "77-88")
