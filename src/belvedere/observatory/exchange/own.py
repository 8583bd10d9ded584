"""A person's own data, by the personal link that an establishment gave (right of access, RGPD art. 15 and 20): what that establishment deposited, of the
categories that the matrix opens to the person at the level that a link is worth.

A link shows nothing that whoever gave it does not hold: were it to open it, it would learn nothing of what others deposited.
"""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from belvedere.engine.exchange import plainly
from belvedere.engine.exchange.access import TOKEN
from belvedere.engine.exchange.access import Party as Asking
from belvedere.engine.exchange.profiles import BARE, filtered, profiles
from belvedere.engine.exchange.vocabulary import Actor, Category, Grain, Purpose
from belvedere.observatory.exchange import policy, reading, referentials
from belvedere.observatory.exchange.intake import content_of
from belvedere.observatory.exchange.models import PersonLink, Resource
from belvedere.observatory.journal.actions import Fact, append
from belvedere.observatory.journal.models import Entry

MOST = 500
ACTION = "echange.acces.personne"
ONE_READING = dt.timedelta(minutes=10)  # the page and its file, opened again: one entry


@dataclass(frozen=True)
class Piece:
    """One resource as the person reads it: what it is, its day, its lines, and the resource itself."""

    title: str
    day: dt.date | None
    lines: list[plainly.Line]
    content: dict[str, Any]


@dataclass
class Own:
    """What a link shows: pieces, the newest first; categories whose data are there and closed; whether more is held than is shown."""

    pieces: list[Piece] = field(default_factory=list)
    closed: set[Category] = field(default_factory=set)
    more: bool = False


def data(link: PersonLink) -> Own:
    """The data of a link's person, each decided; the reading is told to the journal."""
    judge, at, found = policy.judge(), timezone.now(), Own()
    asking = Asking(Actor.PERSON, person=link.person.token, level=TOKEN)
    reader = reading.Reader(link.given_by, asking, Purpose.RIGHT_OF_ACCESS, Grain.NAMED, judge, at)
    rows = list(
        Resource.objects.filter(person=link.person, establishment=link.given_by, current=True, erased=False)
        .select_related("establishment", "person")
        .prefetch_related(reading.statements())
        .order_by("-day", "-pk")[: MOST + 1]
    )
    found.more, rules, kinds = len(rows) > MOST, set[str](), set[str]()
    named, places = referentials.displays(), _places(link)
    for row in rows[:MOST]:
        profile, content = profiles()[row.profile], content_of(row)
        made = reading.decisions(reader, row, content)
        found.closed |= {category for category, decision in made.items() if not decision.permitted}
        told = filtered(profile, content, {category for category, decision in made.items() if decision.permitted})
        if told is not None:
            rules |= {decision.rule for decision in made.values() if decision.permitted and decision.rule}
            kinds.add(row.profile)
            found.pieces.append(Piece(profile.title, row.day, plainly.lines(told, named, lambda address: places.get(address, "")), told))
    detail = {
        "purpose": Purpose.RIGHT_OF_ACCESS.value, "grain": Grain.NAMED.value, "matrix": judge.matrix.version, "level": TOKEN, "rules": sorted(rules),
        "profiles": sorted(kinds), "given_by": link.given_by.code,
    }  # fmt: skip
    before = Entry.objects.filter(action=ACTION, subject=f"usager:{link.person_id}", at__gt=at - ONE_READING).order_by("-pk").first()
    if before is None or before.detail != detail:
        with transaction.atomic():
            append([Fact("personne", ACTION, f"usager:{link.person_id}", detail)])
    return found


def _places(link: PersonLink) -> dict[str, str]:
    """What the addresses in a person's resources stand for, in words: itself, its stays and events by their day, its establishment, professionals."""
    mine = Resource.objects.filter(establishment=link.given_by, current=True, erased=False)
    rows = mine.filter(person=link.person) | mine.filter(person=None, type__in=BARE)
    found = {}
    for kind, uid, profile, day in rows.values_list("type", "uid", "profile", "day"):
        when = f" du {plainly.day(day.isoformat())}" if day else ""
        told = {"Patient": "vous", "Organization": link.given_by.name}.get(kind, profiles()[profile].title + when)
        found[f"{kind}/{uid}"] = told[:1].lower() + told[1:] if kind not in ("Organization", "Patient") else told
    return found


def bundle(own: Own) -> dict[str, Any]:
    """The same as a FHIR collection, to take away."""
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": piece.content} for piece in own.pieces]}
