"""Enrol groups and members, issue sender keys: the only writers of this app."""

import hashlib
import secrets

from django.db import transaction

from belvedere.observatory.journal.actions import record
from belvedere.observatory.members.models import Federation, Group, Member, SenderKey


@transaction.atomic
def enrol_group(*, name: str, federation: Federation | None, members: list[dict], by: str) -> Group:
    """Create a group and its members (dicts of `Member` fields)."""
    group = Group.objects.create(name=name, federation=federation)
    Member.objects.bulk_create([Member(group=group, **fields) for fields in members])
    record(by=by, action="groupe.inscrit", subject=f"groupe:{group.pk}", members=len(members))
    return group


def token_hash(token: str) -> str:
    """What is kept of a sender's token."""
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def issue_sender_key(*, group: Group, label: str, by: str) -> str:
    """Create a sender key and return its token, shown once."""
    token = "bvd_" + secrets.token_urlsafe(32)
    SenderKey.objects.create(group=group, label=label, token_hash=token_hash(token))
    record(by=by, action="cle.emise", subject=f"groupe:{group.pk}", label=label)
    return token


def sender_of(token: str) -> Group | None:
    """The group that a live token stands for."""
    key = SenderKey.objects.select_related("group").filter(token_hash=token_hash(token), revoked_at=None).first()
    return key.group if key else None
