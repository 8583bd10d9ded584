"""What the market study stands on: the metadata of each counted flow, dated registries as rows, and the keys of vendors."""

from django.db import models

from belvedere.observatory.collect.models import Flow


class FlowMark(models.Model):
    """The metadata of a counted flow: who sends from which software, how it was sealed, how many invoices. No person, no amount."""

    flow = models.OneToOneField(Flow, models.CASCADE, verbose_name="flux", related_name="mark")
    site = models.CharField("FINESS géographique", max_length=9)
    month = models.DateField("mois du lot")
    category = models.CharField("catégorie FINESS", max_length=3, blank=True)
    legal = models.CharField("statut", max_length=2, blank=True)
    approval = models.CharField("numéro d’agrément", max_length=12, blank=True)
    vendor_text = models.CharField("texte libre de l’éditeur", max_length=37, blank=True)
    crypto = models.CharField("produit de chiffrement", max_length=40, blank=True)
    algorithm = models.CharField("algorithme", max_length=12, blank=True)
    invoices = models.PositiveIntegerField("factures")

    class Meta:
        verbose_name = "métadonnées d’un flux"


class RegistryRow(models.Model):
    """One row of a registry, its cells by column as the reference names them."""

    table = models.CharField("table", max_length=20)
    values = models.JSONField("cellules")
    by = models.CharField("par", max_length=80)
    at = models.DateTimeField("le", auto_now=True)

    class Meta:
        verbose_name = "ligne de registre"
        indexes = [models.Index(fields=["table"])]


class VendorKey(models.Model):
    """The link by which a vendor reads its own rows."""

    vendor = models.CharField("éditeur", max_length=80)
    digest = models.CharField("empreinte du lien", max_length=64, unique=True)
    made_at = models.DateTimeField("créé le", auto_now_add=True)
    closed_at = models.DateTimeField("fermé le", null=True)

    class Meta:
        verbose_name = "lien d’éditeur"


class Issue(models.Model):
    """A study of what was received, frozen: each tier's tables, made once for a period. A figure that moved from a day to another would tell whose flow arrived."""

    low = models.DateField("premier mois")
    high = models.DateField("dernier mois", unique=True)
    made_at = models.DateTimeField("établie le", auto_now_add=True)
    version = models.CharField("données", max_length=12)
    rows = models.PositiveBigIntegerField("lignes lues")
    tiers = models.JSONField("tables par lecteur")

    class Meta:
        verbose_name = "étude figée"
        ordering = ["-high"]
