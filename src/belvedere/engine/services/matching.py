"""Four-way matching: commitment, bill, return, bank; what each case is called, how old, and what to do."""

import csv
import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Case:
    """How four amounts (in cents, None: absent) of one bill agree."""

    code: str
    label: str
    remedy: str


@dataclass(frozen=True)
class Matched:
    """One bill, its four amounts, its case and its age in days since it was billed."""

    name: str
    committed: int | None
    billed: int | None
    returned: int | None
    banked: int | None
    case: Case
    age: int


@cache
def cases() -> dict[str, Case]:
    """Every case, by code."""
    with (files(__package__) / "matching.csv").open(encoding="utf-8") as stream:
        return {row["code"]: Case(row["code"], row["label"], row["remedy"]) for row in csv.DictReader(stream)}


def _case(committed: int | None, billed: int | None, returned: int | None, rejected: bool, banked: int | None) -> str:
    if billed is None:
        return "A_FACTURER" if committed is not None else "PAIEMENT_SEUL"
    if rejected:
        return "REJETE"
    if committed is not None and billed > committed:
        return "AU_DELA"
    if returned is None:
        return "ATTENTE_RETOUR" if banked is None else "PAIEMENT_SEUL"
    if returned != billed:
        return "ECART_RETOUR"
    if banked is None:
        return "ATTENTE_BANQUE"
    return "COMPLET" if banked == returned else "ECART_BANQUE"


def match(
    committed: Mapping[str, int], billed: Mapping[str, tuple[int, dt.date]], returned: Mapping[str, tuple[int, bool]], banked: Mapping[str, int], today: dt.date,
) -> list[Matched]:  # fmt: skip
    """Each bill or commitment once, by name; `billed` gives (amount, day), `returned` (paid, whether rejected)."""
    found = []
    for name in sorted({*committed, *billed, *returned, *banked}):
        amount, day = billed.get(name, (None, today))
        paid, rejected = returned.get(name, (None, False))
        case = cases()[_case(committed.get(name), amount, paid, rejected, banked.get(name))]
        found.append(Matched(name, committed.get(name), amount, paid, banked.get(name), case, (today - day).days))
    return found


def aged(found: Iterable[Matched]) -> dict[tuple[str, str], tuple[int, int]]:
    """(case, slice of age) -> (bills, cents billed)."""
    counted: dict[tuple[str, str], tuple[int, int]] = {}
    for one in found:
        place = next(
            label
            for most, label in ((30, "moins de 30 jours"), (60, "30 à 59 jours"), (90, "60 à 89 jours"), (10**9, "90 jours et plus"))
            if one.age < most
        )
        bills, cents = counted.get((one.case.code, place), (0, 0))
        counted[one.case.code, place] = (bills + 1, cents + (one.billed or 0))
    return counted
