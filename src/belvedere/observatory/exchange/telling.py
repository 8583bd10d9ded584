"""Deliveries: one message in flight a subscription, numbered events, retries over three days, catch-up (orchestrator reference §4.5)."""

import contextlib
import datetime as dt
import http.client
import json
import logging
import random
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from django.db import DatabaseError, close_old_connections, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from belvedere.engine.exchange.topics import topics
from belvedere.observatory.collect.webhooks import BadAddress, post
from belvedere.observatory.exchange import events, messages, subscribing
from belvedere.observatory.exchange.messages import Leaving
from belvedere.observatory.exchange.models import Delivery, Subscription, SubscriptionState
from belvedere.observatory.journal.actions import append
from belvedere.observatory.notices import actions as notices

# Seconds before each further try: about 75 h 35 in all.
PAUSES = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.1
LONGEST_PAUSE = 86_400  # whatever a consumer asks
MOST_EVENTS, MOST_BYTES = 50, 20_000
KEPT_DAYS = 33
HEARTBEAT = dt.timedelta(hours=24)
LEASE = dt.timedelta(seconds=60)  # a send ends within twenty
SENDERS = 8
LIVE = (SubscriptionState.REQUESTED, SubscriptionState.ACTIVE)
CLOSED = "Droit fermé au moment de l’envoi."
logger = logging.getLogger(__name__)


class Answered(NamedTuple):
    """What a consumer answered: HTTP status (0: none), in words, seconds it asks to wait."""

    status: int
    told: str
    after: float = 0


def _with_events(subscription: Subscription) -> QuerySet[Delivery]:
    rows = subscription.deliveries.order_by("number")
    return rows.select_related("event__establishment", "event__resource__establishment", "event__resource__person")


def _waiting(subscription: Subscription) -> list[Delivery]:
    """The next deliveries; those of a message that was tried are tried again as they were, under its identifier."""
    found = list(_with_events(subscription).filter(told_at=None)[:MOST_EVENTS])
    if found and found[0].message:
        return [delivery for delivery in found if delivery.message == found[0].message]
    return found


def _message(subscription: Subscription, kind: str, waiting: list[Delivery], now: dt.datetime) -> tuple[str, str, list[Leaving]]:
    """(identifier, body, its events) of the next message, as many events as it may carry."""
    told = messages.leaving(subscription, waiting, now)
    while True:
        body = json.dumps(messages.notification(subscription, kind, told), ensure_ascii=False)
        if len(body) <= MOST_BYTES or len(told) <= 1:
            break
        told = told[: max(1, len(told) * MOST_BYTES // len(body))]
    if not told:
        return f"msg_{subscription.pk}_{kind}_{int(now.timestamp())}", body, told
    first, last = told[0].delivery, told[-1].delivery
    name = first.message or f"msg_{subscription.pk}_{first.number}_{last.number}"
    # Written before it leaves: whoever tries again after a crash sends the same events under the same identifier.
    Delivery.objects.filter(pk__in=[event.delivery.pk for event in told]).update(message=name)
    return name, body, told


def _posted(subscription: Subscription, name: str, body: str, now: dt.datetime) -> Answered:
    try:
        status, headers = post(subscription.endpoint, body.encode(), messages.signed(subscription, name, body, now))
    except BadAddress as error:
        return Answered(0, str(error)[:60])
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Answered(0, type(error).__name__)
    return Answered(status, str(status), min(_pause(headers.get("retry-after", ""), now), LONGEST_PAUSE))


def _pause(asked: str, now: dt.datetime) -> float:
    """Seconds of a Retry-After: a number, or a date (RFC 9110 §10.2.3); 0 for anything else."""
    if asked.isdecimal() and len(asked) < 12:
        return float(asked)
    try:
        at = parsedate_to_datetime(asked)
    except ValueError:
        return 0.0
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=dt.UTC)) - now).total_seconds())


def _send(subscription: Subscription) -> int:
    """One message of a subscription: its handshake, its next events, or a heartbeat; returns how many events were taken."""
    now = timezone.now()
    handshake = subscription.state == SubscriptionState.REQUESTED
    waiting = [] if handshake else _waiting(subscription)
    kind = "handshake" if handshake else "event-notification" if waiting else "heartbeat"
    name, body, told = _message(subscription, kind, waiting, now)
    answered = _posted(subscription, name, body, now)
    return _settle(subscription, told, answered, now)


@transaction.atomic
def _settle(subscription: Subscription, told: list[Leaving], answered: Answered, now: dt.datetime) -> int:
    held = Subscription.objects.select_for_update(of=("self",)).filter(pk=subscription.pk, leased_until=subscription.leased_until).first()
    if held is None:
        return 0  # the lease ended meanwhile: whoever holds it now tells how it went
    rows = Delivery.objects.filter(pk__in=[event.delivery.pk for event in told])
    held.leased_until = None
    if 200 <= answered.status < 300:
        rows.update(told_at=timezone.now(), status=answered.told, tries=F("tries") + 1)
        Delivery.objects.filter(pk__in=[event.delivery.pk for event in told if event.withheld]).update(withheld=CLOSED)
        held.state, held.tries, held.why, held.told_at = SubscriptionState.ACTIVE, 0, "", now
        held.next_at = now if held.deliveries.filter(told_at=None).exists() else now + HEARTBEAT
        held.save()
        if facts := messages.journaled(subscription, told):
            append(facts)
        return len(told)
    rows.update(status=answered.told, tries=F("tries") + 1)
    held.tries, held.why = held.tries + 1, answered.told
    if held.tries > len(PAUSES):
        held.state, held.why = SubscriptionState.ERROR, f"Sans réponse après {held.tries} essais : {answered.told}."
        _warn(subscription)
    else:
        pause = max(PAUSES[held.tries - 1] * random.uniform(1 - JITTER, 1 + JITTER), answered.after)
        held.next_at = now + dt.timedelta(seconds=pause)
    held.save()
    if answered.status == 410:
        subscribing.stop(held, by="plateforme", why="L’adresse a répondu 410 : plus jamais.")
    return 0


def _warn(subscription: Subscription) -> None:
    if subscription.party.contact:
        notices.post(
            "exchange_error", to=subscription.party.contact, by="plateforme", topic=topics()[subscription.topic].label, days=KEPT_DAYS,
            address=f"{messages.base()}/Subscription/{subscription.uid}/$events",
        )  # fmt: skip


def due(now: dt.datetime) -> list[Subscription]:
    """The subscriptions that may send now, as many as are sent at once, each leased: one worker alone sends it until it is settled."""
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    found = []
    for subscription in Subscription.objects.filter(free, state__in=LIVE, next_at__lte=now).select_related("party").order_by("next_at")[:SENDERS]:
        if Subscription.objects.filter(free, pk=subscription.pk).update(leased_until=now + LEASE):
            subscription.leased_until = now + LEASE
            found.append(subscription)
    return found


def _guarded(subscription: Subscription) -> int:
    try:
        return _send(subscription)
    except Exception as error:  # whatever goes wrong with one subscription, the others are told
        logger.error("abonnement %s : %s", subscription.pk, type(error).__name__)
        # Nothing was settled: the next turn tries again, or the lease ends by itself if even this cannot be written.
        with contextlib.suppress(DatabaseError):
            Subscription.objects.filter(pk=subscription.pk, leased_until=subscription.leased_until).update(leased_until=None)
        return 0
    finally:
        close_old_connections()


def deliver() -> int:
    """Spread what happened and send what is due; returns how many events were taken."""
    while events.spread():
        pass
    waiting = due(timezone.now())
    if len(waiting) <= 1:
        return sum(map(_guarded, waiting))
    with ThreadPoolExecutor(len(waiting)) as pool:
        return sum(pool.map(_guarded, waiting))


@transaction.atomic
def caught_up(subscription: Subscription, first: int, last: int | None = None, limit: int = 200) -> list[Leaving]:
    """The events of a subscription from a number, for catching up: rights are asked again, and what is told is told to the journal."""
    rows = _with_events(subscription).filter(number__gte=first)
    found = messages.leaving(subscription, list((rows.filter(number__lte=last) if last is not None else rows)[:limit]), timezone.now())
    if facts := messages.journaled(subscription, found):
        append(facts)
    return found


@transaction.atomic
def forget() -> int:
    """Let go of the deliveries of events that are no longer kept; the last number of each subscription stays."""
    limit = timezone.now() - dt.timedelta(days=KEPT_DAYS)
    done, _ = Delivery.objects.filter(event__at__lt=limit, number__lt=F("subscription__last_number")).delete()
    return done
