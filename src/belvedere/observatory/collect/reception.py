"""Take flows in, by whatever way they come: sealed bytes to the disk, a row in the queue, a receipt number.

The clear content is not looked at here. When the queue or the disk is full the sender is asked to come back.
"""

import re
from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.utils import timezone

from belvedere.engine.b2.findings import B2Error, Finding
from belvedere.observatory.collect import receipts, vault
from belvedere.observatory.collect.models import Flow, State
from belvedere.observatory.environment import read
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members.models import Group, SenderKey

RETRY_SECONDS = 20


class Busy(Exception):
    """No room for another flow now: come back in RETRY_SECONDS. Nothing was kept."""


class KeyReused(Exception):
    """The idempotency key was used for another content."""


def check_room() -> None:
    """Busy when too many flows wait or the disk is nearly full."""
    if not vault.room():
        raise Busy("Le disque de l’observatoire est plein.")
    limit = int(read("BELVEDERE_QUEUE_LIMIT"))
    if Flow.objects.filter(state=State.RECEIVED)[: limit + 1].count() > limit:
        raise Busy("Trop de flux attendent leur traitement.")


def receive(
    *, group: Group, sealed: bytes | Iterable[bytes], channel: str, file_name: str = "", sender: SenderKey | None = None, test: bool = False,
    key: str | None = None,
) -> Flow:  # fmt: skip
    """Take in a sealed flow; its row is queued when this returns. The same idempotency `key` gives the same
    flow again. What is no CMS envelope is refused at once, its bytes never written. Busy, KeyReused."""
    check_room()
    deposit = vault.Deposit()
    try:
        for piece in (sealed,) if isinstance(sealed, bytes) else sealed:
            deposit.write(piece)
        digest = deposit.keep()
    except B2Error as error:
        deposit.drop()
        return refuse_at_the_door(error.finding, group=group, sender=sender, channel=channel, file_name=file_name, test=test, key=key)
    except BaseException:
        deposit.drop()
        raise
    return register(
        group=group, sender=sender, name=deposit.name, size=deposit.size, digest=digest, channel=channel, file_name=file_name, test=test, key=key
    )


def known(group: Group, key: str | None, digest: str = "") -> Flow | None:
    """The flow that an idempotency key already stands for; KeyReused if its content was another."""
    found = Flow.objects.filter(group=group, idempotency_key=key).first() if key else None
    if found and digest and found.sealed_hash and found.sealed_hash != digest:
        raise KeyReused
    return found


def register(
    *, group: Group, sender: SenderKey | None, name: str, size: int, digest: str, channel: str, file_name: str, test: bool, key: str | None
) -> Flow:
    """Queue sealed bytes that lie in the sealed folder."""
    if before := known(group, key, digest):
        vault.sealed_path(name).unlink(missing_ok=True)
        return before
    try:
        with transaction.atomic():
            flow = Flow.objects.create(
                group=group, sender=sender, channel=channel, file_name=clean_name(file_name), received_at=timezone.now(), sealed_name=name,
                sealed_size=size, sealed_hash=digest, test=test, idempotency_key=key, handed_back=channel not in receipts.HANDED_BACK,
            )  # fmt: skip
            record(by=f"groupe:{group.pk}", action="flux.recu", subject=f"flux:{flow.pk}", channel=channel, size=size, sha256=digest)
    except IntegrityError:
        vault.sealed_path(name).unlink(missing_ok=True)  # the same key arrived at the same moment
        if before := known(group, key, digest):
            return before
        raise
    return flow


@transaction.atomic
def refuse_at_the_door(
    found: Finding, *, group: Group, sender: SenderKey | None, channel: str, file_name: str, test: bool = False, key: str | None = None
) -> Flow:
    """A flow that could not even be kept: refused at once, with its receipt."""
    if before := known(group, key):
        return before
    now = timezone.now()
    flow = Flow.objects.create(
        group=group, sender=sender, channel=channel, file_name=clean_name(file_name), received_at=now, settled_at=now, state=State.REFUSED,
        sealed_name="", sealed_size=0, test=test, idempotency_key=key, findings=[found.as_dict()],
        handed_back=channel not in receipts.HANDED_BACK,
    )  # fmt: skip
    entry = record(by=f"groupe:{group.pk}", action="flux.refused", subject=f"flux:{flow.pk}", channel=channel, findings=[found.code])
    receipts.sign(flow, entry)
    return flow


def clean_name(name: str) -> str:
    """A sender's file name as it may be shown and written: no path, no control character, no long digits (a
    file named after a NIR must not carry it here)."""
    base = re.split(r"[\\/]", name)[-1]
    base = "".join(char for char in base if char.isprintable())
    return re.sub(r"[12]\d{4}(\d{2}|2[AB])\d{6}(\d{2})?", "NIR", base)[:120]
