"""Append to the journal, and verify it. Appending outside a transaction is refused: an entry lives and
dies with the change it tells."""

import hashlib
import json

from django.db import transaction
from django.utils import timezone

from belvedere.observatory.journal.models import Entry, Head

GENESIS = "0" * 64


def _digest(previous: str, at: str, actor: str, action: str, subject: str, detail: dict) -> str:
    text = json.dumps([previous, at, actor, action, subject, detail], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def record(*, by: str, action: str, subject: str, **detail: object) -> Entry:
    """Append one entry inside the caller's transaction."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("the journal is written inside the transaction of the change it tells")
    Head.objects.get_or_create(pk=1, defaults={"digest": GENESIS})
    head = Head.objects.select_for_update().get(pk=1)
    at = timezone.now()
    entry = Entry(at=at, actor=by, action=action, subject=subject, detail=detail, previous=head.digest)
    entry.digest = _digest(head.digest, at.isoformat(), by, action, subject, detail)
    entry.save()
    head.digest = entry.digest
    head.save(update_fields=["digest"])
    return entry


def broken_at() -> int | None:
    """Identifier of the first entry that does not follow from the one before; None when the chain holds."""
    previous = GENESIS
    for entry in Entry.objects.order_by("id").iterator():
        expected = _digest(previous, entry.at.isoformat(), entry.actor, entry.action, entry.subject, entry.detail)
        if entry.previous != previous or entry.digest != expected:
            return entry.id
        previous = entry.digest
    head = Head.objects.filter(pk=1).first()
    return None if head is None or head.digest == previous else -1
