"""What is kept for good and what each trace says: words of persons, rights of what left, refusals, who must erase."""

import datetime as dt
import json
import re

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from belvedere.engine.exchange import matrix
from belvedere.observatory.exchange import archives, datasets, intake, portability, telling
from belvedere.observatory.exchange.models import (
    KEPT_FOR_GOOD,
    Alias,
    Person,
    Resource,
    RetentionRule,
    Stated,
)
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.notices.models import Notice
from tests.exchange import bearer, deposit, institution, say

pytestmark = pytest.mark.django_db


def refused_by_the_database(act) -> None:
    with pytest.raises(DatabaseError, match="une volonté ne se change pas"), transaction.atomic():
        act()


def test_the_database_itself_keeps_what_persons_said(service):
    intake.receive(service, deposit(range(2), agreed={0: False}))
    said = Stated.objects.get()
    for change in ({"kind": "accord"}, {"recipient": "ARS"}, {"at": timezone.now()}, {"collected_by": "acteur-9"}, {"said_by": "representant"}):
        refused_by_the_database(lambda change=change: Stated.objects.filter(pk=said.pk).update(**change))
    refused_by_the_database(lambda: Stated.objects.filter(pk=said.pk).delete())
    if connection.vendor == "sqlite":
        columns = [field.column for field in Stated._meta.fields]
        row = [getattr(said, field.attname) for field in Stated._meta.fields]
        sql = f"INSERT OR REPLACE INTO exchange_stated ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"
        refused_by_the_database(lambda: connection.cursor().execute(sql, row))
    else:
        connection.cursor().execute("SET CONSTRAINTS ALL IMMEDIATE")  # what is pending would refuse before the guard
        refused_by_the_database(lambda: connection.cursor().execute("TRUNCATE exchange_stated CASCADE"))
    other = Person.objects.exclude(pk=said.person_id).get()
    refused_by_the_database(lambda: Stated.objects.filter(pk=said.pk).update(person=other))
    Alias.objects.create(token=said.person.token, person=other)
    Stated.objects.filter(pk=said.pk).update(person=other)  # a person recognised as another takes its words along, to that one alone
    guarded = set(re.findall(r"NEW\.(\w+)", KEPT_FOR_GOOD["exchange_stated"].allowed))
    assert guarded == {field.column for field in Stated._meta.fields}, "a new column is guarded too"


def test_the_guards_come_back_after_a_table_is_made_anew(service):
    from belvedere.observatory.exchange.apps import keep_for_good
    from belvedere.observatory.journal import guards

    every = guards.TABLES | KEPT_FOR_GOOD
    assert guards.missing(connection, every) == []
    guards.lift(connection, KEPT_FOR_GOOD)
    assert set(guards.missing(connection, every)) == set(KEPT_FOR_GOOD)
    keep_for_good(None)
    assert guards.missing(connection, every) == []


def test_who_speaks_for_a_protected_adult_is_kept(service):
    content = json.loads(deposit(range(2), agreed={0: True, 1: False}))
    relative = {"resourceType": "RelatedPerson", "id": "tutrice", "patient": {"reference": "Patient/usager-1"}, "name": [{"family": "Roy"}]}
    content["entry"].append(
        {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001", "resource": relative, "request": {"method": "POST", "url": "RelatedPerson"}}
    )
    consents = [entry["resource"] for entry in content["entry"] if entry["resource"]["resourceType"] == "Consent"]
    consents[1]["performer"] = [{"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"}]
    assert intake.receive(service, json.dumps(content).encode()).status == 200
    assert list(Stated.objects.order_by("pk").values_list("kind", "said_by")) == [("accord", "personne"), ("opposition", "representant")]
    exported = list(portability.contents(portability.package(portability.run(portability.ask(party=service, kind="massif", persons=[], by="x")))))
    assert sum(row["resourceType"] == "Consent" for row in exported) == 2
    patient = Resource.objects.filter(type="Patient", current=True).first()
    told = {**consents[0], "patient": {"reference": f"Patient/{patient.uid}"}, "performer": [{"type": "RelatedPerson", "display": "sa fille"}]}
    made = Client().post("/fhir/Consent", json.dumps(told), content_type="application/fhir+json", **bearer(service))
    assert made.status_code == 201 and Stated.objects.last().said_by == "representant"
    read = Client().get(f"/fhir/Consent/{made.json()['id']}", **bearer(service)).json()
    assert read["performer"] == [{"type": "RelatedPerson", "display": "son représentant"}]


@pytest.mark.django_db(transaction=True)
def test_whatever_left_says_by_which_rules_of_which_matrix(service, data_folder, monkeypatch):
    from belvedere.observatory.exchange import subscribing

    sidoba = institution("CNSA_SIDOBA")
    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    RetentionRule.objects.create(department="75", months=0, fate="conserver", since=dt.date(2020, 1, 1))
    subscribing.subscribe(party=sidoba, topic="sejour-clos", purpose="FINANCEMENT", endpoint="https://93.184.216.34/r", filters={}, level=2)
    monkeypatch.setattr(telling, "post", lambda *given: (200, {}))
    telling.deliver()
    intake.receive(service, deposit(range(1), name="clos", end=dt.date(2026, 9, 20)))
    telling.deliver()
    datasets.content(datasets.publish(code="ssiad-sidoba", period="2026-09", by="test"), by=sidoba.code)
    transfer = archives.prepare(party=service, person=archives.due(service, timezone.localdate())[0], by="test")
    archives.package(transfer, by="test")
    portability.run(portability.ask(party=service, kind="massif", persons=[], by="x"))
    rows = {row.rule for row in matrix.proposed().rows}
    for action in ("echange.notification", "echange.jeu", "echange.versement", "echange.export"):
        told = Entry.objects.filter(action=action, subject__startswith="usager:").get().detail
        assert told["rules"] and set(told["rules"]) <= rows, action
        assert told["matrix"] == matrix.proposed().version and told["grain"] == "NOMINATIF" and told["purpose"], action


def test_refusals_of_somebody_known_are_kept(service):
    ars, weak = institution("ARS", region="R11"), bearer(service, level=1)
    answers = [
        Client().post("/fhir", deposit(range(1)), content_type="application/fhir+json", **bearer(ars)),
        Client().post("/fhir", deposit(range(1)), content_type="application/fhir+json", **weak),
        Client().post("/fhir", b"{}", content_type="application/fhir+json", CONTENT_LENGTH=str(11 * 1024 * 1024), **bearer(service)),
        Client().get("/fhir/Patient", **bearer(ars), HTTP_X_GRAIN="AGREGE", HTTP_X_FINALITE="PILOTAGE"),
        Client().post("/api/v1/exchange/deposits", b"x", content_type="text/csv", **weak),
        Client().post("/api/v1/exchange/deposits", b"x", content_type="text/csv", CONTENT_LENGTH=str(11 * 1024 * 1024), **bearer(service)),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 413, 403, 403, 413]
    kept = Entry.objects.filter(action="echange.acces.refuse").order_by("pk")
    assert [(row.actor, row.detail["status"]) for row in kept] == [
        (ars.code, 403), (service.code, 403), (service.code, 413), (ars.code, 403), (service.code, 403), (service.code, 413)
    ]  # fmt: skip
    Client().get("/fhir/Patient", **bearer(ars))  # told by the reading itself, once
    assert kept.count() == 6 and Entry.objects.filter(action="echange.lecture.refusee").count() == 1


def test_whoever_received_is_told_what_to_erase(service, monkeypatch):
    """Though its right has closed since; and by mail when it has no subscription that says so."""
    from belvedere.engine.exchange.vocabulary import Grain, Purpose
    from belvedere.observatory.exchange import erasing, messages, reading, subscribing
    from belvedere.observatory.exchange.models import Delivery, Event, Subscription

    sidoba, resid = institution("CNSA_SIDOBA"), institution("CNAM_RESIDESMS")
    subscribing.subscribe(party=sidoba, topic="donnee-effacee", purpose="FINANCEMENT", endpoint="https://93.184.216.34/r", filters={}, level=2)
    intake.receive(service, deposit(range(1)))
    assert reading.search(sidoba, 2, Purpose.FUNDING, Grain.NAMED, "Patient").resources
    assert reading.search(resid, 2, Purpose.BILLING_CONTROL, Grain.NAMED, "Patient").resources or True
    person = Person.objects.get()
    say(person, "opposition", service)
    erasing.erase(person=person, party=service, by="test", why="demande")
    subscription = Subscription.objects.get()
    rows = [
        Delivery(subscription=subscription, event=event, number=rank) for rank, event in enumerate(Event.objects.filter(topic="donnee-effacee"), 1)
    ]
    told = messages.leaving(subscription, rows, timezone.now())
    assert told and all(one.focus and not one.withheld for one in told)
    stranger = Subscription(party=institution("DREES"), topic="donnee-effacee", purpose="STATISTIQUE", level=2)
    assert all(one.withheld for one in messages.leaving(stranger, rows, timezone.now())), "who received nothing learns nothing"
    assert not Notice.objects.filter(kind="exchange_erased", to=sidoba.contact).exists()
