"""Bulk export: everything that a consumer may read of some types, as lines, made apart from the call that asks (FHIR Bulk Data).

The worker lists what may be read; a file names those resources and holds none of them. Whoever takes it reads them then: each is decided again, by the
consent, the matrix and the territory of that moment, and each person's reading is told to the journal in the name of who takes."""

import datetime as dt
import json
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from belvedere.engine.exchange.vocabulary import Grain, Purpose
from belvedere.observatory.exchange import leasing, reading
from belvedere.observatory.exchange.models import Bulk, BulkFile, BulkState, Party
from belvedere.observatory.journal.actions import note, record
from belvedere.observatory.tokens import reference

KEPT = dt.timedelta(hours=24)
MOST_WAITING, MOST_KEPT = 3, 12
PAGE, PART = 500, 2_000  # resources of a reading, and of a file, which one call opens


class BulkRefused(Exception):
    """The export cannot be asked for; says why, in French."""


@transaction.atomic
def ask(
    *, party: Party, level: int, person: str, purpose: Purpose, grain: Grain, types: Sequence[str], since: dt.datetime | None, request: str
) -> Bulk:
    """Ask for an export; it is made by the worker. BulkRefused when too many wait, or are kept, already."""
    Party.objects.select_for_update(of=("self",), no_key=True).get(pk=party.pk)  # two calls at once count one after the other
    if Bulk.objects.filter(party=party).exclude(state=BulkState.EXPIRED).count() >= MOST_KEPT:
        raise BulkRefused(f"{MOST_KEPT} exports de masse sont gardés : laissez-en aller un (DELETE), ou attendez 24 heures.")
    if Bulk.objects.filter(party=party, state=BulkState.WAITING).count() >= MOST_WAITING:
        raise BulkRefused(f"{MOST_WAITING} exports de masse attendent déjà : prenez-les, ou annulez-en un.")
    made = Bulk.objects.create(
        reference=reference("M", 4, 4), party=party, level=level, person=person, purpose=purpose, grain=grain, types=sorted(set(types)), since=since, request=request[:500],
        asked_at=timezone.now(),
    )  # fmt: skip
    record(by=party.code, action="echange.masse.demande", subject=f"masse:{made.reference}", purpose=purpose, grain=grain, types=made.types)
    return made


def run(bulk: Bulk) -> Bulk:
    """Make the files of an export, a type at a time; taken up again at the type where it was stopped."""
    bulk.refresh_from_db()
    while bulk.state == BulkState.WAITING and bulk.done_types < len(bulk.types):
        rank = bulk.done_types
        kind = bulk.types[rank]
        why = _write(bulk, kind)
        with transaction.atomic():
            bulk = Bulk.objects.select_for_update(of=("self",), no_key=True).select_related("party").get(pk=bulk.pk)
            if bulk.state != BulkState.WAITING:  # let go meanwhile
                bulk.files.all().delete()
            elif bulk.done_types == rank:  # otherwise another worker, which took this one for dead, did it
                if why:
                    bulk.refused[kind] = why
                bulk.done_types += 1
                if bulk.done_types == len(bulk.types):
                    bulk.state, bulk.done_at = BulkState.DONE, timezone.now()
            bulk.save(update_fields=["done_types", "refused", "state", "done_at"])
    return bulk


def _write(bulk: Bulk, kind: str) -> str:
    """List the parts of a type; why nothing of it may be read, or ""."""
    bulk.files.filter(type=kind).delete()
    rows: list[int] = []
    after, part = "", 1
    while True:
        seen = reading.search(
            bulk.party, bulk.level, Purpose(bulk.purpose), Grain(bulk.grain), kind, since=bulk.since, after=after, count=PAGE, imputed=bulk.person, traced=False
        )  # fmt: skip
        if not seen.open:
            told = {"purpose": bulk.purpose, "grain": bulk.grain, "level": bulk.level, "reason": seen.reason} | (
                {"person": bulk.person} if bulk.person else {}
            )
            note(by=bulk.party.code, action="echange.lecture.refusee", subject=kind, **told)
            return seen.reason
        leasing.go_on(bulk)
        rows += seen.rows
        while rows and (len(rows) >= PART or not seen.more):
            BulkFile.objects.create(bulk=bulk, type=kind, part=part, count=len(rows[:PART]), rows=rows[:PART])
            rows, part = rows[PART:], part + 1
        if not seen.more:
            return ""
        after = seen.more


def lines(bulk: Bulk, kind: str, part: int = 1, *, level: int, person: str = "") -> tuple[bytes, int] | None:
    """(the resources of a part, one a line, as they stand and as whoever takes it may read them now; how many were left out, erased or closed since); None
    when there is no such part."""
    found = bulk.files.filter(type=kind, part=part).first() if bulk.state == BulkState.DONE else None
    if found is None:
        return None
    seen = reading.again(bulk.party, level, Purpose(bulk.purpose), Grain(bulk.grain), kind, found.rows, imputed=person)
    raw = b"".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for row in seen.resources)
    return raw, max(0, found.count - len(seen.rows))


@transaction.atomic
def drop(bulk: Bulk) -> None:
    """Let an export go, done or not."""
    bulk.files.all().delete()
    Bulk.objects.filter(pk=bulk.pk).update(state=BulkState.EXPIRED)
    record(by=bulk.party.code, action="echange.masse.annule", subject=f"masse:{bulk.reference}")


def run_due() -> int:
    """Make the exports that wait; let go of those kept long enough."""
    done = leasing.each(Bulk.objects.filter(state=BulkState.WAITING).select_related("party").order_by("asked_at"), run, most=2)
    old = Bulk.objects.filter(state=BulkState.DONE, done_at__lt=timezone.now() - KEPT)
    BulkFile.objects.filter(bulk__in=old).delete()
    old.update(state=BulkState.EXPIRED)
    return done
