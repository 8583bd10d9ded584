"""Make, renew, stop and start again the subscriptions of a party (orchestrator reference §4.5)."""

import base64
import json
import secrets
import uuid

from django.db import transaction
from django.utils import timezone

from belvedere.engine.exchange.topics import topics
from belvedere.engine.exchange.vocabulary import Purpose
from belvedere.observatory.collect.webhooks import BadAddress, check_address
from belvedere.observatory.exchange import vault
from belvedere.observatory.exchange.models import Delivery, Party, Subscription, SubscriptionState
from belvedere.observatory.journal.actions import record


class SubscriptionRefused(Exception):
    """The subscription cannot be made; says why, in French."""


def secrets_of(subscription: Subscription) -> list[str]:
    """The signing secrets in use, the newest first."""
    return json.loads(vault.unseal(base64.b64decode(subscription.secrets), f"abonnement:{subscription.uid}"))


def _sealed(uid: str, held: list[str]) -> str:
    return base64.b64encode(vault.seal(json.dumps(held).encode(), f"abonnement:{uid}")).decode()


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@transaction.atomic
def subscribe(*, party: Party, topic: str, purpose: str, endpoint: str, filters: dict[str, list[str]], level: int) -> tuple[Subscription, str]:
    """A subscription that waits for its handshake, and its signing secret, shown once; its events are decided at the `level` of identification of who asked. SubscriptionRefused."""
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
        level=level,
    )  # fmt: skip
    record(by=party.code, action="echange.abonnement", subject=f"abonnement:{uid}", topic=topic, purpose=purpose)
    return made, secret


@transaction.atomic
def rotate(subscription: Subscription) -> str:
    """A new secret; the one before signs beside it until the next rotation."""
    subscription = Subscription.objects.select_for_update(of=("self",)).select_related("party").get(pk=subscription.pk)
    secret = _new_secret()
    subscription.secrets = _sealed(subscription.uid, [secret, *secrets_of(subscription)][:2])
    subscription.save(update_fields=["secrets"])
    record(by=subscription.party.code, action="echange.abonnement.secret", subject=f"abonnement:{subscription.uid}")
    return secret


@transaction.atomic
def stop(subscription: Subscription, *, by: str, why: str = "") -> None:
    """End a subscription."""
    Subscription.objects.filter(pk=subscription.pk).update(state=SubscriptionState.OFF, why=why[:160])
    record(by=by, action="echange.abonnement.arrete", subject=f"abonnement:{subscription.uid}", why=why)


def resume(subscription: Subscription) -> None:
    """Try again now, whatever the state."""
    Subscription.objects.filter(pk=subscription.pk).update(state=SubscriptionState.REQUESTED, tries=0, why="", next_at=timezone.now())


@transaction.atomic
def replay(delivery: Delivery) -> None:
    """Send again one delivery that was taken, under its own number."""
    Delivery.objects.filter(pk=delivery.pk).update(told_at=None, tries=0, status="", message="")
    Subscription.objects.filter(pk=delivery.subscription_id, state=SubscriptionState.ACTIVE, tries=0).update(next_at=timezone.now())
    record(
        by=delivery.subscription.party.code,
        action="echange.abonnement.rejeu",
        subject=f"abonnement:{delivery.subscription.uid}",
        number=delivery.number,
    )
