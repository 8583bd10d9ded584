"""What a complementary body pays: guarantees as dated data, shares in whole cents, one rounding rule (reference §3.4).

For each line, AMO + AMC + patient = total, and the complementary share never passes what is left to pay."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

KINDS = ("TM", "FJ", "CP", "DP", "PAT")


@dataclass(frozen=True)
class Guarantee:
    """One line of a contract. `percent` of what it covers (of the reimbursement base for DP); `per_day` and `cap` in cents, `days` at most; 0: no bound."""

    kind: str
    percent: int = 100
    per_day: int = 0
    cap: int = 0
    days: int = 0
    since: dt.date = dt.date(1900, 1, 1)
    until: dt.date = dt.date(9999, 12, 31)


@dataclass(frozen=True)
class Line:
    """A line of an estimate or a bill. `total` in cents; `base` and `rate` of the AMO (TM and DP); `days` for what is paid by day."""

    kind: str
    total: int
    base: int = 0
    rate: int = 0
    days: int = 0


@dataclass(frozen=True)
class Share:
    """Who pays a line, in cents."""

    amo: int
    amc: int
    patient: int


def percent_of(amount: int, percent: int) -> int:
    """A percentage of cents, halves up."""
    return (amount * percent * 2 + 100) // 200


def shares(lines: Sequence[Line], guarantees: Sequence[Guarantee], day: dt.date, *, deductible: int = 0) -> list[Share]:
    """The share of each line at a day. Caps and days of a guarantee run over the lines in order; the deductible is taken from the complementary part of
    the first lines. ValueError: negative amounts, a kind or a rate that is none."""
    held = {one.kind: one for one in guarantees if one.since <= day <= one.until}
    spent: dict[str, int] = {}
    used: dict[str, int] = {}
    left, found = deductible, []
    for line in lines:
        if line.kind not in KINDS or min(line.total, line.base, line.days) < 0 or not 0 <= line.rate <= 100:
            raise ValueError(f"ligne {line.kind} : montant, taux ou nature impossible")
        amo = min(percent_of(line.base, line.rate), line.total)
        rest = line.total - amo
        amc = 0
        if one := held.get(line.kind):
            amc = _owed(line, rest, one, used.get(line.kind, 0))
            if one.cap:
                amc = min(amc, max(one.cap - spent.get(line.kind, 0), 0))
            spent[line.kind] = spent.get(line.kind, 0) + amc
            used[line.kind] = used.get(line.kind, 0) + line.days
        taken = min(left, amc)
        left -= taken
        found.append(Share(amo, amc - taken, rest - amc + taken))
    return found


def _owed(line: Line, rest: int, one: Guarantee, days_used: int) -> int:
    """What a guarantee owes of a line before its cap."""
    if one.kind == "DP":
        return min(rest, percent_of(line.base, one.percent))
    if one.per_day or one.days:
        days = min(line.days, max(one.days - days_used, 0)) if one.days else line.days
        # What a day costs is the line's own price, unless the contract says less.
        price = rest // line.days if line.days else 0
        return min(rest, days * min(price, one.per_day) if one.per_day else days * price, percent_of(rest, one.percent))
    return min(rest, percent_of(rest, one.percent))
