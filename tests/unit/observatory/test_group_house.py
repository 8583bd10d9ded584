"""A group at home: entities that come and go, people who give what they see, keys renewed and kept to one entity."""

import datetime as dt

import pytest
from django.test import Client
from django.utils import timezone

from belvedere.observatory.accounts import people
from belvedere.observatory.accounts.models import Role
from belvedere.observatory.members.actions import issue_sender_key, rotate, sender_of
from belvedere.observatory.members.models import Member, SenderKey
from tests.enrolment import SIREN
from tests.flows import sector
from tests.members import send
from tests.people import browsing, person


def test_entities_come_and_go_with_dates(outbox, groups):
    admin = person(Role.MEMBER_ADMIN, group=groups[0])
    rank = next(rank for rank, provider in enumerate(sector().providers) if groups[0].members.filter(finess=provider.finess).exists())
    member = Member.objects.get(finess=sector().providers[rank].finess)
    client = browsing(admin)
    client.post(f"/mon-groupe/entites/{member.pk}/sortir/", {"day": timezone.localdate().isoformat()})
    send(groups, sector(), [0], [rank])
    assert member.flows.count() == 0 and groups[0].flows.get().state == "refused"
    stranger = Member.objects.exclude(group=groups[0]).first()
    assert client.post(f"/mon-groupe/entites/{stranger.pk}/sortir/").status_code == 404
    answer = client.post("/mon-groupe/entites/", {"entities": f"{SIREN};;{stranger.finess:09d};Autre", "send": "1"})
    assert "ne peut pas être ajoutée" in answer.content.decode()


@pytest.mark.parametrize("hour", [12, 23])
def test_an_entity_that_joins_today_sends_the_same_evening(groups, hour, monkeypatch):
    """Days are Paris's: at 23 h 30 UTC, the day of the flow is the day of the membership, tomorrow of Greenwich."""
    monkeypatch.setattr(timezone, "now", lambda: dt.datetime(2026, 11, 22, hour, 30, tzinfo=dt.UTC))
    member = Member.objects.get(finess=sector().providers[0].finess)
    Member.objects.filter(pk=member.pk).update(joined_on=timezone.localdate())
    send([member.group], sector(), [0], [0])
    assert member.group.flows.get().member == member


def test_an_administrator_gives_what_it_sees_at_most(outbox, groups):
    group = max(groups, key=lambda item: item.members.count())
    one, *others = group.members.all()
    small = person(Role.MEMBER_ADMIN, group=group, entities=[one])
    with pytest.raises(people.AccountRefused):
        people.invite_colleague(by=small, email="a@b.fr", role=Role.MEMBER_READER, whole_group=True, entities=())
    with pytest.raises(people.AccountRefused):
        people.invite_colleague(by=small, email="a@b.fr", role=Role.MEMBER_READER, whole_group=False, entities=())
    with pytest.raises(people.AccountRefused):
        people.invite_colleague(by=small, email="a@b.fr", role=Role.OPERATOR, whole_group=False, entities=[one])
    stranger = Member.objects.exclude(group=group).first()
    for entity in (*others[:1], stranger):
        with pytest.raises(people.AccountRefused):
            people.invite_colleague(by=small, email="a@b.fr", role=Role.MEMBER_READER, whole_group=False, entities=[entity])
    made = people.invite_colleague(by=small, email="a@b.fr", role=Role.MEMBER_READER, whole_group=False, entities=[one])
    assert not made.whole_group and list(made.entities.all()) == [one]
    client = browsing(small)
    assert client.get("/mon-groupe/").status_code == 200
    assert client.get("/mon-groupe/entites/").status_code == 403 == client.post("/mon-groupe/emetteurs/", {"act": "add"}).status_code
    assert client.post(f"/mon-groupe/personnes/{person(Role.MEMBER_READER, group=group).pk}/fermer/").status_code == 404
    assert client.post(f"/mon-groupe/personnes/{made.pk}/fermer/").status_code == 302
    made.refresh_from_db()
    assert not made.is_active


def test_a_renewed_key_overlaps_then_ends(outbox, groups):
    token = issue_sender_key(group=groups[0], label="x", by="test")
    fresh = rotate(sender=SenderKey.objects.get(), by="test")
    assert sender_of(token).group == sender_of(fresh).group == groups[0]
    SenderKey.objects.filter(replaced_by__isnull=False).update(expires_at=timezone.now())
    assert sender_of(token) is None and sender_of(fresh)


def test_a_key_of_one_entity_sends_and_reads_for_it_alone(outbox, groups):
    group = max(groups, key=lambda item: item.members.count())
    ranks = [rank for rank, provider in enumerate(sector().providers) if group.members.filter(finess=provider.finess).exists()][:2]
    members = [Member.objects.get(finess=sector().providers[rank].finess) for rank in ranks]
    token = issue_sender_key(group=group, label="x", by="test", member=members[0])
    with pytest.raises(ValueError, match="another group"):
        issue_sender_key(group=next(g for g in groups if g != group), label="x", by="test", member=members[0])
    send([group], sector(), [0], ranks)
    listed = Client().get("/api/v1/flows", headers={"Authorization": f"Bearer {token}"}).json()
    assert {row["member"] for row in listed} == {members[0].name}
    from belvedere.engine.b2.envelope import seal
    from belvedere.engine.sector.billing import month_file
    from belvedere.observatory.collect import keyring, reception, worker

    other = reception.receive(
        group=group, sender=sender_of(token), sealed=seal(month_file(sector(), ranks[1], 1), keyring.certificate()), channel="api", file_name="f"
    )
    worker.drain()
    other.refresh_from_db()
    assert other.state == "refused" and "P601" in str(other.findings)
    assert SenderKey.objects.get(pk=other.sender_id).last_used_at
