"""A month in one file, resources one a line, and a dry run that meets the rules of a deposit."""

import json

import pytest
from django.test import Client

from belvedere.engine.exchange.sample import resident
from belvedere.observatory.exchange import intake
from belvedere.observatory.exchange.models import (
    Person,
    Resource,
)
from belvedere.observatory.journal.models import Entry
from tests.exchange import bearer, deposit, rules_of

pytestmark = pytest.mark.django_db


def test_a_service_s_month_is_one_file(service):
    lines = ["ins;sexe;naissance;nom;prenom;debut;fin;gir;evaluation;situations;trajets"]
    for rank in range(120):
        one = resident(rank)
        lines.append(f"{one.ins};{'F' if one.sex == 'female' else 'M'};{one.born};{one.family};{one.given};2026-09-01;;4;2026-09-02;-;20")
    made = Client().post("/api/v1/exchange/deposits", "\n".join(lines).encode(), content_type="text/csv", **bearer(service))
    assert made.status_code == 202 and sum(made.json()["counts"].values()) == 1 + 120 * 25
    same = json.loads(deposit(range(1), name="trop"))
    same["entry"] += same["entry"][:1] * 2_000
    assert rules_of(intake.receive(service, json.dumps(same).encode())) == {"tddui-bundle-02"}, "a transaction of the guide keeps its bound"


def test_resources_given_one_a_line_are_a_deposit(service):
    rows = [entry["resource"] for entry in json.loads(deposit(range(1)))["entry"]]
    raw = "\n".join(json.dumps(row) for row in rows).encode()
    made = Client().post("/api/v1/exchange/deposits", raw, content_type="application/x-ndjson", **bearer(service))
    assert made.status_code == 202 and made.json()["state"] == "accepted" and sum(made.json()["counts"].values()) == len(rows)


def test_the_dry_run_meets_the_rules_of_a_deposit(service):
    """What can only be seen while a deposit is made ready is seen by the dry run too, and nothing stays of it."""
    twin = json.loads(deposit(range(1), name="deux"))
    grid = next(entry for entry in twin["entry"] if entry["resource"]["resourceType"] == "QuestionnaireResponse")
    other = json.loads(json.dumps(grid))
    other["resource"]["id"], other["fullUrl"], other["resource"]["authored"] = "autre", "QuestionnaireResponse/autre", "2026-09-17"
    twin["entry"].append(other)
    raw = json.dumps(twin).encode()
    assert rules_of(intake.validate(service, raw)) == rules_of(intake.receive(service, raw)) == {"tddui-resource-05"}
    assert intake.receive(service, deposit(range(1))).status == 200
    clash = intake.validate(service, deposit(range(2)))
    assert clash.body["issue"][0]["code"] == "conflict" and intake.receive(service, deposit(range(2))).status == 409
    assert not Resource.objects.filter(person__in=Person.objects.exclude(resources__deposit__identifier="depot-1")).exists()
    before = (Person.objects.count(), Resource.objects.count(), Entry.objects.count())
    assert "serait accepté" in json.dumps(intake.validate(service, deposit(range(5, 9), name="essai")).body, ensure_ascii=False)
    assert (Person.objects.count(), Resource.objects.count(), Entry.objects.count()) == before
