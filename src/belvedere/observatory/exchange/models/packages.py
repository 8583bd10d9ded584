"""What leaves by the lot: datasets of consumers, transfers to archives, exports of a whole establishment."""

from django.db import models

from belvedere.observatory.exchange.models.deposits import Person
from belvedere.observatory.exchange.models.parties import Party
from belvedere.observatory.publication.models import Verdict, Word


class DatasetState(models.TextChoices):
    """What the contract says of a dataset."""

    SOUND = "sound", "Conforme"
    REMARKS = "remarks", "Réserves"
    BROKEN = "broken", "Rompu"
    WAITING = "waiting", "À approuver"
    DECLINED = "declined", "Décliné"


TOLD = (DatasetState.SOUND, DatasetState.REMARKS, DatasetState.BROKEN)  # what its consumer reads of


class Dataset(models.Model):
    """One version of one dataset for its consumer: frozen with its file and its quality report; a broken one has no file."""

    code = models.CharField("jeu", max_length=40)
    contract = models.CharField("contrat", max_length=20)
    period = models.CharField("période", max_length=7)
    version = models.PositiveIntegerField("version")
    consumer = models.ForeignKey(
        Party, models.PROTECT, related_name="datasets", null=True
    )  # nobody's in particular: counts, of which each reads its slice
    state = models.CharField("verdict", max_length=10, choices=DatasetState.choices)
    rows = models.PositiveIntegerField("lignes", default=0)
    content = models.BinaryField("fichier scellé", default=bytes)
    counted = models.BinaryField("personnes comptées, scellées", default=bytes)  # of counts for institutions: read by the next count alone
    sha256 = models.CharField("empreinte", max_length=64, blank=True)
    report = models.JSONField("rapport", default=dict)
    made_at = models.DateTimeField("produit le")

    class Meta:
        verbose_name = "jeu de données"
        ordering = ("-made_at",)
        constraints = (models.UniqueConstraint(fields=["code", "period", "consumer", "version"], name="one_version_of_a_dataset"),)


class CountsWord(Word):
    """A federation's word on the counts of an institution: the gate of the observatory's own figures."""

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="words")

    class Meta:
        verbose_name = "avis sur des comptes"
        verbose_name_plural = "avis sur des comptes"
        constraints = (
            models.UniqueConstraint(fields=["dataset", "federation"], name="one_word_each_on_counts"),
            models.CheckConstraint(name="a_refused_count_has_a_reason", condition=~models.Q(verdict=Verdict.NO, reason="")),
        )


class Baseline(models.Model):
    """The file that a consumer receives today by another way, sealed: what a dataset of that period is weighed against during a double run."""

    code = models.CharField("jeu", max_length=40)
    period = models.CharField("période", max_length=7)
    content = models.BinaryField("fichier")
    at = models.DateTimeField("reçu le")

    class Meta:
        verbose_name = "fichier d’aujourd’hui"
        verbose_name_plural = "fichiers d’aujourd’hui"
        constraints = (models.UniqueConstraint(fields=["code", "period"], name="one_baseline_a_period"),)


class RetentionRule(models.Model):
    """What a department asks of closed files from a date: months to keep them, then what becomes of them."""

    department = models.CharField("département", max_length=3)
    kind = models.CharField("type de dossier", max_length=40, default="sejour")
    months = models.PositiveIntegerField("durée d’utilité administrative (mois)")
    fate = models.CharField("sort final", max_length=12, choices=[("conserver", "conserver"), ("trier", "trier"), ("detruire", "détruire")])
    formats = models.CharField("formats reçus", max_length=40, blank=True)  # separated by commas; none named: all
    grain = models.CharField(
        "granularité", max_length=8, default="piece", choices=[("piece", "une unité par pièce"), ("dossier", "une unité par dossier")]
    )
    access = models.CharField("règle d’accès", max_length=40, default="ACC-DUI")
    container = models.CharField("paquet", max_length=6, default="seda", choices=[("seda", "SEDA 2.3"), ("bagit", "BagIt")])
    since = models.DateField("depuis")

    class Meta:
        verbose_name = "règle de conservation"
        constraints = (models.UniqueConstraint(fields=["department", "kind", "since"], name="one_retention_rule_a_date"),)


class TransferState(models.TextChoices):
    """The exchange of an archive with its service."""

    PREPARED = "prepared", "Préparé"
    SENT = "sent", "Transmis"
    ACKNOWLEDGED = "acknowledged", "Accusé"
    ACCEPTED = "accepted", "Accepté"
    REFUSED = "refused", "Refusé"
    PURGE_ALLOWED = "purge_allowed", "Purge autorisée"


class Transfer(models.Model):
    """A SEDA package of one person's closed stay, sealed, and the archives' replies."""

    reference = models.CharField("référence", max_length=16, unique=True)
    establishment = models.ForeignKey(Party, models.PROTECT, related_name="transfers")
    archives = models.ForeignKey(Party, models.PROTECT, related_name="received_transfers")
    person = models.ForeignKey(Person, models.PROTECT, related_name="transfers")
    state = models.CharField("état", max_length=14, choices=TransferState.choices)
    package = models.BinaryField("paquet scellé", default=bytes)
    sha256 = models.CharField("empreinte", max_length=64)
    units = models.PositiveIntegerField("unités", default=0)
    reply = models.JSONField("réponse", default=dict)
    message = models.BinaryField("message des archives, scellé", default=bytes)
    purged_at = models.DateTimeField("purgé le", null=True)
    made_at = models.DateTimeField("préparé le")

    class Meta:
        verbose_name = "versement"
        ordering = ("-made_at",)


class ExportKind(models.TextChoices):
    """The three kinds of the portability guide."""

    UNITARY = "unitaire", "Unitaire"
    TARGETED = "cible", "Ciblé"
    MASSIVE = "massif", "Massif"


class ExportState(models.TextChoices):
    """Where an export stands."""

    ACKNOWLEDGED = "acknowledged", "Accusé"
    DONE = "done", "Prêt"
    EXPIRED = "expired", "Échu"


class Export(models.Model):
    """A portable copy of an establishment's data: asked, due, done, kept some days."""

    reference = models.CharField("référence", max_length=16, unique=True)
    party = models.ForeignKey(Party, models.PROTECT, related_name="exports")
    kind = models.CharField("type", max_length=10, choices=ExportKind.choices)
    persons = models.JSONField("personnes", default=list)
    state = models.CharField("état", max_length=14, choices=ExportState.choices)
    package = models.BinaryField("paquet scellé", default=bytes)
    sha256 = models.CharField("empreinte", max_length=64, blank=True)
    report = models.JSONField("rapport d’intégrité", default=dict)
    asked_at = models.DateTimeField("demandé le")
    due_at = models.DateTimeField("dû le")
    kept_until = models.DateTimeField("gardé jusqu’au", null=True)

    class Meta:
        verbose_name = "export"
        ordering = ("-asked_at",)
