"""Subscriptions: handshake, numbers without hole, faults of the consumer, rights asked again, catch-up."""

import base64
import datetime as dt
from dataclasses import replace

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from belvedere.engine.evidence.chain import SignedHead, log_id
from belvedere.engine.exchange.vocabulary import Grain, Purpose
from belvedere.observatory.exchange import events, intake, portability, reading, subscribing, telling
from belvedere.observatory.exchange.models import Delivery, Event, Person, Resource, Subscription
from belvedere.observatory.journal import sealing
from belvedere.observatory.journal.actions import note
from belvedere.observatory.journal.models import Entry
from tests.consumer import Consumer, focuses, kind, numbers
from tests.exchange import OTHER, deposit, establishment, institution, say

pytestmark = pytest.mark.django_db(transaction=True)


class Clock:
    """The hub's clock, moved by the test."""

    def __init__(self) -> None:
        self.ahead = dt.timedelta(0)
        self.real = timezone.now

    def now(self) -> dt.datetime:
        return self.real() + self.ahead


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(timezone, "now", made.now)
    return made


@pytest.fixture
def consumer(monkeypatch, request):
    monkeypatch.setenv("BELVEDERE_WEBHOOK_PRIVATE", "1")
    made = Consumer(request.getfixturevalue("clock").now if "clock" in request.fixturenames else None)
    yield made
    made.close()


def subscribed(consumer, topic="sejour-ouvert", purpose="FINANCEMENT", party=None, **filters):
    made, consumer.secret = subscribing.subscribe(
        party=party or institution("CNSA_SIDOBA"), topic=topic, purpose=purpose, endpoint=consumer.url, filters=filters, level=2
    )
    telling.deliver()
    made.refresh_from_db()
    return made


def run(clock, hours: float = 80, step: float = 1) -> None:
    """Let the clock run and the worker work."""
    for _ in range(int(hours / step)):
        clock.ahead += dt.timedelta(hours=step)
        telling.deliver()


def test_handshake_then_events_in_order_without_content(consumer, service):
    made = subscribed(consumer)
    assert (made.state, kind(consumer.calls[0]["body"])) == ("active", "handshake")
    intake.receive(service, deposit(range(3)))
    telling.deliver()
    body = consumer.calls[1]["body"]
    assert numbers(body) == [1, 2, 3] and len(focuses(body)) == 3
    assert all("/Encounter/" in address for address in focuses(body))
    assert not any("resource" in entry for entry in body["entry"][1:]), "addresses only"
    assert Entry.objects.filter(action="echange.notification").count() == 3


def test_a_consumer_down_for_three_days_misses_nothing(consumer, service, clock):
    made = subscribed(consumer)
    consumer.script = [503] * 9
    intake.receive(service, deposit(range(2)))
    telling.deliver()
    for rank in range(2, 6):
        intake.receive(service, deposit(range(rank, rank + 1), name=f"d{rank}"))
        run(clock, 14)
    run(clock, 46)
    assert consumer.seen == [1, 2, 3, 4, 5, 6], "in order, each once"
    ids = [call["headers"]["webhook-id"] for call in consumer.calls if call["step"] == 503]
    assert len(ids) == 9
    made.refresh_from_db()
    assert (made.state, made.tries) == ("active", 0)


def test_after_the_plan_it_is_in_error_and_events_wait(consumer, service, clock):
    made = subscribed(consumer)
    consumer.script = [500] * 60
    intake.receive(service, deposit(range(1)))
    run(clock, 98)
    made.refresh_from_db()
    assert made.state == "error" and made.tries == len(telling.PAUSES) + 1
    intake.receive(service, deposit(range(1, 2), name="d2"))
    telling.deliver()
    consumer.script = []
    assert [event.delivery.number for event in telling.caught_up(made, 1)] == [1, 2], "nothing is lost meanwhile"
    subscribing.resume(made)
    run(clock, 3)
    assert consumer.seen == [1, 2]


@pytest.mark.parametrize("fault", [500, 429, "cut", (429, {"retry-after": "7200"}), 302])
def test_each_fault_is_tried_again(consumer, service, clock, fault):
    subscribed(consumer)
    consumer.script = [fault]
    intake.receive(service, deposit(range(2)))
    telling.deliver()
    clock.ahead += dt.timedelta(seconds=60)
    telling.deliver()
    if isinstance(fault, tuple):
        assert consumer.seen == [], "Retry-After is honoured"
        clock.ahead += dt.timedelta(hours=3)
        telling.deliver()
    assert consumer.seen[-2:] == [1, 2]
    if fault == "cut":
        first, second = (call["headers"]["webhook-id"] for call in consumer.calls[1:3])
        assert first == second and consumer.seen == [1, 2, 1, 2], "at least once, told apart by the same identifier"


def test_410_means_never_again(consumer, service, clock):
    made = subscribed(consumer)
    consumer.script = [410]
    intake.receive(service, deposit(range(1)))
    telling.deliver()
    made.refresh_from_db()
    assert made.state == "off"
    run(clock, 30)
    assert len(consumer.calls) == 2


def test_the_right_is_asked_again_when_the_event_leaves(consumer, service):
    drees = institution("DREES")
    subscribed(consumer, purpose="STATISTIQUE", party=drees)
    intake.receive(service, deposit(range(3)))
    events.spread()
    person = Person.objects.order_by("pk").first()
    say(person, "opposition", service)
    telling.deliver()
    body = consumer.calls[1]["body"]
    assert numbers(body) == [1, 2, 3], "the series has no hole"
    assert len(focuses(body)) == 2, "what is no longer permitted is not told"
    assert Delivery.objects.exclude(withheld="").count() == 1
    assert not Entry.objects.filter(action="echange.notification", subject=f"usager:{person.pk}").exists()


def test_a_reader_of_pseudonyms_is_told_its_own_addresses(consumer, service):
    drees = institution("DREES")
    subscribed(consumer, purpose="STATISTIQUE", party=drees)
    intake.receive(service, deposit(range(2)))
    telling.deliver()
    told = [address.rsplit("/", 1)[1] for address in focuses(consumer.calls[1]["body"])]
    assert not Resource.objects.filter(uid__in=told).exists(), "two consumers could join theirs by the hub's own identifiers"
    seen = reading.one(drees, 2, Purpose.STATISTICS, Grain.PSEUDONYM, "Encounter", told[0])
    assert seen.resources[0]["id"] == told[0]
    patient = seen.resources[0]["subject"]["reference"].removeprefix("Patient/")
    assert len(reading.search(drees, 2, Purpose.STATISTICS, Grain.PSEUDONYM, "Encounter", patient=patient).resources) == 4, (
        "the stay and its three events"
    )
    raw = Resource.objects.filter(type="Encounter").first().uid
    assert not reading.one(drees, 2, Purpose.STATISTICS, Grain.PSEUDONYM, "Encounter", raw).resources
    other = institution("CNSA_SIDOBA")
    assert not reading.one(other, 2, Purpose.STEERING, Grain.PSEUDONYM, "Encounter", told[0]).resources, "another's address opens nothing"


def test_filters_and_refused_deposits(consumer, service, monkeypatch):
    other = establishment(OTHER)
    subscribed(consumer, departement=["69"])
    own = Consumer()
    try:
        mine, own.secret = subscribing.subscribe(party=service, topic="depot-refuse", purpose="ACCOMPAGNEMENT", endpoint=own.url, filters={}, level=2)
        intake.receive(service, deposit(range(1)))
        intake.receive(other, deposit(range(1, 2), number=OTHER))
        intake.receive(other, b"{}")
        intake.receive(service, b"{}")
        if connection.vendor == "sqlite":  # the tests' one is in memory, where nobody waits for a table: one sender at a time
            monkeypatch.setattr(telling, "SENDERS", 1)
        for _ in range(30):
            telling.deliver()
            if consumer.seen and own.seen:
                break
        assert set(consumer.seen) == {1}, "at least once"
        assert set(own.seen) == {1}, "one's own refusals alone"
        assert mine.party == service
    finally:
        own.close()


def test_batches_keep_within_fifty_events_and_twenty_kilobytes(consumer, service):
    subscribed(consumer, topic="prestation-realisee", party=service, purpose="ACCOMPAGNEMENT")
    for rank in range(6):
        intake.receive(service, deposit(range(rank, rank + 1), name=f"d{rank}", events=20))
    for _ in range(8):
        telling.deliver()
    assert consumer.seen == list(range(1, 121))
    assert max(len(numbers(call["body"])) for call in consumer.calls) <= 50


def test_a_notification_played_again_is_refused_by_any_standard_library(consumer, service, monkeypatch):
    """Once it is old, or altered, or under another's secret, its signature no longer holds; sent again by us, it bears the same identifier."""
    subscribed(consumer)
    intake.receive(service, deposit(range(1)))
    consumer.script = ["cut"]
    for _ in range(2):
        telling.deliver()
        Subscription.objects.update(next_at=timezone.now())
    first, *rest = [call for call in consumer.calls if numbers(call["body"])]
    assert rest and {call["headers"]["webhook-id"] for call in rest} == {first["headers"]["webhook-id"]}, (
        "what was cut comes again under its identifier"
    )
    held = Webhook(consumer.secret)
    assert held.verify(first["raw"], first["headers"])
    for raw, headers, secret in (
        (first["raw"].replace(b"event-notification", b"event-notificatiom"), first["headers"], consumer.secret),
        (first["raw"], first["headers"] | {"webhook-id": "msg_autre"}, consumer.secret),
        (first["raw"], first["headers"], "whsec_" + base64.b64encode(b"x" * 24).decode()),
        (first["raw"], first["headers"] | {"webhook-timestamp": str(int(first["headers"]["webhook-timestamp"]) - 600)}, consumer.secret),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(raw, headers)


def test_secrets_rotate_with_both_signatures(consumer, service):
    made = subscribed(consumer)
    old = consumer.secret
    new = subscribing.rotate(made)
    made.refresh_from_db()
    intake.receive(service, deposit(range(1)))
    telling.deliver()
    assert consumer.seen == [1] and old != new, "the consumer that still has the old secret verifies"
    consumer.secret = new
    intake.receive(service, deposit(range(1, 2), name="d2"))
    telling.deliver()
    assert consumer.seen == [1, 2]
    assert new not in Subscription.objects.get().secrets


@pytest.mark.parametrize("address", [
    "http://exemple.fr/rappel", "https://127.0.0.1/x", "https://localhost/x", "https://[::1]/x", "https://169.254.169.254/latest", "https://10.1.2.3/", "file:///etc/passwd",
    "https://[::ffff:10.0.0.1]/", "ftp://exemple.fr/",
])  # fmt: skip
def test_private_addresses_are_refused(address, monkeypatch):
    monkeypatch.delenv("BELVEDERE_WEBHOOK_PRIVATE", raising=False)
    with pytest.raises(subscribing.SubscriptionRefused):
        subscribing.subscribe(party=institution("ARS"), topic="sejour-ouvert", purpose="PILOTAGE", endpoint=address, filters={}, level=2)


def test_an_idle_subscription_gets_a_heartbeat_a_day(consumer, clock):
    subscribed(consumer)
    run(clock, 50, 1)
    assert [kind(call["body"]) for call in consumer.calls] == ["handshake", "heartbeat", "heartbeat"]


def test_two_workers_number_each_event_once(consumer, service):
    subscribed(consumer)
    intake.receive(service, deposit(range(4)))
    assert events.spread() == Event.objects.count() and events.spread() == 0
    rows = Delivery.objects.values_list("number", flat=True)
    assert sorted(rows) == [1, 2, 3, 4]
    first = telling.due(timezone.now())
    assert len(first) == 1 and telling.due(timezone.now()) == [], "a subscription is leased to one worker"


def test_what_is_of_one_party_is_told_to_it_alone(consumer, service):
    other = establishment(OTHER)
    mine = subscribed(consumer, topic="export-pret", purpose="PORTABILITE", party=service)
    intake.receive(other, deposit(range(1), number=OTHER))
    intake.receive(service, deposit(range(1)))
    for party in (other, service):
        portability.ask(party=party, kind="massif", persons=[], by="test")
    portability.run_due()
    events.spread()
    assert mine.deliveries.count() == 1 and mine.deliveries.get().event.establishment == service


def test_the_lease_is_kept_by_whoever_holds_it(consumer, service):
    """A sender that comes back after its lease ended writes nothing over the one that took the subscription up."""
    subscribed(consumer)
    intake.receive(service, deposit(range(2)))
    events.spread()
    late = telling.due(timezone.now())[0]
    Subscription.objects.update(leased_until=timezone.now() + dt.timedelta(hours=1))
    assert telling._send(late) == 0
    assert Delivery.objects.filter(told_at=None).count() == 2
    assert Subscription.objects.get().leased_until > timezone.now() + dt.timedelta(minutes=50)


def test_a_sender_that_breaks_leaves_its_subscription_to_the_next_turn(consumer, service, monkeypatch):
    """A database that refuses one write costs a turn, not a whole lease."""
    made = subscribed(consumer)
    intake.receive(service, deposit(range(1)))
    plain, calls = telling._send, []

    def broken(subscription):
        calls.append(subscription.pk)
        if len(calls) == 1:
            raise OperationalError("database table is locked")
        return plain(subscription)

    monkeypatch.setattr(telling, "_send", broken)
    telling.deliver()
    assert consumer.seen == []
    telling.deliver()
    assert consumer.seen == [1] and calls == [made.pk] * 2


def test_a_consumer_is_a_witness_of_the_journal(consumer, service, data_folder):
    made = subscribed(consumer)
    intake.receive(service, deposit(range(1)))
    sealing.seal()
    telling.deliver()
    parts = dict(part.split("=", 1) for part in consumer.calls[-1]["headers"]["journal-head"].split("; "))
    kept = SignedHead(log_id(sealing.public_key()), int(parts["size"]), parts["root"], parts["last"], parts["at"], parts["signature"])
    assert kept.verified(sealing.public_key())
    note(by="test", action="essai", subject=made.uid)
    later = sealing.seal()
    assert sealing.consistency(kept.size, later.size) is not None
    assert not replace(kept, root="0" * 64).verified(sealing.public_key())
