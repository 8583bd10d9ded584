"""Each topic is told by what raises it, and a delivery meets the world: the plan of retries, replays, addresses that move, certificates that are none."""

import base64
import contextlib
import datetime as dt
import json
import random
import socket
import ssl
import threading

import pytest
from django.test import Client
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from belvedere.engine.exchange.topics import topics
from belvedere.observatory.collect import webhooks
from belvedere.observatory.exchange import archives, datasets, erasing, intake, portability, replies, subscribing, telling
from belvedere.observatory.exchange.models import Delivery, Event, Resource, RetentionRule, Subscription, Transfer
from tests.consumer import Consumer, focuses, numbers
from tests.exchange import bearer, deposit, institution, say
from tests.front import Authority

pytestmark = pytest.mark.django_db(transaction=True)
PROFILE = "https://interop.esante.gouv.fr/ig/fhir/tddui/StructureDefinition/"


@pytest.fixture
def consumer(monkeypatch):
    monkeypatch.setenv("BELVEDERE_WEBHOOK_PRIVATE", "1")
    made = Consumer()
    yield made
    made.close()


def subscribed(party, topic: str, endpoint: str, purpose: str = "FINANCEMENT") -> Subscription:
    made, _ = subscribing.subscribe(party=party, topic=topic, purpose=purpose, endpoint=endpoint, filters={}, level=2)
    telling.deliver()
    made.refresh_from_db()
    return made


def with_more(raw: bytes, *resources: dict) -> bytes:
    content = json.loads(raw)
    for one in resources:
        content["entry"].append(
            {"fullUrl": f"{one['resourceType']}/{one['id']}", "resource": one, "request": {"method": "POST", "url": one["resourceType"]}}
        )
    return json.dumps(content).encode()


def profiled(kind: str, profile: str, **content) -> dict:
    return {"resourceType": kind, "meta": {"profile": [PROFILE + profile]}, **content}


USAGER = {"reference": "Patient/usager-0"}
NEED = profiled("ServiceRequest", "tddui-servicerequest-besoin", id="b", identifier=[{"system": "urn:x", "value": "b"}], basedOn=[{"reference": "CarePlan/c"}], status="active", intent="plan", subject=USAGER, code={"text": "besoin"})  # fmt: skip
SERVICE = profiled(
    "Task", "tddui-task-prestation", id="p", identifier=[{"system": "urn:x", "value": "p"}], basedOn=[{"reference": "CarePlan/c"}], status="completed", intent="order",
    **{"for": USAGER}, executionPeriod={"start": "2026-09-03"},
)  # fmt: skip
PLAN = profiled("CarePlan", "tddui-careplan-projet-personnalise", id="c", identifier=[{"system": "urn:x", "value": "c"}], title="Projet", status="active", intent="plan", subject=USAGER)  # fmt: skip
PAPER = profiled(
    "DocumentReference",
    "tddui-document-reference",
    id="d",
    status="current",
    subject=USAGER,
    content=[{"attachment": {"contentType": "application/pdf"}}],
)


def test_every_topic_is_raised_by_what_it_names(service, data_folder):
    """What raises each, and whether it is about a resource: no topic of the list is a promise alone."""
    sidoba = institution("CNSA_SIDOBA")
    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    RetentionRule.objects.create(department="75", months=0, fate="conserver", since=dt.date(2020, 1, 1))
    taken = intake.receive(service, with_more(deposit(range(1), agreed={0: True}), NEED, SERVICE, PLAN, PAPER))
    assert taken.status == 200, taken.body
    intake.receive(service, deposit(range(1), name="clos", end=dt.date(2026, 9, 20)))
    intake.receive(service, deposit(range(1), name="corrige", end=dt.date(2026, 9, 21)))
    intake.receive(service, b"{}")
    person = Resource.objects.filter(type="Patient").first().person
    say(person, "retrait", service)
    portability.run(portability.ask(party=service, kind="massif", persons=[], by="x"))
    assert datasets.publish(code="ssiad-sidoba", period="2026-09", by="test").state != "broken"
    content = json.loads(deposit(range(1, 4), name="sans-ins"))
    for entry in content["entry"]:
        if entry["resource"]["resourceType"] == "Patient":
            del entry["resource"]["identifier"][0]
    assert intake.receive(service, json.dumps(content).encode()).status == 200
    assert datasets.publish(code="ssiad-sidoba", period="2026-09", by="test").state == "broken"
    made = archives.prepare(party=service, person=person, by="test")
    archives.package(made, by="test")
    replies.answer(Transfer.objects.get(), dict.fromkeys(replies._package(made).pieces, "OK"), by="test")
    erasing.erase(person=Resource.objects.filter(type="Patient", erased=False).last().person, party=service, by="x", why="essai")
    raised = dict(Event.objects.values_list("topic", "resource__type"))
    assert set(raised) == set(topics()), set(topics()) ^ set(raised)
    about = {topic for topic, kind in Event.objects.exclude(resource=None).values_list("topic", "resource__type")}
    assert about == {
        "sejour-ouvert", "sejour-clos", "evaluation-aggir", "evaluation-serafin", "projet-personnalise", "prestation-realisee", "document-ajoute", "donnee-rectifiee", "donnee-effacee",
    }  # fmt: skip
    assert Event.objects.filter(topic="jeu-publie").get().establishment == sidoba


@pytest.mark.parametrize(("topic", "actor", "told"), [
    ("evaluation-aggir", "CNSA_SIDOBA", "QuestionnaireResponse"), ("evaluation-serafin", "CNSA_SIDOBA", ""), ("prestation-realisee", "CNSA_SIDOBA", ""),
    ("document-ajoute", "CNSA_SIDOBA", ""), ("projet-personnalise", "CNSA_SIDOBA", ""),
])  # fmt: skip
def test_a_topic_is_told_to_whom_the_matrix_opens_its_data(service, consumer, topic, actor, told):
    """The matrix opens SIDOBA a person's evaluation, and nothing of the accompaniment but what its rows name."""
    from belvedere.engine.exchange.matrix import proposed

    made = subscribed(institution(actor), topic, consumer.url)
    intake.receive(service, with_more(deposit(range(1)), NEED, SERVICE, PLAN, PAPER))
    telling.deliver()
    category = topics()[topic].category
    opened = any(row.actor == actor and row.purpose == "FINANCEMENT" and row.category == category for row in proposed().rows)
    kinds = {address.rsplit("/", 2)[1] for call in consumer.calls for address in focuses(call["body"])}
    assert bool(kinds) <= opened and (kinds == {told} if told else True)
    made.refresh_from_db()
    assert made.last_number == made.deliveries.count() == made.deliveries.exclude(told_at=None).count()


def test_one_s_own_topics_reach_the_one_they_are_about(service, consumer):
    for topic in ("depot-refuse", "export-pret"):
        subscribed(service, topic, consumer.url, purpose="ACCOMPAGNEMENT")
    intake.receive(service, b"{}")
    portability.run(portability.ask(party=service, kind="massif", persons=[], by="x"))
    for _ in range(5):  # on SQLite, where one of two may find the base taken: it is sent at the next turn
        telling.deliver()
    told = {address.rsplit("/", 2)[1] for call in consumer.calls for address in focuses(call["body"])}
    assert told == {"deposits", "exports"}, "addresses that can be read"


def test_retries_follow_the_plan_within_its_jitter(service, consumer, monkeypatch):
    """At once, then 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h (orchestrator reference §4.5), each within a tenth."""
    made = subscribed(institution("CNSA_SIDOBA"), "sejour-ouvert", consumer.url)
    consumer.script = [500] * 20
    intake.receive(service, deposit(range(1)))
    drawn: list[tuple[float, float]] = []
    real = random.uniform
    monkeypatch.setattr(telling.random, "uniform", lambda low, high: drawn.append((low, high)) or real(low, high))
    waited, now = [], timezone.now()
    for _ in range(9):
        monkeypatch.setattr(timezone, "now", lambda now=now: now)
        telling.deliver()
        made.refresh_from_db()
        waited.append((made.next_at - now).total_seconds())
        now = made.next_at + dt.timedelta(seconds=1)
    planned = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert all(0.9 * plan <= seconds <= 1.1 * plan for plan, seconds in zip(planned, waited, strict=True)), waited
    assert drawn == [(0.9, 1.1)] * 9 and len({round(seconds / plan, 6) for plan, seconds in zip(planned, waited, strict=True)}) > 1
    assert abs(sum(planned) / 3600 - 75.6) < 0.1
    telling.deliver()
    monkeypatch.setattr(timezone, "now", lambda: now)
    telling.deliver()
    made.refresh_from_db()
    assert made.state == "error", "the tenth failure ends the plan"


def test_a_replay_goes_out_again_under_its_own_identifier(service, consumer):
    party = institution("CNSA_SIDOBA")
    made = subscribed(party, "sejour-ouvert", consumer.url)
    intake.receive(service, deposit(range(2)))
    telling.deliver()
    answer = Client().post(f"/api/v1/exchange/subscriptions/{made.uid}/deliveries/1/replay", **bearer(party))
    assert answer.status_code == 202, answer.content
    telling.deliver()
    sent = [numbers(call["body"]) for call in consumer.calls]
    assert sent[1:] == [[1, 2], [1]] and consumer.seen == [1, 2, 1]
    assert Delivery.objects.get(subscription=made, number=1).status == "200"
    assert Client().post(f"/api/v1/exchange/subscriptions/{made.uid}/deliveries/99/replay", **bearer(party)).status_code == 404


def test_the_signature_is_that_of_the_reference_libraries():
    """The vector of Standard Webhooks' own tests (orchestrator reference §4.5)."""
    at = dt.datetime.fromtimestamp(1614265330, dt.UTC)
    signed = Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, '{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert 24 <= len(base64.b64decode(subscribing._new_secret().removeprefix("whsec_"))) <= 64


@pytest.mark.parametrize("moved", ["127.0.0.1", "10.0.0.5", "169.254.169.254", "::1", "fd00::1"])
def test_an_address_that_moved_inside_is_not_called(service, monkeypatch, moved):
    """The name was public when the subscription was made; what counts is where it leads at the moment of the call."""
    monkeypatch.delenv("BELVEDERE_WEBHOOK_PRIVATE", raising=False)
    family = socket.AF_INET6 if ":" in moved else socket.AF_INET
    where = {"address": "93.184.216.34", "family": socket.AF_INET}
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, *a, **k: [(where["family"], socket.SOCK_STREAM, 6, "", (where["address"], port))])
    called: list[tuple] = []
    monkeypatch.setattr(socket, "create_connection", lambda *a, **k: called.append(a) or (_ for _ in ()).throw(OSError("appel réel")))
    made, _ = subscribing.subscribe(
        party=institution("CNSA_SIDOBA"), topic="sejour-ouvert", purpose="FINANCEMENT", endpoint="https://rappel.exemple.fr/x", filters={}, level=2
    )
    where |= {"address": moved, "family": family}
    telling.deliver()
    made.refresh_from_db()
    assert called == [] and made.state == "requested" and made.tries == 1 and made.why


def test_a_certificate_that_nobody_signed_is_refused(service, tmp_path, monkeypatch):
    """A real TLS server whose certificate is its own word: nothing is sent to it, and the next try waits."""
    monkeypatch.setenv("BELVEDERE_WEBHOOK_PRIVATE", "1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Authority(tmp_path).issue("rappel", host="127.0.0.1").path)
    server, received = socket.create_server(("127.0.0.1", 0)), []

    def listen() -> None:
        taken, _ = server.accept()
        with contextlib.suppress(OSError), context.wrap_socket(taken, server_side=True) as tls:
            received.append(tls.recv(10))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    address = f"https://127.0.0.1:{server.getsockname()[1]}/"
    made, _ = subscribing.subscribe(
        party=institution("CNSA_SIDOBA"), topic="sejour-ouvert", purpose="FINANCEMENT", endpoint=address, filters={}, level=2
    )
    telling.deliver()
    thread.join(5)
    server.close()
    made.refresh_from_db()
    assert made.state == "requested" and made.tries == 1 and "Cert" in made.why and received in ([], [b""])


def test_a_consumer_that_never_answers_is_let_go(service, monkeypatch):
    """A server that accepts and says nothing: the call ends at its time-out, others go on."""
    monkeypatch.setenv("BELVEDERE_WEBHOOK_PRIVATE", "1")
    monkeypatch.setattr(webhooks, "TIMEOUT", 0.5)
    silent = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=lambda: [silent.accept() for _ in range(2)], daemon=True).start()
    made, _ = subscribing.subscribe(
        party=institution("CNSA_SIDOBA"),
        topic="sejour-ouvert",
        purpose="FINANCEMENT",
        endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}/",
        filters={},
        level=2,
    )
    began = timezone.now()
    telling.deliver()
    made.refresh_from_db()
    silent.close()
    assert made.state == "requested" and made.tries == 1 and "imeout" in made.why
    assert (timezone.now() - began).total_seconds() < 10


def test_a_notification_that_would_carry_more_than_addresses_is_refused(service):
    party = institution("CNSA_SIDOBA")
    extension = {"url": "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content", "valueCode": "full-resource"}
    asked = {
        "resourceType": "Subscription", "status": "requested", "reason": "x", "criteria": "sejour-ouvert",
        "channel": {"type": "rest-hook", "endpoint": "https://93.184.216.34/x", "payload": "application/fhir+json", "_payload": {"extension": [extension]}},
    }  # fmt: skip
    told = Client().post(
        "/fhir/Subscription", json.dumps(asked), content_type="application/fhir+json", HTTP_X_FINALITE="FINANCEMENT", **bearer(party)
    )
    assert told.status_code == 422 and "id-only" in told.json()["issue"][0]["diagnostics"] and not Subscription.objects.exists()
    extension["valueCode"] = "id-only"
    assert (
        Client()
        .post("/fhir/Subscription", json.dumps(asked), content_type="application/fhir+json", HTTP_X_FINALITE="FINANCEMENT", **bearer(party))
        .status_code
        == 201
    )
