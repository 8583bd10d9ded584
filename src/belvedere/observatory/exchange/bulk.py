"""Bulk export: everything that a consumer may read of some types, as lines, made apart from the call that asks (FHIR Bulk Data).

Each resource is decided and filtered as a search would, and each person's reading is told to the journal."""

import datetime as dt
import json
from collections.abc import Sequence

from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from belvedere.engine.exchange.vocabulary import Grain, Purpose
from belvedere.observatory.exchange import reading, vault
from belvedere.observatory.exchange.models import Bulk, BulkFile, BulkState, MatrixVersion, Party, Stated
from belvedere.observatory.journal.actions import record
from belvedere.observatory.tokens import reference

KEPT = dt.timedelta(hours=24)
LEASE_SECONDS = 600
MOST_WAITING = 3
PAGE, PART = 500, 20_000  # resources of a reading, and of a file: what is held in memory


class BulkRefused(Exception):
    """The export cannot be asked for; says why, in French."""


class BulkStale(Exception):
    """The files are no longer what their reader may read; says so, in French."""


@transaction.atomic
def ask(
    *, party: Party, level: int, person: str, purpose: Purpose, grain: Grain, types: Sequence[str], since: dt.datetime | None, request: str
) -> Bulk:
    """Ask for an export; it is made by the worker. BulkRefused when too many wait already."""
    if Bulk.objects.filter(party=party, state=BulkState.WAITING).count() >= MOST_WAITING:
        raise BulkRefused(f"{MOST_WAITING} exports de masse attendent déjà : prenez-les, ou annulez-en un.")
    made = Bulk.objects.create(
        reference=reference("M", 4, 4), party=party, level=level, person=person, purpose=purpose, grain=grain, types=sorted(set(types)), since=since, request=request[:500],
        asked_at=timezone.now(),
    )  # fmt: skip
    record(by=party.code, action="echange.masse.demande", subject=f"masse:{made.reference}", purpose=purpose, grain=grain, types=made.types)
    return made


def run(bulk: Bulk) -> Bulk:
    """Make the files of an export, a type at a time; taken up again at the type where it was stopped, begun again if somebody was erased meanwhile."""
    bulk.refresh_from_db()
    while bulk.state == BulkState.WAITING and bulk.done_types < len(bulk.types):
        kind, epoch = bulk.types[bulk.done_types], bulk.epoch
        why = _write(bulk, kind)
        with transaction.atomic():
            bulk = Bulk.objects.select_for_update(of=("self",), no_key=True).select_related("party").get(pk=bulk.pk)
            if bulk.state != BulkState.WAITING:  # let go meanwhile
                bulk.files.all().delete()
            elif bulk.epoch != epoch:
                bulk.files.all().delete()
                bulk.done_types, bulk.refused = 0, {}
            else:
                if why:
                    bulk.refused[kind] = why
                bulk.done_types += 1
                if bulk.done_types == len(bulk.types):
                    bulk.state, bulk.done_at = BulkState.DONE, timezone.now()
            bulk.save(update_fields=["done_types", "refused", "state", "done_at"])
    return bulk


def _write(bulk: Bulk, kind: str) -> str:
    """Write the parts of a type; why nothing of it may be read, or ""."""
    bulk.files.filter(type=kind).delete()
    lines: list[str] = []
    people: set[int] = set()
    after, part = "", 1
    while True:
        seen = reading.search(
            bulk.party, bulk.level, Purpose(bulk.purpose), Grain(bulk.grain), kind, since=bulk.since, after=after, count=PAGE, imputed=bulk.person
        )  # fmt: skip
        if not seen.open:
            return seen.reason
        cache.touch(f"bulk:{bulk.pk}", LEASE_SECONDS)  # still at it: no other worker takes it up
        lines += [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in seen.resources]
        people |= seen.people
        if lines and (len(lines) >= PART or not seen.more):
            content = vault.seal("\n".join(lines).encode() + b"\n", about(bulk, kind, part))
            BulkFile.objects.create(bulk=bulk, type=kind, part=part, count=len(lines), people=sorted(people), content=content)
            lines, people, part = [], set(), part + 1
        if not seen.more:
            return ""
        after = seen.more


def about(bulk: Bulk, kind: str, part: int) -> str:
    """What the sealed lines of a part are bound to."""
    return f"masse:{bulk.reference}:{kind}:{part}"


def lines(bulk: Bulk, kind: str, part: int = 1) -> bytes | None:
    """The lines of a part of a type, one resource each; None when there are none, or when they are no longer kept. BulkStale when a right changed since."""
    found = bulk.files.filter(type=kind, part=part).first() if bulk.state == BulkState.DONE else None
    if found is None:
        return None
    if MatrixVersion.objects.filter(valid_from__gt=bulk.asked_at).exists() or any(
        Stated.objects.filter(person__in=found.people[start : start + 500], known_at__gt=bulk.asked_at).exists()
        for start in range(0, len(found.people), 500)
    ):
        raise BulkStale("Un droit ou une volonté a changé depuis cet export : demandez-en un autre.")
    return vault.unseal(found.content, about(bulk, kind, part))


@transaction.atomic
def drop(bulk: Bulk) -> None:
    """Let an export go, done or not."""
    bulk.files.all().delete()
    Bulk.objects.filter(pk=bulk.pk).update(state=BulkState.EXPIRED)
    record(by=bulk.party.code, action="echange.masse.annule", subject=f"masse:{bulk.reference}")


def run_due() -> int:
    """Make the exports that wait; let go of those kept long enough."""
    done = 0
    for bulk in Bulk.objects.filter(state=BulkState.WAITING).select_related("party").order_by("asked_at")[:2]:
        if cache.add(f"bulk:{bulk.pk}", 1, LEASE_SECONDS):
            run(bulk)
            done += 1
    old = Bulk.objects.filter(state=BulkState.DONE, done_at__lt=timezone.now() - KEPT)
    BulkFile.objects.filter(bulk__in=old).delete()
    old.update(state=BulkState.EXPIRED)
    return done
