"""Erasing what was deposited of a person: contents go, the chain of the journal stays, whoever had received them is told."""

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from belvedere.observatory.exchange.models import Bulk, BulkFile, BulkState, Deposit, Event, Export, ExportState, Party, Person, Resource
from belvedere.observatory.journal.actions import record


@transaction.atomic
def erase(*, person: Person, party: Party, by: str, why: str) -> int:
    """Empty every version that an establishment deposited of a person; returns how many.

    The original bytes of deposits that spoke of it go too, and the exports that hold it: others keep their resources, not the bytes of a deposit shared
    with somebody erased. The kind of an evaluation stays, so that whoever received it can be told."""
    rows = Resource.objects.select_for_update().filter(person=person, establishment=party, erased=False)
    told, numbers = list(rows.filter(current=True)), list(rows.values_list("pk", flat=True))
    deposits = set(rows.values_list("deposit_id", flat=True))
    kinds = {row.pk: row.facts["questionnaire"] for row in rows if "questionnaire" in row.facts}
    done = rows.update(content=b"", digest="", facts={}, erased=True, day=None)
    for pk, kind in kinds.items():
        Resource.objects.filter(pk=pk).update(facts={"questionnaire": kind})
    Deposit.objects.filter(pk__in=deposits).update(original=b"")
    Export.objects.filter(party=party, state=ExportState.DONE).update(state=ExportState.EXPIRED, package=b"")
    # A bulk export that waits begins again; a file that names its resources goes.
    Bulk.objects.filter(state=BulkState.WAITING).update(epoch=F("epoch") + 1)
    gone = set(numbers)
    BulkFile.objects.filter(pk__in=[pk for pk, held in BulkFile.objects.values_list("pk", "rows") if not gone.isdisjoint(held)]).delete()
    record(by=by, action="echange.efface", subject=f"usager:{person.pk}", versions=done, why=why[:120])
    now = timezone.now()
    Event.objects.bulk_create(
        [Event(topic="donnee-effacee", at=now, establishment=party, person=person, resource=row, focus=f"{row.type}/{row.uid}") for row in told]
    )
    return done
