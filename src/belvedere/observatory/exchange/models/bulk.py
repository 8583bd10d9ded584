"""A bulk export: asked by a consumer, made apart, taken file by file, kept a day."""

from django.db import models

from belvedere.observatory.exchange.models.parties import Party


class BulkState(models.TextChoices):
    """Where a bulk export stands."""

    WAITING = "waiting", "Demandé"
    DONE = "done", "Prêt"
    EXPIRED = "expired", "Échu"


class Bulk(models.Model):
    """What a consumer asked for at once. Its files name resources and hold none: each is decided again when it is taken."""

    reference = models.CharField("référence", max_length=16, unique=True)
    party = models.ForeignKey(Party, models.PROTECT, related_name="bulks")
    level = models.PositiveSmallIntegerField("niveau d’identification")
    person = models.CharField("imputé à", max_length=64, blank=True)
    purpose = models.CharField("finalité", max_length=24)
    grain = models.CharField("grain", max_length=12)
    types = models.JSONField("types")
    since = models.DateTimeField("depuis", null=True)
    request = models.CharField("demande", max_length=500)
    state = models.CharField("état", max_length=10, choices=BulkState.choices, default=BulkState.WAITING)
    done_types = models.PositiveSmallIntegerField("types faits", default=0)
    refused = models.JSONField("types refusés, et pourquoi", default=dict)
    asked_at = models.DateTimeField("demandé le")
    done_at = models.DateTimeField("prêt le", null=True)

    class Meta:
        verbose_name = "export de masse"
        ordering = ("-asked_at",)


class BulkFile(models.Model):
    """A part of the resources of one type that could be read when it was made: their versions, no content."""

    bulk = models.ForeignKey(Bulk, models.CASCADE, related_name="files")
    type = models.CharField("type", max_length=40)
    part = models.PositiveIntegerField("partie", default=1)
    count = models.PositiveIntegerField("ressources")
    rows = models.JSONField("versions de ressources", default=list)

    class Meta:
        verbose_name = "fichier d’un export de masse"
        verbose_name_plural = "fichiers des exports de masse"
        constraints = (models.UniqueConstraint(fields=["bulk", "type", "part"], name="one_file_a_part"),)
