"""Nothing of a deposit is lost without a word, no door goes round the matrix, and what breaks a contract is told whole."""

import datetime as dt
import json

import pytest
from django.test import Client
from django.utils import timezone

from belvedere.engine.evidence import archive
from belvedere.engine.exchange import contracts, seda
from belvedere.engine.exchange.matrix import proposed, write
from belvedere.engine.exchange.sample import resident
from belvedere.observatory import stamping
from belvedere.observatory.accounts.models import Role
from belvedere.observatory.exchange import archives, datasets, intake, policy
from belvedere.observatory.exchange.models import Deposit, Event, Resource, RetentionRule, Transfer
from belvedere.observatory.journal import sealing
from belvedere.observatory.journal.models import Entry
from tests.exchange import SSIAD, bearer, deposit, institution, rules_of
from tests.people import browsing, person

pytestmark = pytest.mark.django_db


def grids(content: dict) -> list[dict]:
    return [entry["resource"] for entry in content["entry"] if entry["resource"]["resourceType"] == "QuestionnaireResponse"]


def without(*rules: str) -> None:
    """A matrix in force without these rows."""
    rows = "\n".join(line for line in write(proposed()).splitlines() if line.split(",")[0] not in rules)
    policy.decide(proposal=policy.propose(rows=rows, reason="essai", by="personne:1"), approve=True, by="personne:2")


def test_two_evaluations_under_one_number_are_both_kept(service):
    """As the guide's own examples have them: the grid tells them apart, whatever version its address gives."""
    content = json.loads(deposit(range(1)))
    first, second = grids(content)[:2]
    assert first["questionnaire"] != second["questionnaire"]
    second["identifier"] = first["identifier"]
    first["questionnaire"] += "|2.0.0"
    answer = intake.receive(service, json.dumps(content).encode())
    assert answer.status == 200, answer.body
    held = Resource.objects.filter(type="QuestionnaireResponse", current=True)
    assert held.count() == len(grids(content)) and not any("|" in row.facts["questionnaire"] for row in held)


def test_two_things_under_one_identifier_are_refused(service):
    content = json.loads(deposit(range(1)))
    grid = next(entry for entry in content["entry"] if entry["resource"]["resourceType"] == "QuestionnaireResponse")
    twin = json.loads(json.dumps(grid))
    twin["resource"]["id"], twin["fullUrl"] = "autre", "QuestionnaireResponse/autre"
    content["entry"].append(twin)
    assert intake.receive(service, json.dumps(content).encode()).status == 200, "said twice, it is one thing"
    content["identifier"]["value"], twin["resource"]["authored"] = "autre-depot", "2026-09-17"
    answer = intake.receive(service, json.dumps(content).encode())
    assert answer.status == 422 and rules_of(answer) == {"tddui-resource-05"}


@pytest.mark.parametrize("filled", [910, 890, 500, 0])
def test_the_worse_the_drop_the_more_it_breaks(filled):
    contract = contracts.contracts()["ssiad-sidoba"]
    row = dict.fromkeys((item.name for item in contract.items), "1") | {"finess": SSIAD}
    rows = [row] * filled + [row | {"gir": ""}] * (1000 - filled)
    assert [found.level for found in contracts.completeness(contract, rows, {"gir": [960, 1000]})] == ["broken"]


def test_a_file_that_lost_its_rows_is_worse(service):
    contract = contracts.contracts()["resid-esms"]
    whole = [dict.fromkeys((item.name for item in contract.items), "x") | {contract.key[0]: str(rank)} for rank in range(100)]
    lost = contracts.compare(contract, whole[:1], whole)
    assert {told["status"] for told in lost.values()} == {"moins bien"}
    assert {told["status"] for told in contracts.compare(contract, whole, whole[:1]).values()} == {"mieux"}
    assert {told["status"] for told in contracts.compare(contract, whole, whole).values()} == {"equivalent"}


def test_everybody_at_fault_is_named():
    contract = contracts.contracts()["ssiad-sidoba"]
    row = dict.fromkeys((item.name for item in contract.items), "1")
    rows = [row | {"finess": str(rank), "ins": ""} for rank in range(30)]
    found = next(one for one in contracts.completeness(contract, rows, {}) if "INS" in one.text)
    assert len(found.establishments) == 30


def test_no_door_goes_round_the_matrix(service, data_folder):
    sidoba, auditor, ad = institution("CNSA_SIDOBA"), institution("AUDITEUR"), institution("ARCHIVES_DEPARTEMENTALES", department="75")
    RetentionRule.objects.create(department="75", months=0, fate="conserver", since=dt.date(2020, 1, 1))
    intake.receive(service, deposit(range(1), name="clos", end=dt.date(2026, 9, 20)))
    intake.receive(service, deposit(range(1, 4), name="suite"))
    made = datasets.publish(code="ssiad-sidoba", period="2026-09", by="test")
    assert made.content
    transfer = archives.prepare(party=service, person=archives.due(service, timezone.localdate())[0], by="test")
    today = timezone.now()
    audit = f"/fhir/AuditEvent?date=ge{today - dt.timedelta(days=1):%Y-%m-%d}&date=le{today + dt.timedelta(days=1):%Y-%m-%d}"
    doors = [
        (audit, bearer(auditor) | {"HTTP_X_FINALITE": "AUDIT"}),
        (f"/api/v1/exchange/datasets/{made.code}/{made.period}/{made.version}", bearer(sidoba)),
        (f"/api/v1/exchange/transfers/{transfer.reference}/package", bearer(ad)),
    ]
    assert [Client().get(address, **headers).status_code for address, headers in doors] == [200, 200, 200]
    rows = [
        line.split(",")[0]
        for line in write(proposed()).splitlines()
        if any(name in line for name in ("CNSA_SIDOBA", "AUDITEUR", "ARCHIVES_DEPARTEMENTALES"))
    ]
    without(*rows)
    assert [Client().get(address, **headers).status_code for address, headers in doors] == [403, 422, 422]


def test_the_proof_of_an_archive_stands_by_itself(service, data_folder):
    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    RetentionRule.objects.create(department="75", months=0, fate="conserver", since=dt.date(2020, 1, 1))
    intake.receive(service, deposit(range(1), name="clos", end=dt.date(2026, 9, 20)))
    sealing.seal()
    made = archives.prepare(party=service, person=archives.due(service, timezone.localdate())[0], by="test")
    told = json.loads(seda.read(archives.package(made, by="ad")).pieces["preuve.json"])
    (entry,) = told["journal"]
    assert entry["entree"] == Deposit.objects.get().place
    assert archive.verify_proof(entry["preuve"]).whole
    entry["preuve"]["entry"]["subject"] = "depot:autre"
    assert not archive.verify_proof(entry["preuve"]).whole


def test_a_file_is_kept_by_the_rule_of_the_day_it_was_closed(service):
    stamping.create_keys()
    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    archives.set_rule(department="75", months=240, fate="conserver", since=dt.date(2020, 1, 1), by="test")
    archives.set_rule(department="75", months=0, fate="conserver", since=dt.date(2026, 10, 1), by="test")
    intake.receive(service, deposit(range(1), name="avant", end=dt.date(2026, 9, 20)))
    intake.receive(service, deposit(range(1, 2), name="apres", end=dt.date(2026, 10, 2)))
    (due,) = archives.due(service, timezone.localdate())
    assert Resource.objects.get(person=due, profile="tddui-encounter-sejour").facts["end"] == "2026-10-02"


def test_an_establishment_erases_what_it_deposited_of_somebody(service):
    intake.receive(service, deposit(range(2)))
    first = Resource.objects.filter(type="Patient").first().person
    headers = bearer(service) | {"content_type": "application/json"}
    asked = Client().post("/api/v1/exchange/erasures", json.dumps({"number": resident(0).ins, "why": "demande de la personne"}), **headers)
    assert asked.status_code == 200 and asked.json()["versions"] > 3
    assert Client().post("/api/v1/exchange/erasures", json.dumps({"number": resident(0).ins, "why": "encore"}), **headers).status_code == 404
    assert Resource.objects.filter(erased=False, type="Patient").count() == 1
    client = browsing(person(Role.ESTABLISHMENT, party=service))
    assert client.post("/echanges/effacement/", {"number": resident(1).ins, "why": "demande"}).status_code == 422, "it asks whether one is sure"
    page = client.post("/echanges/effacement/", {"number": resident(1).ins, "why": "demande", "sure": "on"})
    assert page.status_code == 200 and "effacée" in page.content.decode()
    assert not Resource.objects.filter(erased=False, type="Patient").exists() and Event.objects.filter(topic="donnee-effacee").exists()
    assert Entry.objects.filter(action="echange.efface").count() == 2 and first is not None
    assert not Transfer.objects.exists()


def test_what_cannot_even_be_read_is_told_to_the_journal(service):
    raw = b'<!DOCTYPE a [<!ENTITY b "c">]><ClinicalDocument>&b;</ClinicalDocument>'
    asked = Client().post("/api/v1/exchange/deposits", raw, content_type="application/xml", **bearer(service))
    assert asked.status_code == 422 and not Deposit.objects.exists()
    assert Entry.objects.get(action="echange.depot.refuse").detail["bytes"] == len(raw)
