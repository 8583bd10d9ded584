"""What a subscriber is sent: which events, by number, as it may name them at the moment they leave; signed, never with any content."""

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.utils import timezone
from standardwebhooks.webhooks import Webhook as Signer

from belvedere.engine.exchange.profiles import profiles
from belvedere.engine.exchange.topics import topics
from belvedere.engine.exchange.vocabulary import Category, Grain, Purpose
from belvedere.observatory.environment import read
from belvedere.observatory.exchange import policy, traces, vault
from belvedere.observatory.exchange.models import Delivery, Event, Stated, Subscription, SubscriptionState
from belvedere.observatory.exchange.subscribing import secrets_of
from belvedere.observatory.journal.actions import Fact
from belvedere.observatory.journal.models import TreeHead

ERASED = "donnee-effacee"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription"


@dataclass(frozen=True)
class Leaving:
    """One event about to leave: its delivery, the address under which the subscriber may name its object ("": none), whether its right is closed, and by what
    right it is told."""

    delivery: Delivery
    focus: str
    withheld: bool
    told: Mapping[str, object] = field(default_factory=dict)  # grain, rules and version of the matrix, for the journal


def base() -> str:
    """The address of the FHIR base."""
    return read("BELVEDERE_PUBLIC_URL").rstrip("/") + "/fhir"


def leaving(subscription: Subscription, deliveries: Sequence[Delivery], now: dt.datetime) -> list[Leaving]:
    """Ask the decision point for each event, at the moment it leaves. Deliveries come with their event, its resource and establishment."""
    judge, asking = policy.judge(), policy.asking(subscription.party, subscription.level)
    people = {delivery.event.person_id for delivery in deliveries if delivery.event.person_id}
    said: dict[int, list[Stated]] = {}
    for one in Stated.objects.filter(person__in=people):
        said.setdefault(one.person_id, []).append(one)

    def permitted(event: Event, grain: Grain) -> dict[str, object]:
        told = topics()[subscription.topic].category
        source = event.establishment.code if event.establishment else ""
        if event.resource is not None:
            thing, about = policy.thing(event.resource), Category(told) if told else profiles()[event.resource.profile].category
        else:
            place = event.establishment
            thing, about = policy.Thing(place.finess, place.department, place.region, place.kind) if place else policy.Thing(), Category(told)
        ask = policy.consent_of(event.person_id, source, now, policy.said(said.get(event.person_id or 0, [])))
        made = judge.decide(asking, Purpose(subscription.purpose), about, grain, thing, now, ask)
        return {"grain": grain.value, "rules": [made.rule], "matrix": made.version} if made.permitted else {}

    found = []
    for delivery in deliveries:
        event = delivery.event
        # One's own events, and those of packages, are about no data of others.
        if event.establishment_id == subscription.party_id or not (topics()[subscription.topic].category or event.resource_id):
            found.append(Leaving(delivery, event.focus, False, {"rules": [], "matrix": judge.matrix.version}))
        elif told := permitted(event, Grain.NAMED):
            found.append(Leaving(delivery, event.focus, False, told))
        elif told := permitted(event, Grain.PSEUDONYM):
            found.append(Leaving(delivery, _address(subscription, event, Grain.PSEUDONYM), False, told))
        elif event.topic == ERASED and event.person and (grain := traces.recipients(event.person).get(subscription.party.code)):
            # Whoever received it must know what to erase, whatever its right is today.
            found.append(
                Leaving(delivery, _address(subscription, event, grain), False, {"rules": [], "matrix": judge.matrix.version, "grain": grain.value})
            )
        else:
            found.append(Leaving(delivery, "", True))
    return found


def _address(subscription: Subscription, event: Event, grain: Grain) -> str:
    """How a subscriber may name the object of an event."""
    if grain == Grain.NAMED:
        return event.focus
    row = event.resource
    return "" if row is None else f"{row.type}/{vault.address(subscription.party.code, row.type, row.uid)}"


# What is no FHIR resource has its address in the API.
_ELSEWHERE = {"jeux": "datasets", "depots": "deposits", "exports": "exports", "versements": "transfers"}


def _read_at(focus: str) -> tuple[str, str]:
    """The address at which the object of an event is read, and the collection that it is of, as a bundle writes it."""
    head, _, rest = focus.partition("/")
    if head in _ELSEWHERE:
        collection = f"{base().removesuffix('/fhir')}/api/v1/exchange/{_ELSEWHERE[head]}"
        return f"{collection}/{rest}", collection
    kind = "Consent" if head == "volontes" else head
    return f"{base()}/{kind}/{rest}", kind


def notification(subscription: Subscription, kind: str, events: Sequence[Leaving] = ()) -> dict:
    """A notification bundle of the R5 backport. An event whose right is closed keeps its number and loses its object: no hole, nothing told."""
    here = f"{base()}/Subscription/{subscription.uid}"
    parameters: list[dict] = [
        {"name": "subscription", "valueReference": {"reference": here}},
        {"name": "topic", "valueCanonical": f"{base()}/SubscriptionTopic/{subscription.topic}"},
        {"name": "status", "valueCode": SubscriptionState(subscription.state).value},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(subscription.last_number)},
    ]
    entries: list[dict] = []
    for event in events:
        parts: list[dict] = [
            {"name": "event-number", "valueString": str(event.delivery.number)},
            {"name": "timestamp", "valueInstant": event.delivery.event.at.isoformat()},
        ]
        if event.focus and not event.withheld:
            focus, collection = _read_at(event.focus)
            parts.append({"name": "focus", "valueReference": {"reference": focus}})
            entries.append({"fullUrl": focus, "request": {"method": "POST", "url": collection}, "response": {"status": "201"}})
        parameters.append({"name": "notification-event", "part": parts})
    uid = str(uuid.uuid4())
    status = {
        "fullUrl": f"urn:uuid:{uid}", "resource": {"resourceType": "Parameters", "id": uid, "meta": {"profile": [f"{BACKPORT}-status-r4"]}, "parameter": parameters},
        "request": {"method": "GET", "url": f"{here}/$status"}, "response": {"status": "200"},
    }  # fmt: skip
    return {
        "resourceType": "Bundle", "id": uid, "meta": {"profile": [f"{BACKPORT}-notification-r4"]}, "type": "history", "timestamp": timezone.now().isoformat(),
        "entry": [status, *entries],
    }  # fmt: skip


def signed(subscription: Subscription, message: str, body: str, now: dt.datetime) -> dict[str, str]:
    """Headers of Standard Webhooks: one signature a secret in use. The journal's last signed head goes with them: who receives it is a witness of what was
    written by then."""
    signatures = " ".join(Signer(secret).sign(message, now, body) for secret in secrets_of(subscription))
    head = TreeHead.objects.order_by("-size").first()
    parts = [(name, getattr(head, name)) for name in ("size", "root", "last", "at", "signature")] if head else []
    witness = {"journal-head": "; ".join(f"{name}={value}" for name, value in parts)} if parts else {}
    return witness | {
        "webhook-id": message, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signatures, "content-type": "application/fhir+json",
        "user-agent": "Belvedere",
    }  # fmt: skip


def journaled(subscription: Subscription, events: Iterable[Leaving]) -> list[Fact]:
    """The journal's entries of events that were told: one each, about the person when there is one."""
    return [
        Fact(
            subscription.party.code, "echange.notification",
            f"usager:{event.delivery.event.person_id}" if event.delivery.event.person_id else f"abonnement:{subscription.uid}",
            {"topic": subscription.topic, "number": event.delivery.number, "purpose": subscription.purpose, "level": subscription.level, **event.told},
        )
        for event in events if not event.withheld
    ]  # fmt: skip
