"""ROC: a complementary body's answers to a hospital, as a state machine over an estimate (reference §3.4). The four verbs are public, the rest is ours."""

import csv
import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.resources import files

from belvedere.engine.services.guarantees import Guarantee, Line, Share, shares

VALID_DAYS = 30


class RocRefused(Exception):
    """The verb cannot be done; says why, in French."""


@cache
def moves() -> dict[tuple[str, str], str]:
    """(state, verb) -> state: every move there is."""
    with (files(__package__) / "roc_moves.csv").open(encoding="utf-8") as stream:
        return {(row["state"], row["verb"]): row["then"] for row in csv.DictReader(stream)}


@dataclass(frozen=True)
class Contract:
    """What the complementary body knows of a member: guarantees, deductible in cents, days of its rights."""

    member: str
    guarantees: tuple[Guarantee, ...]
    since: dt.date
    until: dt.date
    deductible: int = 0
    level: str = "standard"


@dataclass(frozen=True)
class File:
    """One stay as both sides see it: state, the commitment in force with its number, amounts in cents, last day, and answers given by request key."""

    state: str = "INCONNU"
    commitment: str = ""
    amount: int = 0
    valid_until: dt.date | None = None
    billed: int = 0
    number: int = 0  # commitments given so far
    given: tuple[tuple[str, str, str], ...] = ()  # (request key, digest of the request, answer)

    def answered(self, key: str) -> tuple[str, str] | None:
        return next(((digest, answer) for held, digest, answer in self.given if held == key), None)


@dataclass(frozen=True)
class Reply:
    """The answer to a verb: what a facade returns as JSON. Amounts in cents."""

    state: str
    commitment: str = ""
    amo: int = 0
    amc: int = 0
    patient: int = 0
    valid_until: str = ""
    lines: tuple[Share, ...] = ()
    level: str = ""


def _moved(file: File, verb: str) -> str:
    try:
        return moves()[file.state, verb]
    except KeyError:
        raise RocRefused(_WHY.get((file.state, verb), f"« {verb} » ne se fait pas depuis l’état {file.state}.")) from None


_WHY = {
    ("FACTURE", "DEL"): "L’engagement est facturé : il ne s’annule plus.", ("PAYE", "DEL"): "L’engagement est payé : il ne s’annule plus.",
    ("INCONNU", "CLC"): "Le bénéficiaire n’est pas identifié : demandez d’abord IDB.", ("INCONNU", "SIM"): "Le bénéficiaire n’est pas identifié : demandez d’abord IDB.",
    ("ANNULE", "DRE"): "L’engagement est annulé : demandez-en un autre.", ("EXPIRE", "DRE"): "L’engagement est expiré : demandez-en un autre.",
    ("ENGAGE", "CLC"): "Un engagement court déjà : annulez-le d’abord (DEL).",
}  # fmt: skip


def identify(file: File, contract: Contract | None, day: dt.date) -> tuple[File, Reply]:
    """IDB: known today, and with which level of guarantees; no amount. RocRefused: unknown, or rights closed."""
    if contract is None or not contract.since <= day <= contract.until:
        raise RocRefused("L’organisme ne connaît pas ce bénéficiaire à cette date.")
    made = replace(file, state=_moved(file, "IDB")) if (file.state, "IDB") in moves() else file
    return made, Reply(made.state, level=contract.level)


def _estimate(contract: Contract, lines: Sequence[Line], day: dt.date) -> Reply:
    parts = shares(lines, contract.guarantees, day, deductible=contract.deductible)
    return Reply("", "", sum(p.amo for p in parts), sum(p.amc for p in parts), sum(p.patient for p in parts), "", tuple(parts), contract.level)


def simulate(file: File, contract: Contract, lines: Sequence[Line], day: dt.date) -> tuple[File, Reply]:
    """SIM: the shares, without any commitment."""
    state = _moved(file, "SIM")
    return replace(file, state=state), replace(_estimate(contract, lines, day), state=state)


def digest(lines: Sequence[Line], day: dt.date) -> str:
    """What names a request: the same lines, the same day."""
    return hashlib.sha256(json.dumps([[asdict(line) for line in lines], day.isoformat()]).encode()).hexdigest()[:16]


def commit(file: File, contract: Contract, lines: Sequence[Line], day: dt.date, key: str) -> tuple[File, Reply]:
    """CLC: the same shares, with a commitment number; the same request key gives the same answer, another request under it is refused."""
    told = digest(lines, day)
    if before := file.answered(key):
        if before[0] != told:
            raise RocRefused("Cette clé a déjà servi à une autre demande.")
        return file, _reply(before[1])
    state = _moved(file, "CLC")
    number = file.number + 1
    commitment = f"{contract.member}-{number:03d}"
    until = day + dt.timedelta(days=VALID_DAYS)
    reply = replace(_estimate(contract, lines, day), state=state, commitment=commitment, valid_until=until.isoformat())
    made = replace(
        file,
        state=state,
        commitment=commitment,
        amount=reply.amc,
        valid_until=until,
        number=number,
        billed=0,
        given=(*file.given, (key, told, _text(reply))),
    )
    return made, reply


def cancel(file: File) -> tuple[File, Reply]:
    """DEL: before the bill only; again, the same answer."""
    made = replace(file, state=_moved(file, "DEL"), amount=0)
    return made, Reply(made.state, file.commitment)


def expire(file: File, day: dt.date) -> File:
    """The commitment passes with its validity."""
    if file.state == "ENGAGE" and file.valid_until is not None and day > file.valid_until:
        return replace(file, state=_moved(file, "EXP"), amount=0)
    return file


def bill(file: File, amount: int, day: dt.date) -> tuple[File, Reply]:
    """DRE: the bill of a commitment, never above it."""
    file = expire(file, day)
    state = _moved(file, "DRE")
    if not 0 <= amount <= file.amount:
        raise RocRefused("Le montant facturé passe l’engagement.")
    made = replace(file, state=state, billed=amount)
    return made, Reply(state, file.commitment, amc=amount)


def settle(file: File, *, paid: bool) -> File:
    """The return: paid, or rejected."""
    return replace(file, state=_moved(file, "PAY" if paid else "REJ"))


def _text(reply: Reply) -> str:
    return json.dumps(asdict(reply), separators=(",", ":"))


def _reply(text: str) -> Reply:
    held: Mapping = json.loads(text)
    return Reply(**{**held, "lines": tuple(Share(**line) for line in held["lines"])})


def dumped(file: File) -> dict:
    """A file as it is stored."""
    return {**asdict(file), "valid_until": file.valid_until.isoformat() if file.valid_until else None, "given": [list(one) for one in file.given]}


def loaded(held: Mapping) -> File:
    """A stored file."""
    until = held.get("valid_until")
    given = tuple((str(key), str(told), str(answer)) for key, told, answer in held.get("given", ()))
    return File(**{**held, "valid_until": dt.date.fromisoformat(until) if until else None, "given": given})
