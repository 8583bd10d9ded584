"""Rights of the made-up people of a sector, and invoices written from them: what the register says and what is billed can be made to agree or not."""

import datetime as dt

import numpy as np

from belvedere.engine.b2.writer import Invoices, Sender, write_file
from belvedere.engine.services.rights import Exemption, Rights, Span
from tests.flows import sector

DAY = dt.date(2026, 10, 6)
ALWAYS = Span(dt.date(2020, 1, 1))


def person(at: int, /, **changes) -> Rights:
    """The rights of a person of the sector, open and without exemption."""
    people = sector().population
    nir = bytes(people.nir[at]).decode()
    held = {
        "nir": nir, "key": f"{int(people.nir_key[at]):02d}", "born": f"{int(people.birth_date[at]):06d}", "rank": "1", "regime": f"{int(people.regime[at]):02d}",
        "caisse": f"{int(people.caisse[at]):03d}", "centre": "0000", "quality": "assuré", "open": (ALWAYS,),
    }  # fmt: skip
    return Rights(**(held | changes))


EXEMPT = (Exemption("4", ALWAYS),)


def file_of(people: list[Rights], *, norm: str = "FR", day: dt.date = DAY) -> bytes:
    """A B2 file with an invoice a person, written from its rights."""
    count = len(people)
    column = lambda texts, width: np.frombuffer("".join(text.ljust(width) for text in texts).encode(), dtype=np.uint8).reshape(count, width)  # noqa: E731
    numbers = lambda texts: np.array([int(text) for text in texts], dtype=np.int64)  # noqa: E731
    date = int(f"{day:%y%m%d}")
    full = np.array([100 if one.exempt(day) != "0" else 60 for one in people])
    heads = {
        "nir": column([one.nir for one in people], 13), "nir_key": numbers([one.key for one in people]), "invoice_no": np.arange(1, count + 1), "operation_nature": 1,
        "regime": numbers([one.regime for one in people]), "caisse": numbers([one.caisse for one in people]), "centre": numbers([one.centre for one in people]),
        "nature_assurance": numbers([one.nature for one in people]), "tm_justif": column([one.exempt(day) for one in people], 1), "birth_date": numbers([one.born for one in people]),
        "birth_rank": numbers([one.rank for one in people]), "contract_type": numbers(["89" if one.helped(day) else "00" for one in people]),
    }  # fmt: skip
    at = np.arange(count)
    total = np.full(count, 10_000)
    if norm == "CP":
        heads |= {"entry_date": date, "exit_date": date}
        bases = {
            "start_date": date,
            "end_date": date,
            "act_code": "AAD  ",
            "quantity": 1,
            "coefficient": 100,
            "unit_price": total,
            "base_amo": total,
            "rate": full,
            "amount_amo": total * full // 100,
            "amount_expense": total,
        }
        details = {"lpp_code": column(["1100034"] * count, 13), "quantity": 1, "lpp_tariff": total, "total_billed": total}
    else:
        heads |= {"invoice_date": date, "rights_proof": 4, "prescription_date": date, "payee": 5}
        bases = {
            "act_date": date,
            "act_code": "AAD  ",
            "quantity": 1,
            "coefficient": 100,
            "denombrement": 1,
            "unit_price": total,
            "base_amo": total,
            "rate": full,
            "amount_amo": total * full // 100,
            "amount_expense": total,
        }
        details = {
            "lpp_code": column(["1100034"] * count, 13),
            "supply_type": np.full(count, ord("L"), dtype=np.uint8),
            "start_date": date,
            "end_date": date,
            "lpp_tariff": total,
            "units": 1,
            "sale_unit_price": total,
            "lpp_base": total,
            "total_billed": total,
        }
    sender = Sender(sector().providers[0].finess, "PRESTATAIRE", norm, "000001", date, message="LOGICIEL 1")
    return write_file(sender, Invoices(count, heads, bases, at, details, at))
