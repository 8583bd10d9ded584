"""Erasing what was deposited of a person: contents go, the chain of the journal stays, whoever had received them is told."""

from django.db import transaction
from django.utils import timezone

from belvedere.observatory.exchange import counted, messages, naming, traces, vault
from belvedere.observatory.exchange.models import (
    Baseline,
    Deposit,
    Event,
    Export,
    ExportState,
    Party,
    Person,
    Resource,
    Subscription,
    SubscriptionState,
    Transfer,
    TransferState,
)
from belvedere.observatory.journal.actions import record
from belvedere.observatory.notices import actions as notices

UNDER_WAY = (TransferState.PREPARED, TransferState.SENT, TransferState.ACKNOWLEDGED)


def _withdraw(person: Person, party: Party) -> None:
    """Packages for the archives and what they wrote of them, but for the reply that proves a purge; a transfer under way ends there."""
    transfers = Transfer.objects.filter(person=person, establishment=party)
    transfers.exclude(state=TransferState.PURGE_ALLOWED).update(message=b"")
    transfers.filter(state__in=UNDER_WAY).update(state=TransferState.REFUSED, reply={"code": "KO", "units": [], "withdrawn": True})
    transfers.update(package=b"")


@transaction.atomic
def erase(*, person: Person, party: Party, by: str, why: str) -> int:
    """Empty every version that an establishment deposited of a person; returns how many.

    The original bytes of deposits that spoke of it go too, and the exports that hold it: others keep their resources, not the bytes of a deposit shared
    with somebody erased. Its number leaves the counts it was in. The kind of an evaluation stays, so that whoever received it can be told."""
    Party.objects.select_for_update(of=("self",), no_key=True).get(pk=party.pk)  # a package that is being made waits, then sees what was erased
    rows = Resource.objects.select_for_update().filter(person=person, establishment=party, erased=False)
    told = list(rows.filter(current=True))
    deposits = set(Deposit.objects.filter(party=party, spoken_of__person=person).values_list("pk", flat=True))
    kinds = {row.pk: row.facts["questionnaire"] for row in rows if "questionnaire" in row.facts}
    done = rows.update(content=b"", digest="", facts={}, erased=True, day=None)
    for pk, kind in kinds.items():
        Resource.objects.filter(pk=pk).update(facts={"questionnaire": kind})
    for deposit in Deposit.objects.filter(pk__in=deposits).exclude(original=b"").defer("original", "answer"):  # once: an identifier has one token
        deposit.original, deposit.identifier = b"", vault.token("depot", deposit.identifier)[:32]
        deposit.remarks = [remark | {"detail": ""} for remark in deposit.remarks]
        deposit.save(update_fields=["original", "identifier", "remarks"])
    # Of the oldest deposits nobody knows all whom they spoke of.
    Deposit.objects.filter(party=party, all_known=False).update(original=b"")
    _withdraw(person, party)
    Baseline.objects.all().delete()  # files of others, whom they name is not known
    Export.objects.filter(party=party, state=ExportState.DONE).update(state=ExportState.EXPIRED, package=b"")
    counted.forget(people=naming.numbers(person), party=party)
    record(by=by, action="echange.efface", subject=f"usager:{person.pk}", versions=done, why=why[:120])
    now = timezone.now()
    Event.objects.bulk_create(
        [Event(topic="donnee-effacee", at=now, establishment=party, person=person, resource=row, focus=f"{row.type}/{row.uid}") for row in told]
    )
    _warn(person, party, len(told))
    return done


def _warn(person: Person, party: Party, count: int) -> None:
    """Write to whoever had received some of it and has no subscription that will say so."""
    codes = set(traces.recipients(person)) - {party.code}
    told = Subscription.objects.filter(topic=messages.ERASED).exclude(state=SubscriptionState.OFF).values("party")
    for other in Party.objects.filter(pk__in=[code.removeprefix("acteur-") for code in codes if code.startswith("acteur-")]).exclude(pk__in=told):
        if other.contact:
            notices.post("exchange_erased", to=other.contact, by="plateforme", establishment=party.name, finess=party.finess, count=count)
