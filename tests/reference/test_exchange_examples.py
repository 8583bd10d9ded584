"""The guides' examples that are no deposit: what each of them is worth here, and what we write in their shape."""

import datetime as dt
import json

import pytest
from django.test import Client
from django.utils import timezone

from belvedere.engine.exchange import structure
from belvedere.observatory.exchange import intake, messages, subscribing, traces
from belvedere.observatory.exchange.models import Deposit, Stated, Subscription
from belvedere.observatory.exchange.models.subscriptions import Delivery, Event
from belvedere.observatory.journal.models import Entry
from tests.conftest import SHARED
from tests.exchange import SSIAD, bearer, deposit, establishment, institution, rules_of

FOLDER = SHARED / "exchange" / "fhir"
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not FOLDER.exists(), reason="shared/data absent : les exemples des guides ne sont pas là"),
]
FHIR = "application/fhir+json"


def example(name: str) -> dict:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [
    "sdo/ESMSConsent.json", "nde/nde_subscription_example.json", "tde/tde_auditevent_example.json", "abonnement/notification_r4_backport_exemple.json",
    "tddui/encounter_evenement.json", "tddui/questionnaireresponse_aggir_pa.json", "tddui/questionnaireresponse_situation_ssiad.json",
])  # fmt: skip
def test_every_example_follows_r4_by_our_check(name):
    assert structure.problems(example(name)) == []


def test_the_consent_of_sdo_names_nobody_and_is_refused_for_it():
    """Its scope is a decision of orientation (`provision.data`), of no person and by nobody: TDDUI asks for one performer, and we for whom it is of."""
    service, consent = establishment(), example("sdo/ESMSConsent.json")
    told = Client().post("/fhir/Consent", json.dumps(consent), content_type=FHIR, **bearer(service))
    assert told.status_code == 422 and "patient.reference" in told.json()["issue"][0]["diagnostics"]
    content = json.loads(deposit(range(1)))
    content["entry"].append({"fullUrl": "Consent/x", "resource": consent, "request": {"method": "POST", "url": "Consent"}})
    assert rules_of(intake.receive(service, json.dumps(content).encode())) == {"tddui-reference-04"}, "nobody's"
    consent["patient"] = {"reference": "Patient/usager-0"}
    assert rules_of(intake.receive(service, json.dumps(content).encode())) == {"tddui-consent-01", "tddui-consent-04"}
    consent |= {"patient": {"reference": "Patient/usager-0"}, "performer": [{"reference": "Patient/usager-0"}]}
    assert rules_of(intake.receive(service, json.dumps(content).encode())) == {"tddui-consent-04"}, "a scope that is not read whole is not read wider"
    del consent["provision"]
    assert intake.receive(service, json.dumps(content).encode()).status == 200 and Stated.objects.get().kind == "accord"


def test_the_subscription_by_mail_of_nde_is_told_what_is_taken():
    """Its guide leaves the delivery out of its scope: ours is a signed call."""
    party = institution("ARS", region="R11")
    told = Client().post(
        "/fhir/Subscription", json.dumps(example("nde/nde_subscription_example.json")), content_type=FHIR, HTTP_X_FINALITE="PILOTAGE", **bearer(party)
    )
    assert told.status_code == 422 and "rest-hook" in told.json()["issue"][0]["diagnostics"]
    assert not Subscription.objects.exists() and not Deposit.objects.exists()


def shape(value: object) -> object:
    """What a value is made of: names of its elements, kinds of its leaves."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else type(value).__name__


def test_our_notification_has_the_shape_of_the_backport():
    made, _ = subscribing.subscribe(
        party=institution("CNSA_SIDOBA"), topic="evaluation-aggir", purpose="FINANCEMENT", endpoint="https://93.184.216.34/x", filters={}, level=2
    )
    event = Event.objects.create(topic="evaluation-aggir", at=timezone.now(), establishment=establishment(), focus="QuestionnaireResponse/qr-9")
    told = messages.notification(
        made, "event-notification", [messages.Leaving(Delivery(subscription=made, event=event, number=1), event.focus, False)]
    )
    theirs = example("abonnement/notification_r4_backport_exemple.json")
    assert structure.problems(told) == []
    for key in ("resourceType", "meta", "type", "timestamp"):
        assert shape(told[key]) == shape(theirs[key])
    assert told["meta"] == theirs["meta"] and told["type"] == theirs["type"]
    ours, other = (bundle["entry"][0]["resource"]["parameter"] for bundle in (told, theirs))
    assert [(one["name"], *sorted(set(one) - {"name", "part"})) for one in ours] == [
        (one["name"], *sorted(set(one) - {"name", "part"})) for one in other
    ]
    parts = [{part["name"]: sorted(set(part) - {"name"}) for part in side[-1]["part"]} for side in (ours, other)]
    assert parts[0] == {name: keys for name, keys in parts[1].items() if name in parts[0]} and {"event-number", "timestamp", "focus"} <= set(parts[0])


def test_our_traces_have_what_the_traceability_guide_asks():
    """AuditEvent of TdE: subtype 1.., period.start 1.., two agents at least, each with who."""
    service = establishment()
    intake.receive(service, deposit(range(1)))
    told = traces.audit_event(Entry.objects.filter(action="echange.depot").get(), service.code)
    theirs = example("tde/tde_auditevent_example.json")
    assert structure.problems(told) == [] and set(theirs) <= set(told)
    assert told["type"]["code"] == theirs["type"]["code"] and told["type"]["system"] == theirs["type"]["system"]
    assert told["subtype"][0]["system"] == theirs["subtype"][0]["system"] and told["period"]["start"]
    assert len(told["agent"]) >= 2 and all(agent["who"] for agent in told["agent"]) and sum(agent["requestor"] for agent in told["agent"]) == 1
    now = timezone.now()
    bounded = {"date": [f"ge{now - dt.timedelta(days=1):%Y-%m-%d}", f"le{now + dt.timedelta(days=1):%Y-%m-%d}"]}
    assert Client().get("/fhir/AuditEvent", **bearer(service)).status_code == 400, "a search without bounds is refused"
    assert Client().get("/fhir/AuditEvent", bounded, **bearer(service)).json()["total"] >= 1
    assert SSIAD not in json.dumps(told)
