"""Schemathesis against the FHIR face: its table of operations described as OpenAPI, and whatever is asked of it answered in FHIR, never by a failure."""

import json
import re

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from belvedere.api.exchange.fhir import MEDIA
from belvedere.api.exchange.operations import OPERATIONS
from belvedere.engine.exchange.profiles import profiles
from belvedere.observatory.wsgi import application
from tests.exchange import SSIAD, bearer, deposit, establishment, institution

TEXT = {"type": "string", "maxLength": 60}
QUERY = {
    "date": {"type": "string", "pattern": r"^(ge|le|gt|lt|)\d{4}-\d{2}-\d{2}$"}, "code": TEXT, "system": TEXT, "url": TEXT, "filter": TEXT, "_cursor": TEXT, "patient": TEXT,
    "_lastUpdated": TEXT, "_type": TEXT, "_since": TEXT, "_count": TEXT, "_outputFormat": TEXT, "eventsSinceNumber": TEXT, "eventsUntilNumber": TEXT,
}  # fmt: skip
HEADERS = {
    "X-Finalite": ["PILOTAGE", "ACCOMPAGNEMENT", "FACTURATION", "?"],
    "X-Grain": ["NOMINATIF", "PSEUDONYME", "?"],
    "Prefer": ["respond-async", "?"],
}
KINDS = sorted({profile.type for profile in profiles().values()})
PARTS = {
    "type": {"type": "string", "enum": [*KINDS, "Inconnu"]},
    "id": {"type": "string", "pattern": r"^[A-Za-z0-9.\-]{1,64}$"},
    "version": {"type": "string", "pattern": r"^\d{1,9}$"},
}
SOME = {"type": "object", "properties": {"resourceType": {"enum": ["Bundle", "Consent", "Subscription", "Patient"]}, "type": TEXT, "status": TEXT, "criteria": TEXT, "entry": {"type": "array", "items": {"type": "object"}}}}  # fmt: skip


def described() -> dict:
    """The table of operations as OpenAPI."""
    paths: dict[str, dict] = {}
    for operation in OPERATIONS:
        asked = [{"name": name, "in": "query", "schema": schema} for name, schema in QUERY.items()]
        asked += [{"name": name, "in": "header", "schema": {"type": "string", "enum": values}} for name, values in HEADERS.items()]
        asked += [{"name": name, "in": "path", "required": True, "schema": PARTS[name]} for name in re.findall(r"\{(\w+)\}", operation.pattern)]
        told = {"parameters": asked, "responses": {"default": {"description": "FHIR"}}}
        if operation.method in ("POST", "PUT"):
            told["requestBody"] = {"content": {MEDIA: {"schema": SOME}}}
        paths.setdefault(f"/fhir/{operation.pattern}".rstrip("/"), {})[operation.method.lower()] = told
    return {"openapi": "3.0.3", "info": {"title": "FHIR", "version": "1"}, "paths": paths}


def site(environ, start_response):
    """The observatory, and the description of its FHIR face beside it."""
    if environ["PATH_INFO"] == "/decrit.json":
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(described()).encode()]
    return application(environ, start_response)


schema = schemathesis.openapi.from_wsgi("/decrit.json", site)


@pytest.mark.django_db
@pytest.mark.parametrize("actor", ["ESMS_PRODUCTEUR", "CNSA_SIDOBA"])
@schema.parametrize()
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_answers_in_fhir(case, actor, db):
    from belvedere.observatory.exchange import intake
    from belvedere.observatory.exchange.models import Party

    if not Party.objects.exists():
        intake.receive(establishment(), deposit(range(2)))
        institution("CNSA_SIDOBA")
    party = Party.objects.get(actor=actor)
    assert party.finess in ("", SSIAD)
    answer = case.call(headers={"Authorization": bearer(party)["HTTP_AUTHORIZATION"]})
    asked = (case.method, case.formatted_path, case.query, answer.status_code, answer.content[:200])
    assert answer.status_code < 500, asked
    if answer.status_code >= 400:
        assert answer.headers["content-type"][0].startswith(MEDIA) and answer.json()["resourceType"] == "OperationOutcome", asked


def test_the_description_holds_every_operation():
    assert sum(len(methods) for methods in described()["paths"].values()) == len(OPERATIONS)
