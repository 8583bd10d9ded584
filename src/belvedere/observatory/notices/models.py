"""Messages to people, and the personal links they carry. A link is kept as a hash: who reads the database opens nothing."""

from django.db import models
from django.db.models import Q


class Purpose(models.TextChoices):
    """What a personal link opens."""

    SIGN = "sign", "signer la convention"
    PLUG = "plug", "brancher son flux"
    INVITE = "invite", "ouvrir son compte"


class Notice(models.Model):
    """One message to send: written in the transaction of what it tells, sent after it, tried again until it is taken."""

    kind = models.CharField("modèle", max_length=40)
    to = models.EmailField("destinataire")
    details = models.JSONField("détails", default=dict)
    purpose = models.CharField("lien", max_length=8, choices=Purpose.choices, blank=True)
    subject = models.BigIntegerField("objet du lien", null=True)
    next_at = models.DateTimeField("prochain essai")
    tries = models.PositiveSmallIntegerField("essais", default=0)
    sent_at = models.DateTimeField("envoyé le", null=True)
    status = models.CharField("dernière réponse", max_length=120, blank=True)

    class Meta:
        verbose_name = "message"
        indexes = (models.Index(fields=["next_at"], name="waiting_notices", condition=Q(sent_at__isnull=True)),)


class Link(models.Model):
    """A personal link that was sent: good until it expires or is used up; a newer one for the same thing ends it."""

    purpose = models.CharField("usage", max_length=8, choices=Purpose.choices)
    subject = models.BigIntegerField("objet")
    token_hash = models.CharField("empreinte", max_length=64, unique=True)
    created_at = models.DateTimeField("créé le")
    expires_at = models.DateTimeField("expire le")
    used_at = models.DateTimeField("utilisé le", null=True)

    class Meta:
        verbose_name = "lien personnel"
        indexes = (models.Index(fields=["purpose", "subject"]),)
