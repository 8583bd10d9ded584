"""Flows and the live list of fact files. A flow's row is the queue: state, lease and number of tries.
Beside them: uploads that are under way, and what is told to the senders' own servers."""

import jwt
from django.db import models
from django.db.models import Q

from belvedere.observatory.members.models import Group, Member, SenderKey


class State(models.TextChoices):
    """The life of a flow."""

    RECEIVED = "received", "Reçu"
    RUNNING = "running", "En cours de contrôle"
    ACCEPTED = "accepted", "Accepté"
    REMARKS = "remarks", "Accepté avec remarques"
    PARTIAL = "partial", "Accepté en partie"
    REFUSED = "refused", "Refusé"
    DUPLICATE = "duplicate", "Déjà reçu"


TRANSITIONS: dict[str, tuple[str, ...]] = {
    State.RECEIVED: (State.RUNNING,),
    State.RUNNING: (State.RUNNING, State.RECEIVED, State.ACCEPTED, State.REMARKS, State.PARTIAL, State.REFUSED, State.DUPLICATE),
    State.ACCEPTED: (),
    State.REMARKS: (),
    State.PARTIAL: (),
    State.REFUSED: (),
    State.DUPLICATE: (),
}
SETTLED = tuple(state for state, following in TRANSITIONS.items() if not following)
COUNTED = (State.ACCEPTED, State.REMARKS, State.PARTIAL)
KINDS = [("b2", "Facturation B2"), ("noemie", "Retour NOEMIE")]
CHANNELS = [("api", "API"), ("mail", "messagerie"), ("sftp", "SFTP"), ("folder", "dossier surveillé")]


class Flow(models.Model):
    """One file sent by a member (its billing, or the insurance's return on it), and its receipt. The identifier is the receipt number."""

    group = models.ForeignKey(Group, models.PROTECT, verbose_name="groupe émetteur", related_name="flows")
    member = models.ForeignKey(Member, models.PROTECT, null=True, verbose_name="entité", related_name="flows")
    sender = models.ForeignKey(SenderKey, models.PROTECT, null=True, verbose_name="émetteur", related_name="flows")
    channel = models.CharField("voie", max_length=12, choices=CHANNELS)
    kind = models.CharField("nature", max_length=8, choices=KINDS, default="b2")
    test = models.BooleanField("test, jamais compté", default=False)
    file_name = models.CharField("nom du fichier", max_length=120, blank=True)
    received_at = models.DateTimeField("reçu le")
    settled_at = models.DateTimeField("traité le", null=True)
    state = models.CharField("état", max_length=12, choices=State.choices, default=State.RECEIVED)
    lease_until = models.DateTimeField("bail", null=True)
    tries = models.PositiveIntegerField("essais", default=0)
    failures = models.PositiveSmallIntegerField("échecs", default=0)
    deaths = models.PositiveSmallIntegerField("traitements morts en route", default=0)
    sealed_name = models.CharField("fichier chiffré", max_length=80)
    sealed_size = models.BigIntegerField("taille chiffrée (octets)")
    sealed_hash = models.CharField("empreinte chiffrée", max_length=64, blank=True)
    idempotency_key = models.CharField("clé d’idempotence", max_length=80, null=True, blank=True)
    worker = models.CharField("traitement", max_length=60, blank=True)
    content_hash = models.CharField("empreinte du contenu", max_length=64, blank=True)
    duplicate_of = models.ForeignKey("self", models.PROTECT, null=True, verbose_name="déjà reçu sous")
    software = models.CharField("logiciel", max_length=37, blank=True)
    crypto = models.CharField("produit de chiffrement", max_length=40, blank=True)
    algorithm = models.CharField("algorithme de chiffrement", max_length=12, blank=True)
    records = models.IntegerField("enregistrements", default=0)
    invoices = models.IntegerField("factures", default=0)
    lines = models.IntegerField("lignes", default=0)
    amount_billed = models.BigIntegerField("montant facturé (centimes)", default=0)
    amount_amo = models.BigIntegerField("montant AMO (centimes)", default=0)
    period_from = models.DateField("premier mois", null=True)
    period_to = models.DateField("dernier mois", null=True)
    counts = models.JSONField("enregistrements par type", default=dict)
    refused_invoices = models.IntegerField("factures refusées", default=0)
    refused_numbers = models.JSONField("numéros des factures refusées", default=list)
    repeated_invoices = models.IntegerField("factures déjà reçues", default=0)
    replaced_invoices = models.IntegerField("factures remplacées", default=0)
    findings = models.JSONField("anomalies", default=list)
    receipt = models.TextField("accusé signé", blank=True)
    handed_back = models.BooleanField("accusé déposé", default=True)

    class Meta:
        verbose_name = "flux"
        verbose_name_plural = "flux"
        ordering = ("-id",)
        indexes = (models.Index(fields=["state", "id"]), models.Index(fields=["group", "-id"]))
        constraints = (
            models.UniqueConstraint(fields=["member", "content_hash"], condition=Q(state__in=COUNTED, test=False), name="content_counted_once"),
            models.UniqueConstraint(fields=["group", "idempotency_key"], name="one_flow_by_idempotency_key"),
            models.CheckConstraint(
                name="settled_has_a_date",
                condition=Q(state__in=SETTLED, settled_at__isnull=False) | (~Q(state__in=SETTLED) & Q(settled_at__isnull=True)),
            ),
        )

    @property
    def journal(self) -> dict:
        """Position and digest of the journal entry that its signed receipt names; empty before settlement."""
        if not self.receipt:
            return {}
        return jwt.decode(self.receipt, options={"verify_signature": False}).get("journal", {})


class DataFile(models.Model):
    """One live fact file. The list of these rows is the warehouse; a file off the list does not exist."""

    flow = models.ForeignKey(Flow, models.PROTECT, verbose_name="flux", related_name="files")
    member = models.ForeignKey(Member, models.PROTECT, verbose_name="entité")
    name = models.CharField("chemin", max_length=120, unique=True)
    rows = models.IntegerField("lignes")
    first_day = models.IntegerField("premier jour de soins", default=0)
    last_day = models.IntegerField("dernier jour de soins", default=0)
    low_number = models.BigIntegerField("plus petit numéro de facture", default=0)
    high_number = models.BigIntegerField("plus grand numéro de facture", default=0)
    size = models.BigIntegerField("taille (octets)")
    retired_at = models.DateTimeField("retiré le", null=True)
    destroyed = models.BooleanField("détruit", default=False)
    merged_into = models.ForeignKey("self", models.SET_NULL, null=True, verbose_name="fondu dans", related_name="merged")

    class Meta:
        verbose_name = "fichier de faits"
        indexes = (models.Index(fields=["member"], name="live_files", condition=Q(retired_at__isnull=True)),)


class ReturnFile(models.Model):
    """One live file of payments, as a NOEMIE return gave them; it names no person."""

    flow = models.OneToOneField(Flow, models.PROTECT, verbose_name="flux", related_name="payments")
    member = models.ForeignKey(Member, models.PROTECT, verbose_name="entité")
    name = models.CharField("chemin", max_length=120, unique=True)
    rows = models.IntegerField("factures")
    size = models.BigIntegerField("taille (octets)")

    class Meta:
        verbose_name = "fichier de paiements"


class Upload(models.Model):
    """A resumable upload under way; its bytes are sealed and lie in the incoming folder."""

    group = models.ForeignKey(Group, models.CASCADE, verbose_name="groupe émetteur")
    sender = models.ForeignKey(SenderKey, models.CASCADE, null=True, verbose_name="émetteur")
    name = models.CharField("identifiant", max_length=40, unique=True)
    length = models.BigIntegerField("taille annoncée (octets)")
    file_name = models.CharField("nom du fichier", max_length=120, blank=True)
    test = models.BooleanField("test", default=False)
    idempotency_key = models.CharField("clé d’idempotence", max_length=80, null=True, blank=True)
    started_at = models.DateTimeField("commencé le")
    flow = models.ForeignKey(Flow, models.CASCADE, null=True, verbose_name="flux")

    class Meta:
        verbose_name = "dépôt en cours"
        constraints = (models.UniqueConstraint(fields=["group", "idempotency_key"], name="one_upload_by_idempotency_key"),)


class Webhook(models.Model):
    """Where a group wants to be told of its settled flows. The secret signs what is sent."""

    group = models.OneToOneField(Group, models.CASCADE, verbose_name="groupe", related_name="webhook")
    url = models.URLField("adresse", max_length=300)
    secret = models.CharField("secret", max_length=80)
    created_at = models.DateTimeField("créée le", auto_now_add=True)

    class Meta:
        verbose_name = "adresse de rappel"


class Delivery(models.Model):
    """One message for a webhook, written in the transaction that settles its flow; sent until it is taken."""

    webhook = models.ForeignKey(Webhook, models.CASCADE, verbose_name="adresse de rappel", related_name="deliveries")
    flow = models.ForeignKey(Flow, models.CASCADE, verbose_name="flux")
    next_at = models.DateTimeField("prochain essai")
    tries = models.PositiveSmallIntegerField("essais", default=0)
    done_at = models.DateTimeField("reçu le", null=True)
    status = models.CharField("dernière réponse", max_length=60, blank=True)

    class Meta:
        verbose_name = "rappel"
        indexes = (models.Index(fields=["next_at"], name="waiting_deliveries", condition=Q(done_at__isnull=True)),)
