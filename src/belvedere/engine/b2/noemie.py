"""NOEMIE returns: what the health insurance answers to a flow, in both physical forms (norm reference §10).

A file is entity 000 (128 characters), entities of fixed zones that end with "@", entity 999. Blocked, it is cut
into blocks of 128 whose first byte says whether more follow; streamed, entities simply follow each other.
Zones are data (`noemie.csv`); entities that are not in the table are kept and told.
"""

import csv
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import numpy as np
import pyarrow as pa

from belvedere.engine.b2.findings import B2Error, Finding, finding

BLOCK = 128
MOST_ENTITIES = 1_000_000  # a million of them is ten times a national provider's month


UNKNOWN, KEPT_UNKNOWN = "???", 20


@dataclass(frozen=True)
class Zone:
    """One zone of an entity: 1-based positions; A text, N number, D date AAMMJJ, P person (read by nobody)."""

    name: str
    start: int
    end: int
    type: str
    label: str


@cache
def entities() -> dict[str, tuple[Zone, ...]]:
    """Zones of every known entity."""
    found: dict[str, list[Zone]] = {}
    with (files(__package__) / "noemie.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            found.setdefault(row["entity"], []).append(Zone(row["zone"], int(row["start"]), int(row["end"]), row["type"], row["label"]))
    return {name: tuple(zones) for name, zones in found.items()}


@dataclass(frozen=True)
class Entity:
    """One entity: identifier, level of break, text with identifier and without "@", rank in the file (1-based)."""

    name: str
    level: str
    text: str
    rank: int

    def value(self, zone: str) -> str:
        """Text of a zone, blanks removed; empty for a zone that the entity does not have."""
        for item in entities().get(self.name, ()):
            if item.name == zone:
                return self.text[item.start - 1 : item.end].strip()
        return ""

    def number(self, zone: str) -> int:
        """Integer of a zone, 0 when it holds none; amounts in cents, with the sign of the zone `sign`."""
        text = self.value(zone)
        value = int(text) if text.isascii() and text.isdigit() else 0
        return -value if value and self.value("sign") == "N" else value


def is_noemie(head: bytes) -> bool:
    """Whether the first record is that of a NOEMIE file: a 000 whose norm is a number and not B2."""
    return head[:3] == b"000" and head[61:65].strip().isdigit() and head[65:67] != b"B2"


def _payload(data: bytes) -> tuple[bytes, bytes]:
    """(entities between 000 and 999, the 999); B2Error N001."""
    known = set(entities())
    body = data[BLOCK:]
    first, second = body[:3].decode("latin-1"), body[1:4].decode("latin-1")
    if (first in known and first != "999") or body[:3] == b"999":
        end = body.rfind(b"999", max(0, len(body) - 4 * BLOCK))
        if end < 0 or body.rfind(b"@") > end:
            raise B2Error(finding("N001"))
        return body[:end], body[end : end + BLOCK]
    if second not in known or len(data) % BLOCK:
        raise B2Error(finding("N001"))
    blocks = np.frombuffer(data, dtype=np.uint8).reshape(-1, BLOCK)[1:]
    if bytes(blocks[-1, :3]) != b"999":
        raise B2Error(finding("N001"))
    last = bytes(blocks[-1])
    blocks = blocks[:-1]
    if len(blocks) and (blocks[:-1, 0] != ord("0")).any() | (blocks[-1, 0] != ord("1")):
        raise B2Error(finding("N001"))
    return blocks[:, 1:].tobytes().rstrip(b" "), last


def read(data: bytes) -> Iterator[Entity]:
    """Entities of a file, in order; B2Error N001 when it is no whole NOEMIE file."""
    if len(data) < 2 * BLOCK or not is_noemie(data[:BLOCK]):
        raise B2Error(finding("N001"))
    body, last = _payload(data)
    yield Entity("000", "", data[:BLOCK].decode("latin-1"), 1)
    rank, begin, whole = 1, 0, body.decode("latin-1")
    while begin < len(whole):
        end = whole.find("@", begin)
        text = whole[begin : end if end >= 0 else len(whole)].lstrip("\r\n")
        begin = end + 1 if end >= 0 else len(whole)
        if not text.strip():
            continue
        rank += 1
        if rank > MOST_ENTITIES:
            raise B2Error(finding("N003", limit=64))
        yield Entity(text[:3], text[3:5], text, rank)
    yield Entity("999", "", last.decode("latin-1"), rank + 1)


@dataclass
class Payment:
    """What became of one invoice: amounts in cents, dates AAMMJJ; `state` P paid, R rejected, D deferred."""

    invoice_no: int
    lot_no: int = 0
    lot_date: str = ""
    billing_date: str = ""
    accounting_date: str = ""
    state: str = ""
    asked_amo: int = 0
    paid_amo: int = 0
    asked_amc: int = 0
    paid_amc: int = 0
    codes: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)


@dataclass
class Returns:
    """A file read: its reference (576, 580…), date, sender and payees (numbers), whether it is a test, invoices, entities met and those
    that are unknown, findings."""

    reference: str = ""
    created: str = ""
    sender: str = ""
    test: bool = False
    payees: set[str] = field(default_factory=set)
    payments: list[Payment] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    unknown: list[Entity] = field(default_factory=list)  # the first of them; `counts` has them all under UNKNOWN
    findings: list[Finding] = field(default_factory=list)


def returns(data: bytes) -> Returns:
    """Read a return and gather what it says of each invoice. Payments are told by 198 and 199 in newer references,
    by lines 210 and rejects 290 in older ones."""
    found = Returns()
    accounting, lot_no, lot_date = "", 0, ""
    current: Payment | None = None
    for item in read(data):
        name = item.name if item.name in entities() else UNKNOWN
        found.counts[name] = found.counts.get(name, 0) + 1
        if name == UNKNOWN:
            found.unknown += [item] if len(found.unknown) < KEPT_UNKNOWN else []
        elif item.name == "000":
            found.reference, found.created, found.test = item.value("reference"), item.value("created"), item.value("flow") in ("T", "D")
            found.sender = " ".join(filter(None, (f"NOEMIE {found.reference}", item.value("sender_no").lstrip("0"), item.value("message"))))
            found.payees |= {item.value("dest_no")} - {""}
        elif item.name == "040":
            found.payees |= {item.value("payee_no")} - {""}
        elif item.name == "070":
            accounting = item.value("accounting_date")
        elif item.name == "071":
            accounting = accounting or item.value("transfer_date")
        elif item.name == "080":
            lot_no, lot_date = item.number("lot_no"), item.value("lot_date")
        elif item.name in ("100", "102"):
            current = Payment(item.number("invoice_no"), accounting_date=accounting, lot_no=lot_no, lot_date=lot_date)
            if item.name == "102":
                current.lot_no, current.lot_date = item.number("lot_no") or lot_no, item.value("lot_date") or lot_date
                current.billing_date = item.value("billing_date")
            found.payments.append(current)
        elif current is not None:
            _add(current, item)
    for payment in found.payments:
        if not payment.state:
            payment.state = "R" if payment.codes and not payment.paid_amo else "P"
    if found.unknown:
        names = sorted({item.name for item in found.unknown})
        told = ", ".join(name if name.isdigit() else "?" for name in names)[:60]
        found.findings.append(finding("N002", found.unknown[0].rank, "", found.counts[UNKNOWN], names=told))
    return found


def _add(payment: Payment, item: Entity) -> None:
    if item.name == "198":
        payment.asked_amo += abs(item.number("asked"))
        payment.paid_amo += item.number("paid")
        payment.state = item.value("state") or payment.state
    elif item.name == "199":
        payment.asked_amc += abs(item.number("asked"))
        payment.paid_amc += item.number("paid")
    elif item.name in ("210", "220"):
        payment.paid_amo += item.number("paid") if not payment.asked_amo else 0
    elif item.name in ("290", "294"):
        payment.codes.append(item.value("code"))
        payment.labels.append(item.value("label"))


def table(found: Returns) -> pa.Table:
    """Payments as columns, dates made real; no person."""
    rows = found.payments
    dates = {name: [as_date(getattr(row, name)) for row in rows] for name in ("lot_date", "billing_date", "accounting_date")}
    numbers = ("invoice_no", "lot_no", "asked_amo", "paid_amo", "asked_amc", "paid_amc")
    return pa.table({
        **{name: pa.array([getattr(row, name) for row in rows], pa.int64()) for name in numbers},
        **{name: pa.array(values, pa.date32()) for name, values in dates.items()},
        "state": pa.array([row.state for row in rows], pa.string()),
        "code": pa.array([row.codes[0] if row.codes else None for row in rows], pa.string()),
        "label": pa.array([row.labels[0] if row.labels else None for row in rows], pa.string()),
    })  # fmt: skip


def as_date(text: str) -> dt.date | None:
    """AAMMJJ as a date of 20AA; None when it holds none."""
    try:
        return dt.date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6])) if text.strip("0 ") else None
    except ValueError:
        return None


def match(payments: pa.Table, invoices: pa.Table) -> pa.Table:
    """Each payment beside its invoice. `invoices` has invoice_no, invoice_date (date32) and amount_amo (cents);
    the result adds `known`, `billed_amo`, `delay` in days from invoice to accounting, and `gap` between what was
    billed and what was paid. An invoice paid in several times counts each of them."""
    number = invoices["invoice_no"].to_numpy()
    order = np.argsort(number, kind="stable")
    wanted = payments["invoice_no"].to_numpy()
    at = order[np.minimum(np.searchsorted(number, wanted, sorter=order), len(number) - 1)] if len(number) else np.zeros(len(wanted), np.int64)
    known = number[at] == wanted if len(number) else np.zeros(len(wanted), dtype=bool)
    day = lambda column: column.cast(pa.int32()).combine_chunks().to_numpy(zero_copy_only=False)  # noqa: E731
    if not len(number):
        empty = pa.nulls(len(wanted), pa.int64())
        return (
            payments.append_column("known", pa.array(known))
            .append_column("billed_amo", empty)
            .append_column("delay", empty)
            .append_column("gap", empty)
        )
    billed = invoices["amount_amo"].to_numpy()[at]
    paid_on = payments["accounting_date"]
    absent = paid_on.is_null().to_numpy() | ~known
    delay = np.nan_to_num(day(paid_on)).astype(np.int64) - day(invoices["invoice_date"])[at]
    made = payments.append_column("known", pa.array(known))
    made = made.append_column("billed_amo", pa.array(billed, mask=~known))
    made = made.append_column("delay", pa.array(delay, mask=absent))
    return made.append_column("gap", pa.array(billed - payments["paid_amo"].to_numpy(), mask=~known))


def render(
    items: list[tuple[str, str, dict[str, str | int]]], *, blocked: bool, header: dict[str, str], widths: dict[str, int] | None = None
) -> bytes:
    """A NOEMIE file from (entity, level, zones): what a simulator of the insurance sends, and what tests read
    back. `widths` gives the length of entities, the end of their last zone otherwise."""
    texts = [_entity(name, level, values, (widths or {}).get(name)) for name, level, values in items]
    first = _fixed("000", header)
    last = _fixed("999", {"records": str(len(items) + 2).zfill(8)})
    body = "".join(text + "@" for text in texts)
    if not blocked:
        return (first + body + last).encode("latin-1")
    pieces = [body[at : at + BLOCK - 1] for at in range(0, len(body), BLOCK - 1)] or [""]
    marked = [("1" if rank == len(pieces) - 1 else "0") + piece.ljust(BLOCK - 1) for rank, piece in enumerate(pieces)]
    return (first + "".join(marked) + last).encode("latin-1")


def _fixed(name: str, values: dict[str, str]) -> str:
    return _entity(name, "", values, BLOCK).ljust(BLOCK)


def _entity(name: str, level: str, values: Mapping[str, str | int], width: int | None) -> str:
    zones = entities()[name]
    text = list((name + level).ljust(width or max(zone.end for zone in zones)))
    for zone in zones:
        size = zone.end - zone.start + 1
        value = values.get(zone.name, 0 if zone.type in ("N", "D") else "")
        text[zone.start - 1 : zone.end] = f"{value:0{size}d}" if isinstance(value, int) else str(value)[:size].ljust(size)
    return "".join(text)
