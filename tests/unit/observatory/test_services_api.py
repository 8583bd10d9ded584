"""The services as a member's software calls them: its own establishments alone, lots run by the worker, invoices checked and corrected, ROC, pieces, documents."""

import base64
import datetime as dt
import inspect
import json

import pytest
from django.test import Client
from django.utils import timezone

from belvedere.engine.services.invoice_check import differences, invoices
from belvedere.engine.services.world import AGENT, b2_file, make
from belvedere.observatory.collect import worker
from belvedere.observatory.journal import sealing
from belvedere.observatory.members.actions import issue_sender_key
from belvedere.observatory.services import facade
from belvedere.observatory.services.models import Call, RightsLot
from belvedere.observatory.services.serving import running
from belvedere.observatory.services.simulator import cured
from tests.flows import sector

pytestmark = pytest.mark.django_db
DAY = dt.date(2026, 11, 2)
BASE = "/api/v1/services"


@pytest.fixture
def live(monkeypatch):
    with running(make(40, DAY, seed=2), now=lambda: dt.datetime.combine(DAY, dt.time(9), dt.UTC)) as made:
        monkeypatch.setenv("BELVEDERE_SERVICES_URL", made.base)
        cured(made.simulator)
        yield made


@pytest.fixture
def software(groups):
    """A member's software: its headers and one of its establishments."""
    sealing.create_key()
    token = issue_sender_key(group=groups[0], label="essai", by="test")
    return {"HTTP_AUTHORIZATION": f"Bearer {token}", "HTTP_X_LOGICIEL": "LOGIDOM 4"}, f"{groups[0].members.first().finess:09d}"


def post(path: str, content, headers: dict):
    return Client().post(BASE + path, json.dumps(content, default=str), content_type="application/json", **headers)


def question(live, site: str, at: int = 0, **changes) -> dict:
    one = live.simulator.world.people[at]
    return {"site": site, "agent": AGENT, "nir": one.nir, "key": one.key, "born": one.born, "rank": one.rank, "day": DAY} | changes


def test_one_consultation(live, software):
    headers, site = software
    told = post("/cdri/consultations", question(live, site), headers).json()
    assert told["code"] == "00" and told["useful"] and told["rights"]["regime"] and "simulateur" in told["note"]
    call = Call.objects.get()
    assert (call.service, call.site, call.software, call.result) == ("CDRI", site, "LOGIDOM 4", "00")
    unknown = post("/cdri/consultations", question(live, site, nir="2990199999999", key=""), headers).json()
    assert unknown["code"] == "10" and unknown["remedy"] and unknown["rights"] is None


def test_an_establishment_of_another_does_not_exist(live, software):
    headers, _ = software
    for site in (
        f"{sector().providers[1].finess:09d}" if sector().providers[1].group != sector().providers[0].group else "999999999",
        "000000000",
        "abc",
    ):
        assert post("/cdri/consultations", question(live, site), headers).status_code == 404
    assert post("/cdri/consultations", question(live, "1"), {}).status_code == 401
    assert not Call.objects.exists()


def test_services_that_are_not_plugged_say_so(software, monkeypatch):
    monkeypatch.delenv("BELVEDERE_SERVICES_URL", raising=False)
    headers, site = software
    answer = post("/roc/IDB", {"site": site, "member": "1", "stay": "s", "day": DAY}, headers)
    assert answer.status_code == 503 and answer.json()["code"] == "P503" and facade.run_waiting() == 0


def test_a_lot_is_taken_then_run_by_the_worker(live, software):
    headers, site = software
    lot = {"site": site, "reference": "L-1", "questions": [question(live, site, at) for at in range(10)]}
    made = post("/cdri/lots", lot, headers)
    assert made.status_code == 202 and made.json()["state"] == "recu"
    assert post("/cdri/lots", lot, headers).json()["reference"] == made.json()["reference"]
    assert post("/cdri/lots", lot | {"questions": lot["questions"][1:]}, headers).status_code == 422
    assert facade.run_waiting() == 1 and facade.run_waiting() == 0
    path = f"{BASE}/cdri/lots/{made.json()['reference']}"
    told = Client().get(path, **headers).json()
    assert told["total"] == 10 and all(line["code"] for line in told["lines"]) and told["state"].startswith("termine")
    assert "nir" not in json.dumps(told)
    again = post(f"/cdri/lots/{made.json()['reference']}/retry", {}, headers).json()["state"]
    assert again == ("recu" if told["useful"] < 10 else "termine")
    assert Client().get(f"{BASE}/cdri/lots/L-XXXX-XXXX", **headers).status_code == 404
    assert "facade.run_waiting" in inspect.getsource(worker)


def test_a_lot_whose_worker_was_killed_is_taken_up(live, software):
    headers, site = software
    post("/cdri/lots", {"site": site, "reference": "L-1", "questions": [question(live, site)]}, headers)
    RightsLot.objects.update(state="en_cours", started_at=timezone.now())
    assert facade.run_waiting() == 0
    RightsLot.objects.update(started_at=timezone.now() - dt.timedelta(hours=1))
    assert facade.run_waiting() == 1


def test_invoices_are_checked_and_corrected(live, software):
    headers, site = software
    world = live.simulator.world
    raw = b2_file(world.known, DAY, finess=int(site))
    answer = Client().post(
        f"{BASE}/cdri/invoice-check?site={site}&agent={AGENT}&correct=true", raw, content_type="application/octet-stream", **headers
    )
    told = answer.json()
    assert answer.status_code == 200 and told["invoices"] == 40 and told["to_correct"] > 0
    assert all(one["cause_label"] and (one["positions"] or not one["correctable"]) for one in told["differences"])
    held = {one.nir: one for one in world.people}
    left = [
        one
        for billed in invoices(base64.b64decode(told["corrected"]))
        if billed.nir in held
        for one in differences(billed, held[billed.nir])
        if one.check.correctable
    ]
    assert [one for one in left if one.invoice not in told["unchecked"]] == []
    wrong = Client().post(f"{BASE}/cdri/invoice-check?site={site}&agent={AGENT}", b"pas un flux", content_type="application/octet-stream", **headers)
    assert wrong.status_code == 422 and wrong.json()["remedy"]
    stored = json.dumps(list(Call.objects.values()), default=str)
    assert not any(one.nir in stored for one in world.known)


def test_the_verbs_of_roc(live, software):
    headers, site = software
    member = next(nir for nir, contract in live.simulator.world.contracts.items() if contract.since <= DAY <= contract.until)
    asked = {"site": site, "member": member, "stay": "S1", "day": DAY, "lines": [{"kind": "TM", "total": 10_000, "base": 10_000, "rate": 80}]}
    assert post("/roc/SIM", asked, headers).status_code == 409, "not identified yet"
    assert post("/roc/IDB", asked, headers).json()["state"] == "IDENTIFIE"
    estimate = post("/roc/SIM", asked, headers).json()
    made = post("/roc/CLC", asked | {"key": "k1"}, headers).json()
    assert made["commitment"] and (made["amo"], made["amc"]) == (estimate["amo"], estimate["amc"])
    assert post("/roc/CLC", asked | {"key": "k1"}, headers).json() == made
    refused = post("/roc/DRE", asked | {"amount": made["amc"] + 1}, headers)
    assert refused.status_code == 409 and "ENGAGE" in refused.json()["remedy"]
    assert post("/roc/DRE", asked | {"amount": made["amc"]}, headers).status_code == 200
    assert post("/roc/DEL", asked, headers).status_code == 409
    assert post("/roc/XXX", asked, headers).status_code == 422
    assert set(Call.objects.values_list("result", flat=True)) == {"00", "REFUS"}


def test_an_identity_is_found_by_its_traits(live, software):
    headers, site = software
    asked = {"site": site, "family": "d’artagnan de l’herault".replace("’", "'"), "given": "Pierre-Alain", "sex": "M", "born": "2001-06-17"}
    told = post("/insi/identities", asked, headers).json()
    assert (told["code"], told["ins"]) == ("00", "101066322075460") and told["traits"]["place"] == "63220"
    several = {"site": site, "family": "ESSAI", "given": "Martine", "sex": "F", "born": "1948-03-12"}
    assert [post("/insi/identities", several | extra, headers).json()["code"] for extra in ({}, {"place": "75112"}, {"sex": "M"})] == [
        "02",
        "00",
        "01",
    ]
    assert post("/insi/identities", several | {"sex": "X"}, headers).status_code == 422
    assert set(Call.objects.values_list("service", flat=True)) == {"INSI"}


def test_pieces_and_documents(live, software):
    from tests.unit.engine.test_services import INS, png

    headers, site = software
    lot = {
        "site": site, "file_id": "B2-1", "acknowledged": True, "billed_on": DAY, "invoices": ["F1"], "required": ["F1"],
        "pieces": [{"name": "a.png", "invoice": "F1", "day": DAY, "content": base64.b64encode(png()).decode()}],
    }  # fmt: skip
    told = post("/scor/check", lot, headers).json()
    assert told["ready"] and told["manifest"].startswith("finess;fichier")
    assert post("/scor/check", lot | {"pieces": []}, headers).json()["remarks"][0]["code"] == "S10"
    assert post("/scor/check", lot | {"pieces": [lot["pieces"][0] | {"content": "pas du base64"}]}, headers).status_code == 422
    document = {
        "ins": INS, "title": "Compte rendu", "class_code": "10", "type_code": "11488-4", "format_code": "urn:ihe:iti:xds-sd:pdf:2008", "mime": "application/pdf", "author": "Dr X",
        "created": "2026-11-01T10:00:00+00:00", "service_from": "2026-11-01", "service_to": "2026-11-01",
    }  # fmt: skip
    sent = lambda content: post(f"/dmp/documents?site={site}", content, headers)  # noqa: E731
    assert sent(document).json()["code"] == "00"
    assert sent(document | {"class_code": "99"}).status_code == 422 and sent({}).status_code == 422


def test_what_is_real_and_what_is_not_is_public():
    told = Client().get(BASE).json()
    assert {one["code"] for one in told} == {"B2", "FIDES", "CDRI", "INSI", "ROC", "SCOR", "DMP", "VITALE"} and all(all(one.values()) for one in told)
    assert "simulateur – forme des messages reconstituée" in Client().get("/services/").content.decode()
    assert "n’a pas encore été jouée" in Client().get("/services/histoire/").content.decode()
