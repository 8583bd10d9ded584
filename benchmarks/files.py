"""Large real files for measurements: one lot is written, then repeated with other persons and numbers."""

import datetime as dt
from collections.abc import Iterator
from functools import cache

import numpy as np

from belvedere.engine.b2 import digits, writer
from belvedere.engine.b2.framing import frame
from belvedere.engine.sector.billing import make_sector, month_file

INVOICES, LINES, DETAILS = 999, 10, 3  # what fits a lot: 999 invoices and 9,999 base lines
LOT_BYTES = (INVOICES * (2 + LINES * (1 + DETAILS)) + 2) * 128


@cache
def ordinary(megabytes: int) -> bytes:
    """A provider's month as the synthetic sector writes it, of about this size."""
    patients = max(200, megabytes * 2600)
    sector = make_sector(seed=2, first=dt.date(2025, 1, 1), providers=4, groups=3, months=2, patients=patients, establishments=0)
    return max((month_file(sector, rank, 1) for rank in range(4)), key=len)


@cache
def _lot(finess: int) -> tuple[bytes, np.ndarray, bytes]:
    """(000, records of one full lot, 999) of a sound file."""
    lines = INVOICES * LINES
    nir = np.frombuffer(b"1550375999001", dtype=np.uint8)
    sender = writer.Sender(finess=finess, name="GRAND FICHIER", norm="FR", file_id="GRAND1", created=250205)
    price, per_line = 1250, 4
    total = price * per_line * DETAILS
    heads = {
        "nir": np.tile(nir, (INVOICES, 1)), "nir_key": 33, "invoice_no": np.arange(INVOICES), "operation_nature": 1, "invoice_date": 250205,
        "regime": 1, "caisse": 751, "rights_proof": 4, "prescriber_no": 751000019, "prescription_date": 250101, "nature_assurance": 10,
        "tm_justif": "0", "birth_date": 550315, "birth_rank": 1, "prescriber_specialty": 1, "payee": 15,
    }  # fmt: skip
    heads = {name: np.full(INVOICES, value) if isinstance(value, int) else value for name, value in heads.items()}
    day = 250101 + np.arange(lines) % 28
    act = np.tile(np.frombuffer(b"AAD  ", dtype=np.uint8), (lines, 1))
    bases = {
        "prior_agreement": 9, "executant_no": finess, "executant_specialty": 60, "act_date": day, "act_code": act, "quantity": 1, "coefficient": 100,
        "denombrement": 1, "unit_price": total, "base_amo": np.full(lines, total), "rate": 100, "amount_amo": np.full(lines, total),
        "amount_expense": np.full(lines, total), "place": 1, "amount_oc": np.zeros(lines, dtype=np.int64),
    }  # fmt: skip
    lpp = np.tile(np.frombuffer(b"1100034      ", dtype=np.uint8), (lines * DETAILS, 1))
    details = {
        "lpp_code": lpp, "supply_type": "L", "start_date": np.repeat(day, DETAILS), "end_date": np.repeat(day, DETAILS), "lpp_tariff": price,
        "units": per_line, "sale_unit_price": price, "lpp_base": price * per_line, "total_billed": np.full(lines * DETAILS, price * per_line),
    }  # fmt: skip
    kept, writer.LOT_INVOICES = writer.LOT_INVOICES, INVOICES
    try:
        made = writer.write_file(
            sender, writer.Invoices(INVOICES, heads, bases, np.arange(lines) // LINES, details, np.arange(lines * DETAILS) // DETAILS)
        )
    finally:
        writer.LOT_INVOICES = kept
    view = np.frombuffer(made, dtype=np.uint8).reshape(-1, 128)
    return made[:128], view[1:-1].copy(), made[-128:]


def large(megabytes: int, finess: int = 752600015) -> Iterator[bytes]:
    """Pieces of a sound file of this size (at most 999 lots, 5.2 GB): other persons and numbers in each lot."""
    head, lot, end = _lot(finess)
    lots = max(1, min(999, round(megabytes * 1e6 / LOT_BYTES)))
    kind = frame(head + lot.tobytes() + end).kind[1:-1]
    numbered = np.flatnonzero((kind != kind[0]) & (kind != kind[-1]))
    twos, ends = np.flatnonzero(lot[:, 0] == ord("2")), [0, len(lot) - 1]
    rank, _ = digits.read(lot[numbered], slice(26, 35))
    birth = np.arange(INVOICES)
    yield head
    for number in range(lots):
        block = np.empty((len(numbered), 128), dtype=np.uint8)
        digits.write(block, slice(26, 35), rank + number * INVOICES)
        lot[numbered, 26:35] = block[:, 26:35]
        # A person is told by NIR, birth date and rank: other birth dates make other persons.
        people = np.empty((INVOICES, 128), dtype=np.uint8)
        digits.write(people, slice(95, 101), (number * INVOICES + birth) % 1_000_000)
        lot[twos, 95:101] = people[:, 95:101]
        for at, zone in zip(ends, (slice(19, 22), slice(51, 54)), strict=True):
            lot[at, zone] = np.frombuffer(f"{number + 1:03d}".encode(), dtype=np.uint8)
        yield lot.tobytes()
    last = bytearray(end)
    last[55:63] = f"{lots * len(lot) + 2:08d}".encode()
    last[82:85] = f"{lots:03d}".encode()
    yield bytes(last)
