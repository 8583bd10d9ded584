"""Persons of the hub: recognised from one deposit to the next, agreeing for one establishment alone, and the same answer whatever is known of them."""

import datetime as dt
import json
import threading

import pytest
from django.db import close_old_connections, connection
from django.utils import timezone

from belvedere.engine.exchange.sample import EVALUATION, resident
from belvedere.engine.exchange.vocabulary import Grain, Purpose
from belvedere.observatory.exchange import intake, naming, policy, reading
from belvedere.observatory.exchange.models import Alias, Deposit, Person, Resource, Stated
from belvedere.observatory.journal.models import Entry
from tests.exchange import OTHER, SSIAD, deposit, establishment, institution, rules_of, say

pytestmark = pytest.mark.django_db


def changed(raw: bytes, kind: str, *, name: str = "", **values) -> bytes:
    """A deposit whose resources of one type have other values, under another identifier."""
    content = json.loads(raw)
    for entry in content["entry"]:
        if entry["resource"]["resourceType"] == kind:
            entry["resource"].update(values)
    if name:
        content["identifier"]["value"] = name
    return json.dumps(content).encode()


def take(party, raw):
    answer = intake.receive(party, raw)
    assert answer.status == 200, answer.body
    return answer


OWN = {"system": naming.OWN_SYSTEMS[0], "value": f"3{SSIAD}/u-1"}


def without_ins(name: str) -> bytes:
    """A deposit made before the person's INS is known."""
    raw = changed(deposit(range(1), name=name, agreed={0: False}), "Patient", identifier=[OWN])
    return raw.replace(b"tddui-patient-ins", b"tddui-patient")


def test_a_person_known_by_its_own_number_keeps_its_opposition_when_its_ins_comes(service):
    drees = institution("DREES")
    take(service, without_ins("avant"))
    first = Person.objects.get()
    assert not first.qualified
    ins = {"system": "urn:oid:1.2.250.1.213.1.4.8", "value": resident(0).ins}
    take(service, changed(deposit(range(1), name="apres"), "Patient", identifier=[ins, OWN]))
    assert Person.objects.get().qualified and Alias.objects.count() == 1
    assert Resource.objects.filter(type="Patient", current=True).count() == 1, "one patient, in two versions"
    assert not reading.search(drees, 2, Purpose.STATISTICS, Grain.PSEUDONYM, "Patient").resources, "the opposition said before still holds"
    say(first, "retrait", service)
    assert len(reading.search(drees, 2, Purpose.STATISTICS, Grain.PSEUDONYM, "Patient").resources) == 1


def test_two_who_are_one_are_made_one(service):
    """The other establishment knew the INS, this one its own number: the two persons become one when both are told together."""
    other = establishment(OTHER)
    take(other, deposit(range(1), number=OTHER))
    take(service, without_ins("avant"))
    assert Person.objects.count() == 2
    ins = {"system": "urn:oid:1.2.250.1.213.1.4.8", "value": resident(0).ins}
    take(service, changed(deposit(range(1), name="apres"), "Patient", identifier=[ins, OWN]))
    held = set(Resource.objects.filter(type="Patient", current=True).values_list("person_id", flat=True))
    assert len(held) == 1 and Entry.objects.filter(action="echange.usager.reconnu").count() == 1
    assert Stated.objects.get().person_id in held, "what it said follows"
    assert policy.consent_of(held.pop(), other.code, timezone.now())("STATISTIQUE", "ADM", ()).opposed, "an opposition holds wherever it was said"


def test_a_number_that_is_somebody_else_s_is_refused(service):
    one, two = ([{"system": "urn:oid:1.2.250.1.213.1.4.8", "value": resident(rank).ins}, OWN] for rank in range(2))
    take(service, changed(deposit(range(1)), "Patient", identifier=one))
    answer = intake.receive(service, changed(deposit(range(1), name="d2"), "Patient", identifier=two))
    assert answer.status == 422 and rules_of(answer) == {"tddui-patient-05"}
    assert Person.objects.count() == 1


def test_a_resource_s_number_that_is_another_person_s_is_refused(service):
    said = {"identifier": {"system": EVALUATION, "value": "E-1"}}
    content = json.loads(deposit(range(1)))
    content["entry"] = [row for row in content["entry"] if "situation" not in row["resource"].get("questionnaire", "")]
    take(service, changed(json.dumps(content).encode(), "QuestionnaireResponse", **said))
    other = json.loads(deposit(range(1, 2), name="d2"))
    other["entry"] = [row for row in other["entry"] if "situation" not in row["resource"].get("questionnaire", "")]
    answer = intake.receive(service, changed(json.dumps(other).encode(), "QuestionnaireResponse", **said))
    assert answer.status == 422 and rules_of(answer) == {"tddui-resource-03"}
    assert Resource.objects.filter(profile="tddui-questionnaire-response", current=True).count() == 1


def test_nobody_grants_itself_the_data_of_another(service):
    """An establishment that deposits an agreement naming itself, about a person of another's, opens nothing of the other's."""
    other = establishment(OTHER)
    other.actor = "ESMS_DESTINATAIRE"
    other.save()
    take(service, deposit(range(1)))
    raw = deposit(range(1), number=OTHER, agreed={0: True})
    provision = {"actor": [{"role": {"text": "destinataire"}, "reference": {"display": other.code}}]}
    take(other, changed(raw, "Consent", provision=provision))
    seen = reading.search(other, 2, Purpose.CARE, Grain.NAMED, "Patient").resources
    assert Resource.objects.get(type="Patient", establishment=service).uid not in {row["id"] for row in seen}


def test_an_opposition_of_the_same_day_closes(service):
    drees, today = institution("DREES"), timezone.localdate()
    take(service, deposit(range(1)))
    person = Person.objects.get()
    for kind in ("OPTOUT", "OPTIN"):
        raw = deposit(range(1), name=f"dit-{kind}", agreed={0: kind == "OPTIN"})
        take(service, changed(raw, "Consent", id=f"accord-{kind}", dateTime=today.isoformat()))
    assert person.statements.count() == 2
    assert not reading.search(drees, 2, Purpose.STATISTICS, Grain.PSEUDONYM, "Patient").resources


def test_a_withdrawal_takes_back_what_was_said_there_alone(service):
    other, drees = establishment(OTHER), institution("DREES")
    take(service, deposit(range(1)))
    take(other, deposit(range(1), number=OTHER))
    person = Person.objects.get()
    say(person, "opposition", service)
    say(person, "retrait", other)
    assert not reading.search(drees, 2, Purpose.STATISTICS, Grain.PSEUDONYM, "Patient").resources, "the other one cannot lift it"
    say(person, "retrait", service)
    assert len(reading.search(drees, 2, Purpose.STATISTICS, Grain.PSEUDONYM, "Patient").resources) == 2


def test_unknown_and_forbidden_are_the_same_to_the_word(service):
    """Body, status and journal: whoever asks for somebody's data cannot tell whether that somebody is known."""
    take(service, deposit(range(1)))
    sidoba, unknown = institution("CNSA_SIDOBA"), "00000000-0000-0000-0000-000000000000"
    for kind in ("Patient", "Encounter", "QuestionnaireResponse", "Task"):
        for level in (1, 2):
            for uid in (Resource.objects.filter(type=kind).first().uid, unknown):
                reading.one(sidoba, level, Purpose.STATISTICS, Grain.NAMED, kind, uid)
            theirs, nobody_s = Entry.objects.order_by("-pk")[:2][::-1]
            assert theirs.action == nobody_s.action == "echange.lecture.refusee"
            assert theirs.detail == nobody_s.detail and theirs.subject.partition("/")[0] == nobody_s.subject.partition("/")[0]


def test_pages_follow_a_sealed_cursor(service):
    take(service, deposit(range(5)))
    sidoba = institution("CNSA_SIDOBA")
    after, seen = "", []
    while True:
        page = reading.search(sidoba, 2, Purpose.FUNDING, Grain.NAMED, "Patient", after=after, count=2)
        seen += [row["id"] for row in page.resources]
        if not page.more:
            break
        assert not page.more.isdecimal() and len(page.more) == 48
        after = page.more
    assert len(seen) == len(set(seen)) == 5
    first = reading.search(sidoba, 2, Purpose.FUNDING, Grain.NAMED, "Patient", after="12", count=2)
    assert [row["id"] for row in first.resources] == seen[:2], "a number that was made up begins again"


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="la base SQLite des tests est en mémoire, un seul fil y écrit : le tour PostgreSQL de make test joue ce cas"
)
@pytest.mark.django_db(transaction=True)
def test_deposits_at_once_of_one_establishment_lose_nothing():
    """Four threads deposit the same persons under four names: one version is current, every deposit has its answer, the journal its chain."""
    service, answers = establishment(), []

    def send(rank: int) -> None:
        try:
            answers.append(intake.receive(service, deposit(range(2), name=f"d{rank}", end=dt.date(2026, 10, 1 + rank))))
        finally:
            close_old_connections()
            connection.close()

    threads = [threading.Thread(target=send, args=(rank,)) for rank in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200] * 4, [answer.body for answer in answers if answer.status != 200]
    stays = Resource.objects.filter(profile="tddui-encounter-sejour")
    assert stays.filter(current=True).count() == 2 and stays.count() == 8
    assert sorted(stays.values_list("version", flat=True)) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert Deposit.objects.count() == Entry.objects.filter(action="echange.depot").count() == 4
