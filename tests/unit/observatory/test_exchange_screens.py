"""The hub's screens and their acts, the monthly file, the command line, and what the documentation promises."""

import datetime as dt
import json
import re
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from belvedere.engine.exchange import cda, contracts, sample
from belvedere.engine.exchange.matrix import proposed, write
from belvedere.engine.exchange.sample import resident
from belvedere.observatory import stamping
from belvedere.observatory.accounts.models import Role
from belvedere.observatory.exchange import datasets, doors, intake, keys, monthly, naming, parties, portability, reading
from belvedere.observatory.exchange.models import (
    Deposit,
    Event,
    Export,
    MatrixVersion,
    Party,
    Proposal,
    Resource,
    RetentionRule,
    Subscription,
    Transfer,
)
from belvedere.observatory.journal import sealing
from tests.conftest import SHARED
from tests.exchange import OTHER, SSIAD, START, bearer, deposit, establishment, institution, rules_of
from tests.people import browsing, person

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def journal_key():
    sealing.create_key()


def text(answer) -> str:
    return answer.content.decode()


def test_an_establishment_tries_then_sends_a_file(tmp_path):
    service = establishment()
    client = browsing(person(Role.ESTABLISHMENT, party=service))
    assert "Aucun dépôt encore" in text(client.get("/echanges/depots/"))
    file = lambda raw, name="d.json": {"file": SimpleUploadedFile(name, raw)}  # noqa: E731
    assert "serait accepté" in text(client.post("/echanges/depots/envoyer/", file(deposit(range(2))) | {"try": "1"}))
    assert "tddui-json-01" in text(client.post("/echanges/depots/envoyer/", file(b"{") | {"try": "1"}))
    assert not Deposit.objects.exists()
    page = client.post("/echanges/depots/envoyer/", file(deposit(range(2))), follow=True)
    assert "Accepté" in text(page) and "Tête signée" in text(page)
    refused = client.post("/echanges/depots/envoyer/", file(b'{"resourceType": "Bundle"}'), follow=True)
    assert "tddui-bundle-01" in text(refused) and "Rien n’a été gardé" in text(refused)
    other = browsing(person(Role.ESTABLISHMENT, party=establishment(OTHER), email="autre@test.fr"))
    assert other.get(f"/echanges/depots/{Deposit.objects.first().reference}/").status_code == 404


def test_portability_and_transfers_on_screen():
    stamping.create_keys()
    service = establishment()
    client = browsing(person(Role.ESTABLISHMENT, party=service))
    intake.receive(service, deposit(range(1), end=dt.date(2026, 9, 20)))
    client.post("/echanges/portabilite/")
    portability.run_due()
    made = Export.objects.get()
    assert client.get(f"/echanges/portabilite/{made.reference}.zip")["Content-Type"] == "application/zip"
    RetentionRule.objects.create(department="75", months=0, fate="conserver", since=dt.date(2020, 1, 1))
    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    who = Resource.objects.filter(type="Patient").get().person
    assert "dès sa clôture" in text(client.get("/echanges/versements/"))
    linked = text(client.post("/echanges/liens/", {"number": resident(0).ins}))
    address = re.search(r"/echanges/mes-acces/[\w-]+/", linked)[0]
    client.post("/echanges/versements/", {"person": naming.shown(who, service)})
    assert Transfer.objects.get().state == "prepared"
    assert "ne passe pas" in text(client.post("/echanges/versements/", {"transfer": Transfer.objects.get().pk}, follow=True))
    told = text(browsing(None).get(address))
    assert "Export" in told and service.name in told and resident(0).family not in told
    assert browsing(None).get("/echanges/mes-acces/faux/").status_code == 404


def test_a_person_sees_who_read_what_about_it():
    service, cnsa = establishment(), institution("CNSA_SIDOBA")
    intake.receive(service, deposit(range(2), agreed={1: False}))
    reading.search(cnsa, 2, contracts.Purpose.FUNDING, contracts.Grain.NAMED, "QuestionnaireResponse")
    who = Resource.objects.filter(type="Consent").get().person
    page = text(browsing(None).get(f"/echanges/mes-acces/{keys.give_link(person=who, party=service)}/"))
    assert cnsa.name in page and "Financement" in page and "Évaluation" in page and "R021" in page and "opposition" in page


def test_an_institution_subscribes_and_takes_its_datasets(monkeypatch):
    monkeypatch.setenv("BELVEDERE_WEBHOOK_PRIVATE", "1")
    service, cnsa = establishment(), institution("CNSA_SIDOBA")
    client = browsing(person(Role.INSTITUTION, party=cnsa))
    keys.issue(party=cnsa, label="structure", by="test")
    asked = {"topic": "sejour-ouvert", "purpose": "FINANCEMENT", "endpoint": "http://127.0.0.1:9/", "departements": "75, 69"}
    assert "whsec_" in text(client.post("/echanges/reception/", asked))
    made = Subscription.objects.get()
    assert made.filters == {"departement": ["75", "69"]} and "whsec_" not in text(client.get("/echanges/reception/"))
    assert client.post("/echanges/reception/", asked | {"endpoint": "ftp://x/"}).status_code == 422
    page = f"/echanges/reception/{made.uid}/"
    assert "whsec_" in text(client.post(page, {"act": "rotate"}))
    client.post(page, {"act": "stop"})
    made.refresh_from_db()
    assert made.state == "off" and client.get("/echanges/reception/inconnu/").status_code == 404
    intake.receive(service, deposit(range(3)))
    frozen = datasets.publish(code="ssiad-sidoba", period="2026-09", by="test")
    assert "Conforme" in text(client.get("/echanges/jeux/")) and client.get(f"/echanges/jeux/{frozen.pk}.zip").status_code == 200
    other = browsing(person(Role.INSTITUTION, party=institution("DREES"), email="drees@test.fr"))
    assert other.get(f"/echanges/jeux/{frozen.pk}.zip").status_code == 404


def test_two_persons_change_the_matrix_on_screen():
    one, two = browsing(person(Role.OPERATOR)), browsing(person(Role.AUDITOR))
    rows = "\n".join(line for line in write(proposed()).splitlines() if not line.startswith("R059"))
    assert one.post("/exploitation/matrice/", {"rows": "rules,actor\nR1,X", "reason": "x"}).status_code == 422
    one.post("/exploitation/matrice/", {"rows": rows, "reason": "Sans auditeur."})
    number = Proposal.objects.get().pk
    assert "une autre personne doit décider" in text(one.get("/exploitation/matrice/"))
    assert one.post("/exploitation/matrice/", {"proposal": number, "approve": "1"}).status_code == 422
    assert "Droits fermés" in text(two.get("/exploitation/matrice/"))
    two.post("/exploitation/matrice/", {"proposal": number, "approve": "1"})
    assert MatrixVersion.objects.get().rows == rows
    told = text(browsing(None).get("/echanges/habilitations/?actor=AUDITEUR&purpose=AUDIT&category=TRACE&grain=PSEUDONYME&said=&inside=1"))
    assert "Refusé" in told and "58 lignes" in told


def monthly_file(ranks: range) -> bytes:
    rows = [";".join(monthly.COLUMNS)]
    for rank in ranks:
        who = resident(rank)
        rows.append(
            ";".join(
                [
                    who.ins,
                    "F" if who.sex == "female" else "M",
                    who.born.isoformat(),
                    who.family,
                    who.given,
                    START.isoformat(),
                    "",
                    "2",
                    START.isoformat(),
                    "obesite",
                    "3",
                ]
            )
        )
    return ("\ufeff" + "\n".join(rows)).encode()


def test_the_monthly_file_gives_the_same_dataset_as_fhir():
    """The same facts through both doors: the consumer's rows are the same."""
    institution("CNSA_SIDOBA")
    service, contract = establishment(), contracts.contracts()["resid-esms"]
    consumer = institution("CNAM_RESIDESMS")
    made = browsing(person(Role.ESTABLISHMENT, party=service)).post(
        "/echanges/depots/envoyer/", {"file": SimpleUploadedFile("m.csv", monthly_file(range(4)))}, follow=True
    )
    assert "Accepté" in text(made) and intake.original(Deposit.objects.get()) == monthly_file(range(4)), "what was sent is what is kept"
    by_file = datasets.build(contract, consumer, "2026-09", datasets.timezone.now()).rows
    for rows in (Event, Resource, Deposit):
        rows.objects.all().delete()
    intake.receive(service, deposit(range(4)))
    by_fhir = datasets.build(contract, consumer, "2026-09", datasets.timezone.now()).rows
    order = lambda rows: sorted(map(tuple, (row.items() for row in rows)))  # noqa: E731
    assert len(by_file) == 4 and order(by_file) == order(by_fhir)


@pytest.mark.parametrize("raw, why", [
    (b"a;b\n1;2", "Colonnes absentes"), (b"\xff\xfe", "UTF-8"), (b"", "Colonnes absentes"), (";".join(monthly.COLUMNS).encode(), "de 1 à"),
    (monthly_file(range(1)).replace(b";2;", b";9;"), "Ligne 2"), (monthly_file(range(1)) + b";x", "nombre de colonnes"),
])  # fmt: skip
def test_a_monthly_file_that_cannot_be_read_says_why(raw, why):
    with pytest.raises(monthly.FileRefused, match=why):
        monthly.to_bundle(raw, SSIAD)


def test_a_cda_document_gives_the_dataset_of_the_fhir_examples():
    """The guide's CDA and FHIR examples tell the same stay: what the consumer gets is the same (their INS is made up and has no valid key: one that has is put in)."""
    folder = SHARED / "exchange" / "fhir"
    if not folder.exists():
        pytest.skip("shared/data absent : les exemples des guides ne sont pas là")
    document = (folder / "tddui-cda" / "CDA_TDDUI_Exemple_v1.0.1.xml").read_bytes()
    service, consumer, who = establishment(), institution("CNSA_SIDOBA"), resident(3)
    contract = contracts.contracts()["ssiad-sidoba"]
    assert rules_of(intake.receive(service, doors.transaction_of(document, SSIAD)[0])) == {"tddui-patient-ins-01", "tddui-organization-01"}
    valid = document.replace(b'extension="147720425367411"', f'extension="{who.ins}"'.encode())
    of_another = valid.replace(b'extension="1480787529"', f'extension="1{OTHER}"'.encode())
    assert rules_of(intake.receive(service, doors.transaction_of(of_another, SSIAD)[0])) == {"tddui-organization-02"}
    sound = valid.replace(b'extension="1480787529"', f'extension="1{SSIAD}"'.encode())
    nameless = valid.replace(b'root="1.2.250.1.71.4.2.2"', b'root="1.2.3"')
    assert rules_of(intake.receive(service, doors.transaction_of(nameless, SSIAD)[0])) == {"tddui-organization-01"}
    for raw in (sound, cda.xdm(sound)):
        bundle, channel = doors.transaction_of(raw, SSIAD)
        assert channel == "cda" and intake.receive(service, bundle).status == 200
    (by_cda,) = datasets.build(contract, consumer, "2023-04", datasets.timezone.now()).rows
    for rows in (Event, Resource, Deposit):
        rows.objects.all().delete()
    examples = [
        json.loads((folder / "tddui" / name).read_text())
        for name in ("encounter_evenement.json", "questionnaireresponse_aggir_pa.json", "questionnaireresponse_situation_ssiad.json")
    ]
    around = [
        {"resourceType": "Patient", "id": "tddui-patient-ins-example", "identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.8", "value": who.ins}], "name": [{"use": "official", "family": "DUPONT"}], "gender": "male", "birthDate": "1947-04-03"},
        {"resourceType": "Encounter", "id": "tddui-encounter-sejour-example", "identifier": [{"system": sample.OWN.format("sejour"), "value": "s"}], "serviceProvider": {"reference": "Organization/tddui-organization-example"}, "status": "in-progress", "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HH"}, "subject": {"reference": "Patient/tddui-patient-ins-example"}, "period": {"start": "2023-04-11"}},
        {"resourceType": "Organization", "id": "tddui-organization-example", "identifier": [{"system": "https://finess.esante.gouv.fr", "value": SSIAD}]},
        {"resourceType": "Practitioner", "id": "tddui-practitioner-example", "identifier": [{"system": "https://rpps.esante.gouv.fr", "value": "10003456786"}]},
    ]  # fmt: skip
    content = sample.transaction(SSIAD, "Service", "d", [*around, *examples])
    content["entry"] = [row for row in content["entry"] if row["resource"]["id"] not in ("etablissement", "professionnel")]
    made = intake.receive(service, json.dumps(content).encode())
    assert made.status == 200, made.body
    (by_fhir,) = datasets.build(contract, consumer, "2023-04", datasets.timezone.now()).rows
    assert (by_cda["gir"], by_cda["situations"], by_cda["trajets"]) == ("2", "trouble-cognitif", "1")
    assert {**by_cda, "trajets": ""} == {**by_fhir, "trajets": ""}, "the FHIR examples have no transport"


@pytest.mark.parametrize(
    "raw, why",
    [
        (b"<ClinicalDocument/>", "CDA"),
        (b"<ClinicalDocument", "illisible"),
        (b"PK\x03\x04", "ZIP"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><ClinicalDocument>&b;</ClinicalDocument>', "DOCTYPE"),
    ],
)
def test_a_document_that_cannot_be_read_says_why(raw, why):
    with pytest.raises(doors.DoorRefused, match=why):
        doors.transaction_of(raw, SSIAD)


def test_admitting_parties():
    made, token = parties.admit(actor="ARS", name="ARS", region="R11", by="test")
    assert keys.key_of(token).party == made
    for given in ({"actor": "EXPLOITANT"}, {"actor": "ARS"}, {"actor": "ESMS_PRODUCTEUR", "finess": "123456789"}, {"actor": "DEPARTEMENT"}):
        with pytest.raises(parties.PartyRefused):
            parties.admit(name="x", by="test", **given)
    establishment()
    with pytest.raises(parties.PartyRefused, match="déjà admis"):
        parties.admit(actor="ESMS_PRODUCTEUR", name="x", finess=SSIAD, by="test")
    key = made.keys.get()
    keys.revoke(key=key, by="test")
    assert keys.key_of(token) is None and bearer(made)


def test_each_line_of_the_framework_points_to_a_test_that_exists():
    lines = re.findall(r"^\| (\d+) \|.*\| (`tests/.*`) \|$", (ROOT / "docs/explications/echanges.md").read_text(), re.M)
    assert [int(number) for number, _ in lines] == list(range(1, 15))
    for _, cell in lines:
        for named in cell.split(", "):
            path, name = re.fullmatch(r"`(tests/[\w/]+\.py)::(\w+)`", named).groups()
            assert f"def {name}(" in (ROOT / path).read_text(), name


def test_people_of_a_party_that_is_no_longer_admitted_do_nothing_in_its_name():
    service = establishment()
    client = browsing(person(Role.ESTABLISHMENT, party=service))
    assert client.get("/echanges/changement/").status_code == 200
    Party.objects.filter(pk=service.pk).update(admitted=False)
    for path in ("/echanges/changement/", "/echanges/depots/"):
        assert client.get(path).status_code == 403, path
    assert client.post("/echanges/changement/", {"software": "Nouveau"}).status_code == 403
