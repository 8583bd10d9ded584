"""The access decision: rows of the matrix permit, nothing else does, and each decision gives its reason (orchestrator reference §4.3)."""

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from belvedere.engine.exchange.consent import SILENT, State
from belvedere.engine.exchange.matrix import OBLIGATIONS, Matrix, Row, conditions
from belvedere.engine.exchange.vocabulary import CATEGORIES, PURPOSES, Actor, Category, Grain, Need, Perimeter, Purpose

SSIAD = frozenset({"354"})  # FINESS categories of home nursing services
FUNDED = frozenset({"tddui-questionnaire-aggir-pa-ssiad", "tddui-questionnaire-aggir-ph-ssiad", "tddui-questionnaire-situation-ssiad"})
KEPT_DAYS = 33 * 365.25 / 12
TOKEN, STRUCTURE, PERSON_SUBSTANTIAL = 1, 2, 3
# Health data ask for a structure's certificate, or an identification at the substantial level.
LEVELS = {Category.HEALTH: STRUCTURE}


@dataclass(frozen=True, slots=True)
class Party:
    """Who asks: its actor code, its names as a recipient of consent, its establishment or territory, how it was identified."""

    actor: Actor
    names: tuple[str, ...] = ()
    finess: str = ""
    department: str = ""
    region: str = ""
    person: str = ""
    level: int = STRUCTURE
    active: bool = True


@dataclass(frozen=True, slots=True)
class Thing:
    """What is asked for: where it comes from, of whom, and what conditions look at."""

    finess: str = ""
    department: str = ""
    region: str = ""
    kind: str = ""  # FINESS category of the establishment
    person: str = ""
    questionnaire: str = ""
    day: dt.date | None = None
    aided: bool = False
    decision_open: bool = False
    archivable: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Permitted or not, by which rule of which version, with what to do to the data, and why (French, never tells whether the person exists)."""

    permitted: bool
    rule: str | None
    version: str
    obligations: tuple[str, ...]
    reason: str


_TESTS: dict[str, Callable[[Thing, dt.datetime], bool]] = {
    "ssiad": lambda thing, at: thing.kind in SSIAD,
    "funded_questionnaire": lambda thing, at: thing.questionnaire in FUNDED,
    "kept_33_months": lambda thing, at: thing.day is None or (at.date() - thing.day).days <= KEPT_DAYS,
    "aided": lambda thing, at: thing.aided,
    "decision_open": lambda thing, at: thing.decision_open,
    "file_archivable": lambda thing, at: thing.archivable,
}
_INSIDE: dict[str, Callable[[Party, Thing], bool]] = {
    Perimeter.NATIONAL: lambda party, thing: True,
    Perimeter.REGION: lambda party, thing: bool(party.region) and party.region == thing.region,
    Perimeter.DEPARTMENT: lambda party, thing: bool(party.department) and party.department == thing.department,
    Perimeter.ESTABLISHMENT: lambda party, thing: bool(party.finess) and party.finess == thing.finess,
    Perimeter.SELF: lambda party, thing: bool(party.person) and party.person == thing.person,
    # A file is designated by the express agreement that names its recipient: asked for with the consent.
    Perimeter.FILE: lambda party, thing: bool(thing.person),
}
Consent = Callable[[str, str, tuple[str, ...]], State]


def silent(purpose: str, category: str, recipients: tuple[str, ...]) -> State:
    """A person who said nothing."""
    return SILENT


class Permission(NamedTuple):
    """A row made ready: its first and last day, what must hold, what it asks of the person, and the decision it gives."""

    since: dt.date
    until: dt.date
    inside: Callable[[Party, Thing], bool]
    tests: tuple[Callable[[Thing, dt.datetime], bool], ...]
    need: Need
    decision: Decision
    designated: bool


def _ready(matrix: Matrix, row: Row) -> Permission:
    decision = Decision(True, row.rule, matrix.version, OBLIGATIONS[row.grain], f"Règle {row.rule} : {row.legal_basis}.")
    tests = tuple(_TESTS[name] for name in conditions()[row.condition])
    return Permission(row.since, row.until, _INSIDE[row.perimeter], tests, row.consent, decision, row.perimeter == Perimeter.FILE)


class Judge:
    """The decision point of one version of the matrix."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix
        self._index = {
            key: tuple(_ready(matrix, row) for row in rows if row.condition in conditions()) for key, rows in matrix.index.items()
        }  # fmt: skip
        refuse = lambda reason: Decision(False, None, matrix.version, (), reason)  # noqa: E731
        self._inactive = refuse("Cet acteur n’est pas, ou n’est plus, admis sur la plateforme.")
        self._aimless = refuse("La finalité manque : dites pourquoi vous demandez ces données (en-tête X-Finalite).")
        self._weak = refuse("Ces données demandent un certificat de structure ou une identification substantielle.")
        self._unknown = refuse("Cette donnée n’existe pas, ou ce droit n’est pas ouvert.")
        self._rowless: dict[tuple[str, str], Decision] = {
            (category, purpose): refuse(f"Aucune ligne de la matrice n’ouvre ces données ({CATEGORIES[category].lower()}, {PURPOSES[purpose].lower()}) à cet acteur.")
            for category in Category for purpose in Purpose
        }  # fmt: skip

    def decide(
        self, party: Party, purpose: Purpose | None, category: Category, grain: Grain, thing: Thing, at: dt.datetime, consent: Consent = silent,
    ) -> Decision:  # fmt: skip
        """The decision for one category of one thing at an instant. `consent` gives the state of the person concerned, asked only if a row needs it.

        Order: actor admitted, purpose given, level of identification, rows valid that day, perimeter, condition, consent. Nothing else permits."""
        if not party.active:
            return self._inactive
        if purpose is None:
            return self._aimless
        if party.level < LEVELS.get(category, TOKEN):
            return self._weak
        rows = self._index.get((party.actor, purpose, category, grain))
        if not rows:
            return self._rowless[category, purpose]
        day = at.date()
        for since, until, inside, tests, need, decision, designated in rows:
            if not (since <= day < until and inside(party, thing)):
                continue
            for test in tests:
                if not test(thing, at):
                    break
            else:
                if need == Need.NONE:
                    return decision
                said = consent(purpose, category, (party.actor, *party.names))
                if not said.opposed and (need == Need.NOT_OPPOSED or (said.named if designated else said.agreed)):
                    return decision
        return self._unknown

    def opened(self, party: Party, purpose: Purpose, category: Category, grain: Grain, at: dt.datetime) -> tuple[str, ...]:
        """The rules of the day that open a category to an actor, somewhere; none: closed. What leaves as a whole, decided thing by thing when it was made,
        asks this again when it is taken."""
        if not party.active or party.level < LEVELS.get(category, TOKEN):
            return ()
        day, rows = at.date(), self._index.get((party.actor, purpose, category, grain), ())
        return tuple(sorted(row.decision.rule for row in rows if row.since <= day < row.until and row.decision.rule))

    def closed(self, party: Party, purpose: Purpose | None, categories: Iterable[Category], grain: Grain) -> Decision:
        """Why nothing of some categories is told, from the question alone: the same words whether what is asked for exists or not."""
        if not party.active:
            return self._inactive
        if purpose is None:
            return self._aimless
        asked = sorted(categories)
        rows = [category for category in asked if (party.actor, purpose, category, grain) in self._index]
        if not rows:
            return self._rowless[asked[0], purpose]
        return self._weak if all(party.level < LEVELS.get(category, TOKEN) for category in rows) else self._unknown
