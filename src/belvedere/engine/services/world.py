"""A made-up outside world for the simulators: people with rights, contracts of complementary bodies, an office that opens flows. Nobody in it exists."""

import datetime as dt
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from belvedere.engine.b2.writer import Invoices, Sender, write_file
from belvedere.engine.sector.billing import make_sector
from belvedere.engine.services.guarantees import Guarantee
from belvedere.engine.services.rights import Exemption, FaultPlan, Register, Rights, Span
from belvedere.engine.services.roc import Contract

AGENT = "AGENT-TEST"
TOTAL = 12_000  # cents of an invoice: a month of a rented device
LPP = "1100034"
_FOREVER = Span(dt.date(2015, 1, 1))


@dataclass
class World:
    """People as the insurance knows them, and as the biller's software does: the latter is late on some."""

    finess: int
    people: list[Rights]
    known: list[Rights]
    register: Register
    contracts: dict[str, Contract]
    day: dt.date
    seed: int
    faults: FaultPlan = field(default_factory=FaultPlan)


def _rights(draw: random.Random, nir: str, key: str, born: str, regime: str, caisse: str, exempt: bool) -> Rights:
    helped = draw.random() < 0.08
    return Rights(
        nir, key, born, "1", regime, caisse, "0000", "assuré" if draw.random() < 0.8 else "ayant droit", (_FOREVER,),
        (Exemption("4", _FOREVER),) if exempt else (), (_FOREVER,) if helped else (), "" if helped else f"{draw.randrange(10**7, 10**8)}", draw.random() < 0.9,
    )  # fmt: skip


def _late(draw: random.Random, one: Rights) -> Rights:
    """What a software still believes of somebody whose rights changed."""
    kind = draw.choice(("caisse", "caisse", "exemption", "exemption", "solidarity", "born"))
    if kind == "caisse":
        return replace(one, caisse=f"{(int(one.caisse) + 10) % 999:03d}")
    if kind == "exemption":
        return replace(one, exemptions=() if one.exemptions else (Exemption("4", _FOREVER),))
    if kind == "solidarity":
        return replace(one, solidarity=() if one.solidarity else (_FOREVER,))
    return replace(one, born=f"{one.born[:4]}{int(one.born[4:]) % 27 + 1:02d}")


def make(count: int, day: dt.date, *, seed: int = 1) -> World:
    """A world of `count` people around a home-care provider on a day: one in ten known wrongly by its software, a few with closed rights, an uncovered regime,
    or unknown; a fault plan at the published rates."""
    draw = random.Random(seed)
    sector = make_sector(seed=seed, first=day.replace(day=1), providers=3, groups=2, months=1, patients=max(count * 2, 60), establishments=0)
    held = sector.population
    people, known = [], []
    for at in range(count):
        nir = bytes(held.nir[at]).decode()
        one = _rights(
            draw, nir, f"{int(held.nir_key[at]):02d}", f"{int(held.birth_date[at]):06d}", f"{int(held.regime[at]):02d}", f"{int(held.caisse[at]):03d}", bool(held.exempt[at])
        )  # fmt: skip
        believed = _late(draw, one) if draw.random() < 0.12 else one
        fate = draw.random()
        if fate < 0.012:
            one = replace(one, open=(Span(dt.date(2015, 1, 1), day - dt.timedelta(days=40)),))
        elif fate < 0.02:
            one = believed = replace(one, regime="99")
        if fate < 0.995:
            people.append(one)
        known.append(believed)
    faults = FaultPlan(seed=seed)
    register = Register(people, agents=frozenset({AGENT}), faults=faults)
    contracts = {one.nir: _contract(draw, one, rank) for rank, one in enumerate(people) if one.insurer}
    return World(sector.providers[0].finess, people, known, register, contracts, day, seed, faults)


def _contract(draw: random.Random, one: Rights, rank: int) -> Contract:
    guarantees = [Guarantee("TM", percent=draw.choice((100, 100, 100, 50))), Guarantee("FJ", days=draw.choice((0, 30, 60)))]
    if draw.random() < 0.7:
        guarantees.append(Guarantee("CP", per_day=draw.choice((4_000, 6_000, 8_000)), cap=120_000))
    if draw.random() < 0.5:
        guarantees.append(Guarantee("DP", percent=draw.choice((50, 100, 150))))
    until = dt.date(2030, 1, 1) if draw.random() < 0.95 else dt.date(2020, 1, 1)
    return Contract(f"AMC-{rank:05d}", tuple(guarantees), dt.date(2015, 1, 1), until, deductible=draw.choice((0, 0, 0, 1_500)))


def shares_of(one: Rights, day: dt.date, total: int = TOTAL) -> tuple[int, int]:
    """(AMO, AMC) in cents of an invoice written from what is known of a person."""
    amo = total if one.exempt(day) != "0" else total * 60 // 100
    return amo, total - amo if one.helped(day) else 0


def b2_file(
    people: Sequence[Rights],
    day: dt.date,
    *,
    finess: int,
    norm: str = "FR",
    name: str = "PRESTATAIRE",
    vendor: str = "LOGICIEL 1",
    file_id: str = "000001",
    total: int = TOTAL,
) -> bytes:
    """A B2 file with an invoice a person for care of one day, numbered from 1, written from what is known of each."""
    count = len(people)
    column = lambda texts, width: np.frombuffer("".join(text.ljust(width) for text in texts).encode(), dtype=np.uint8).reshape(count, width)  # noqa: E731
    numbers = lambda texts: np.array([int(text) for text in texts], dtype=np.int64)  # noqa: E731
    date = int(f"{day:%y%m%d}")
    rates = np.array([100 if one.exempt(day) != "0" else 60 for one in people])
    oc = np.array([shares_of(one, day, total)[1] for one in people], dtype=np.int64)
    heads: dict[str, Any] = {
        "nir": column([one.nir for one in people], 13), "nir_key": numbers([one.key for one in people]), "invoice_no": np.arange(1, count + 1), "operation_nature": 1,
        "regime": numbers([one.regime for one in people]), "caisse": numbers([one.caisse for one in people]), "centre": numbers([one.centre for one in people]),
        "nature_assurance": numbers([one.nature for one in people]), "tm_justif": column([one.exempt(day) for one in people], 1), "birth_date": numbers([one.born for one in people]),
        "birth_rank": numbers([one.rank for one in people]), "contract_type": numbers(["89" if one.helped(day) else "00" for one in people]),
    }  # fmt: skip
    at, money = np.arange(count), np.full(count, total)
    bases: dict[str, Any] = {"act_code": "AAD  ", "quantity": 1, "coefficient": 100, "unit_price": money, "base_amo": money, "rate": rates, "amount_amo": money * rates // 100, "amount_expense": money, "amount_oc": oc}  # fmt: skip
    details: dict[str, Any] = {"lpp_code": column([LPP] * count, 13), "lpp_tariff": money, "total_billed": money}
    if norm == "CP":
        heads |= {"entry_date": date, "exit_date": date}
        bases |= {"start_date": date, "end_date": date}
        details |= {"quantity": 1}
    else:
        heads |= {"invoice_date": date, "rights_proof": 4, "prescription_date": date, "payee": 15}
        bases |= {"act_date": date, "denombrement": 1}
        details |= {
            "supply_type": np.full(count, ord("L"), dtype=np.uint8),
            "start_date": date,
            "end_date": date,
            "units": 1,
            "sale_unit_price": money,
            "lpp_base": money,
        }
    sender = Sender(finess, name, norm, file_id, date, message=vendor)
    return write_file(sender, Invoices(count, heads, bases, at, details, at))
