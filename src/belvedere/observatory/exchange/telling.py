"""Subscriptions and their deliveries: handshake, numbered events, signed messages, retries, catch-up (orchestrator reference §4.5)."""

import base64
import datetime as dt
import http.client
import json
import logging
import random
import secrets
import uuid
from concurrent.futures import ThreadPoolExecutor

from django.db import close_old_connections, transaction
from django.db.models import F
from django.utils import timezone
from standardwebhooks.webhooks import Webhook as Signer

from belvedere.engine.exchange.profiles import profiles
from belvedere.engine.exchange.topics import topics
from belvedere.engine.exchange.vocabulary import Category, Grain, Purpose
from belvedere.observatory.collect.webhooks import BadAddress, check_address, post
from belvedere.observatory.environment import read
from belvedere.observatory.exchange import events, policy, vault
from belvedere.observatory.exchange.models import Delivery, Party, Stated, Subscription, SubscriptionState
from belvedere.observatory.journal.actions import Fact, append, record
from belvedere.observatory.notices import actions as notices

# Seconds before each further try: about 75 h 35 in all.
PAUSES = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.1
MOST_EVENTS, MOST_BYTES = 50, 20_000
KEPT_DAYS = 33
HEARTBEAT = dt.timedelta(hours=24)
SENDERS = 8
logger = logging.getLogger(__name__)


class SubscriptionRefused(Exception):
    """The subscription cannot be made; says why, in French."""


def _secrets(subscription: Subscription) -> list[str]:
    return json.loads(vault.unseal(base64.b64decode(subscription.secrets), f"abonnement:{subscription.uid}"))


def _sealed(uid: str, held: list[str]) -> str:
    return base64.b64encode(vault.seal(json.dumps(held).encode(), f"abonnement:{uid}")).decode()


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@transaction.atomic
def subscribe(*, party: Party, topic: str, purpose: str, endpoint: str, filters: dict[str, list[str]]) -> tuple[Subscription, str]:
    """A subscription that waits for its handshake, and its signing secret, shown once. SubscriptionRefused."""
    if topic not in topics():
        raise SubscriptionRefused(f"Le sujet « {topic[:40]} » n’existe pas : voyez la liste des sujets.")
    if purpose not in set(Purpose):
        raise SubscriptionRefused("La finalité manque ou n’est pas connue.")
    unknown = set(filters) - {"etablissement", "departement", "region", "categorie"}
    if unknown:
        raise SubscriptionRefused(f"Filtre inconnu : {', '.join(sorted(unknown))[:60]}.")
    try:
        check_address(endpoint)
    except BadAddress as error:
        raise SubscriptionRefused(str(error)) from error
    uid, secret = str(uuid.uuid4()), _new_secret()
    made = Subscription.objects.create(
        uid=uid, party=party, topic=topic, purpose=purpose, endpoint=endpoint[:500], filters=filters, secrets=_sealed(uid, [secret]), next_at=timezone.now(),
        last_number=0,
    )  # fmt: skip
    record(by=party.code, action="echange.abonnement", subject=f"abonnement:{uid}", topic=topic, purpose=purpose)
    return made, secret


@transaction.atomic
def rotate(subscription: Subscription) -> str:
    """A new secret; the one before signs beside it until the next rotation."""
    secret = _new_secret()
    subscription.secrets = _sealed(subscription.uid, [secret, *_secrets(subscription)][:2])
    subscription.save(update_fields=["secrets"])
    record(by=subscription.party.code, action="echange.abonnement.secret", subject=f"abonnement:{subscription.uid}")
    return secret


@transaction.atomic
def stop(subscription: Subscription, *, by: str, why: str = "") -> None:
    """End a subscription."""
    Subscription.objects.filter(pk=subscription.pk).update(state=SubscriptionState.OFF, why=why[:160])
    record(by=by, action="echange.abonnement.arrete", subject=f"abonnement:{subscription.uid}", why=why)


def base() -> str:
    """The address of the FHIR base."""
    return read("BELVEDERE_PUBLIC_URL").rstrip("/") + "/fhir"


def _focus(subscription: Subscription, delivery: Delivery) -> str:
    """What an event is about, as its subscriber may name it: a reader of pseudonyms gets its own address of the resource."""
    resource = delivery.event.resource
    if resource is None or getattr(delivery, "named", False):
        return delivery.event.focus
    return f"{resource.type}/{vault.address(subscription.party.code, resource.type, resource.uid)}"


def notification(subscription: Subscription, kind: str, deliveries: list[Delivery], last: int | None = None) -> dict:
    """A notification bundle of the R5 backport: which events, by number, with what they are about; never any content."""
    here = f"{base()}/Subscription/{subscription.uid}"
    parameters: list[dict] = [
        {"name": "subscription", "valueReference": {"reference": here}},
        {"name": "topic", "valueCanonical": f"{base()}/SubscriptionTopic/{subscription.topic}"},
        {"name": "status", "valueCode": SubscriptionState(subscription.state).value},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(subscription.last_number if last is None else last)},
    ]
    entries: list[dict] = []
    for delivery in deliveries:
        parts: list[dict] = [
            {"name": "event-number", "valueString": str(delivery.number)},
            {"name": "timestamp", "valueInstant": delivery.event.at.isoformat()},
        ]
        # An event whose right is closed keeps its number and loses its object: the series has no hole, and tells nothing.
        if not delivery.withheld:
            focus = f"{base()}/{_focus(subscription, delivery)}"
            parts.append({"name": "focus", "valueReference": {"reference": focus}})
            entries.append(
                {"fullUrl": focus, "request": {"method": "POST", "url": delivery.event.focus.split("/")[0]}, "response": {"status": "201"}}
            )
        parameters.append({"name": "notification-event", "part": parts})
    uid = str(uuid.uuid4())
    status = {
        "fullUrl": f"urn:uuid:{uid}", "resource": {"resourceType": "Parameters", "id": uid, "meta": {"profile": ["http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4"]}, "parameter": parameters},
        "request": {"method": "GET", "url": f"{here}/$status"}, "response": {"status": "200"},
    }  # fmt: skip
    return {
        "resourceType": "Bundle", "id": uid, "meta": {"profile": ["http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-notification-r4"]},
        "type": "history", "timestamp": timezone.now().isoformat(), "entry": [status, *entries],
    }  # fmt: skip


def signed(subscription: Subscription, message: str, body: str, now: dt.datetime) -> dict[str, str]:
    """Headers of Standard Webhooks: one signature a secret in use."""
    signatures = " ".join(Signer(secret).sign(message, now, body) for secret in _secrets(subscription))
    return {
        "webhook-id": message, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signatures, "content-type": "application/fhir+json",
        "user-agent": "Belvedere",
    }  # fmt: skip


def check_rights(subscription: Subscription, deliveries: list[Delivery], now: dt.datetime) -> None:
    """Ask the decision point again for each event, at the moment it leaves: what is no longer permitted is withheld."""
    judge, asking = policy.judge(), policy.asking(subscription.party, 2)
    category = topics()[subscription.topic].category
    for delivery in deliveries:
        event = delivery.event
        delivery.named = event.establishment_id == subscription.party_id  # type: ignore[attr-defined]
        if delivery.named or not (category or event.resource_id):  # type: ignore[attr-defined]
            continue
        about = Category(category) if category else None
        if event.resource is not None:
            thing, about = policy.thing(event.resource), about or profiles()[event.resource.profile].category
        else:
            place = event.establishment
            thing = policy.Thing(place.finess, place.department, place.region, place.kind) if place else policy.Thing()
        rows = policy.said(event.person.said_rows) if event.person_id else []
        ask = policy.consent_of(event.person_id, now, rows=rows)
        named, renamed = (
            judge.decide(asking, Purpose(subscription.purpose), about or Category.ADM, grain, thing, now, ask).permitted
            for grain in (Grain.NAMED, Grain.PSEUDONYM)
        )
        delivery.named = named  # type: ignore[attr-defined]
        delivery.withheld = "" if named or renamed else "Droit fermé au moment de l’envoi."


def _waiting(subscription: Subscription) -> list[Delivery]:
    rows = subscription.deliveries.filter(told_at=None).order_by("number").select_related(
        "event__establishment", "event__resource__establishment", "event__resource__person", "event__person"
    )  # fmt: skip
    found = list(rows[:MOST_EVENTS])
    people = {row.event.person_id: row.event.person for row in found if row.event.person_id}
    if people:
        held: dict[int, list] = {}
        for stated in Stated.objects.filter(person_id__in=people):
            held.setdefault(stated.person_id, []).append(stated)
        for row in found:
            if row.event.person_id:
                row.event.person.said_rows = held.get(row.event.person_id, [])
    return found


def _send(subscription: Subscription) -> int:
    """One message of a subscription: its handshake, its next events, or a heartbeat; returns how many events were taken."""
    now = timezone.now()
    handshake = subscription.state == SubscriptionState.REQUESTED
    waiting = [] if handshake else _waiting(subscription)
    if not handshake and not waiting and subscription.told_at and now - subscription.told_at < HEARTBEAT:
        Subscription.objects.filter(pk=subscription.pk).update(next_at=subscription.told_at + HEARTBEAT)
        return 0
    check_rights(subscription, waiting, now)
    kind = "handshake" if handshake else "event-notification" if waiting else "heartbeat"
    while True:
        body = json.dumps(notification(subscription, kind, waiting), ensure_ascii=False)
        if len(body) <= MOST_BYTES or len(waiting) <= 1:
            break
        waiting = waiting[: max(1, len(waiting) * MOST_BYTES // len(body))]
    # The identifier of a message is that of its first event: a retry of the same events bears it again.
    message = f"msg_{subscription.pk}_{waiting[0].number}_{waiting[-1].number}" if waiting else f"msg_{subscription.pk}_{kind}_{int(now.timestamp())}"
    after: float | None = None
    try:
        status, headers = post(subscription.endpoint, body.encode(), signed(subscription, message, body, now))
        told = str(status)
        if (asked := headers.get("retry-after", "")).isdecimal():
            after = float(asked)
    except BadAddress as error:
        status, told = 0, str(error)[:60]
    except (OSError, ValueError, http.client.HTTPException) as error:
        status, told = 0, type(error).__name__
    return _settle(subscription, waiting, handshake, status, told, message, after, now)


@transaction.atomic
def _settle(
    subscription: Subscription, waiting: list[Delivery], handshake: bool, status: int, told: str, message: str, after: float | None, now: dt.datetime
) -> int:
    numbers = [delivery.pk for delivery in waiting]
    if 200 <= status < 300:
        Delivery.objects.filter(pk__in=numbers).update(told_at=timezone.now(), status=told, message=message, tries=F("tries") + 1)
        withheld = [delivery.pk for delivery in waiting if delivery.withheld]
        if withheld:
            Delivery.objects.filter(pk__in=withheld).update(withheld="Droit fermé au moment de l’envoi.")
        Subscription.objects.filter(pk=subscription.pk).update(
            state=SubscriptionState.ACTIVE, tries=0, why="", told_at=now, next_at=now if waiting or handshake else now + HEARTBEAT
        )
        facts = [
            Fact(subscription.party.code, "echange.notification", f"usager:{delivery.event.person_id}" if delivery.event.person_id else f"abonnement:{subscription.uid}", {"topic": subscription.topic, "number": delivery.number, "purpose": subscription.purpose})
            for delivery in waiting if not delivery.withheld
        ]  # fmt: skip
        if facts:
            append(facts)
        return len(waiting)
    Delivery.objects.filter(pk__in=numbers).update(status=told, message=message, tries=F("tries") + 1)
    if status == 410:
        stop(subscription, by="plateforme", why="L’adresse a répondu 410 : plus jamais.")
        return 0
    tries = subscription.tries + 1
    if tries > len(PAUSES):
        Subscription.objects.filter(pk=subscription.pk).update(
            state=SubscriptionState.ERROR, tries=tries, why=f"Sans réponse après {tries} essais : {told}.", next_at=now + HEARTBEAT
        )
        _warn(subscription)
        return 0
    pause = max(PAUSES[tries - 1] * random.uniform(1 - JITTER, 1 + JITTER), after or 0)
    Subscription.objects.filter(pk=subscription.pk).update(tries=tries, why=told, next_at=now + dt.timedelta(seconds=pause))
    return 0


def _warn(subscription: Subscription) -> None:
    if subscription.party.contact:
        notices.post(
            "exchange_error", to=subscription.party.contact, by="plateforme", topic=topics()[subscription.topic].label, days=KEPT_DAYS,
            address=f"{base()}/Subscription/{subscription.uid}/$events",
        )  # fmt: skip


def resume(subscription: Subscription) -> None:
    """Try again now, whatever the state."""
    Subscription.objects.filter(pk=subscription.pk).update(state=SubscriptionState.REQUESTED, tries=0, why="", next_at=timezone.now())


@transaction.atomic
def replay(delivery: Delivery) -> None:
    """Send again one delivery that was taken, under its own number."""
    Delivery.objects.filter(pk=delivery.pk).update(told_at=None, tries=0, status="")
    Subscription.objects.filter(pk=delivery.subscription_id, state=SubscriptionState.ACTIVE, tries=0).update(next_at=timezone.now())
    record(
        by=delivery.subscription.party.code,
        action="echange.abonnement.rejeu",
        subject=f"abonnement:{delivery.subscription.uid}",
        number=delivery.number,
    )


def due(now: dt.datetime) -> list[Subscription]:
    """The subscriptions that may send now, as many as are sent at once, leased for a minute (a send ends within twenty seconds): one worker alone sends each."""
    found = []
    live = (SubscriptionState.REQUESTED, SubscriptionState.ACTIVE)
    for subscription in Subscription.objects.filter(state__in=live, next_at__lte=now).select_related("party").order_by("next_at")[:SENDERS]:
        if Subscription.objects.filter(pk=subscription.pk, next_at=subscription.next_at).update(next_at=now + dt.timedelta(seconds=60)):
            found.append(subscription)
    return found


def due_now() -> bool:
    """Whether a subscription still waits for its handshake."""
    return Subscription.objects.filter(state=SubscriptionState.REQUESTED, next_at__lte=timezone.now()).exists()


def _guarded(subscription: Subscription) -> int:
    try:
        return _send(subscription)
    except Exception as error:  # one subscription's fault is not the others'
        logger.error("abonnement %s : %s", subscription.pk, type(error).__name__)
        return 0
    finally:
        close_old_connections()


def deliver() -> int:
    """Spread what happened and send what is due, one message in flight a subscription; returns how many events were taken."""
    while events.spread():
        pass
    waiting = due(timezone.now())
    if not waiting:
        return 0
    if len(waiting) == 1:
        return _guarded(waiting[0])
    with ThreadPoolExecutor(min(SENDERS, len(waiting))) as pool:
        return sum(pool.map(_guarded, waiting))


def since(subscription: Subscription, first: int, last: int | None = None, limit: int = 200) -> list[Delivery]:
    """The events of a subscription from a number, for catching up: rights are asked again."""
    rows = subscription.deliveries.filter(number__gte=first).order_by("number").select_related(
        "event__establishment", "event__resource__establishment", "event__resource__person", "event__person"
    )  # fmt: skip
    if last is not None:
        rows = rows.filter(number__lte=last)
    found = list(rows[:limit])
    for row in found:
        if row.event.person_id:
            row.event.person.said_rows = list(row.event.person.statements.all())
    check_rights(subscription, found, timezone.now())
    return found


@transaction.atomic
def forget(now: dt.datetime | None = None) -> int:
    """Let go of deliveries taken longer ago than they are kept."""
    limit = (now or timezone.now()) - dt.timedelta(days=KEPT_DAYS)
    done, _ = Delivery.objects.filter(event__at__lt=limit, number__lt=F("subscription__last_number")).delete()
    return done
