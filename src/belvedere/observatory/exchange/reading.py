"""Reading what was deposited: each resource passes the decision point, loses what is not permitted, and leaves its trace."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Prefetch, Q, QuerySet
from django.utils import timezone

from belvedere.engine.exchange import consent
from belvedere.engine.exchange.access import Decision, Judge
from belvedere.engine.exchange.access import Party as Asking
from belvedere.engine.exchange.profiles import categories, filtered, profiles, pseudonymised
from belvedere.engine.exchange.vocabulary import Category, Grain, Purpose
from belvedere.observatory.exchange import policy, vault
from belvedere.observatory.exchange.intake import content_of
from belvedere.observatory.exchange.models import Party, Resource, Stated
from belvedere.observatory.journal.actions import Fact, append

PAGE = 100
READABLE = (Grain.NAMED, Grain.PSEUDONYM)


@dataclass
class Seen:
    """What a request reads: the resources, and why what was refused was (without telling what exists)."""

    resources: list[dict[str, Any]] = field(default_factory=list)
    rules: set[str] = field(default_factory=set)
    reason: str = ""
    more: int | None = None


def statements() -> Prefetch:
    """The statements of the persons of the resources, read at once."""
    return Prefetch("person__statements", queryset=Stated.objects.all(), to_attr="said_rows")


def possible(asking: Asking, purpose: Purpose | None, judge: Judge, grain: Grain) -> QuerySet[Resource]:
    """The resources that the perimeters of the actor's rows could let it read: what the database can leave out before the decision point looks."""
    found = Resource.objects.filter(current=True, erased=False).select_related("establishment", "person").prefetch_related(statements())
    inside = Q(pk__in=())
    for row in judge.matrix.rows:
        if row.actor == asking.actor and row.purpose == purpose and row.grain == grain:
            match row.perimeter:
                case "NATIONAL":
                    return found
                case "DOSSIER":
                    inside |= Q(person__statements__kind="accord", person__statements__recipient__in=(*asking.names, ""))
                case "SOI":
                    inside |= Q(person__token=asking.person) if asking.person else Q(pk__in=())
                case "ETABLISSEMENT":
                    inside |= Q(establishment__finess=asking.finess) if asking.finess else Q(pk__in=())
                case "DEPARTEMENT":
                    inside |= Q(establishment__department=asking.department) if asking.department else Q(pk__in=())
                case "REGION":
                    inside |= Q(establishment__region=asking.region) if asking.region else Q(pk__in=())
    return found.filter(inside).distinct()


def decisions(
    judge: Judge, asking: Asking, purpose: Purpose | None, grain: Grain, row: Resource, content: dict[str, Any], at: dt.datetime
) -> dict[Category, Decision]:
    """The decision for each category that a resource holds."""
    thing = policy.thing(row)
    rows = policy.said(row.person.said_rows) if row.person_id and hasattr(row.person, "said_rows") else None
    ask = policy.consent_of(row.person_id, at, rows=rows) if row.person_id else lambda *asked: consent.SILENT
    return {
        category: judge.decide(asking, purpose, category, grain, thing, at, ask) for category in sorted(categories(profiles()[row.profile], content))
    }


def shown(judge: Judge, asking: Asking, consumer: str, purpose: Purpose | None, grain: Grain, row: Resource, at: dt.datetime, seen: Seen) -> bool:
    """Add a resource to what is seen, as far as permitted; False when nothing of it is."""
    content = content_of(row)
    made = decisions(judge, asking, purpose, grain, row, content, at)
    permitted = {category for category, decision in made.items() if decision.permitted}
    told = filtered(profiles()[row.profile], content, permitted)
    if told is None:
        seen.reason = next(decision.reason for decision in made.values() if not decision.permitted)
        return False
    seen.rules |= {decision.rule for decision in made.values() if decision.rule}
    if grain == Grain.PSEUDONYM:
        told = pseudonymised(told, lambda kind, uid: vault.address(consumer, kind, uid))
    seen.resources.append(told)
    return True


def trace(party: str, action: str, rows: Iterable[Resource], purpose: str, seen: Seen, version: str) -> None:
    """One journal entry a person: who received which kinds of data about it, why, by which rules; and one for what is about nobody."""
    people: dict[str, set[str]] = {}
    for row in rows:
        people.setdefault(f"usager:{row.person_id}" if row.person_id else f"etablissement:{row.establishment_id}", set()).add(row.profile)
    with transaction.atomic():
        append(
            [
                Fact(party, action, subject, {"purpose": purpose, "profiles": sorted(told), "rules": sorted(seen.rules), "matrix": version})
                for subject, told in sorted(people.items())
            ]
        )


def refuse(party: str, subject: str, purpose: str, reason: str, version: str) -> None:
    """A refusal is journaled too."""
    with transaction.atomic():
        append([Fact(party, "echange.lecture.refusee", subject[:120], {"purpose": purpose, "reason": reason, "matrix": version})])


def _named(party: Party, grain: Grain, kind: str, uid: str) -> str:
    """The identifier behind what a caller writes: itself, or, for a reader of pseudonyms, what hides behind its own address."""
    return uid if grain == Grain.NAMED else vault.uid_of(party.code, kind, uid) or ""


def one(party: Party, level: int, purpose: Purpose | None, grain: Grain, kind: str, uid: str, version: int | None = None) -> Seen:
    """A resource by its address; `seen.resources` is empty when it is unknown, or forbidden: the same answer."""
    at, judge, seen = timezone.now(), policy.judge(), Seen()
    asking = policy.asking(party, level)
    found = (
        Resource.objects.filter(type=kind, uid=_named(party, grain, kind, uid))
        .select_related("establishment", "person")
        .prefetch_related(statements())
    )
    row = found.filter(version=version).first() if version else found.filter(current=True).first()
    if row is None or row.erased or not shown(judge, asking, party.code, purpose, grain, row, at, seen):
        seen.reason = seen.reason or judge.decide(asking, purpose, Category.ADM, grain, policy.Thing(), at).reason
        refuse(party.code, f"{kind}/{uid}", purpose or "", seen.reason, judge.matrix.version)
        return seen
    trace(party.code, "echange.lecture", [row], purpose or "", seen, judge.matrix.version)
    return seen


def versions(party: Party, grain: Grain, kind: str, uid: str) -> list[int]:
    """Numbers of the versions of a resource, the newest first."""
    rows = Resource.objects.filter(type=kind, uid=_named(party, grain, kind, uid)).order_by("-version")
    return list(rows.values_list("version", flat=True))


def search(
    party: Party, level: int, purpose: Purpose | None, grain: Grain, kind: str, *, patient: str = "", since: dt.datetime | None = None, after: int = 0, count: int = PAGE,
) -> Seen:  # fmt: skip
    """A page of the resources of one type that the actor may read, in the order they were stored, from row `after`."""
    at, judge, seen = timezone.now(), policy.judge(), Seen()
    asking = policy.asking(party, level)
    rows = possible(asking, purpose, judge, grain).filter(type=kind, pk__gt=after).order_by("pk")
    if patient:
        rows = rows.filter(
            person__in=Resource.objects.filter(type="Patient", uid=_named(party, grain, "Patient", patient), current=True).values("person")
        )
    if since:
        rows = rows.filter(stored_at__gte=since)
    told: list[Resource] = []
    # What the decision point leaves out is made up for, within bounds.
    looked = list(rows[: 4 * count + 1])
    for row in looked:
        if len(told) == count:
            seen.more = told[-1].pk
            break
        if shown(judge, asking, party.code, purpose, grain, row, at, seen):
            told.append(row)
    if seen.more is None and len(looked) > 4 * count:
        seen.more = looked[-1].pk
    if told:
        trace(party.code, "echange.lecture", told, purpose or "", seen, judge.matrix.version)
    else:
        seen.reason = seen.reason or judge.decide(asking, purpose, Category.ADM, grain, policy.Thing(), at).reason
        refuse(party.code, kind, purpose or "", seen.reason, judge.matrix.version)
    return seen
