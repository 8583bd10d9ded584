"""Acts of establishments, institutions and the operator that stand beside the deposit: levels, links, rules of departments, ends, packages."""

import argparse
import datetime as dt
import io
import json
import zipfile

import pytest
from django.test import Client
from django.utils import timezone

from belvedere.cli import exchange
from belvedere.engine.exchange import seda
from belvedere.engine.exchange.sample import resident
from belvedere.engine.exchange.vocabulary import ACTORS, Grain, Purpose
from belvedere.observatory import stamping
from belvedere.observatory.accounts.models import Role
from belvedere.observatory.exchange import archives, datasets, intake, keys, parties, portability, reading, subscribing, telling, traces
from belvedere.observatory.exchange.models import Deposit, Event, PartyKey, PersonLink, Resource, RetentionRule, Stated, Subscription
from belvedere.observatory.journal.models import Entry
from tests.exchange import OTHER, bearer, deposit, establishment, institution
from tests.people import browsing, person

pytestmark = pytest.mark.django_db
HEALTH = {"HTTP_X_FINALITE": "PILOTAGE"}


def post(path: str, content, **headers):
    return Client().post(path, json.dumps(content) if isinstance(content, dict) else content, content_type="application/json", **headers)


def test_a_token_of_level_one_deposits_nothing(service):
    weak = bearer(service, level=1)
    assert (
        post("/fhir", deposit(range(1)), **weak).status_code == 403 and post("/fhir/Bundle/$validate", deposit(range(1)), **weak).status_code == 403
    )
    assert post("/api/v1/exchange/deposits", deposit(range(1)), **weak).status_code == 403 and not Deposit.objects.exists()


def test_what_is_too_large_is_told_before_it_is_read(service):
    answer = Client().post("/api/v1/exchange/deposits", b"x" * (10 * 2**20 + 1), content_type="text/csv", **bearer(service))
    assert answer.status_code == 413 and answer.json()["code"] == "X413" and not Deposit.objects.exists()


def test_a_subscription_of_the_portal_has_the_level_that_was_verified(service, monkeypatch):
    monkeypatch.setenv("BELVEDERE_WEBHOOK_PRIVATE", "1")
    ars = institution("ARS", region="R11")
    keys.issue(party=ars, label="faible", by="test", level=1)
    client = browsing(person(Role.INSTITUTION, party=ars))
    asked = {"topic": "sejour-ouvert", "purpose": "PILOTAGE", "endpoint": "http://127.0.0.1:9/x", "departements": ""}
    assert client.post("/echanges/reception/", asked).status_code == 200 and Subscription.objects.get().level == 1
    keys.issue(party=ars, label="structure", by="test", level=2)
    assert client.post("/echanges/reception/", asked).status_code == 200 and Subscription.objects.order_by("pk").last().level == 2


def test_a_dataset_of_the_portal_asks_for_the_same_level_and_names_who_took_it(service):
    cnsa = institution("CNSA_SIDOBA")
    intake.receive(service, deposit(range(3)))
    made = datasets.publish(code="ssiad-sidoba", period="2026-09", by="test")
    client = browsing(person(Role.INSTITUTION, party=cnsa))
    assert client.get(f"/echanges/jeux/{made.pk}.zip").status_code == 404
    keys.issue(party=cnsa, label="structure", by="test")
    assert client.get(f"/echanges/jeux/{made.pk}.zip").status_code == 200
    told = Entry.objects.filter(action="echange.jeu", subject__startswith="usager:").last()
    assert told.actor == cnsa.code and told.detail["taken_by"].startswith("personne:")


def test_somebody_in_care_is_given_a_link(service):
    intake.receive(service, deposit(range(1)))
    client, other = browsing(person(Role.ESTABLISHMENT, party=service)), establishment(OTHER)
    ins = resident(0).ins
    page = client.post("/echanges/liens/", {"number": f" {ins[:5]} {ins[5:]} "}).content.decode()
    address = page[page.index("http") if "http://testserver/echanges" not in page else page.index("http://testserver/echanges") :].split("<")[0]
    assert "/echanges/mes-acces/" in address and PersonLink.objects.count() == 1
    assert Client().get(address).status_code == 200 and Entry.objects.filter(action="echange.lien.donne").count() == 1
    own = f"{ins[:6]}-0"
    assert client.post("/echanges/liens/", {"number": own}).status_code == 200, "the establishment's own number too"
    for number in ("999", resident(5).ins, ""):
        assert client.post("/echanges/liens/", {"number": number}).status_code == 422
    assert browsing(person(Role.ESTABLISHMENT, party=other, email="autre@test.fr")).post("/echanges/liens/", {"number": ins}).status_code == 422
    assert PersonLink.objects.count() == 2


def run(monkeypatch, capsys, *words: str) -> tuple[int, str]:
    monkeypatch.setattr(exchange, "_start", lambda options: None)
    parser = argparse.ArgumentParser()
    exchange.register(parser.add_subparsers())
    options = parser.parse_args(["exchange", *words])
    code = options.run(options)
    out = capsys.readouterr()
    return code, out.out + out.err


def test_a_department_says_what_becomes_of_closed_files(service, monkeypatch, capsys):
    stamping.create_keys()
    intake.receive(service, deposit(range(1), end=dt.date(2026, 9, 20)))
    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    today = timezone.localdate()
    assert archives.due(service, today) == []
    RetentionRule.objects.create(department="75", kind="autre", months=0, fate="detruire", since=dt.date(2026, 1, 1))
    assert (archives.rule_of("75", today).months, archives.rule_of("75", today).fate) == (120, "conserver"), (
        "the rule of another kind of file is not this one's"
    )
    code, told = run(monkeypatch, capsys, "retention", "75", "0", "--since", "2026-01-01")
    assert code == 0 and "0 mois, puis conserver" in told and len(archives.due(service, today)) == 1
    assert run(monkeypatch, capsys, "retention", "75", "0", "--fate", "detruire", "--since", "2026-02-01")[0] == 0
    (file,) = archives.due(service, today)
    with pytest.raises(archives.TransferRefused, match="se détruisent"):
        archives.prepare(party=service, person=file, by="test")
    assert run(monkeypatch, capsys, "retention", "99", "12")[0] == 2 and run(monkeypatch, capsys, "retention", "75", "-1")[0] == 2
    assert Entry.objects.filter(action="echange.conservation").count() == 2


def test_the_operator_closes_tokens_and_ends_an_admission(monkeypatch, capsys):
    monkeypatch.setenv("BELVEDERE_WEBHOOK_PRIVATE", "1")
    ars, told = parties.admit(actor="ARS", name="ARS", region="R11", by="test")
    with pytest.raises(parties.PartyRefused, match="déjà admise"):
        parties.admit(actor="ARS", name="ARS bis", region="R11", by="test")
    headers = {"HTTP_AUTHORIZATION": f"Bearer {told}"} | HEALTH
    assert Client().get("/fhir/Subscription", **headers).status_code == 200
    subscribing.subscribe(party=ars, topic="sejour-ouvert", purpose="PILOTAGE", endpoint="http://127.0.0.1:9/x", filters={}, level=2)
    second = keys.issue(party=ars, label="second", by="test")
    code, shown = run(monkeypatch, capsys, "tokens", "ARS")
    assert code == 0 and shown.count("ouvert") == 2 and told not in shown and second not in shown
    first = PartyKey.objects.order_by("pk").first()
    assert (
        run(monkeypatch, capsys, "tokens", "ARS", "--close", str(first.pk))[0] == 0
        and Client().get("/fhir/Subscription", **headers).status_code == 401
    )
    assert run(monkeypatch, capsys, "tokens", "ARS", "--close", str(first.pk))[0] == 2
    assert run(monkeypatch, capsys, "tokens", "ARS", "--end", "fin de mission")[0] == 0
    assert Client().get("/fhir/Subscription", **headers | {"HTTP_AUTHORIZATION": f"Bearer {second}"}).status_code == 401
    assert Subscription.objects.get().state == "off" and Entry.objects.filter(action="echange.acteur.fini").count() == 1
    assert run(monkeypatch, capsys, "tokens", "ARS")[0] == 2, "nobody of that name is admitted any more"


@pytest.fixture
def package(service):
    intake.receive(service, deposit(range(2)))
    made = portability.run(portability.ask(party=service, kind="massif", persons=[], by="test"))
    return portability.taken(made, by="test")


def rewritten(raw: bytes, **members: bytes | None) -> bytes:
    out = io.BytesIO()
    held = seda.members(raw) | members
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in held.items():
            if content is not None:
                archive.writestr(name, content)
    return out.getvalue()


def test_a_package_is_whole_and_signed(package):
    assert len(portability.lots(package)) >= 1
    with pytest.raises(seda.PackageRefused, match="n’est pas du rapport"):
        portability.lots(rewritten(package, **{"reprise/lot-9999.json": b"{}"}))
    with pytest.raises(seda.PackageRefused, match="signature"):
        portability.lots(rewritten(package, **{portability.SIGNATURE: None}))
    report = json.loads(seda.members(package)[portability.REPORT])
    report["persons"] = 9
    with pytest.raises(seda.PackageRefused, match="plus celui qui fut signé"):
        portability.lots(rewritten(package, **{portability.REPORT: json.dumps(report).encode()}))


def test_a_closed_stay_that_changes_is_rectified(service):
    intake.receive(service, deposit(range(1), end=dt.date(2026, 9, 20)))
    assert Event.objects.filter(topic="sejour-clos").count() == 1
    answer = intake.receive(service, deposit(range(1), end=dt.date(2026, 9, 25), name="suite"))
    assert answer.status == 200, answer.body
    assert Event.objects.filter(topic="sejour-clos").count() == 1 and Event.objects.filter(topic="donnee-rectifiee").exists()


def test_a_will_is_written_by_whoever_speaks_and_read_again(service):
    intake.receive(service, deposit(range(1)))
    patient = Resource.objects.get(type="Patient", current=True).uid
    said = {
        "resourceType": "Consent", "status": "active", "dateTime": "2026-09-02", "patient": {"reference": f"Patient/{patient}"}, "performer": [{"reference": f"Patient/{patient}"}],
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}, "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "policyRule": {"coding": [{"code": "OPTOUT"}]}, "provision": {"purpose": [{"code": "PILOTAGE"}]},
    }  # fmt: skip
    headers = bearer(service)
    refused = post("/fhir/Consent", {name: value for name, value in said.items() if name != "performer"}, **headers)
    assert refused.status_code == 422 and "performer" in refused.json()["issue"][0]["diagnostics"]
    made = post("/fhir/Consent", said, **headers)
    assert made.status_code == 201 and Stated.objects.count() == 1
    read = Client().get(made["Location"].replace("http://localhost:8000", ""), **headers).json()
    assert read["policyRule"]["coding"][0]["code"] == "OPTOUT" and read["provision"] == {"purpose": [{"code": "PILOTAGE"}]}
    other = bearer(establishment(OTHER))
    assert Client().get(f"/fhir/Consent/{made.json()['id']}", **other, **HEALTH).status_code == 403, "another's is not told apart from none"


@pytest.mark.parametrize(
    "asked, seconds",
    [("120", 120), ("Wed, 21 Oct 2026 07:30:00 GMT", 1800), ("Wed, 21 Oct 2026 06:00:00 GMT", 0), ("demain", 0), ("", 0), ("9" * 13, 0)],
)
def test_a_consumer_says_when_to_come_back(asked, seconds):
    assert telling._pause(asked, dt.datetime(2026, 10, 21, 7, tzinfo=dt.UTC)) == seconds


def test_an_agreement_that_names_its_recipient_is_simulated(service):
    question = {"actor": "ESMS_DESTINATAIRE", "purpose": "PORTABILITE", "category": "ADM", "agreed": True}
    assert not Client().post("/api/v1/exchange/matrix/simulation", question, content_type="application/json").json()["permitted"]
    assert Client().post("/api/v1/exchange/matrix/simulation", question | {"named": True}, content_type="application/json").json()["permitted"]
    page = (
        Client()
        .get("/echanges/habilitations/?actor=ESMS_DESTINATAIRE&purpose=PORTABILITE&category=ADM&grain=NOMINATIF&said=nomme&inside=1")
        .content.decode()
    )
    assert "Permis" in page or "permis" in page


def test_traces_are_counted_by_purpose_and_name_nobody(service):
    cnsa = institution("CNSA_SIDOBA")
    intake.receive(service, deposit(range(2)))
    reading.search(cnsa, 2, Purpose.FUNDING, Grain.NAMED, "QuestionnaireResponse")
    reading.search(cnsa, 2, Purpose.STATISTICS, Grain.NAMED, "QuestionnaireResponse")
    told = {(use.who, use.label, use.purpose): (use.acts, use.refused) for use in traces.uses()}
    assert told[f"{cnsa.name} ({ACTORS[cnsa.actor].lower()})", "Lecture", "Financement"] == (2, 0) and (0, 1) in told.values()
    assert traces.uses(now=timezone.now() + dt.timedelta(days=200)) == []
    page = browsing(person(Role.OPERATOR, email="o@test.fr")).get("/exploitation/echanges/").content.decode()
    assert "Usages" in page and "Financement" in page and "usager:" not in page
