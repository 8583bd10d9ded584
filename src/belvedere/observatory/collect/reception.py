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
from belvedere.observatory.members.actions import seen
from belvedere.observatory.members.models import Group, Member, SenderKey

RETRY_SECONDS = 20
KEY_LENGTH = 80
NAME_BYTES = 100  # leaves room for what receipts add to a file name
# A NIR, with or without the separators people put in it.
_NIR = re.compile(r"(?<!\d)[1-478][ ._-]?\d\d[ ._-]?\d\d[ ._-]?(?:\d\d|2[ABab])[ ._-]?\d{3}[ ._-]?\d{3}(?:[ ._-]?\d\d)?(?!\d)")


class Busy(Exception):
    """No room for another flow now: come back in RETRY_SECONDS. Nothing was kept."""


class Cut(Exception):
    """The line was cut: fewer bytes came than were announced. Nothing was kept."""


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
    key: str | None = None, member: Member | None = None, length: int | None = None, crypto: str = "",
) -> Flow:  # fmt: skip
    """Take in a sealed flow; its row is queued when this returns. The same idempotency `key` gives the same
    flow again; `member` is who deposits, where the way in tells; `length` the size announced (Cut when fewer bytes come). What is no CMS envelope is refused at once, its bytes never written. Busy, KeyReused."""
    check_room()
    deposit = vault.Deposit()
    try:
        for piece in (sealed,) if isinstance(sealed, bytes) else sealed:
            deposit.write(piece)
        if length is not None and deposit.size != length:
            raise Cut
        digest = deposit.keep()
    except B2Error as error:
        deposit.drop()
        return refuse_at_the_door(error.finding, group=group, sender=sender, channel=channel, file_name=file_name, test=test, member=member)
    except BaseException:
        deposit.drop()
        raise
    return register(
        group=group, sender=sender, name=deposit.name, size=deposit.size, digest=digest, channel=channel, file_name=file_name, test=test, key=key,
        member=member, crypto=crypto,
    )  # fmt: skip


def known(group: Group, key: str | None, digest: str = "", sender: SenderKey | None = None) -> Flow | None:
    """The flow that an idempotency key already stands for; KeyReused if its content was another, or another's whom this sender may not read."""
    found = Flow.objects.filter(group=group, idempotency_key=key).first() if key else None
    if found and digest and found.sealed_hash and found.sealed_hash != digest:
        raise KeyReused
    if found and sender and sender.member_id and found.sender_id != sender.pk:
        raise KeyReused
    return found


def register(
    *, group: Group, sender: SenderKey | None, name: str, size: int, digest: str, channel: str, file_name: str, test: bool, key: str | None,
    member: Member | None = None, crypto: str = "",
) -> Flow:  # fmt: skip
    """Queue sealed bytes that lie in the sealed folder."""
    if sender:
        seen(sender)
    if before := known(group, key, digest, sender):
        if before.sealed_name != name:
            vault.sealed_path(name).unlink(missing_ok=True)
        return before
    try:
        with transaction.atomic():
            flow = Flow.objects.create(
                group=group, member=member, sender=sender, channel=channel, file_name=clean_name(file_name), received_at=timezone.now(), sealed_name=name,
                sealed_size=size, sealed_hash=digest, test=test, idempotency_key=key, handed_back=channel not in receipts.HANDED_BACK, crypto=product(crypto),
            )  # fmt: skip
            record(by=f"groupe:{group.pk}", action="flux.recu", subject=f"flux:{flow.pk}", channel=channel, size=size, sha256=digest)
    except IntegrityError:
        vault.sealed_path(name).unlink(missing_ok=True)  # the same key arrived at the same moment
        if before := known(group, key, digest, sender):
            return before
        raise
    return flow


@transaction.atomic
def refuse_at_the_door(
    found: Finding, *, group: Group, sender: SenderKey | None, channel: str, file_name: str, test: bool = False, member: Member | None = None
) -> Flow:
    """A flow that could not even be kept: refused at once, with its receipt. Its idempotency key stays free for the
    right content."""
    now = timezone.now()
    flow = Flow.objects.create(
        group=group, member=member, sender=sender, channel=channel, file_name=clean_name(file_name), received_at=now, settled_at=now, state=State.REFUSED,
        sealed_name="", sealed_size=0, test=test, findings=[found.as_dict()],
        handed_back=channel not in receipts.HANDED_BACK,
    )  # fmt: skip
    entry = record(by=f"groupe:{group.pk}", action="flux.refused", subject=f"flux:{flow.pk}", channel=channel, findings=[found.code])
    receipts.sign(flow, entry)
    return flow


def product(header: str) -> str:
    """The encryption product as X-SV_CHIFFREMENT tells it (code#product#version#…, norm reference §12), product and version; "" when it tells none."""
    parts = [re.sub(r"[^A-Za-z0-9+.\- ]", "", part).strip() for part in header.split("#")]
    return " ".join(part for part in parts[1:3] if part)[:40]


def clean_name(name: str) -> str:
    """A sender's file name as it may be shown and written: no path, no control character, no NIR."""
    base = re.split(r"[\\/]", name)[-1]
    base = _NIR.sub("NIR", "".join(char for char in base if char.isprintable()))
    return base.encode()[:NAME_BYTES].decode(errors="ignore")
