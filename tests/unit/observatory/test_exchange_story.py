"""The hub's story, end to end, over HTTP: three persons deposited, one opposes, two read; masked counts; three days of silence; a byte of the journal;
an archive and its reply; a change of software."""

import datetime as dt
import json

import pytest
from django.test import Client
from django.utils import timezone

from belvedere.engine.evidence import archive
from belvedere.engine.exchange import seda, seda_messages
from belvedere.observatory import stamping
from belvedere.observatory.exchange import aggregates, archives, gating, intake, portability, telling
from belvedere.observatory.exchange.models import Event, Export, Resource, RetentionRule, Transfer
from belvedere.observatory.journal import sealing
from belvedere.observatory.journal.actions import broken_at
from tests.consumer import Consumer, focuses
from tests.exchange import SSIAD, bearer, deposit, establishment, finess, institution

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_story(monkeypatch, federations):
    monkeypatch.setenv("BELVEDERE_WEBHOOK_PRIVATE", "1")
    ahead, real = [dt.timedelta(0)], timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + ahead[0])
    stamping.create_keys()
    sealing.create_key()
    service, cnsa, ars = establishment(), institution("CNSA_SIDOBA"), institution("ARS", region="R11")
    depot = institution("ARCHIVES_DEPARTEMENTALES", department="75")
    producer = bearer(service) | {"HTTP_X_FINALITE": "ACCOMPAGNEMENT"}
    reader = bearer(cnsa) | {"HTTP_X_FINALITE": "PILOTAGE", "HTTP_X_GRAIN": "PSEUDONYME"}
    client = Client()

    # The institution subscribes before anything happens.
    consumer = Consumer(timezone.now)
    asked = {"resourceType": "Subscription", "criteria": "x/sejour-ouvert", "channel": {"type": "rest-hook", "endpoint": consumer.url}}
    made = client.post("/fhir/Subscription", json.dumps(asked), content_type="application/fhir+json", **reader)
    consumer.secret = made["X-Secret"]
    telling.deliver()

    # A service deposits three persons, one of whom opposes.
    answer = client.post("/fhir", deposit(range(3), agreed={1: False}), content_type="application/fhir+json", **producer)
    assert answer.status_code == 200
    receipt = client.get(f"/api/v1/exchange/deposits/{answer['Recepisse']}", **producer).json()
    assert receipt["state"] == "accepted" and archive.verify_proof(receipt["proof"]).whole

    # It is notified, and reads two.
    telling.deliver()
    assert consumer.seen == [1, 2, 3] and len(focuses(consumer.calls[-1]["body"])) == 2
    assert len(client.get("/fhir/Patient", **reader).json()["entry"]) == 2

    # Two other services are in the region. The agency's counts pass the gate: nobody reads them before the three federations have said yes, and then
    # small numbers are masked.
    for rank in (1, 2):
        place = establishment(finess(f"7500001{rank}"))
        assert intake.receive(place, deposit(range(100 * rank, 100 * rank + 12), number=place.finess)).status == 200
    counts = aggregates.propose(by="test")
    address, agency = f"/api/v1/exchange/datasets/{counts.code}/{counts.period}/{counts.version}", bearer(ars)
    for federation in federations:
        assert client.get(address, **agency).status_code == 404
        gating.decide(dataset=counts, federation=federation, by=None)
    told = {(cell["territory"], cell["gir"], cell["sex"]): cell["persons"] for cell in client.get(address, **agency).json()["cells"]}
    assert told["R11", "*", "*"] == 26 and None in told.values() and not any(0 < (value or 0) < 11 for value in told.values())

    # The consumer is down for three simulated days, and misses nothing.
    consumer.script = [503] * 8
    for rank in range(3, 7):
        assert (
            client.post("/fhir", deposit(range(rank, rank + 1), name=f"d{rank}"), content_type="application/fhir+json", **producer).status_code == 200
        )
        telling.deliver()
        for _ in range(36):
            ahead[0] += dt.timedelta(minutes=30)
            telling.deliver()
    for _ in range(60):
        ahead[0] += dt.timedelta(minutes=30)
        telling.deliver()
    assert consumer.seen == list(range(1, 32)), "the two other services opened 24 stays"
    consumer.close()

    # A department receives a SEDA package, and replies; only then is the source copy erased.
    closed = deposit(range(1), name="fin", end=dt.date(2026, 10, 1))
    assert client.post("/fhir", closed, content_type="application/fhir+json", **producer).status_code == 200
    RetentionRule.objects.create(department="75", months=0, fate="conserver", since=dt.date(2020, 1, 1))
    person = Resource.objects.get(profile="tddui-encounter-sejour", facts__end="2026-10-01").person
    archives.prepare(party=service, person=person, by="test")
    keeper = bearer(depot)
    listed = client.get("/api/v1/exchange/transfers", **keeper).json()[0]
    package = client.get(f"/api/v1/exchange/transfers/{listed['reference']}/package", **keeper).content
    held = seda.read(package)
    told = {"identifier": "AD75-1", "at": timezone.now(), "about": held.identifier, "agency": held.archives}
    for message, state in (
        (seda_messages.acknowledgement(**told), "acknowledged"),
        (seda_messages.reply(**told, code="OK", outcomes=dict.fromkeys(held.units, "OK")), "accepted"),
    ):
        replied = client.post(f"/api/v1/exchange/transfers/{listed['reference']}/messages", message, content_type="application/xml", **keeper)
        assert replied.json()["state"] == state, replied.content
    archives.purge(Transfer.objects.get(), by="test")

    # The establishment changes software: it exports, and takes back the same set.
    asked_export = client.post("/api/v1/exchange/exports", json.dumps({"kind": "massif"}), content_type="application/json", **producer)
    assert asked_export.status_code == 202
    portability.run_due()
    reference = asked_export.json()["reference"]
    taken = client.get(f"/api/v1/exchange/exports/{reference}/package", **producer).content
    before = Export.objects.get(reference=reference).report
    Transfer.objects.all().delete()
    telling.Delivery.objects.all().delete()
    Event.objects.all().delete()
    Resource.objects.all().delete()
    for lot in portability.lots(taken):
        assert client.post("/fhir", lot, content_type="application/fhir+json", **producer).status_code == 200
    portability.run(portability.ask(party=service, kind="massif", persons=[], by="test"))
    after = Export.objects.exclude(reference=reference).get().report
    assert after["set"] == before["set"] and after["counts"] == before["counts"]

    # The journal holds; one byte altered, the verifier names its entry.
    assert broken_at() is None
    lines = list(sealing.export())
    assert archive.verify(lines).whole
    rank = next(place for place, line in enumerate(lines) if '"echange.depot"' in line)
    altered = [line.replace('"echange.depot"', '"echange.depos"') if place == rank else line for place, line in enumerate(lines)]
    verdict = archive.verify(altered)
    number = json.loads(lines[rank])["entry"]["id"]
    assert verdict.number == number and verdict.why
    assert SSIAD not in "".join(lines), "the journal names nobody, and no establishment"
