"""Reading what was deposited: each resource passes the decision point, loses what is not permitted, and leaves its trace."""

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction
from django.db.models import Prefetch, Q, QuerySet
from django.utils import timezone

from belvedere.engine.exchange.access import Decision, Judge
from belvedere.engine.exchange.access import Party as Asking
from belvedere.engine.exchange.profiles import categories, filtered, profiles, pseudonymised
from belvedere.engine.exchange.vocabulary import Category, Grain, Purpose
from belvedere.observatory.exchange import naming, policy, vault
from belvedere.observatory.exchange.intake import content_of
from belvedere.observatory.exchange.models import Party, Resource, Stated
from belvedere.observatory.journal.actions import Fact, append
from belvedere.observatory.journal.models import Entry

PAGE = 100
READABLE = (Grain.NAMED, Grain.PSEUDONYM)


@dataclass
class Seen:
    """What a request reads: the resources, and why what was refused was (without telling what exists)."""

    resources: list[dict[str, Any]] = field(default_factory=list)
    rules: set[str] = field(default_factory=set)
    reason: str = ""  # from the question alone: the same words whether what was asked for exists or not
    open: bool = True  # whether any row of the matrix speaks of what was asked for
    more: str = ""
    rows: list[int] = field(default_factory=list)  # the versions shown, in the order of `resources`
    told: dict[str, set[str]] = field(default_factory=dict)  # rules that permitted what was shown of each subject


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
                    inside |= Q(person__statements__kind="accord", person__statements__recipient__in=(asking.actor, *asking.names))
                case "SOI":
                    inside |= Q(person__token=asking.person) if asking.person else Q(pk__in=())
                case "ETABLISSEMENT":
                    inside |= Q(establishment__finess=asking.finess) if asking.finess else Q(pk__in=())
                case "DEPARTEMENT":
                    inside |= Q(establishment__department=asking.department) if asking.department else Q(pk__in=())
                case "REGION":
                    inside |= Q(establishment__region=asking.region) if asking.region else Q(pk__in=())
    return found.filter(inside).distinct()


@dataclass(frozen=True)
class Reader:
    """Who reads, why and how finely, at one instant under one matrix."""

    party: Party
    asking: Asking
    purpose: Purpose | None
    grain: Grain
    judge: Judge
    at: dt.datetime
    imputed: str = ""  # token of the professional behind the machine

    @staticmethod
    def of(party: Party, level: int, purpose: Purpose | None, grain: Grain, imputed: str = "") -> "Reader":
        return Reader(party, policy.asking(party, level), purpose, grain, policy.judge(), timezone.now(), imputed)

    def named(self, kind: str, uid: str) -> str:
        """The identifier behind what the reader writes: itself, or what hides behind its own address for a reader of pseudonyms."""
        return uid if self.grain == Grain.NAMED else vault.uid_of(self.party.code, kind, uid) or ""

    def seen(self, kind: str) -> Seen:
        """Nothing yet, with the reason that would be given for nothing."""
        about = {profile.category for profile in profiles().values() if profile.type == kind}
        closed = self.judge.closed(self.asking, self.purpose, about, self.grain)
        known = any((self.asking.actor, self.purpose, category, self.grain) in self.judge.matrix.index for category in about)
        return Seen(reason=closed.reason, open=self.asking.active and self.purpose is not None and known)


def decisions(reader: Reader, row: Resource, content: dict[str, Any], then: dt.datetime | None = None) -> dict[Category, Decision]:
    """The decision for each category that a resource holds; `then`: the instant of a past reading."""
    thing = policy.thing(row, then)
    rows = policy.said(row.person.said_rows) if row.person is not None and hasattr(row.person, "said_rows") else None
    ask = policy.consent_of(row.person_id, row.establishment.code, reader.at, rows)
    held = sorted(categories(profiles()[row.profile], content))
    return {category: reader.judge.decide(reader.asking, reader.purpose, category, reader.grain, thing, reader.at, ask) for category in held}


def _show(reader: Reader, row: Resource, seen: Seen) -> bool:
    """Add a resource to what is seen, as far as permitted; False when nothing of it is."""
    content = content_of(row)
    made = decisions(reader, row, content)
    told = filtered(profiles()[row.profile], content, {category for category, decision in made.items() if decision.permitted})
    if told is None:
        return False
    seen.rows.append(row.pk)
    rules = {decision.rule for decision in made.values() if decision.permitted and decision.rule}
    seen.rules |= rules
    seen.told.setdefault(_subject(row), set()).update(rules)
    if reader.grain == Grain.PSEUDONYM:
        told = pseudonymised(told, lambda kind, uid: vault.address(reader.party.code, kind, uid))
    seen.resources.append(told)
    return True


def _subject(row: Resource) -> str:
    return f"usager:{row.person_id}" if row.person_id else f"etablissement:{row.establishment_id}"


def _trace(reader: Reader, subject: str, rows: Iterable[Resource], seen: Seen) -> None:
    """One journal entry a person: who received which kinds of data about it, why, by which rules; or one refusal, the same whatever exists."""
    common = {"purpose": reader.purpose or "", "grain": reader.grain, "matrix": reader.judge.matrix.version, "level": reader.asking.level}
    if reader.imputed:
        common["person"] = reader.imputed
    people: dict[str, set[str]] = {}
    for row in rows:
        people.setdefault(_subject(row), set()).add(row.profile)
    told = [
        Fact(reader.party.code, "echange.lecture", name, {**common, "profiles": sorted(kinds), "rules": sorted(seen.told[name])})
        for name, kinds in sorted(people.items())
    ]  # fmt: skip
    with transaction.atomic():
        append(told or [Fact(reader.party.code, "echange.lecture.refusee", subject[:120], {**common, "reason": seen.reason})])


def explained(entry: Entry) -> set[str]:
    """The rules that permit a past reading of a person, asked again: of the matrix that the entry names, with what was known at its instant. What was
    permitted then is explained by the same rules, whatever changed since, as long as the data are there."""
    party = Party.objects.get(pk=int(entry.actor.removeprefix("acteur-")))
    detail = entry.detail
    asking = policy.asking(party, int(detail["level"]), then=entry.at)
    # Who read was admitted then, whatever it is today.
    judge, at = policy.judge_of(detail["matrix"]), entry.at
    reader = Reader(party, replace(asking, active=True), Purpose(detail["purpose"]), Grain(detail["grain"]), judge, at)
    rows = _rows().filter(
        person=naming.behind(int(entry.subject.removeprefix("usager:"))), profile__in=detail["profiles"], deposit__received_at__lte=at
    )
    return {
        decision.rule for row in rows for decision in decisions(reader, row, content_of(row), at).values() if decision.permitted and decision.rule
    }


def _rows() -> QuerySet[Resource]:
    return Resource.objects.filter(erased=False).select_related("establishment", "person").prefetch_related(statements())


# An address as the hub makes them; whatever else is typed may be somebody's name or number, and the journal forgets nothing.
_ADDRESS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}")


def _asked(kind: str, uid: str) -> str:
    return f"{kind}/{uid if not uid or _ADDRESS.fullmatch(uid) else vault.token('question', uid)[:32]}"


def _read(reader: Reader, kind: str, uid: str, rows: Iterable[Resource]) -> Seen:
    seen = reader.seen(kind)
    told = [row for row in rows if _show(reader, row, seen)]
    _trace(reader, _asked(kind, uid), told, seen)
    return seen


def one(
    party: Party, level: int, purpose: Purpose | None, grain: Grain, kind: str, uid: str, version: int | None = None, *, imputed: str = ""
) -> Seen:
    """A resource by its address; `seen.resources` is empty when it is unknown, or forbidden: the same answer."""
    reader = Reader.of(party, level, purpose, grain, imputed)
    rows = _rows().filter(type=kind, uid=reader.named(kind, uid))
    return _read(reader, kind, uid, rows.filter(version=version) if version else rows.filter(current=True))


def history(party: Party, level: int, purpose: Purpose | None, grain: Grain, kind: str, uid: str, *, imputed: str = "") -> Seen:
    """Every version of a resource that the actor may read, the newest first."""
    reader = Reader.of(party, level, purpose, grain, imputed)
    return _read(reader, kind, uid, _rows().filter(type=kind, uid=reader.named(kind, uid)).order_by("-version")[:PAGE])


def search(
    party: Party, level: int, purpose: Purpose | None, grain: Grain, kind: str, *, patient: str = "", since: dt.datetime | None = None, after: str = "", count: int = PAGE,
    imputed: str = "", traced: bool = True,
) -> Seen:  # fmt: skip
    """A page of the resources of one type that the actor may read, in the order they were stored, from a cursor. Not `traced`, nothing of it may be told:
    what is told later is traced then (`again`)."""
    reader = Reader.of(party, level, purpose, grain, imputed)
    seen, code = reader.seen(kind), reader.party.code
    rows = possible(reader.asking, purpose, reader.judge, grain).filter(type=kind, pk__gt=vault.row_of(code, grain, after)).order_by("pk")
    if patient:
        rows = rows.filter(person__in=Resource.objects.filter(type="Patient", uid=reader.named("Patient", patient), current=True).values("person"))
    if since:
        rows = rows.filter(stored_at__gte=since)
    told: list[Resource] = []
    # What the decision point leaves out is made up for, within bounds.
    looked = list(rows[: 4 * count + 1])
    for row in looked:
        if len(told) == count:
            seen.more = vault.cursor(code, grain, told[-1].pk)
            break
        if _show(reader, row, seen):
            told.append(row)
    if not seen.more and len(looked) > 4 * count:
        seen.more = vault.cursor(code, grain, looked[-1].pk)
    if traced:
        _trace(reader, kind, told, seen)
    return seen


def again(party: Party, level: int, purpose: Purpose | None, grain: Grain, kind: str, rows: Sequence[int], *, imputed: str = "") -> Seen:
    """The resources of these versions as they stand and as the actor may read them now, in order; what was erased or closed since is left out."""
    reader = Reader.of(party, level, purpose, grain, imputed)
    named = Resource.objects.filter(pk__in=rows).values("uid")
    return _read(reader, kind, "", _rows().filter(type=kind, current=True, uid__in=named).order_by("pk"))
