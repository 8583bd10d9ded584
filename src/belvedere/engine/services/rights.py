"""CDRi: the rights of an insured person at a date. Our own interface; the register and its faults are a simulator's (reference §3.1)."""

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from belvedere.engine.services.results import FOUND

COVERED = frozenset(f"{code:02d}" for code in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16, 17, 90, 91))  # 17 regimes


@dataclass(frozen=True)
class Span:
    """Days of a right, both included; `until` None: still open."""

    since: dt.date
    until: dt.date | None = None

    def covers(self, day: dt.date) -> bool:
        return self.since <= day and (self.until is None or day <= self.until)


@dataclass(frozen=True)
class Exemption:
    """A reason to be reimbursed in full: the code of zone 79 (4 long illness, 5 exempt person, 3 exempt care…) and its days."""

    code: str
    span: Span


@dataclass(frozen=True)
class Rights:
    """What the register holds of a beneficiary. `born` as the norm writes it (AAMMJJ, may be lunar)."""

    nir: str
    key: str
    born: str
    rank: str
    regime: str
    caisse: str
    centre: str
    quality: str
    open: tuple[Span, ...]
    exemptions: tuple[Exemption, ...] = ()
    solidarity: tuple[Span, ...] = ()  # C2S or AME: third-party payment in full
    insurer: str = ""  # complementary body known by the register
    doctor: bool = True  # a declared attending doctor
    nature: str = "10"  # of insurance: 10, 13 (local regime), 30, 41

    def exempt(self, day: dt.date) -> str:
        """The justification to write on a day: that of an exemption, or 0."""
        return next((one.code for one in self.exemptions if one.span.covers(day)), "0")

    def helped(self, day: dt.date) -> bool:
        return any(span.covers(day) for span in self.solidarity)


@dataclass(frozen=True)
class Question:
    """A consultation: who asks (site, agent), about whom, at which day."""

    site: str
    agent: str
    nir: str
    day: dt.date
    key: str = ""
    born: str = ""
    rank: str = ""

    @property
    def subject(self) -> str:
        return f"{self.nir}|{self.born}|{self.rank}|{self.day}"


@dataclass(frozen=True)
class Answer:
    """A result code, and the rights when they are useful."""

    code: str
    rights: Rights | None = None


@dataclass(frozen=True)
class FaultPlan:
    """Failures that a simulator makes, drawn from the question itself: the same question fails again until `cured`. Rates add up to at most 1.

    The default is what the 2018 study prints, about one call in ten without a useful answer, half of it the outside's own fault."""

    rates: Mapping[str, float] = field(default_factory=lambda: {"50": 0.025, "51": 0.015})
    seed: int = 1
    cured: bool = False

    def fault(self, subject: str) -> str:
        """The code of the fault of a question, "" for none."""
        if self.cured:
            return ""
        draw = int.from_bytes(hashlib.blake2b(f"{self.seed}|{subject}".encode(), digest_size=8).digest()) / 2**64
        for code, rate in self.rates.items():
            if draw < rate:
                return code
            draw -= rate
        return ""


class Register:
    """Beneficiaries by number; `agents` are those whose card, or delegation, lets them ask."""

    def __init__(self, people: Iterable[Rights], *, agents: frozenset[str] = frozenset(), faults: FaultPlan | None = None) -> None:
        self._people: dict[str, list[Rights]] = {}
        for one in people:
            self._people.setdefault(one.nir, []).append(one)
        self.agents, self.faults = agents, faults or FaultPlan()

    def consult(self, asked: Question) -> Answer:
        """The answer, in this order: agent, fault of the outside, identity, several, regime, open rights."""
        if asked.agent not in self.agents:
            return Answer("40")
        if fault := self.faults.fault(asked.subject):
            return Answer(fault)
        held = [one for one in self._people.get(asked.nir, ()) if asked.key in ("", one.key)]
        found = [one for one in held if asked.born in ("", one.born) and asked.rank in ("", one.rank)]
        if not found:
            return Answer("10")
        if len(found) > 1:
            return Answer("11")
        rights = found[0]
        if rights.regime not in COVERED:
            return Answer("20")
        if not any(span.covers(asked.day) for span in rights.open):
            return Answer("30", rights)
        return Answer(FOUND, rights)
