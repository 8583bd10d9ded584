"""The FHIR face over HTTP: deposits, reads, subscriptions, consents, traces, nomenclatures; and what bad input is answered."""

import copy
import datetime as dt
import gzip
import json
import random

import pytest
from django.test import Client
from django.utils import timezone

from belvedere.api.exchange.operations import OPERATIONS, statement
from belvedere.engine.exchange.identifiers import rpps_valid
from belvedere.engine.exchange.structure import problems
from belvedere.observatory.exchange import directory, intake, referentials
from belvedere.observatory.exchange.models import Concept, Deposit, Resource
from tests.conftest import SHARED
from tests.exchange import OTHER, bearer, deposit, establishment, institution

pytestmark = pytest.mark.django_db


@pytest.fixture
def producer(service):
    return bearer(service) | {"HTTP_X_FINALITE": "ACCOMPAGNEMENT", "HTTP_X_LOGICIEL": "Soins+", "HTTP_X_LOGICIEL_VERSION": "4.2"}


@pytest.fixture
def sidoba():
    return bearer(institution("CNSA_SIDOBA")) | {"HTTP_X_FINALITE": "FINANCEMENT"}


def post(path: str, raw: bytes, headers: dict):
    return Client().post("/fhir" + path, raw, content_type="application/fhir+json", **headers)


def get(path: str, headers: dict | None = None):
    return Client().get("/fhir" + path, **(headers or {}))


def test_deposit_then_read(producer, sidoba):
    raw = deposit(range(2))
    dry = post("/Bundle/$validate", raw, producer)
    assert dry.status_code == 200 and not Deposit.objects.exists()
    made = post("", raw, producer)
    assert made.status_code == 200 and made["Recepisse"] == Deposit.objects.get().reference
    assert Deposit.objects.get().software == "Soins+ 4.2"
    assert post("", raw, producer)["X-Deja-Recu"] == "1"
    found = get("/Patient?_count=1", sidoba).json()
    assert len(found["entry"]) == 1
    following = next(link["url"] for link in found["link"] if link["relation"] == "next")
    other = get("/Patient?" + following.split("?")[1], sidoba).json()
    assert {found["entry"][0]["resource"]["id"]} & {row["resource"]["id"] for row in other["entry"]} == set()
    address = found["entry"][0]["resource"]["id"]
    one = get(f"/Patient/{address}", sidoba)
    assert one["ETag"] == 'W/"1"' and one["Cache-Control"] == "no-store" and problems(one.json()) == []
    assert get(f"/Patient/{address}/_history", sidoba).json()["total"] == 1
    assert len(get(f"/Encounter?patient={address}", sidoba).json()["entry"]) == 1


def test_where_a_version_comes_from(service, producer, sidoba):
    post("", deposit(range(1)), producer)
    post("", deposit(range(1), name="depot-2", end=dt.date(2026, 9, 20)), producer)
    stay = Resource.objects.get(profile="tddui-encounter-sejour", current=True)
    told = get(f"/Provenance?target=Encounter/{stay.uid}", producer).json()
    assert [row["resource"]["activity"]["coding"][0]["code"] for row in told["entry"]] == ["UPDATE", "CREATE"]
    for row, deposited in zip(told["entry"], Deposit.objects.order_by("-received_at"), strict=True):
        made = row["resource"]
        assert problems(made) == []
        assert made["entity"][0]["what"]["identifier"]["value"] == deposited.reference
        assert made["agent"][0]["who"]["identifier"]["value"] == service.finess and made["agent"][1]["who"]["display"] == "Soins+ 4.2"
    # Whoever cannot read the resource cannot read where it comes from, nor learn that it exists.
    stranger = bearer(establishment(OTHER)) | {"HTTP_X_FINALITE": "ACCOMPAGNEMENT"}
    refused, unknown = (get(f"/Provenance?target=Encounter/{uid}", stranger) for uid in (stay.uid, "00000000-0000-0000-0000-000000000000"))
    assert (refused.status_code, refused.content) == (403, unknown.content)
    hidden = get("/Encounter", sidoba | {"HTTP_X_GRAIN": "PSEUDONYME", "HTTP_X_FINALITE": "PILOTAGE"}).json()["entry"][0]["resource"]["id"]
    behind = get(f"/Provenance?target=Encounter/{hidden}", sidoba | {"HTTP_X_GRAIN": "PSEUDONYME", "HTTP_X_FINALITE": "PILOTAGE"})
    assert behind.status_code == 200 and service.finess not in behind.content.decode() and stay.uid not in behind.content.decode()
    assert not any(row.reference in behind.content.decode() for row in Deposit.objects.all())
    for bad in ("", "?target=Encounter", "?target=Nope/1", "?target=Encounter/1&_count=2"):
        assert get(f"/Provenance{bad}", producer).status_code == 400


def test_gzip_is_taken_and_a_bomb_is_not(producer):
    raw = deposit(range(1))
    assert post("", gzip.compress(raw), producer | {"HTTP_CONTENT_ENCODING": "gzip"}).status_code == 200
    bomb = post("", gzip.compress(b" " * 40_000_000), producer | {"HTTP_CONTENT_ENCODING": "gzip"})
    assert bomb.status_code == 413
    assert post("", b"pas du gzip", producer | {"HTTP_CONTENT_ENCODING": "gzip"}).status_code == 400


@pytest.mark.parametrize("raw, status, rule", [
    (b"", 400, "tddui-json-01"), (b"{", 400, "tddui-json-01"), (b"[]", 400, "tddui-json-05"), (b'{"a": 1, "a": 2}', 400, "tddui-json-03"), (b'{"a": NaN}', 400, "tddui-json-01"),
    (b'{"a":' * 80 + b"1" + b"}" * 80, 400, "tddui-json-04"), (b"[" * 100_000, 400, "tddui-json-01"), (b'"\xff"', 400, "tddui-json-01"), (b'{"a": "\\ud800"}', 400, "tddui-json-01"), (b'{"a": "\\u0000"}', 400, "tddui-json-01"), (b"{}", 422, "tddui-bundle-01"),
    (b'{"resourceType": "Bundle", "type": "batch"}', 422, "tddui-bundle-01"), (b'{"resourceType": "Bundle", "type": "transaction", "entry": []}', 422, "tddui-bundle-03"),
    (b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Bundle>&e;</Bundle>', 400, "tddui-json-01"),
])  # fmt: skip
def test_bad_bodies_have_each_their_answer(producer, raw, status, rule):
    answer = post("", raw, producer)
    assert answer.status_code == status
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == rule
    assert answer.json()["issue"][0]["diagnostics"]
    assert not Resource.objects.exists()


def test_no_address_holds_a_null_character(sidoba):
    for path in ("/Patient?patient=%00", "/Patient/%00", "/ValueSet/$expand?url=%00"):
        assert get(path, sidoba).status_code == 400, path


def test_whatever_is_changed_in_a_deposit_it_is_answered(producer):
    """A thousand cuts: any node of a sound deposit is replaced by junk; each is told a rule or taken, none breaks the server."""
    draw, sound = random.Random(5), json.loads(deposit(range(1), agreed={0: True}))
    junk = [
        None,
        0,
        True,
        "",
        [],
        {},
        [[]],
        [None],
        {"a": 1},
        {"reference": 1},
        "2026-13-45",
        "\x00",
        "9" * 40,
        {"coding": "x"},
        {"system": [], "value": {}},
    ]

    def nodes(value, path=()):
        yield path
        for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
            yield from nodes(item, (*path, key))

    places, seen = [path for path in nodes(sound) if path], set()
    for rank in range(150):
        changed = copy.deepcopy(sound)
        changed["identifier"]["value"] = f"d{rank}"
        *above, last = draw.choice(places)
        at = changed
        for key in above:
            at = at[key]
        at[last] = copy.deepcopy(draw.choice(junk))
        answer = post("", json.dumps(changed).encode(), producer)
        assert answer.status_code in (200, 400, 409, 422), (above, last, answer.status_code)
        seen.add(answer.status_code)
    assert {200, 422} <= seen


def test_too_large_and_too_many(producer):
    assert post("", b'{"a": "' + b"x" * 11_000_000 + b'"}', producer).status_code == 413
    many = {"resourceType": "Bundle", "type": "transaction", "entry": [{}] * 2_001}
    assert post("", json.dumps(many).encode(), producer).status_code == 413


def test_who_may_call(producer, sidoba):
    assert get("/Patient").status_code == 401 and get("/Patient")["WWW-Authenticate"].startswith("Bearer")
    assert get("/Patient", {"HTTP_AUTHORIZATION": "Bearer bvx_faux"}).status_code == 401
    assert post("", deposit(range(1)), sidoba).status_code == 403
    assert "finalité" in get("/Patient", {"HTTP_AUTHORIZATION": sidoba["HTTP_AUTHORIZATION"]}).json()["issue"][0]["diagnostics"]
    assert get("/Patient?nom=x", sidoba).status_code == 400
    assert get("/Patient/inconnu", sidoba).status_code == 403
    assert get("/rien/du/tout", sidoba).status_code == 404
    assert Client().delete("/fhir/Patient/1", **sidoba).status_code == 405


def test_subscriptions_by_fhir(producer, sidoba, monkeypatch):
    monkeypatch.setenv("BELVEDERE_WEBHOOK_PRIVATE", "1")
    asked = {
        "resourceType": "Subscription", "status": "requested", "reason": "suivi", "criteria": "http://localhost/fhir/SubscriptionTopic/sejour-ouvert",
        "_criteria": {"extension": [{"url": "x", "valueString": "departement=75,69"}]}, "channel": {"type": "rest-hook", "endpoint": "http://127.0.0.1:9/rappel"},
    }  # fmt: skip
    made = post("/Subscription", json.dumps(asked).encode(), sidoba)
    assert made.status_code == 201 and made["X-Secret"].startswith("whsec_")
    address = "/Subscription/" + made.json()["id"]
    assert get(address, sidoba).json()["_criteria"]["extension"][0]["valueString"] == "departement=75,69"
    assert "whsec_" not in get(address, sidoba).content.decode()
    assert get(address, producer).status_code == 404, "another's subscription does not exist"
    post("", deposit(range(2)), producer)
    from belvedere.observatory.exchange import events

    events.spread()
    told = get(address + "/$events?eventsSinceNumber=1", sidoba).json()
    assert [part["name"] for part in told["entry"][0]["resource"]["parameter"]].count("notification-event") == 2
    assert get(address + "/$status", sidoba).json()["entry"][0]["resource"]["parameter"][2]["valueCode"] == "requested"
    assert get(address + "/$events?eventsSinceNumber=x", sidoba).status_code == 400
    assert len(get("/Subscription", sidoba).json()["entry"]) == 1
    assert Client().delete("/fhir" + address, **sidoba).status_code == 204
    assert get(address, sidoba).json()["status"] == "off"
    for wrong in ({"channel": {"type": "email"}}, {"criteria": "x/inconnu"}, {"_criteria": {"extension": [{"valueString": "nom=x"}]}}):
        assert post("/Subscription", json.dumps(asked | wrong).encode(), sidoba).status_code == 422


def test_consent_closes_at_once(producer, sidoba):
    drees = bearer(institution("DREES")) | {"HTTP_X_FINALITE": "STATISTIQUE", "HTTP_X_GRAIN": "PSEUDONYME"}
    post("", deposit(range(2)), producer)
    assert len(get("/Patient", drees).json()["entry"]) == 2
    uid = Resource.objects.filter(type="Patient").first().uid
    said = {
        "resourceType": "Consent", "status": "active", "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}], "patient": {"reference": f"Patient/{uid}"}, "dateTime": "2026-11-01",
        "performer": [{"reference": f"Patient/{uid}"}], "policyRule": {"coding": [{"code": "OPTOUT"}]},
    }  # fmt: skip
    assert post("/Consent", json.dumps(said).encode(), producer).status_code == 201
    assert len(get("/Patient", drees).json()["entry"]) == 1
    assert post("/Consent", json.dumps(said).encode(), sidoba).status_code == 422
    assert post("/Consent", json.dumps(said | {"policyRule": {}}).encode(), producer).status_code == 422
    assert post("/Consent", json.dumps(said | {"status": "inactive"}).encode(), producer).status_code == 201
    assert len(get("/Patient", drees).json()["entry"]) == 2, "the opposition was withdrawn"


def test_traces_are_bounded_and_one_s_own(producer, sidoba):
    post("", deposit(range(1)), producer)
    get("/Patient", sidoba)
    assert get("/AuditEvent", sidoba).status_code == 400
    assert get("/AuditEvent?date=ge2020-01-01&date=le2030-01-01", sidoba).status_code == 400
    day = timezone.localdate()
    low, high = day - dt.timedelta(days=1), day + dt.timedelta(days=1)
    told = get(f"/AuditEvent?date=ge{low}&date=le{high}", sidoba)
    assert told.json()["total"] >= 1
    assert all(row["resource"]["agent"][0]["who"]["identifier"]["value"].startswith("acteur-") for row in told.json().get("entry", []))
    auditor = bearer(institution("AUDITEUR"))
    assert get(f"/AuditEvent?date=ge{low}&date=le{high}", auditor).status_code == 403
    seen = get(f"/AuditEvent?date=ge{low}&date=le{high}", auditor | {"HTTP_X_FINALITE": "AUDIT"}).json()
    assert seen["total"] >= 2 and problems(seen["entry"][0]["resource"]) == []
    assert not any(row["resource"]["entity"][0]["what"]["identifier"]["value"].removeprefix("usager:").isdecimal() for row in seen["entry"])


def test_what_leaves_by_the_lot_asks_for_a_structure_certificate(producer, service):
    from belvedere.observatory.exchange import portability

    post("", deposit(range(1)), producer)
    made = portability.ask(party=service, kind="massif", persons=[], by="test")
    portability.run(made)
    address = f"/api/v1/exchange/exports/{made.reference}/package"
    assert Client().get(address, **bearer(service)).status_code == 200
    assert Client().get(address, **bearer(service, level=1)).status_code == 403
    assert Client().get(address, **bearer(institution("CNSA_SIDOBA"))).status_code == 404


def test_nomenclatures_at_a_date():
    folder = SHARED / "exchange"
    if not folder.exists():
        pytest.skip("shared/data absent : les nomenclatures officielles ne sont pas là")
    assert referentials.load(folder / "jdv-ans" / "jdv_concepts.csv", by="test").rows > 14_000
    assert referentials.load(folder / "serafin-ph" / "serafin_ph.csv", by="test").rows == 107
    assert get("/ValueSet/$validate-code?url=JDV_GIR_CISIS&code=MED-340").json()["parameter"][0]["valueBoolean"] is True
    assert get("/ValueSet/$validate-code?url=JDV_GIR_CISIS&code=MED-999").json()["parameter"][0]["valueBoolean"] is False
    assert get("/ValueSet/$validate-code?url=JDV_GIR_CISIS&code=MED-340&date=1990-01-01").json()["parameter"][0]["valueBoolean"] is False
    assert get("/ValueSet/$expand?url=JDV_GIR_CISIS").json()["expansion"]["total"] == 6
    assert get(f"/CodeSystem/$lookup?system={referentials.SERAFIN}&code=1.1.1").json()["parameter"][2]["valueString"] == "1.1"
    assert get("/ValueSet/$expand?url=inconnu").status_code == 404
    today = timezone.localdate()
    assert [referentials.serafin(code, today) for code in ("1.1", "1.1.1", "9.9")] == [False, True, None]


HEADER = "Type d'identifiant PP|Identifiant PP|Identification nationale PP|Nom d'exercice|Prénom d'exercice|Code profession|Libellé profession|Numéro FINESS site|"


def extraction(folder, name: str, *numbers: str):
    """An extraction of the directory as it is published: pipes, no quoting, a row a place of work."""
    rows = [f'8|{number}|8{number}|ESSAI "DIT"|Camille|60|Infirmier|{place}|' for number in numbers for place in ("750000010", "")]
    (folder / name).write_text("\n".join([HEADER, *rows, "0|759999999|0759999999|ADELI|X|70|Masseur|| "]) + "\n", encoding="utf-8")
    return folder / name


def test_professionals_of_the_directory(tmp_path):
    """Numbers and professions are kept, never names; who has left is closed that day, who comes back is open again; a deposit is told of a number that is not there."""
    here, gone = "10003456786", next(f"1000346103{digit}" for digit in range(10) if rpps_valid(f"1000346103{digit}"))
    warned = lambda: "tddui-practitioner-02" in json.dumps(Deposit.objects.latest("pk").remarks)  # noqa: E731
    assert directory.known(here, timezone.localdate()) is None, "no directory, no remark"
    assert referentials.load(extraction(tmp_path, "PS_1.txt", here, gone), by="test").rows == 2
    assert Concept.objects.filter(valueset="RPPS").count() == 2 and not Concept.objects.filter(display__contains="ESSAI").exists()
    service = establishment()
    assert intake.receive(service, deposit(range(1))).status == 200 and not warned()
    assert referentials.load(extraction(tmp_path, "PS_2.txt", gone), by="test").rows == 1
    today, before = timezone.localdate(), timezone.localdate() - dt.timedelta(days=1)
    assert (directory.known(here, today), directory.known(gone, today)) == (False, True)
    assert directory.known(gone, before) is None, "before the first extraction, nothing is known of anybody"
    assert intake.receive(service, deposit(range(1, 2), name="d2")).status == 200 and warned()
    asked = f"/ValueSet/$validate-code?url=RPPS&code={here}"
    assert get(asked).json()["parameter"][0]["valueBoolean"] is False
    assert get(f"/ValueSet/$validate-code?url=RPPS&code={gone}").json()["parameter"][0]["valueBoolean"] is True
    assert get("/ValueSet/$expand?url=RPPS").status_code == 400
    Concept.objects.filter(valueset="RPPS").update(since=before - dt.timedelta(days=30))
    Concept.objects.filter(valueset="RPPS", code=here).update(until=before)
    assert referentials.load(extraction(tmp_path, "PS_3.txt", here, gone), by="test").rows == 2 and directory.known(here, today)
    assert directory.known(here, before) is False, "whoever comes back had left"


def test_an_extraction_that_is_cut_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(directory, "CUT_SHORT", 2)
    numbers = ["10003456786", next(f"1000346103{digit}" for digit in range(10) if rpps_valid(f"1000346103{digit}"))]
    referentials.load(extraction(tmp_path, "PS_1.txt", *numbers), by="test")
    cut = extraction(tmp_path, "PS_2.txt", *numbers)
    for text, why in (
        (cut.read_text().split("\n")[0], "incomplète"),
        (cut.read_text()[:-60], "coupée"),
        (extraction(tmp_path, "PS_3.txt", numbers[0]).read_text(), "incomplète"),
    ):
        (tmp_path / "PS_4.txt").write_text(text, encoding="utf-8")
        with pytest.raises(referentials.ImportRefused, match=why):
            referentials.load(tmp_path / "PS_4.txt", by="test")
    assert all(directory.known(number, timezone.localdate()) for number in numbers)


def test_the_statement_says_what_the_router_does():
    told = get("/metadata").json()
    assert told == statement() and problems(told) == []
    interactions = {item["code"] for resource in told["rest"][0]["resource"] for item in resource["interaction"]}
    declared = {operation.interaction for operation in OPERATIONS} - {"operation", "capabilities", "transaction"}
    assert interactions == declared
    assert {item["name"] for item in told["rest"][0]["operation"]} == {
        "validate",
        "lookup",
        "expand",
        "validate-code",
        "status",
        "events",
        "export",
        "export-status",
        "export-file",
    }
