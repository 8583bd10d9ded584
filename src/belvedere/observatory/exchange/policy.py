"""The matrix in force, changed by two persons; what persons said; the decision point that both feed."""

import datetime as dt
from collections.abc import Iterable
from functools import lru_cache

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from belvedere.engine.exchange import consent
from belvedere.engine.exchange.access import Consent, Judge, Thing
from belvedere.engine.exchange.access import Party as Asking
from belvedere.engine.exchange.matrix import proposed, read
from belvedere.engine.exchange.vocabulary import Actor, Statement
from belvedere.observatory.exchange.models import MatrixVersion, Party, Person, Proposal, Stated
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


def asking(party: Party, level: int, *, person: str = "") -> Asking:
    """A party as the decision point sees it."""
    return Asking(
        Actor(party.actor),
        (party.code, party.finess) if party.finess else (party.code,),
        party.finess,
        party.department,
        party.region,
        person,
        level,
        party.admitted,
    )


def said(statements: Iterable[Stated]) -> list[consent.Said]:
    """Stored statements as the engine reads them."""
    return [consent.Said(Statement(row.kind), row.at, row.known_at, row.purpose, row.category, row.recipient) for row in statements]


def consent_of(person: Person | int | None, at: dt.datetime, known: dt.datetime | None = None, rows: list[consent.Said] | None = None) -> Consent:
    """The state of a person's consent, asked lazily; `rows` when they were read beforehand."""
    if person is None:
        return lambda purpose, category, recipients: consent.SILENT
    key = person if isinstance(person, int) else person.pk

    def ask(purpose: str, category: str, recipients: tuple[str, ...]) -> consent.State:
        found = rows if rows is not None else said(Stated.objects.filter(person_id=key))
        return consent.state(found, purpose, category, recipients, at, known)

    return ask


@transaction.atomic
def state(
    *, person: Person, kind: Statement, by: str, at: dt.datetime | None = None, purpose: str = "", category: str = "", recipient: str = "", proof: str = "",
) -> Stated:  # fmt: skip
    """Write what a person says; nothing said before is changed."""
    now = timezone.now()
    made = Stated.objects.create(
        person=person,
        kind=kind.value,
        at=at or now,
        known_at=now,
        purpose=purpose,
        category=category,
        recipient=recipient,
        collected_by=by,
        proof=proof[:120],
    )
    record(by=by, action=f"echange.volonte.{kind.value}", subject=f"usager:{person.pk}", purpose=purpose, category=category, recipient=recipient)
    return made


def thing(resource) -> Thing:  # type: ignore[no-untyped-def]
    """A stored resource as the decision point sees it."""
    place, facts = resource.establishment, resource.facts
    return Thing(
        place.finess, place.department, place.region, place.kind, resource.person.token if resource.person_id else "", facts.get("questionnaire", ""), resource.day,
        aided=bool(facts.get("aided")), decision_open=bool(facts.get("decision")), archivable=bool(facts.get("archivable")),
    )  # fmt: skip
