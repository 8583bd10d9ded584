"""What the framework refuses by itself is told as a problem: a code, French, where, and what to do."""

import json

import pytest
from django.test import Client

from tests.exchange import bearer, establishment

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("path", "status", "code", "where"),
    [
        ("/api/v1/exchange/offers?finess=abc", 422, "D422", "paramètre finess"), ("/api/v1/exchange/offers", 422, "D422", "paramètre finess"),
        ("/api/v1/exchange/offers?finess=750000015&date=hier", 422, "D422", "paramètre date"), ("/api/v1/exchange/offers%00", 400, "D400", "nul"),
    ],
)  # fmt: skip
def test_a_wrong_parameter(path, status, code, where):
    answer = Client().get(path, **bearer(establishment()))
    told = answer.json()
    assert (answer.status_code, told["code"]) == (status, code) and where in told["message"] and told["remedy"]
    assert "hier" not in told["message"], "no value is echoed"
    assert answer["Content-Type"] == "application/problem+json", "RFC 9457"
    assert answer["Content-Length"] == str(len(answer.content)), "a server cuts what is longer"
    assert (told["type"], told["title"], told["status"]) == (f"urn:belvedere:probleme:{code}", told["message"], status)
    assert told["detail"] == f"{told['message']} {told['remedy']}"


def test_a_wrong_body():
    answer = Client().post("/api/v1/exchange/matrix/simulation", "{", content_type="application/json")
    assert answer.status_code == 400 and answer.json()["code"] == "D400"
    answer = Client().post("/api/v1/exchange/matrix/simulation", {"actor": "PERSONNE"}, content_type="application/json")
    assert answer.status_code == 422 and "corps actor, corps purpose" in answer.json()["message"]


def test_no_token():
    answer = Client().get("/api/v1/exchange/deposits")
    assert (answer.status_code, answer.json()["code"]) == (401, "P401") and answer["WWW-Authenticate"].startswith("Bearer")


def test_a_null_character_is_refused_in_the_language_of_who_asks():
    assert Client().get("/fhir/Patient%00").json()["resourceType"] == "OperationOutcome"
    assert Client().get("/indicateurs/?a=%00").status_code == 400


def test_what_no_database_takes_is_refused():
    headers = bearer(establishment())
    assert Client().get("/api/v1/journal/consistency?first=1&second=99999999999999999999").status_code == 404
    for person in ("a\0b", "\ud800"):
        answer = Client().post(
            "/api/v1/exchange/exports", json.dumps({"kind": "unitaire", "persons": [person]}), content_type="application/json", **headers
        )
        assert answer.status_code == 422, person


def test_an_unknown_address_and_a_wrong_verb():
    for path in ("/api/v1/inconnu", "/api/v1/exchange/inconnu", "/api/v2/flows"):
        answer = Client().get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "D404"), path
    answer = Client().post("/api/v1/exchange/offers", **bearer(establishment()))
    assert (answer.status_code, answer.json()["code"], answer["Allow"]) == (405, "D405", "GET")
    for path in ("inconnu/x/y/z", "Subscription/%0A", "%0D%0A", "Patient/a%0Ab", "?%0A"):
        answer = Client().put(f"/fhir/{path}")
        assert answer.status_code in (404, 405) and answer.json()["resourceType"] == "OperationOutcome", path
    assert "<html" in Client().get("/inconnu/").content.decode(), "who reads pages is answered by a page"
