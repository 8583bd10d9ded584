"""The journal: append-only, each entry sealed by the hash of the one before."""

from django.db import models


class Head(models.Model):
    """Last hash of the chain; its single row is locked by whoever appends."""

    digest = models.CharField("empreinte", max_length=64)


class Entry(models.Model):
    """One fact that happened: who, what, on what, when. `detail` holds counts and references, no identity."""

    at = models.DateTimeField("date")
    actor = models.CharField("acteur", max_length=120)
    action = models.CharField("action", max_length=60)
    subject = models.CharField("objet", max_length=120)
    detail = models.JSONField("détail", default=dict)
    previous = models.CharField("empreinte précédente", max_length=64)
    digest = models.CharField("empreinte", max_length=64, unique=True)

    class Meta:
        ordering = ("id",)
        verbose_name = "entrée du journal"
        verbose_name_plural = "journal"
