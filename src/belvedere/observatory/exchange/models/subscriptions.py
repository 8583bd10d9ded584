"""Who wants to be told of what, what happened, and what was told."""

from django.db import models

from belvedere.engine.exchange.vocabulary import PURPOSES
from belvedere.observatory.exchange.models.deposits import Deposit, Person, Resource
from belvedere.observatory.exchange.models.parties import Party


class SubscriptionState(models.TextChoices):
    """States of the R5 backport."""

    REQUESTED = "requested", "Poignée de main attendue"
    ACTIVE = "active", "Actif"
    ERROR = "error", "En erreur"
    OFF = "off", "Arrêté"


class Subscription(models.Model):
    """A party's subscription to a topic; `last_number` numbers its events from 1, without hole."""

    uid = models.CharField("identifiant", max_length=36, unique=True)
    party = models.ForeignKey(Party, models.PROTECT, related_name="subscriptions")
    topic = models.CharField("sujet", max_length=40)
    purpose = models.CharField("finalité", max_length=32, choices=[(code, label) for code, label in PURPOSES.items()])
    endpoint = models.CharField("adresse", max_length=500)
    secrets = models.TextField("secrets scellés")
    filters = models.JSONField("filtres", default=dict)
    state = models.CharField("état", max_length=10, choices=SubscriptionState.choices, default=SubscriptionState.REQUESTED)
    why = models.CharField("cause", max_length=160, blank=True)
    last_number = models.BigIntegerField("dernier événement", default=0)
    next_at = models.DateTimeField("prochain envoi", db_index=True)
    tries = models.PositiveSmallIntegerField("essais", default=0)
    leased_until = models.DateTimeField("pris jusqu’à", null=True)
    level = models.PositiveSmallIntegerField("niveau d’identification", default=1)
    told_at = models.DateTimeField("dernier envoi reçu", null=True)
    created_at = models.DateTimeField("créé le", auto_now_add=True)

    class Meta:
        verbose_name = "abonnement"
        ordering = ("id",)


class Event(models.Model):
    """Something that happened, written in the transaction that made it happen; `spread` once subscriptions have it."""

    topic = models.CharField("sujet", max_length=40)
    at = models.DateTimeField("date")
    establishment = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    person = models.ForeignKey(Person, models.PROTECT, null=True, related_name="+")
    resource = models.ForeignKey(Resource, models.PROTECT, null=True, related_name="+")
    deposit = models.ForeignKey(Deposit, models.PROTECT, null=True, related_name="+")
    focus = models.CharField("objet", max_length=120)
    spread = models.BooleanField("réparti", default=False)

    class Meta:
        verbose_name = "événement"
        ordering = ("id",)
        indexes = (models.Index(fields=["id"], condition=models.Q(spread=False), name="events_to_spread"),)


class Delivery(models.Model):
    """One event of one subscription: its number, the message that carried it, how that went."""

    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="deliveries")
    event = models.ForeignKey(Event, models.PROTECT, related_name="+")
    number = models.BigIntegerField("numéro")
    message = models.CharField("message", max_length=40, blank=True)
    tries = models.PositiveSmallIntegerField("essais", default=0)
    status = models.CharField("réponse", max_length=60, blank=True)
    told_at = models.DateTimeField("reçue le", null=True)
    withheld = models.CharField("retenue", max_length=160, blank=True)

    class Meta:
        verbose_name = "livraison"
        ordering = ("subscription", "number")
        constraints = (
            models.UniqueConstraint(fields=["subscription", "number"], name="events_have_no_double_number"),
            models.UniqueConstraint(fields=["subscription", "event"], name="an_event_once_a_subscription"),
        )
        indexes = (models.Index(fields=["subscription", "number"], condition=models.Q(told_at=None), name="deliveries_to_make"),)
