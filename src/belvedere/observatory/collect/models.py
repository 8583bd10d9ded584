"""Flows and the live list of fact files. A flow's row is the queue: state, lease and number of tries."""

from django.db import models
from django.db.models import Q

from belvedere.observatory.members.models import Group, Member


class State(models.TextChoices):
    """The life of a flow."""

    RECEIVED = "received", "Reçu"
    RUNNING = "running", "En cours de contrôle"
    ACCEPTED = "accepted", "Accepté"
    REMARKS = "remarks", "Accepté avec remarques"
    REFUSED = "refused", "Refusé"
    DUPLICATE = "duplicate", "Déjà reçu"


TRANSITIONS: dict[str, tuple[str, ...]] = {
    State.RECEIVED: (State.RUNNING,),
    State.RUNNING: (State.RUNNING, State.ACCEPTED, State.REMARKS, State.REFUSED, State.DUPLICATE),
    State.ACCEPTED: (),
    State.REMARKS: (),
    State.REFUSED: (),
    State.DUPLICATE: (),
}
SETTLED = tuple(state for state, following in TRANSITIONS.items() if not following)
COUNTED = (State.ACCEPTED, State.REMARKS)


class Flow(models.Model):
    """One B2 file sent by a member, and its receipt. The identifier is the receipt number."""

    group = models.ForeignKey(Group, models.PROTECT, verbose_name="groupe émetteur", related_name="flows")
    member = models.ForeignKey(Member, models.PROTECT, null=True, verbose_name="entité", related_name="flows")
    channel = models.CharField("voie", max_length=12, choices=[("api", "API"), ("folder", "dossier surveillé")])
    file_name = models.CharField("nom du fichier", max_length=120, blank=True)
    received_at = models.DateTimeField("reçu le")
    settled_at = models.DateTimeField("traité le", null=True)
    state = models.CharField("état", max_length=12, choices=State.choices, default=State.RECEIVED)
    lease_until = models.DateTimeField("bail", null=True)
    tries = models.PositiveSmallIntegerField("essais", default=0)
    sealed_name = models.CharField("fichier chiffré", max_length=80)
    sealed_size = models.BigIntegerField("taille chiffrée (octets)")
    content_hash = models.CharField("empreinte du contenu", max_length=64, blank=True)
    duplicate_of = models.ForeignKey("self", models.PROTECT, null=True, verbose_name="déjà reçu sous")
    software = models.CharField("logiciel", max_length=37, blank=True)
    records = models.IntegerField("enregistrements", default=0)
    invoices = models.IntegerField("factures", default=0)
    lines = models.IntegerField("lignes", default=0)
    amount_billed = models.BigIntegerField("montant facturé (centimes)", default=0)
    amount_amo = models.BigIntegerField("montant AMO (centimes)", default=0)
    period_from = models.DateField("premier mois", null=True)
    period_to = models.DateField("dernier mois", null=True)
    findings = models.JSONField("anomalies", default=list)

    class Meta:
        verbose_name = "flux"
        verbose_name_plural = "flux"
        ordering = ("-id",)
        indexes = (models.Index(fields=["state", "id"]), models.Index(fields=["group", "-id"]))
        constraints = (
            models.UniqueConstraint(fields=["member", "content_hash"], condition=Q(state__in=COUNTED), name="content_counted_once"),
            models.CheckConstraint(
                name="settled_has_a_date",
                condition=Q(state__in=SETTLED, settled_at__isnull=False) | (~Q(state__in=SETTLED) & Q(settled_at__isnull=True)),
            ),
        )


class DataFile(models.Model):
    """One live fact file. The list of these rows is the warehouse; a file off the list does not exist."""

    flow = models.ForeignKey(Flow, models.PROTECT, verbose_name="flux", related_name="files")
    member = models.ForeignKey(Member, models.PROTECT, verbose_name="entité")
    name = models.CharField("chemin", max_length=120, unique=True)
    rows = models.IntegerField("lignes")
    size = models.BigIntegerField("taille (octets)")
    retired_at = models.DateTimeField("retiré le", null=True)

    class Meta:
        verbose_name = "fichier de faits"
        indexes = (models.Index(fields=["member"], name="live_files", condition=Q(retired_at__isnull=True)),)
