"""Two human beings are never made one, and what names somebody goes with it, wherever a deposit put it."""

import datetime as dt
import importlib
import json
import logging

import pytest
from django.apps import apps
from django.test import Client

from belvedere.engine.exchange import sample, seda
from belvedere.engine.exchange.sample import resident
from belvedere.engine.exchange.vocabulary import Grain, Purpose
from belvedere.observatory import stamping
from belvedere.observatory.exchange import archives, erasing, events, intake, monthly, naming, reading, replies, subscribing
from belvedere.observatory.exchange.models import Deposit, DepositPerson, Person, Resource, RetentionRule, Transfer
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.logs import WithoutLinks
from tests.exchange import OTHER, SSIAD, START, bearer, deposit, establishment, institution, rules_of, say

pytestmark = pytest.mark.django_db
INS = "urn:oid:1.2.250.1.213.1.4.8"
STATISTICS = {"HTTP_X_FINALITE": "STATISTIQUE", "HTTP_X_GRAIN": "PSEUDONYME"}


def of(rank: int) -> Person | None:
    token = naming.person_token("ins:" + resident(rank).ins)
    return naming.found([token]).get(token)


def a_patient(name: str, *identifiers: dict, rank: int | None = None) -> dict:
    held = [{"system": INS, "value": resident(rank).ins}] if rank is not None else []
    profile = "tddui-patient-ins" if held else "tddui-patient"
    return {
        "resourceType": "Patient", "id": name, "meta": {"profile": [sample.PROFILE_ROOT + profile]}, "identifier": [*held, *identifiers],
        "name": [{"use": "official", "family": "DURAND"}], "birthDate": "1940-01-01", "gender": "female",
    }  # fmt: skip


def number(value: str) -> dict:
    return {"system": "urn:maison", "value": value}


def sent(party, name: str, *resources: dict):
    return intake.receive(party, json.dumps(sample.transaction(party.finess, "Service", name, list(resources))).encode())


@pytest.fixture
def closed(service):
    """Two persons whose stays are over, due to the archives."""
    stamping.create_keys()
    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    RetentionRule.objects.create(department="75", months=0, fate="conserver", since=dt.date(2020, 1, 1))
    intake.receive(service, deposit(range(2), name="clos", end=dt.date(2026, 9, 20)))
    return of(0), of(1)


@pytest.mark.parametrize("lots", [
    [[a_patient("a", number("12"), rank=0), a_patient("b", number("12"), rank=1)]],
    [[a_patient("a", number("1"), rank=0)], [a_patient("b", number("2"), rank=1)], [a_patient("c", number("1"), number("2"))]],
    [[a_patient("a", number("1"), rank=0), a_patient("b", number("2"), rank=1), a_patient("c", number("1"), number("2"))]],
    [[a_patient("a", number("1"), number("2"))], [a_patient("b", number("1"), rank=0), a_patient("c", number("2"), rank=1)]],
    [[a_patient("a", number("1"), number("2")), a_patient("b", number("2"), number("3"))], [a_patient("c", number("1"), rank=0)], [a_patient("d", number("3"), rank=1)]],
])  # fmt: skip
def test_no_deposit_makes_one_of_two_persons_whose_ins_are_known(service, lots):
    """Whatever chain of the establishment's own numbers leads from one to the other; the last of the lots is the one that is refused."""
    intake.receive(service, deposit(range(2)))
    one, two = of(0), of(1)
    other = establishment(OTHER)
    for rank, lot in enumerate(lots[:-1]):
        assert sent(other, f"lot-{rank}", *lot).status == 200
    answer = sent(other, "dernier", *lots[-1])
    assert answer.status == 422 and rules_of(answer) == {"tddui-patient-05"}
    assert of(0) == one and of(1) == two and one != two


def test_a_person_said_twice_in_one_deposit_is_one_person(service):
    """Once by its own number, once with its INS: the stay that follows the first is of the person that the INS names."""
    own = {"system": naming.OWN_SYSTEMS[0], "value": f"3{SSIAD}/77"}
    stay = next(row for row in sample.stay_of(resident(0), SSIAD, seed=0, start=START) if row["resourceType"] == "Encounter")
    stay["subject"] = {"reference": "Patient/u1"}
    assert sent(service, "deux-fois", a_patient("u1", own), a_patient("u2", own, rank=0), stay).status == 200
    row = Resource.objects.get(type="Encounter")
    assert row.person == of(0) and naming.accompanied(service, f"3{SSIAD}/77") == of(0)
    erasing.erase(person=of(0), party=service, by="test", why="demande")
    row.refresh_from_db()
    assert row.erased


def test_a_resource_is_always_somebody_s(service):
    """An establishment of an earlier deposit, given as the subject, is nobody: no opposition would reach what is said of it."""
    intake.receive(service, deposit(range(1), name="un"))
    place = Resource.objects.get(type="Organization")
    grid = next(entry["resource"] for entry in json.loads(deposit(range(1)))["entry"] if entry["resource"]["resourceType"] == "QuestionnaireResponse")
    grid = {name: value for name, value in grid.items() if name not in ("encounter", "identifier")} | {"id": "q"}
    answer = sent(service, "deux", grid | {"subject": {"reference": f"Organization/{place.uid}"}})
    assert answer.status == 422 and rules_of(answer) == {"tddui-reference-04"}
    inside = json.loads(deposit(range(1), name="trois"))
    inside["entry"][0]["resource"]["contained"] = [a_patient("p", rank=0)]
    answer = intake.receive(service, json.dumps(inside).encode())
    assert answer.status == 422 and "tddui-reference-04" in rules_of(answer)


def test_an_erasure_takes_the_packages_of_every_transfer(service, closed):
    first, second = closed
    refused = archives.prepare(party=service, person=first, by="test")
    units = dict.fromkeys(seda.read(archives.package(refused, by="ad")).pieces, "OK") | {"rendu.pdf": "KO"}
    replies.answer(Transfer.objects.get(pk=refused.pk), units, by="ad")
    again = archives.prepare(party=service, person=first, by="test")
    replies.answer(Transfer.objects.get(pk=again.pk), dict.fromkeys(seda.read(archives.package(again, by="ad")).pieces, "OK"), by="ad")
    archives.purge(again, by="test")
    waiting = archives.prepare(party=service, person=second, by="test")
    erasing.erase(person=second, party=service, by="test", why="demande")
    for made in (refused, again, waiting):
        asked = Client().get(f"/api/v1/exchange/transfers/{made.reference}/package", **bearer(made.archives))
        assert asked.status_code == 404 and not bytes(Transfer.objects.get(pk=made.pk).package)
    assert not bytes(Transfer.objects.get(pk=refused.pk).message), "what archives wrote of it, but for the reply that proves the purge"
    assert bytes(Transfer.objects.get(pk=again.pk).message) and Transfer.objects.get(pk=waiting.pk).state == "refused"


def test_what_comes_after_a_transfer_is_due_again(service, closed):
    first, _ = closed
    made = archives.prepare(party=service, person=first, by="test")
    assert first not in archives.due(service, dt.date(2026, 12, 1)), "one transfer at a time"
    replies.answer(Transfer.objects.get(pk=made.pk), dict.fromkeys(seda.read(archives.package(made, by="ad")).pieces, "OK"), by="ad")
    assert first not in archives.due(service, dt.date(2026, 12, 1))
    intake.receive(service, deposit(range(1), name="rectifie", end=dt.date(2026, 9, 21)))
    assert first in archives.due(service, dt.date(2026, 12, 1))
    again = archives.prepare(party=service, person=first, by="test")
    replies.answer(Transfer.objects.get(pk=again.pk), dict.fromkeys(seda.read(archives.package(again, by="ad")).pieces, "OK"), by="ad")
    assert archives.purge(again, by="test") and not Resource.objects.filter(person=first, erased=False).exists()


def test_what_a_reader_types_reaches_neither_journal_nor_log(caplog):
    who, reader = resident(0), bearer(institution("DREES")) | STATISTICS
    caplog.handler.addFilter(WithoutLinks())
    with caplog.at_level(logging.WARNING):
        Client().get(f"/fhir/Patient/{who.ins}", **reader)
        Client().get("/fhir/Provenance", {"target": f"Patient/{who.family} {who.given}"}, **reader)
    subjects = list(Entry.objects.filter(action="echange.lecture.refusee").values_list("subject", flat=True))
    assert len(subjects) == 2 and all(subject.startswith("Patient/") for subject in subjects)
    assert not any(word in told for told in (*subjects, caplog.text) for word in (who.ins, who.family))


def test_who_may_read_nothing_of_a_place_is_not_told_that_something_happens_there(service, monkeypatch):
    monkeypatch.setenv("BELVEDERE_WEBHOOK_PRIVATE", "1")
    common = {"endpoint": "http://127.0.0.1:9/x", "filters": {"etablissement": [service.finess]}, "level": 2}
    rival, near, far = establishment(OTHER), institution("ARS", region="R11"), institution("ARS", region="R84")
    topics = ("sejour-ouvert", "consentement-modifie")
    closed = [
        subscribing.subscribe(party=who, topic=topic, purpose=aim, **common)[0]
        for who, aim in ((rival, "ACCOMPAGNEMENT"), (far, "PILOTAGE"))
        for topic in topics
    ]
    opened, _ = subscribing.subscribe(party=near, topic="sejour-ouvert", purpose="PILOTAGE", **common)
    intake.receive(service, deposit(range(3), agreed={1: False}))
    events.spread()
    for one in (*closed, opened):
        one.refresh_from_db()
    assert [one.last_number for one in closed] == [0, 0, 0, 0] and opened.last_number == 3


def test_a_deposit_s_own_columns_name_nobody_once_erased(service, monkeypatch):
    monkeypatch.setenv("BELVEDERE_AGGIR", "1")
    content = json.loads(deposit(range(1), name="DURAND-Marie-1931"))
    for entry in content["entry"]:
        if "aggir" in entry["resource"].get("questionnaire", ""):
            coded = entry["resource"]["item"][0]["answer"][0]["valueCoding"]
            coded["code"] = "MED-344" if coded["code"] != "MED-344" else "MED-339"
    raw = json.dumps(content).encode()
    assert intake.receive(service, raw).status == 200
    made = Deposit.objects.get()
    assert "GIR" in json.dumps(made.remarks) and made.identifier == "DURAND-Marie-1931"
    erasing.erase(person=of(0), party=service, by="test", why="demande")
    made.refresh_from_db()
    assert "GIR" not in json.dumps(made.remarks) and "DURAND" not in made.identifier
    assert intake.receive(service, raw).headers.get("X-Deja-Recu") == "1", "sent once more, it brings nobody back"
    assert intake.receive(service, raw + b" ").status == 409


@pytest.mark.parametrize("place, change", [
    ("a key", lambda resource, text: resource | {text: "x"}), ("a type", lambda resource, text: resource | {"resourceType": text}),
])  # fmt: skip
def test_a_refused_deposit_repeats_nothing_that_was_typed(service, place, change):
    text = f"DURAND {resident(0).ins}"
    content = json.loads(deposit(range(1)))
    content["entry"][2]["resource"] = change(content["entry"][2]["resource"], text)
    content["entry"][2]["request"]["url"] = content["entry"][2]["resource"]["resourceType"]
    assert intake.receive(service, json.dumps(content).encode()).status == 422
    assert "DURAND" not in json.dumps(Deposit.objects.get().remarks) and resident(0).ins not in json.dumps(Deposit.objects.get().remarks)
    twice = deposit(range(1)).replace(b'"id": "usager-0"', b'"DURAND": 1, "DURAND": 2, "id": "usager-0"', 1)
    assert intake.receive(service, twice).status == 400
    assert not Deposit.objects.filter(remarks__icontains="DURAND").exists()


def test_an_erased_person_is_accompanied_by_nobody(service):
    intake.receive(service, deposit(range(1)))
    uid = Resource.objects.get(type="Patient").uid
    assert naming.accompanied(service, resident(0).ins) == of(0)
    erasing.erase(person=of(0), party=service, by="test", why="demande")
    assert naming.accompanied(service, resident(0).ins) is None
    said = {
        "resourceType": "Consent", "status": "active", "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}], "patient": {"reference": f"Patient/{uid}"}, "dateTime": "2026-09-01",
        "performer": [{"reference": f"Patient/{uid}"}], "policyRule": {"coding": [{"code": "OPTOUT"}]},
    }  # fmt: skip
    asked = Client().post("/fhir/Consent", json.dumps(said), content_type="application/fhir+json", **bearer(service))
    assert asked.status_code == 422


def test_the_oldest_deposits_stay_out_of_packages_and_go_with_any_of_their_house(service):
    """Whom they spoke of without changing anything, the migration cannot know."""
    intake.receive(service, deposit(range(1), name="un"))
    intake.receive(service, deposit(range(2), name="deux"))
    DepositPerson.objects.all().delete()
    importlib.import_module("belvedere.observatory.exchange.migrations.0019_told_by_earlier_deposits").told(apps, None)
    assert not Deposit.objects.filter(all_known=True).exists() and DepositPerson.objects.count() == 2
    erasing.erase(person=of(0), party=service, by="test", why="demande")
    assert not any(intake.original(made) for made in Deposit.objects.all())


def test_the_monthly_door_repeats_no_cell():
    cells = [resident(0).ins, "F", "1940-01-01", "2026-09-01", "JEANNE", "DURAND", "", "2", "", "-", "0"]
    with pytest.raises(monthly.FileRefused) as refused:
        monthly.to_bundle("\n".join([";".join(monthly.COLUMNS), ";".join(cells)]).encode(), SSIAD)
    assert "DURAND" not in str(refused.value) and "Ligne 2" in str(refused.value)


def test_a_person_s_opposition_is_its_own_again(service):
    """What the household's number would have carried over: the other's reading stays open."""
    intake.receive(service, deposit(range(2)))
    say(of(0), "opposition", service)
    assert sent(establishment(OTHER), "foyer", a_patient("a", number("12"), rank=0), a_patient("b", number("12"), rank=1)).status == 422
    seen = reading.search(institution("DREES"), 2, Purpose.STATISTICS, Grain.PSEUDONYM, "QuestionnaireResponse")
    assert {row.person for row in Resource.objects.filter(pk__in=seen.rows)} <= {of(1)} and seen.rows
