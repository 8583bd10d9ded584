"""The matrix in force, changed by two persons; what persons said; the decision point that both feed."""

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from belvedere.engine.exchange import consent
from belvedere.engine.exchange.access import Consent, Judge, Thing
from belvedere.engine.exchange.access import Party as Asking
from belvedere.engine.exchange.matrix import proposed, read
from belvedere.engine.exchange.profiles import profiles
from belvedere.engine.exchange.statements import Terms
from belvedere.engine.exchange.topics import topics
from belvedere.engine.exchange.vocabulary import Actor, Category, Grain, Purpose, Speaker, Statement
from belvedere.observatory.exchange import establishments
from belvedere.observatory.exchange.models import Deposit, Event, MatrixVersion, Party, Person, Proposal, Resource, Stated, Subscription
from belvedere.observatory.journal.actions import record


class PolicyRefused(Exception):
    """The change cannot be made; says why, in French."""


@lru_cache(maxsize=8)
def _judge(rows: str) -> Judge:
    # The shipped proposal stands until two persons replace it.
    return Judge(read(rows) if rows else proposed())


def judge(at: dt.datetime | None = None) -> Judge:
    """The decision point in force at an instant (now)."""
    row = MatrixVersion.objects.filter(valid_from__lte=at or timezone.now()).order_by("-number").values_list("rows", flat=True).first()
    return _judge(row or "")


def judge_of(version: str) -> Judge:
    """The decision point under a version of the matrix that is, or was, in force. LookupError for one that never was."""
    row = MatrixVersion.objects.filter(version=version).order_by("number").values_list("rows", flat=True).first()
    found = _judge(row or "")
    if found.matrix.version != version:
        raise LookupError(version)
    return found


@transaction.atomic
def propose(*, rows: str, reason: str, by: str) -> Proposal:
    """Put a matrix forward; `engine.exchange.matrix.MatrixError` when it cannot be read."""
    made = Proposal.objects.create(rows=rows, version=read(rows).version, reason=reason[:300], proposed_by=by)
    record(by=by, action="echange.matrice.proposee", subject=f"proposition:{made.pk}", version=made.version)
    return made


@transaction.atomic
def decide(*, proposal: Proposal, approve: bool, by: str) -> MatrixVersion | None:
    """Approve or decline; PolicyRefused for one's own proposal or one already decided."""
    row = Proposal.objects.select_for_update().get(pk=proposal.pk)
    if row.proposed_by == by:
        raise PolicyRefused("Une autre personne que celle qui propose doit décider.")
    if row.decided_at:
        raise PolicyRefused("Cette proposition est déjà décidée.")
    row.decided_by, row.decided_at, row.approved = by, timezone.now(), approve
    row.save()
    record(by=by, action="echange.matrice.approuvee" if approve else "echange.matrice.declinee", subject=f"proposition:{row.pk}", version=row.version)
    if not approve:
        return None
    number = (MatrixVersion.objects.aggregate(last=Max("number"))["last"] or 0) + 1
    return MatrixVersion.objects.create(
        number=number, version=row.version, rows=row.rows, valid_from=timezone.now(), proposed_by=row.proposed_by, approved_by=by
    )


def asking(party: Party, level: int, *, person: str = "", then: dt.datetime | None = None) -> Asking:
    """A party as the decision point sees it, or saw it at an instant of the past."""
    where = establishments.as_then(party, then)
    return Asking(
        Actor(party.actor),
        (party.code, party.finess) if party.finess else (party.code,),
        party.finess,
        where.department,
        where.region,
        person,
        level,
        party.admitted,
    )


@dataclass(frozen=True)
class Opening:
    """What lets a whole leave: the rules that open it, and the version of the matrix that holds them."""

    rules: tuple[str, ...]
    matrix: str

    @property
    def told(self) -> dict[str, Any]:
        """For the journal (orchestrator reference §4.6: `regle`, `version_matrice`)."""
        return {"rules": list(self.rules), "matrix": self.matrix}


def opened(party: Party, purpose: Purpose, category: Category, grain: Grain, *, level: int = 2, also: Iterable[Category] = ()) -> Opening | None:
    """What opens a category to a party under the matrix in force, with the rules that open others which leave with it (`also`); None when it is closed."""
    now = timezone.now()
    found, who = judge(now), asking(party, level)
    needed, *others = (set(found.opened(who, purpose, one, grain, now)) for one in (category, *also))
    return Opening(tuple(sorted(needed.union(*others))), found.matrix.version) if needed else None


def said(statements: Iterable[Stated]) -> list[consent.Said]:
    """Stored statements as the engine reads them."""
    return [consent.Said(Statement(row.kind), row.at, row.known_at, row.purpose, row.category, row.recipient, row.collected_by) for row in statements]


def consent_of(person: int | None, source: str, at: dt.datetime, rows: list[consent.Said] | None = None) -> Consent:
    """The state of a person's consent to the use of what `source` (a party's code) deposited, asked lazily; `rows` when they were read beforehand."""
    if person is None:
        return lambda purpose, category, recipients: consent.SILENT

    def ask(purpose: str, category: str, recipients: tuple[str, ...]) -> consent.State:
        found = rows if rows is not None else said(Stated.objects.filter(person_id=person))
        return consent.state(found, purpose, category, recipients, at, source=source)

    return ask


@transaction.atomic
def state(
    *, person: Person, terms: Terms, party: Party, said_by: Speaker = Speaker.PERSON, now: dt.datetime | None = None, proof: str = "", deposit: Deposit | None = None
) -> Stated:  # fmt: skip
    """Write what a person says to an establishment, and raise the event that tells it; nothing said before is changed."""
    known = now or timezone.now()
    made = Stated.objects.create(
        person=person, kind=terms.kind.value, at=terms.at(known), known_at=known, purpose=terms.purpose, category=terms.category, recipient=terms.recipient,
        collected_by=party.code, said_by=said_by, proof=proof[:120],
    )  # fmt: skip
    Event.objects.create(topic="consentement-modifie", at=known, establishment=party, person=person, deposit=deposit, focus=f"volontes/{made.pk}")
    scope = {"purpose": terms.purpose, "category": terms.category, "recipient": terms.recipient}
    record(by=party.code, action=f"echange.volonte.{terms.kind.value}", subject=f"usager:{person.pk}", said_by=said_by.value, **scope)
    return made


def opening(people: Iterable[int | None]) -> Callable[[Subscription, Event], bool]:
    """Whether some row of the matrix would tell a subscription of an event, were its person to agree: asked of many events of these `people` at once. Only
    an agreement that names its recipient is not supposed: such a row opens no place, but a file."""
    found, at, things = judge(), timezone.now(), dict[int, Thing]()
    statements: dict[int, list[consent.Said]] = {}
    for row in Stated.objects.filter(person__in={number for number in people if number}):
        statements.setdefault(row.person_id, []).extend(said([row]))

    def ask(subscription: Subscription, event: Event) -> bool:
        told = topics()[event.topic].category or (profiles()[event.resource.profile].category if event.resource else "")
        if not told or event.establishment is None:
            return False
        whose, place = statements.get(event.person_id or 0, []), event.establishment
        if event.pk not in things:
            token = event.person.token if event.person else ""
            things[event.pk] = thing(event.resource) if event.resource else Thing(place.finess, place.department, place.region, place.kind, token)

        def agreeing(purpose: str, category: str, recipients: tuple[str, ...]) -> consent.State:
            return consent.State(agreed=True, named=consent.state(whose, purpose, category, recipients, at, source=place.code).named)

        return any(
            found.decide(
                asking(subscription.party, subscription.level), Purpose(subscription.purpose), Category(told), grain, things[event.pk], at, agreeing
            ).permitted
            for grain in Grain
        )

    return ask


def thing(resource: Resource, then: dt.datetime | None = None) -> Thing:
    """A stored resource as the decision point sees it, or saw it at an instant of the past. What is kept for a time is kept from the end of the stay: an open
    one has none."""
    where = establishments.as_then(resource.establishment, then)
    place, facts = resource.establishment, resource.facts
    day = resource.day
    if resource.profile == "tddui-encounter-sejour" or resource.type == "Patient":
        stays = [facts] if resource.type == "Encounter" else list(
            Resource.objects.filter(person=resource.person_id, establishment=place, profile="tddui-encounter-sejour", current=True).values_list("facts", flat=True)
        )  # fmt: skip
        ends = [stay.get("end", "") for stay in stays]
        day = dt.date.fromisoformat(max(ends)) if ends and all(ends) else None
    return Thing(
        place.finess, where.department, where.region, where.kind, resource.person.token if resource.person_id else "", facts.get("questionnaire", ""), day,
        aided=bool(facts.get("aided")), decision_open=bool(facts.get("decision")), archivable=bool(facts.get("archivable")),
    )  # fmt: skip
