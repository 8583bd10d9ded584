"""Mergers: an entity that changes hands keeps its past, and neither its patients nor the market's change of count."""

import datetime as dt

import pytest

from belvedere.observatory.accounts.models import Role
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.members import actions, moving
from belvedere.observatory.members.models import SenderKey
from belvedere.observatory.members.own import OwnFacts
from tests.flows import sector
from tests.members import send
from tests.people import person


@pytest.fixture
def pair(groups):
    """Two providers of two groups, the first entity of each, with two months sent."""
    first = sector().providers[0]
    second = next(item for item in sector().providers if item.group != first.group)
    return first, second, groups[first.group], groups[second.group]


def test_the_past_goes_with_the_entity(pair):
    first, second, seller, buyer = pair
    send([seller, buyer], sector(), range(2), [first.rank, second.rank])
    member = seller.members.get(finess=first.finess)
    actions.issue_sender_key(group=seller, label="Une entité", by="test", member=member)
    reader = person(Role.MEMBER_READER, group=seller, entities=[member])
    owner = person(Role.MEMBER_ADMIN, group=buyer)
    alone = OwnFacts.of(owner).figures()
    period = alone.months[-1]
    sold = OwnFacts.of(reader).figures().measure("lines", period=period)
    assert sold
    moving.move_entity(member=member, to=buyer, day=dt.date(2025, 2, 1), by="test")
    both = OwnFacts.of(owner).figures()
    assert both.measure("lines", period=period) == alone.measure("lines", period=period) + sold
    assert both.measure("lines", period=alone.months[0]) > alone.measure("lines", period=alone.months[0]), "its past came too"
    assert not reader.seen_entities().exists() and not SenderKey.objects.filter(member=member, revoked_at=None).exists()
    assert Entry.objects.filter(action="entite.cedee").count() == 1
    assert member.moves.get().left == seller


def test_a_move_that_means_nothing_is_refused(pair):
    first, _, seller, buyer = pair
    member = seller.members.get(finess=first.finess)
    with pytest.raises(moving.MoveRefused, match="déjà"):
        moving.move_entity(member=member, to=seller, day=dt.date(2025, 2, 1), by="test")
    with pytest.raises(moving.MoveRefused, match="jour"):
        moving.move_entity(member=member, to=buyer, day=dt.date(2099, 1, 1), by="test")
