"""One pass over a clear flow: framed, controlled, made pseudonymous, sifted and handed on, batch by batch.

The clear bytes live for one batch. What this returns names no person.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from belvedere.engine.b2.controls import BY_INVOICE, WHOLE, Control
from belvedere.engine.b2.findings import EXAMPLES, B2Error, Finding, Findings
from belvedere.engine.b2.framing import Framer
from belvedere.engine.b2.lines import read_lines
from belvedere.engine.b2.records import Records
from belvedere.engine.nomenclature.lpp_reference import LppReference
from belvedere.engine.privacy.pseudonyms import PseudonymKeys
from belvedere.engine.warehouse import facts
from belvedere.engine.warehouse.ledger import Ledger, Past, invoices_of, nothing_before

KEPT_NUMBERS = 1000  # refused invoice numbers told in a receipt


@dataclass
class Examined:
    """What a flow is worth. `lot` is its metadata: `month` (AAMM), `category` and `legal` of the first lot (type 1), `approval` of the software (type 6). `returned` says that it is a return of the insurance (`returns`), `refused` is the whole flow's fate; `refused_invoices` those refused one by one (the
    first of them; `refused_count` all); `replaced` the invoices of earlier live files that no longer count.
    Amounts in cents, `first` and `last` days of care (days since 1970) of what counts."""

    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    refused: bool = False
    returned: bool = False
    test: bool = False
    digest: str = ""
    software: str = ""
    lot: dict[str, str] = field(default_factory=dict)
    member: int | None = None
    invoices: int = 0
    lines: int = 0
    refused_invoices: list[int] = field(default_factory=list)
    refused_count: int = 0
    again: int = 0
    amount_billed: int = 0
    amount_amo: int = 0
    first: int | None = None
    last: int | None = None
    low: int | None = None
    high: int | None = None
    replaced: dict[int, set[int]] = field(default_factory=dict)

    @property
    def records(self) -> int:
        return sum(self.counts.values())


Identify = Callable[[set[int]], int | None]
Write = Callable[[pa.Table], None]


def examine(
    chunks: Iterable[bytes],
    *,
    keys: PseudonymKeys,
    flow_id: int = 0,
    identify: Identify = lambda billers: 0,
    policy: str = WHOLE,
    reference: LppReference | None = None,
    past: Past = nothing_before,
    write: Write = lambda table: None,
) -> Examined:
    """Read a clear flow to its end. `identify` gives the member of the FINESS numbers found (None: not the
    sender's); `past` the member's earlier invoices; `write` takes the facts to keep. Whatever is written
    before the end counts only if the result is not `refused`. Never raises for bad input."""
    found, framer, ledger = Examined(), Framer(), Ledger(past)
    control, digest = Control(framer.findings, reference), hashlib.sha256()
    found.replaced, found.counts = ledger.replaced, control.counts
    billers: set[int] = set()
    try:
        for batch in framer.batches(chunks):
            digest.update(np.ascontiguousarray(batch.view).data)
            refused = control.batch(batch)
            _note_lot(found, batch)
            numbers = set(batch.number("1", "ps_no").tolist()) - billers
            if numbers:
                billers |= numbers
                found.member = _identified(billers, identify, framer.findings)
            spoiled = framer.findings.refused() or (policy != BY_INVOICE and (found.refused_count or refused.any()))
            _note_refused(found, batch, refused)
            if found.member is not None and not spoiled:
                _keep(found, batch, refused, ledger, framer.findings, policy, keys, flow_id, write)
    except B2Error as error:
        found.findings = sorted([*framer.findings.sorted(), error.finding], key=lambda item: (item.record, item.code))
        found.refused = True
    else:
        found.findings = framer.findings.sorted()
        found.refused = framer.findings.refused() or (policy != BY_INVOICE and found.refused_count > 0)
        everything = control.counts.get("2", 0)
        found.refused |= bool(everything) and found.refused_count == everything
    found.test, found.digest = control.test, digest.hexdigest()
    text = framer.header[91:128].decode("ascii", "replace")
    found.software = "".join(char for char in text if char.isprintable()).strip()
    return found


def _identified(billers: set[int], identify: Identify, findings: Findings) -> int | None:
    if len(billers) > 1:
        findings.add("P603", [])
        return None
    member = identify(billers)
    if member is None:
        findings.add("P601", [1], "6-19")
    return member


_LOT = (("month", "1", "lot_date"), ("category", "1", "category"), ("legal", "1", "legal_status"), ("approval", "6", "software_approval"))


def _note_lot(found: Examined, batch: Records) -> None:
    """What the first lot says of its month, its biller and its software: metadata, nobody's data."""
    for name, kind, zone in _LOT:
        if name not in found.lot and len(batch.rows(kind)):
            text = bytes(batch.text(kind, zone)[0]).decode("ascii", "replace").strip()
            if text:
                found.lot[name] = text[:12]


def _note_refused(found: Examined, batch: Records, refused: np.ndarray) -> None:
    if refused.any():
        numbers = batch.number("2", "invoice_no")[refused].tolist()
        found.refused_count += len(numbers)
        found.refused_invoices += numbers[: KEPT_NUMBERS - len(found.refused_invoices)]


def _keep(
    found: Examined,
    batch: Records,
    refused: np.ndarray,
    ledger: Ledger,
    findings: Findings,
    policy: str,
    keys: PseudonymKeys,
    flow_id: int,
    write: Write,
) -> None:
    assert found.member is not None
    lines = read_lines(batch, refused)
    table = facts.build(lines, keys=keys, member_id=found.member, flow_id=flow_id)
    rank = lines.patients_key["invoice"]
    # The same number twice in one batch: the second one is looked at as if it came later.
    while (first := _first_of_each_number(table, rank)) is not None:
        _count(found, table.filter(first), rank[first], ledger, findings, policy, write)
        table, rank = table.filter(~first), rank[~first]
    _count(found, table, rank, ledger, findings, policy, write)


def _first_of_each_number(table: pa.Table, rank: np.ndarray) -> np.ndarray | None:
    """(rows,) bool: rows of the first invoice of each number; None when no number comes twice."""
    if not len(table):
        return None
    number = table["invoice_no"].to_numpy()
    starts = np.concatenate([[0], np.flatnonzero(rank[1:] != rank[:-1]) + 1])
    numbers, first = np.unique(number[starts], return_index=True)
    if len(numbers) == len(starts):
        return None
    return np.isin(rank, rank[starts[first]])


def _count(found: Examined, table: pa.Table, rank: np.ndarray, ledger: Ledger, findings: Findings, policy: str, write: Write) -> None:
    invoices = invoices_of(table, rank)
    sifted = ledger.sift(invoices)
    record = table["record"].to_numpy()
    told = {"S105": sifted.clash, "S106": sifted.again, "S107": sifted.corrects, "S108": sifted.elsewhere, "S114": sifted.outdated}
    for code, where in told.items():
        hits = np.flatnonzero(where)
        if len(hits):
            findings.add(code, record[invoices.row[hits[:EXAMPLES]]].tolist(), "", len(hits))
    clashes = int(sifted.clash.sum())
    if clashes:
        found.refused_count += clashes
        found.refused_invoices += invoices.number[sifted.clash].tolist()[: KEPT_NUMBERS - len(found.refused_invoices)]
        if policy != BY_INVOICE:
            return
    found.again += int((~sifted.kept & ~sifted.clash).sum())
    if not sifted.kept.all():
        table = table.filter(np.isin(table["invoice_no"].to_numpy(), invoices.number[sifted.kept]))
    if not len(table):
        return
    write(table)
    found.invoices += int(sifted.kept.sum())
    found.lines += len(table)
    found.amount_billed += int(table["amount_billed"].to_numpy().sum())
    found.amount_amo += int(table["amount_amo"].to_numpy().sum())
    kept = sifted.kept
    found.first = _least(found.first, invoices.first[kept])
    found.low = _least(found.low, invoices.number[kept])
    found.last, found.high = _most(found.last, invoices.last[kept]), _most(found.high, invoices.number[kept])


def _least(before: int | None, values: np.ndarray) -> int:
    return int(values.min()) if before is None else min(before, int(values.min()))


def _most(before: int | None, values: np.ndarray) -> int:
    return int(values.max()) if before is None else max(before, int(values.max()))
