"""The invoice check: a real B2 invoice against the rights of its person, zone by zone; what would be rejected, and the invoice corrected.

The causes are families of ours over published NOEMIE labels: the official list of reject codes is not public."""

import csv
import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from belvedere.engine.b2.framing import Framer
from belvedere.engine.b2.layouts import RECORD_LENGTH, layout
from belvedere.engine.b2.records import Records
from belvedere.engine.services.rights import Rights

SOLIDARITY = "89"  # contract type of a person helped by C2S (norm reference §5.8)


@dataclass(frozen=True)
class Check:
    """One comparison: the zone of record 2 that it reads, and the family of reject that a difference would meet."""

    name: str
    zone: str
    label: str
    cause: str
    cause_label: str
    correctable: bool


@cache
def checks() -> tuple[Check, ...]:
    """Every comparison, in the order of the record."""
    with (files(__package__) / "invoice_checks.csv").open(encoding="utf-8") as stream:
        return tuple(
            Check(row["name"], row["zone"], row["label"], row["cause"], row["cause_label"], row["correctable"] == "1")
            for row in csv.DictReader(stream)
        )


@dataclass(frozen=True)
class Billed:
    """The header of an invoice as it is written: zones of record 2, its place in the file (1-based), the day of its care."""

    number: str
    record: int
    family: str
    nir: str
    zones: dict[str, str]
    day: dt.date | None


@dataclass(frozen=True)
class Difference:
    """One zone that differs from the rights: where it is written, what it says, what it should say."""

    invoice: str
    record: int
    positions: str
    check: Check
    billed: str
    expected: str


def _day(text: str) -> dt.date | None:
    try:
        return dt.date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6]))
    except ValueError:
        return None


def _texts(records: Records, kind: str, zone: str) -> list[str]:
    return [bytes(row).decode("ascii", "replace") for row in records.text(kind, zone)]


def invoices(raw: bytes) -> Iterator[Billed]:
    """The invoices of a clear B2 file, in order. `belvedere.engine.b2.findings.B2Error` when it is none."""
    framer = Framer()
    for batch in framer.batches([raw]):
        rows = batch.rows("2")
        if not len(rows):
            continue
        names = [check.zone for check in checks() if check.zone]
        columns = {name: _texts(batch, "2", name) for name in (*names, "nir", "invoice_no")}
        days = _care_days(batch)
        for at, row in enumerate(rows.tolist()):
            zones = {name: columns[name][at].strip() for name in names}
            yield Billed(columns["invoice_no"][at].strip(), batch.start + row + 1, batch.family, columns["nir"][at].strip(), zones, days[at])


def _care_days(batch: Records) -> list[dt.date | None]:
    """The first day of care of each invoice: that of its first base line."""
    kind, zone = ("3", "start_date") if batch.family == "CP" else ("4", "act_date")
    rows = batch.rows(kind)
    owner, texts = batch.owner("2", rows), _texts(batch, kind, zone)
    found: list[dt.date | None] = [None] * len(batch.rows("2"))
    for at in np.unique(owner, return_index=True)[1].tolist() if len(rows) else ():
        found[int(owner[at])] = _day(texts[at])
    return found


def _expected(rights: Rights, day: dt.date, billed: Billed) -> dict[str, str]:
    """What each zone should say of a person on a day. A contract zone that says nothing of C2S is nobody's mistake when the person has none."""
    contract = billed.zones["contract_type"] or "00"
    if rights.helped(day):
        contract = SOLIDARITY
    elif contract == SOLIDARITY:
        contract = "00"
    return {
        "nir_key": rights.key, "born": rights.born, "rank": rights.rank, "regime": rights.regime, "caisse": rights.caisse, "centre": rights.centre,
        "nature": rights.nature, "exemption": rights.exempt(day), "contract": contract,
    }  # fmt: skip


def _same(one: str, other: str) -> bool:
    return one == other or (one.isdecimal() and other.isdecimal() and int(one) == int(other)) or (not one.strip("0") and not other.strip("0"))


def differences(billed: Billed, rights: Rights) -> list[Difference]:
    """The zones of an invoice that differ from the rights of its person, in the order of the record; the rights closed that day come last."""
    day = billed.day
    if day is None:
        return []
    told, spec = _expected(rights, day, billed), layout("2", billed.family)
    found = []
    for check in checks():
        if check.name == "closed":
            if not any(span.covers(day) for span in rights.open):
                found.append(Difference(billed.number, billed.record, "", check, f"soins du {day:%d/%m/%Y}", "droits fermés"))
        elif not _same(billed.zones[check.zone], told[check.name]):
            zone = spec[check.zone]
            positions = f"{zone.start}-{zone.end}"
            found.append(Difference(billed.number, billed.record, positions, check, billed.zones[check.zone], told[check.name]))
    return found


def checked(raw: bytes, ask: Callable[[Billed], Rights | None]) -> Iterator[tuple[Billed, list[Difference] | None]]:
    """Each invoice of a file with its differences; None where the service had no useful answer, so that nothing can be said."""
    for billed in invoices(raw):
        rights = ask(billed)
        yield billed, None if rights is None else differences(billed, rights)


def corrected(raw: bytes, found: Iterable[Difference]) -> bytes:
    """The file, 128 characters a record, with every correctable zone written as it should be; a key is repeated by each record of its invoice."""
    batches = list(Framer().batches([raw]))
    content = bytearray(b"".join(batch.view.tobytes() for batch in batches))
    heads = [batch.start + int(row) for batch in batches for row in batch.rows("2")]
    ends = dict(zip(heads, [*heads[1:], len(content) // RECORD_LENGTH], strict=True))
    for one in found:
        if not one.check.correctable:
            continue
        low, high = (int(part) for part in one.positions.split("-"))
        width = high - low + 1
        text = (one.expected.rjust(width, "0") if one.expected.isdecimal() else one.expected.ljust(width))[:width].encode("ascii")
        first = one.record - 1
        for record in range(first, ends[first]) if one.check.zone == "nir_key" else (first,):
            at = record * RECORD_LENGTH
            if record == first or content[at : at + 1] in (b"2", b"3", b"4", b"5"):
                content[at + low - 1 : at + high] = text
    return bytes(content)
