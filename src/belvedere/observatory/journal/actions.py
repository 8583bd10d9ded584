"""Append to the journal, and verify it. Appending outside a transaction is refused: an entry lives and
dies with the change it tells."""

import os
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from belvedere.engine.evidence import chain
from belvedere.observatory.journal.models import Entry, Head, TreeHead


@dataclass(frozen=True)
class Fact:
    """What an entry is made of: who did what, on what, with what counts and references."""

    by: str
    action: str
    subject: str
    detail: Mapping[str, object] = field(default_factory=dict)


class Place(NamedTuple):
    """Where an entry stands: its number, from 1, and its chain hash."""

    number: int
    digest: str


# Who is behind the machine whose call is being served: said in every entry of that call.
behind: ContextVar[Mapping[str, object]] = ContextVar("behind", default=MappingProxyType({}))

# Written as plain rows: the model layer would take three times as long as the hashes and the database together.
INSERT = (
    "INSERT INTO journal_entry (id, at, actor, action, subject, detail, salt, content, previous, digest) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


def append(facts: Sequence[Fact]) -> list[Place]:
    """Append entries in order inside the caller's transaction: one lock, one chain, one write for all of them."""
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        raise RuntimeError("the journal is written inside the transaction of the change it tells")
    Head.objects.get_or_create(pk=1)
    head = Head.objects.select_for_update(of=("self",)).get(pk=1)
    now = timezone.now()
    at, salts = chain.moment(now), os.urandom(chain.SALT_BYTES * len(facts)).hex()
    stored = connection.ops.adapt_datetimefield_value(now)
    previous, number = head.digest, head.size
    rows, places, imputed = [], [], behind.get()
    for rank, fact in enumerate(facts):
        number += 1
        full = {**imputed, **fact.detail}
        salt = salts[32 * rank : 32 * rank + 32]
        content = chain.content_hash(salt, at, fact.by, fact.action, fact.subject, full)
        digest = chain.chained(previous, number, content)
        detail = chain.canonical(full).decode()
        rows.append((number, stored, fact.by, fact.action, fact.subject, detail, salt, content, previous, digest))
        places.append(Place(number, digest))
        previous = digest
    with connection.cursor() as cursor:
        cursor.executemany(INSERT, rows)
    head.digest, head.size = previous, number
    head.save(update_fields=["digest", "size"])
    return places


def record(*, by: str, action: str, subject: str, **detail: object) -> Place:
    """Append one entry inside the caller's transaction."""
    return append([Fact(by, action, subject, detail)])[0]


def note(*, by: str, action: str, subject: str, **detail: object) -> Place:
    """Append one entry that tells of no change (a read, a refusal), in a transaction of its own."""
    with transaction.atomic():
        return record(by=by, action=action, subject=subject, **detail)


def told(entry: Entry) -> dict[str, object]:
    """An entry as exports and proofs carry it."""
    return {
        "id": entry.pk, "at": chain.moment(entry.at), "actor": entry.actor, "action": entry.action, "subject": entry.subject,
        "detail": entry.detail, "salt": entry.salt, "content": entry.content, "previous": entry.previous, "digest": entry.digest,
    }  # fmt: skip


def broken_at(since: int = 0) -> int | None:
    """Number of the first entry after `since` that does not follow from the one before; None when the chain holds."""
    start = Entry.objects.filter(pk=since).first()
    previous, number = (start.digest, start.pk) if start else (chain.GENESIS, 0)
    for entry in Entry.objects.filter(pk__gt=number).order_by("id").iterator():
        number += 1
        content = chain.content_hash(entry.salt, chain.moment(entry.at), entry.actor, entry.action, entry.subject, entry.detail)
        if (entry.pk, entry.previous, entry.content, entry.digest) != (number, previous, content, chain.chained(previous, number, content)):
            return number
        previous = entry.digest
    for size, last in TreeHead.objects.filter(size__gt=since).values_list("size", "last").iterator():
        if Entry.objects.filter(pk=size).values_list("digest", flat=True).first() != last:
            return size
    head = Head.objects.filter(pk=1).first()
    return None if head is None or (head.digest, head.size) == (previous, number) else number + 1
