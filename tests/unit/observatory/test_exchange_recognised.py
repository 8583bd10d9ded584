"""A person who is recognised later in another: what it said, what was told of it, what leaves and what is erased follow it."""

import datetime as dt
import json

import pytest
from django.utils import timezone

from belvedere.engine.exchange import seda
from belvedere.engine.exchange.sample import EVALUATION, resident
from belvedere.engine.exchange.vocabulary import Grain, Purpose
from belvedere.observatory import stamping
from belvedere.observatory.exchange import archives, events, intake, messages, naming, reading, replies, subscribing, traces
from belvedere.observatory.exchange.models import Alias, Delivery, Person, Resource, RetentionRule, Transfer
from belvedere.observatory.journal import sealing
from belvedere.observatory.journal.models import Entry
from tests.exchange import OTHER, deposit, establishment, institution, say
from tests.unit.observatory.test_exchange_people import OWN, changed, take

pytestmark = pytest.mark.django_db
INS = {"system": "urn:oid:1.2.250.1.213.1.4.8", "value": resident(0).ins}


@pytest.fixture
def known(service):
    """Somebody known elsewhere under its INS, here under our own number alone."""
    take(establishment(OTHER), deposit(range(1), number=OTHER))
    take(service, without_ins("avant"))
    return Resource.objects.get(establishment=service, type="Patient").person


def without_ins(name: str, **options) -> bytes:
    return changed(deposit(range(1), name=name, **options), "Patient", identifier=[OWN]).replace(b"tddui-patient-ins", b"tddui-patient")


def recognise(service) -> Person:
    take(service, changed(deposit(range(1), name="apres"), "Patient", identifier=[INS, OWN]))
    return Person.objects.get(token=naming.person_token("ins:" + resident(0).ins))


def test_an_opposition_holds_for_notifications_that_had_not_left(service, known, monkeypatch):
    monkeypatch.setenv("BELVEDERE_WEBHOOK_PRIVATE", "1")
    reader = institution("CNSA_SIDOBA")
    told, _ = subscribing.subscribe(party=reader, topic="sejour-ouvert", purpose="PILOTAGE", endpoint="http://127.0.0.1:9/x", filters={}, level=2)
    say(known, "opposition", service)
    while events.spread():
        pass

    def leaving():
        rows = Delivery.objects.filter(subscription=told, event__establishment=service).select_related("event__resource", "event__establishment")
        return messages.leaving(told, list(rows), timezone.now())

    assert leaving() and all(one.withheld for one in leaving())
    recognise(service)
    assert all(one.withheld for one in leaving())


def test_what_was_told_before_stays_on_its_page_and_is_explained(service, known):
    reader = institution("DREES")
    reading.search(reader, 2, Purpose.STATISTICS, Grain.PSEUDONYM, "Patient")
    entry = Entry.objects.get(action="echange.lecture", subject=f"usager:{known.pk}")
    before = reading.explained(entry)
    person = recognise(service)
    assert len(traces.received(person)) == 2 and naming.behind(known.pk) == person.pk and set(naming.numbers(person)) == {known.pk, person.pk}
    assert before and reading.explained(entry) == before


def test_a_purge_erases_the_person_as_it_is_known_now(service):
    stamping.create_keys()
    sealing.create_key()
    RetentionRule.objects.create(department="75", months=0, fate="conserver", since=dt.date(2020, 1, 1))
    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    take(establishment(OTHER), deposit(range(1), number=OTHER))
    take(service, without_ins("avant", end=dt.date(2026, 10, 1)))
    old = Resource.objects.get(establishment=service, type="Patient").person
    made = archives.prepare(party=service, person=old, by="test")
    raw = archives.package(made, by="test")
    made.refresh_from_db()
    replies.answer(made, dict.fromkeys(seda.read(raw).pieces, "OK"), by="test")
    held = Transfer.objects.select_related("person").get()
    naming._merge(old, Person.objects.get(token=naming.person_token("ins:" + resident(0).ins)), service)
    assert archives.purge(held, by="test") > 5
    assert not Resource.objects.filter(establishment=service, erased=False, type__in=("Patient", "Encounter")).exists()


def test_a_deposit_that_is_refused_makes_no_two_persons_one(service, known):
    said = {"identifier": {"system": EVALUATION, "value": "E-1"}}

    def one_grid(raw: bytes) -> bytes:
        content = json.loads(raw)
        content["entry"] = [row for row in content["entry"] if "situation" not in row["resource"].get("questionnaire", "")]
        return changed(json.dumps(content).encode(), "QuestionnaireResponse", **said)

    take(service, one_grid(deposit(range(3, 4), name="p3")))  # that number is somebody else's
    before = (
        Person.objects.count(),
        Alias.objects.count(),
        set(Resource.objects.values_list("pk", "person")),
        set(Person.objects.values_list("pk", "qualified")),
    )
    refused = intake.receive(service, one_grid(changed(deposit(range(1), name="apres"), "Patient", identifier=[INS, OWN])))
    assert refused.status == 422
    after = (
        Person.objects.count(),
        Alias.objects.count(),
        set(Resource.objects.values_list("pk", "person")),
        set(Person.objects.values_list("pk", "qualified")),
    )
    assert after == before
