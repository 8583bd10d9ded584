"""Billing lines as columns: what the observatory keeps of a flow, before persons are replaced.

One row per LPP detail record (4F, or 3F in establishments), and one per base line that has no detail.
The base line's amounts are shared among its details in proportion to their reimbursement bases, to
the cent and without remainder. Which zone feeds which column is data (`SOURCES`).
"""

from dataclasses import dataclass

import numpy as np

from belvedere.engine.b2 import digits
from belvedere.engine.b2.records import TOGETHER, Records
from belvedere.engine.b2.values import lpp_numbers


@dataclass(frozen=True)
class Source:
    """Which records and zones of a family feed the columns; `supply_type` is empty where the family has none."""

    base: str
    detail: str
    invoice: dict[str, str]
    line: dict[str, str]
    item: dict[str, str]
    supply_type: str


SOURCES = {
    "STD": Source(
        base="4",
        detail="4F",
        invoice={
            "invoice_no": "invoice_no",
            "invoice_date": "invoice_date",
            "regime": "regime",
            "caisse": "caisse",
            "birth_date": "birth_date",
            "birth_rank": "birth_rank",
            "prescriber_no": "prescriber_no",
            "prescriber_specialty": "prescriber_specialty",
            "nature": "nature_assurance",
        },
        line={
            "act_date": "act_date",
            "amount_base": "base_amo",
            "amount_amo": "amount_amo",
            "amount_billed": "amount_expense",
            "amount_amc": "amount_oc",
        },
        item={"lpp": "lpp_code", "units": "units", "item_base": "lpp_base", "item_billed": "total_billed"},
        supply_type="supply_type",
    ),
    "CP": Source(
        base="3",
        detail="3F",
        invoice={
            "invoice_no": "invoice_no",
            "invoice_date": "exit_date",
            "regime": "regime",
            "caisse": "caisse",
            "birth_date": "birth_date",
            "birth_rank": "birth_rank",
            "nature": "nature_assurance",
        },
        line={
            "act_date": "start_date",
            "amount_base": "base_amo",
            "amount_amo": "amount_amo",
            "amount_billed": "amount_expense",
            "amount_amc": "amount_oc",
        },
        item={"lpp": "lpp_code", "units": "quantity", "item_base": "total_billed", "item_billed": "total_billed"},
        supply_type="",
    ),
}


# Zones that controls need of every record of these types, beside those above.
_CONTROLLED = {
    ("STD", "2"): ("ps_no", "nir_key", "rights_proof", "prescription_date", "payee"),
    ("STD", "4"): ("rate", "prior_agreement"),
    ("STD", "4F"): ("sequence", "start_date", "end_date", "lpp_tariff", "sale_unit_price"),
    ("STD", "5"): ("n_type4", "total_billed", "total_amo", "total_insured", "total_oc"),
    ("CP", "3"): ("rate",),
    ("CP", "3F"): ("sequence", "lpp_tariff"),
}


def _together() -> None:
    for family, source in SOURCES.items():
        for kind, zones in (("2", source.invoice), (source.base, source.line), (source.detail, source.item)):
            TOGETHER[family, kind] = [tuple(dict.fromkeys(name for name in zones.values() if name != "lpp_code"))]
    for key, names in _CONTROLLED.items():
        TOGETHER.setdefault(key, []).append(names)


_together()


@dataclass
class Lines:
    """Columns of n lines. `columns` are int64 (amounts in cents, dates AAMMJJ as they are written);
    `nir` is (invoices, 13) uint8 and never leaves memory; `record` is the 1-based record number of the line;
    `patients_key` holds the person's key by invoice, and each line's invoice."""

    columns: dict[str, np.ndarray]
    nir: np.ndarray
    supply_type: np.ndarray
    record: np.ndarray
    invoices: int
    patients_key: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.record)


def share_out(totals: np.ndarray, owner: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Split integer `totals[owner]` among rows in proportion to `weights`, exactly.

    `owner` is non-decreasing; rows of one owner add up to its total (cumulative rounding, so no row
    is off by more than a cent). Equal shares where all weights of an owner are zero.
    """
    out = np.empty(len(owner), dtype=np.int64)
    digits.share(np.asarray(totals, dtype=np.int64), owner, np.asarray(weights, dtype=np.int64), out)
    return out


def read_lines(records: Records, refused: np.ndarray | None = None) -> Lines:
    """Assemble the lines of records whose structure was controlled, less those of the `refused` invoices
    ((invoices,) bool)."""
    source = SOURCES[records.family]
    base_at, detail_at = records.rows(source.base), records.rows(source.detail)
    base_of_detail = records.owner(source.base, detail_at)
    bare = np.bincount(base_of_detail, minlength=len(base_at))[: len(base_at)] == 0
    at, base = detail_at, base_of_detail
    order: np.ndarray | slice = slice(None)
    if bare.any():
        at = np.concatenate([detail_at, base_at[bare]])
        order = np.argsort(at, kind="stable")
        base = np.concatenate([base_of_detail, np.flatnonzero(bare)])[order]
    invoice_at = records.rows("2")
    invoice = records.owner("2", base_at[base])
    if refused is not None and refused.any():
        kept = ~refused[invoice]
        order = np.arange(len(at))[order][kept]
        base, invoice = base[kept], invoice[kept]
    at = at[order]

    columns = {name: records.number("2", zone).take(invoice) if zone else np.zeros(len(at), np.int64) for name, zone in source.invoice.items()}
    for absent in ("prescriber_no", "prescriber_specialty"):
        columns.setdefault(absent, np.zeros(len(at), dtype=np.int64))
    padding = np.zeros(int(bare.sum()), dtype=np.int64)

    def item(zone: str) -> np.ndarray:
        values = records.number(source.detail, zone)
        return (np.concatenate([values, padding]) if len(padding) else values)[order]

    columns["lpp"] = np.concatenate([lpp_numbers(records, source.detail), padding])[order]
    columns["units"] = item(source.item["units"])
    weight = np.where(item(source.item["item_base"]) > 0, item(source.item["item_base"]), 0)
    for name, zone in source.line.items():
        values = records.number(source.base, zone)
        columns[name] = values.take(base) if name == "act_date" else share_out(values, base, weight)

    supply = np.full(len(at), ord("A"), dtype=np.uint8)
    if source.supply_type:
        letters = records.text(source.detail, source.supply_type)[:, 0]
        supply = np.concatenate([letters, np.full(len(padding), ord(" "), dtype=np.uint8)])[order]
    persons = {
        "nir": records.text("2", "nir"),
        "birth_date": records.number("2", "birth_date"),
        "birth_rank": records.number("2", "birth_rank"),
    }
    kept_invoices = len(invoice_at) - (int(refused.sum()) if refused is not None else 0)
    return Lines(columns, persons["nir"], supply, at + records.start + 1, kept_invoices, {**persons, "invoice": invoice})
