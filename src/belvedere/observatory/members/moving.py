"""Entities that change hands: mergers, sales. Their past goes with them, so that nobody's history breaks and no patient looks new.

Months that were published keep the groups that they were protected with (the sealed ledger, ADR 25)."""

import datetime as dt

from django.db import transaction
from django.utils import timezone

from belvedere.observatory.journal.actions import record
from belvedere.observatory.members.models import Group, Member, Move, SenderKey


class MoveRefused(ValueError):
    """Why an entity may not change hands, in French."""


@transaction.atomic
def move_entity(*, member: Member, to: Group, day: dt.date, by: str) -> Move:
    """An entity goes to another group: its people there see it and its past, those of the group that it leaves no longer do, and the keys
    that sent for it alone end. MoveRefused for its own group, or a day to come."""
    if member.group_id == to.pk:
        raise MoveRefused("Cette entité est déjà de ce groupe.")
    if day > timezone.localdate():
        raise MoveRefused("Le changement se note le jour où il a lieu, ou après.")
    made = Move.objects.create(member=member, left=member.group, joined=to, day=day)
    SenderKey.objects.filter(member=member, revoked_at=None).update(revoked_at=timezone.now())
    member.people.clear()
    member.group = to
    member.save(update_fields=["group"])
    record(by=by, action="entite.cedee", subject=f"entite:{member.pk}", left=made.left_id, joined=to.pk, day=day.isoformat())
    return made
