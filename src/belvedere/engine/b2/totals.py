"""Amounts and totals (norm reference §8): lines, details, ends of invoice (type 5) and of lot (type 6)."""

from dataclasses import dataclass, field

import numpy as np

from belvedere.engine.b2.grammar import MOST_INVOICES
from belvedere.engine.b2.lines import SOURCES
from belvedere.engine.b2.records import CODE, Records

# T5 zone -> signed sums of (base record, zone); norm reference §8 and §4.3.
INVOICE_TOTALS: dict[str, dict[str, tuple[tuple[int, str, str], ...]]] = {
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
# T6 zone -> T5 zones it adds up, and T6 zone -> record type it counts.
LOT_TOTALS: dict[str, dict[str, tuple[str, ...]]] = {
    "STD": {"total_billed": ("total_billed",), "total_amo": ("total_amo",), "total_amc": ("total_oc",)},
    "CP": {
        "total_billed": ("hosp_billed_total", "fees_total"),
        "total_amo": ("hosp_amo_total", "fees_amo_total"),
        "total_amc": ("hosp_oc_total", "fees_oc_total"),
    },
}
LOT_COUNTS = {"n_invoices": "2", "n_type5": "5"}
# Detail zones: price, quantity, total.
PRICES = {"STD": ("4F", "sale_unit_price", "units", "total_billed")}


def _sums(records: Records, kind: str, zone: str, group: str, shift: int = 0) -> np.ndarray:
    """Sum of a zone of one record type per enclosing `group` record; exact below 2**53 cents. `shift` counts a
    group that was open before the batch."""
    owner = records.owner(group, records.rows(kind)) + shift
    return np.bincount(owner, weights=records.number(kind, zone), minlength=len(records.rows(group)) + shift).astype(np.int64)


def _counts(records: Records, rows: np.ndarray, group: str, shift: int = 0) -> np.ndarray:
    return np.bincount(records.owner(group, rows) + shift, minlength=len(records.rows(group)) + shift)


def invoices(records: Records, report) -> None:
    """A501 to A504, A506, A507: amounts of lines and details, totals and counts of invoices."""
    source = SOURCES[records.family]
    base, fives = source.base, records.rows("5")
    for zone, terms in INVOICE_TOTALS[records.family].items():
        expected = np.sum([sign * _sums(records, kind, name, "2") for sign, kind, name in terms], axis=0)
        records.keep(("lines", zone), expected)
        place = records.layout("5")[zone]
        report("A504", expected != records.number("5", zone), fives, place.place)
    lines_at = np.flatnonzero((records.kind >= CODE["3"]) & (records.kind < CODE["5"]))
    declared = records.number("5", "n_type4" if records.family == "STD" else "n_lines")
    bases = _counts(records, np.concatenate([records.rows("3"), records.rows("4")]), "2")
    report("A506", (declared != _counts(records, lines_at, "2")) & (declared != bases), fives, "39-41")

    amount, rate = records.number(base, "amount_amo"), records.number(base, "rate")
    expected = (records.number(base, "base_amo") * rate * 2 + 100) // 200
    report("A501", amount != expected, records.rows(base))
    expense = records.number(base, "amount_expense")
    report("A502", expense < amount + records.number(base, "amount_oc"), records.rows(base))
    details = records.rows(source.detail)
    if len(details):
        lines = records.rows(base)
        total = _sums(records, source.detail, "total_billed", base)
        report("A503", (_counts(records, details, base) > 0) & (total != expense), lines)
    if records.family in PRICES:
        kind, price, units, billed = PRICES[records.family]
        made = records.number(kind, price) * records.number(kind, units)
        place = records.layout(kind)[billed]
        report("A507", made != records.number(kind, billed), records.rows(kind), place.place)


@dataclass
class Lots:
    """What a lot has added up so far, carried from batch to batch."""

    _open: bool = False
    _number: int = 0
    _biller: int = 0
    _sums: dict[str, int] = field(default_factory=dict)

    def add(self, records: Records, report) -> None:
        """S113 for every invoice; A505, S103, S112 for the lots that end in this batch."""
        ones, sixes = records.rows("1"), records.rows("6")
        # A lot that was open when the batch began starts before its first record.
        shift = int(self._open)
        groups = len(ones) + shift
        totals = {zone: [_sums(records, "5", name, "1", shift) for name in names] for zone, names in LOT_TOTALS[records.family].items()}
        sums = {zone: np.sum(parts, axis=0) for zone, parts in totals.items()}
        # The same totals from the lines: a lot whose only fault is an invoice's wrong total is not at fault itself.
        lot_of = records.owner("1", records.rows("2")) + shift
        for zone, names in LOT_TOTALS[records.family].items():
            lines = np.sum([records.kept(("lines", name)) for name in names], axis=0)
            sums[f"{zone}, lines"] = np.bincount(lot_of, weights=lines, minlength=groups).astype(np.int64)
        sums |= {zone: _counts(records, records.rows(kind), "1", shift) for zone, kind in LOT_COUNTS.items()}
        numbers, billers = records.number("1", "lot_no"), records.number("1", "ps_no")
        if self._open:
            for zone, found in sums.items():
                found[0] += self._sums[zone]
            numbers, billers = np.concatenate([[self._number], numbers]), np.concatenate([[self._biller], billers])
        lot_of_invoice = records.owner("1", records.rows("2")) + shift
        report("S113", billers[lot_of_invoice] != records.number("2", "ps_no"), records.rows("2"), "2-10")
        ended = len(sixes)
        for zone in (*LOT_TOTALS[records.family], *LOT_COUNTS):
            place, told = records.layout("6")[zone], records.number("6", zone)
            from_lines = sums.get(f"{zone}, lines", sums[zone])
            report("A505", (sums[zone][:ended] != told) & (from_lines[:ended] != told), sixes, place.place)
        report("S112", sums["n_invoices"][:ended] > MOST_INVOICES, sixes)
        report("S103", (numbers[:ended] != records.number("6", "lot_no")) | (billers[:ended] != records.number("6", "ps_no")), sixes)
        self._open = groups > ended
        if self._open:
            self._number, self._biller = int(numbers[-1]), int(billers[-1])
            self._sums = {zone: int(found[-1]) for zone, found in sums.items()}
