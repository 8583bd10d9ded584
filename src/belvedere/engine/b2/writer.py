"""From columns to B2 bytes: the writer computes counters and totals, the caller gives the zones.

Zones absent from the caller take the norm's default (numeric: zeros, alphabetic: spaces, constants
from the layout). Sources: norm reference §2 to §4 and §8.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from belvedere.engine.b2 import digits
from belvedere.engine.b2.layouts import RECORD_LENGTH, layout

Values = Mapping[str, Any]
LOT_INVOICES = 500  # the type 6 counters hold 999 invoices and 9 999 lines


@dataclass
class Invoices:
    """The invoices of one file. `heads` zones of record 2; `extras` other head records (type -> invoice
    positions and zones); `bases` zones of the base lines with `invoice_of_base`; `details` zones with
    `base_of_detail`; `companions` records that follow each base line (3S, 4S…). Positions ascend."""

    count: int
    heads: Values
    bases: Values
    invoice_of_base: np.ndarray
    details: Values
    base_of_detail: np.ndarray
    extras: Mapping[str, tuple[np.ndarray, Values]] = field(default_factory=dict)
    companions: Mapping[str, Values] = field(default_factory=dict)


@dataclass(frozen=True)
class Sender:
    """Who sends the file, and to whom. `finess` 9 digits with key; dates AAMMJJ; `file_id` 6 characters."""

    finess: int
    name: str
    norm: str
    file_id: str
    created: int
    norm_date: int = 62007
    regime: int = 1
    caisse: int = 751
    message: str = ""


_TEMPLATES: dict[tuple[str, str], np.ndarray] = {}


def _template(record: str, family: str) -> np.ndarray:
    if (record, family) not in _TEMPLATES:
        line = np.full(RECORD_LENGTH, 32, dtype=np.uint8)
        for zone in layout(record, family).zones:
            if zone.constant:
                text = zone.constant.ljust(zone.width).encode()
                line[zone.slice] = np.frombuffer(text, dtype=np.uint8)
            elif zone.type == "N":
                line[zone.slice] = 48
        _TEMPLATES[record, family] = line
    return _TEMPLATES[record, family]


def render(record: str, family: str, count: int, values: Values) -> np.ndarray:
    """(count, 128) bytes of one record type. A value is an int or int column (numeric text, also in
    alphabetic zones: left-justified there only when given as text), a str, or (count, width) bytes."""
    out = np.empty((count, RECORD_LENGTH), dtype=np.uint8)
    out[:] = _template(record, family)
    spec = layout(record, family)
    for name, value in values.items():
        zone = spec[name]
        if isinstance(value, str):
            text = value.encode("ascii")[: zone.width].ljust(zone.width)
            out[:, zone.slice] = np.frombuffer(text, dtype=np.uint8)
        elif isinstance(value, np.ndarray) and value.dtype == np.uint8:
            block = value.reshape(count, -1)
            out[:, zone.start - 1 : zone.start - 1 + block.shape[1]] = block
        elif not isinstance(value, np.ndarray):
            digits.write(out[:1], zone.slice, np.array([value], dtype=np.int64))
            out[1:, zone.slice] = out[:1, zone.slice]
        else:
            digits.write(out, zone.slice, np.asarray(value, dtype=np.int64))
    return out


def _total(values: Values, name: str, owner: np.ndarray, count: int) -> np.ndarray:
    amounts = np.broadcast_to(np.asarray(values.get(name, 0), dtype=np.int64), (len(owner),))
    return np.bincount(owner, weights=amounts, minlength=count).astype(np.int64)


def write_file(sender: Sender, invoices: Invoices) -> bytes:
    """One B2 file of one sender, split into lots of at most `LOT_INVOICES` invoices."""
    family = "CP" if sender.norm == "CP" else "STD"
    base, detail = ("3", "3F") if family == "CP" else ("4", "4F")
    n, n_base, owner = invoices.count, len(invoices.invoice_of_base), invoices.invoice_of_base
    owner_of_detail = owner[invoices.base_of_detail]
    zones_of_head = ["nir", "nir_key", "invoice_no"]
    head = {"ps_no": sender.finess, **{z: invoices.heads[z] for z in zones_of_head}}

    leading = render("2", family, n, {**head, **invoices.heads})
    end_of_key = layout("2", family)["invoice_no"].slice

    def follow(kind: str, at: np.ndarray, values: Values) -> np.ndarray:
        """Records of a type under the headers of their invoices (copied where the zones stand alike)."""
        if layout(kind, family)["invoice_no"].slice != end_of_key:
            own = {"ps_no": sender.finess, **{z: np.asarray(invoices.heads[z])[at] for z in zones_of_head}}
            return render(kind, family, len(at), {**own, **values})
        block = render(kind, family, len(at), values)
        block[:, 1 : end_of_key.stop] = leading[at, 1 : end_of_key.stop]
        return block

    billed = _total(invoices.bases, "amount_expense", owner, n)
    amo = _total(invoices.bases, "amount_amo", owner, n)
    amc = _total(invoices.bases, "amount_oc", owner, n)
    n_lines = np.bincount(owner, minlength=n) * (1 + len(invoices.companions))
    n_lines += np.bincount(owner_of_detail, minlength=n)
    if family == "STD":
        end = {"n_type4": n_lines, "total_billed": billed, "total_amo": amo, "total_insured": billed - amo, "total_oc": amc}
    else:
        end = {
            "n_lines": n_lines,
            "hosp_base_total": _total(invoices.bases, "base_amo", owner, n),
            "hosp_amo_total": amo,
            "insured_total": billed - amo,
            "hosp_oc_total": amc,
            "hosp_billed_total": billed,
        }

    lot = np.arange(n) // LOT_INVOICES
    lots = int(lot[-1]) + 1 if n else 0
    first = np.arange(lots) * LOT_INVOICES
    last = np.minimum(first + LOT_INVOICES, n) - 1
    blocks, order = [], []

    def add(block: np.ndarray, invoice: np.ndarray, phase: int, at: np.ndarray | int, sub: np.ndarray | int) -> None:
        blocks.append(block)
        order.append((((invoice.astype(np.int64) * 4 + phase) << 36) | (np.asarray(at, np.int64) << 8)) | sub)

    every = np.arange(n)
    opening = {
        "ps_no": sender.finess, "dest_organism": sender.caisse, "lot_no": np.arange(1, lots + 1), "ps_name": sender.name,
        "norm_version": "B2", "lot_date": sender.created, "norm_code": sender.norm, "norm_date": sender.norm_date, "currency": "U",
    }  # fmt: skip
    add(render("1", family, lots, opening), first, 0, 0, 0)
    add(leading, every, 1, 0, 0)
    for rank, (kind, (at, values)) in enumerate(invoices.extras.items(), start=1):
        if not len(at):
            continue
        add(follow(kind, at, values), at, 1, 0, rank)
    positions = np.arange(n_base)
    add(follow(base, owner, invoices.bases), owner, 2, positions, 0)
    for rank, (kind, values) in enumerate(invoices.companions.items(), start=1):
        add(follow(kind, owner, values), owner, 2, positions, rank)
    opens = np.concatenate([[True], invoices.base_of_detail[1:] != invoices.base_of_detail[:-1]])[: len(owner_of_detail)]
    rank_in_base = np.arange(len(owner_of_detail)) - np.maximum.accumulate(np.where(opens, np.arange(len(owner_of_detail)), 0))
    block = follow(detail, owner_of_detail, {"sequence": rank_in_base + 1, **invoices.details})
    add(block, owner_of_detail, 2, invoices.base_of_detail, 100 + rank_in_base)
    add(render("5", family, n, {**head, **end}), every, 3, 0, 0)
    closing = {
        "ps_no": sender.finess,
        "n_invoices": np.bincount(lot, minlength=lots),
        "n_act_lines": np.bincount(lot[owner], minlength=lots),
        "n_type2": np.bincount(lot, minlength=lots),
        "n_type5": np.bincount(lot, minlength=lots),
        "total_billed": np.bincount(lot, weights=billed, minlength=lots).astype(np.int64),
        "total_amo": np.bincount(lot, weights=amo, minlength=lots).astype(np.int64),
        "total_amc": np.bincount(lot, weights=amc, minlength=lots).astype(np.int64),
        "lot_no": np.arange(1, lots + 1),
        "marking": "R",
    }
    add(render("6", family, lots, closing), last, 3, 0, 1)
    body = np.concatenate(blocks)[np.argsort(np.concatenate(order), kind="stable")]
    envelope = {
        "sender_type": "TE" if family == "CP" else "TP",
        "sender_no": sender.finess,
        "dest_type": "CT",
        "dest_no": sender.regime * 10**6 + 36 * 10**3 + sender.caisse,
        "application": "TR",
        "file_id": sender.file_id,
    }
    opened = {
        **{name: _padded(value, 14) for name, value in envelope.items()},
        "norm": sender.norm,
        "norm_version": "B2",
        "record_length": 128,
        "creation_date": sender.created,
        "message": sender.message,
    }
    closed = {**{name: _padded(value, 14) for name, value in envelope.items()}, "n_records": len(body) + 2, "n_lots": lots}
    return render("000", family, 1, opened).tobytes() + body.tobytes() + render("999", family, 1, closed).tobytes()


def _padded(value: object, width: int) -> str:
    return value if isinstance(value, str) else f"{value:0{width}d}"
