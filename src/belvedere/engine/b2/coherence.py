"""Coherence of LPP details with the nomenclature at the date of care (norm reference §11): L600 to L605.

Tariffs and quantities are inferred rules ([I]): they warn, they never refuse.
"""

import numpy as np

from belvedere.engine.b2.lines import SOURCES
from belvedere.engine.b2.records import Records
from belvedere.engine.b2.values import lpp_numbers
from belvedere.engine.nomenclature.lpp_reference import LppReference as Reference

NOT_SUBJECT = 9  # prior agreement code of a line that says it needs none (§5.13)
_TARIFF = {"STD": ("lpp_tariff", "units"), "CP": ("lpp_tariff", "quantity")}


def days_of(dates: np.ndarray) -> np.ndarray:
    """AAMMJJ integers of service dates (20AA) as days since 1970; the calendar is checked elsewhere."""
    return _DAYS[np.clip(dates, 0, 999_999)]


def _days() -> np.ndarray:
    dates = np.arange(1_000_000)
    months = (30 + dates // 10_000) * 12 + np.clip(dates // 100 % 100, 1, 12) - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return first + np.clip(dates % 100, 1, 31) - 1


_DAYS = _days()


def coherence(records: Records, report, reference: Reference | None) -> None:
    """Compare every detail of the batch with the reference; nothing without one."""
    source = SOURCES[records.family]
    rows = records.rows(source.detail)
    if reference is None or not len(rows):
        return
    codes = lpp_numbers(records, source.detail)
    line = records.owner(source.base, rows)
    day = days_of(records.number(source.base, source.line["act_date"]))[line]
    step = reference.at(codes, day)
    found = step >= 0
    place = "43-49"
    if reference.complete:
        report("L600", (codes != 0) & ~reference.knows(codes), rows, place)
    known = np.maximum(step, 0)
    act = np.ascontiguousarray(records.text(source.base, "act_code")[:, :3]).view("S3")[:, 0][line]
    report("L601", found & (act != reference.nature[known]), rows, place)
    tariff_zone, quantity_zone = _TARIFF[records.family]
    tariff, quantity = records.number(source.detail, tariff_zone), records.number(source.detail, quantity_zone)
    report("L602", found & (reference.tariff[known] > 0) & (tariff > reference.tariff[known]), rows, place)
    report("L603", found & (reference.most[known] > 0) & (quantity > reference.most[known]), rows, place)
    if records.family == "STD":
        agreement = records.number("4", "prior_agreement")[line]
        report("L604", found & reference.agreement[known] & (agreement == NOT_SUBJECT), rows, place)
    if len(reference.apart):
        _apart(records, report, reference, rows, codes, day)


def _apart(records: Records, report, reference: Reference, rows: np.ndarray, codes: np.ndarray, day: np.ndarray) -> None:
    """L605: two codes of one invoice on one day that the nomenclature keeps apart. Only invoices that hold a
    code named in a pair are compared, neighbour by neighbour of each distance."""
    named = np.unique(np.concatenate([reference.apart // 10**7, reference.apart % 10**7]))
    kept = np.flatnonzero(np.isin(codes, named))
    invoice = records.owner("2", rows[kept])
    hit = np.zeros(len(rows), dtype=bool)
    for distance in range(1, len(kept)):
        same = (invoice[distance:] == invoice[:-distance]) & (day[kept][distance:] == day[kept][:-distance])
        if not (invoice[distance:] == invoice[:-distance]).any():
            break
        one, other = codes[kept][distance:], codes[kept][:-distance]
        pair = np.minimum(one, other) * 10**7 + np.maximum(one, other)
        hit[kept[distance:]] |= same & np.isin(pair, reference.apart)
    report("L605", hit, rows, "43-49")
