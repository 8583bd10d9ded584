"""Enrol groups and members, issue sender keys: the only writers of this app."""

import datetime as dt
import secrets

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from belvedere.observatory.journal.actions import record
from belvedere.observatory.members.models import Federation, Group, Member, SenderKey
from belvedere.observatory.tokens import digest

ROTATION_DAYS = 14


@transaction.atomic
def enrol_group(*, name: str, federation: Federation | None, members: list[dict], by: str, siren: str = "", verified: bool = True) -> Group:
    """Create a group and its members (dicts of `Member` fields). One that enrolled itself is not verified: it reads its own figures,
    and weighs on no publication until somebody made sure that it exists."""
    group = Group.objects.create(name=name, federation=federation, siren=siren, verified_at=timezone.now() if verified else None)
    Member.objects.bulk_create([Member(group=group, **fields) for fields in members])
    record(by=by, action="groupe.inscrit", subject=f"groupe:{group.pk}", members=len(members))
    return group


@transaction.atomic
def name_federation(*, name: str, by: str, federation: Federation | None = None) -> Federation:
    """Enrol a federation, or give one its new name; ValueError when the name is empty or taken. Each one enrolled has its word at the gate."""
    name = " ".join(name.split())[:40]
    if not name or Federation.objects.filter(name=name).exists():
        raise ValueError("a federation has a name of its own")
    before = federation.name if federation else ""
    named = federation or Federation()
    named.name = name
    named.save()
    record(by=by, action="federation.nommee", subject=f"federation:{named.pk}", name=name, before=before)
    return named


@transaction.atomic
def verify_group(*, group: Group, by: str) -> None:
    """Say that a group is who it says (register, known contact): from the next publication on it counts."""
    if Group.objects.filter(pk=group.pk, verified_at=None).update(verified_at=timezone.now()):
        record(by=by, action="groupe.verifie", subject=f"groupe:{group.pk}")


def _draw(*, group: Group, label: str, member: Member | None) -> tuple[SenderKey, str]:
    """A new sender key and its token."""
    token = "bvd_" + secrets.token_urlsafe(32)
    return SenderKey.objects.create(group=group, member=member, label=label, token_hash=digest(token)), token


@transaction.atomic
def issue_sender_key(*, group: Group, label: str, by: str, member: Member | None = None) -> str:
    """Create a sender key, for the whole group or one member, and return its token, shown once."""
    if member is not None and member.group_id != group.pk:
        raise ValueError("the member is another group's")
    _, token = _draw(group=group, label=label, member=member)
    record(by=by, action="cle.emise", subject=f"groupe:{group.pk}", label=label, member=member.pk if member else None)
    return token


@transaction.atomic
def rotate(*, sender: SenderKey, by: str) -> str:
    """A new token in place of one that goes on working for a while, so that no flow is lost in between."""
    fresh, token = _draw(group=sender.group, label=sender.label, member=sender.member)
    sender.replaced_by, sender.expires_at = fresh, timezone.now() + dt.timedelta(days=ROTATION_DAYS)
    sender.save(update_fields=["replaced_by", "expires_at"])
    record(by=by, action="cle.renouvelee", subject=f"groupe:{sender.group_id}", label=sender.label)
    return token


@transaction.atomic
def open_mailbox(*, sender: SenderKey, by: str) -> str:
    """Give a sender its own deposit address and return the part before the @, shown once: who knows it may deposit."""
    name = "depot-" + secrets.token_hex(16)
    sender.mail_hash = digest(name)
    sender.save(update_fields=["mail_hash"])
    record(by=by, action="cle.adresse", subject=f"groupe:{sender.group_id}", label=sender.label)
    return name


@transaction.atomic
def allow_sftp(*, sender: SenderKey, public_key: str, by: str) -> None:
    """Let the holder of an SSH key deposit for this sender; ValueError when it is not an OpenSSH public key."""
    import asyncssh  # half a second that no other caller should wait for

    asyncssh.import_authorized_keys(public_key)
    sender.public_key = public_key.strip()
    sender.save(update_fields=["public_key"])
    record(by=by, action="cle.sftp", subject=f"groupe:{sender.group_id}", label=sender.label)


@transaction.atomic
def revoke(*, sender: SenderKey, by: str) -> None:
    """End a sender key for every way in."""
    sender.revoked_at = timezone.now()
    sender.save(update_fields=["revoked_at"])
    record(by=by, action="cle.revoquee", subject=f"groupe:{sender.group_id}", label=sender.label)


def _live() -> QuerySet[SenderKey]:
    now = timezone.now()
    return SenderKey.objects.select_related("group", "member").filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)


def seen(sender: SenderKey) -> None:
    """Note that a key was used, to the minute: a busy sender must not write at each call."""
    now = timezone.now()
    if sender.last_used_at is None or now - sender.last_used_at > dt.timedelta(minutes=1):
        SenderKey.objects.filter(pk=sender.pk).update(last_used_at=now)


def sender_of(token: str) -> SenderKey | None:
    """The live sender key of a token."""
    return _live().filter(token_hash=digest(token)).first()


def sender_by_id(client_id: str) -> SenderKey | None:
    """The live sender key of a client identifier (`emetteur-12`)."""
    number = client_id.removeprefix("emetteur-")
    return _live().filter(pk=int(number)).first() if number.isdecimal() and len(number) < 12 else None


def sender_by_mailbox(name: str) -> SenderKey | None:
    """The live sender key of a deposit address."""
    return _live().filter(mail_hash=digest(name.lower())).exclude(mail_hash="").first()
