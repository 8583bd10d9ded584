"""The journal: append-only, each entry sealed by the hash of the one before, its heads signed."""

from django.db import models

from belvedere.engine.evidence.chain import GENESIS


class Head(models.Model):
    """End of the chain; its single row is locked by whoever appends, so that numbers have no hole."""

    digest = models.CharField("empreinte", max_length=64, default=GENESIS)
    size = models.BigIntegerField("entrées", default=0)


class Entry(models.Model):
    """One fact that happened: who, what, on what, when. The identifier is its place, from 1. `detail` holds counts and
    references, no identity."""

    id = models.BigIntegerField("numéro", primary_key=True)
    at = models.DateTimeField("date")
    actor = models.CharField("acteur", max_length=120)
    action = models.CharField("action", max_length=60)
    subject = models.CharField("objet", max_length=120)
    detail = models.JSONField("détail", default=dict)
    salt = models.CharField("sel", max_length=32)
    content = models.CharField("empreinte du contenu", max_length=64)
    previous = models.CharField("empreinte précédente", max_length=64)
    digest = models.CharField("empreinte", max_length=64)

    class Meta:
        ordering = ("id",)
        verbose_name = "entrée du journal"
        verbose_name_plural = "journal"
        indexes = (models.Index(fields=["subject", "id"]), models.Index(fields=["actor", "id"]))


class Node(models.Model):
    """A complete subtree of the Merkle tree, so that a proof reads a few rows of a long journal."""

    height = models.PositiveSmallIntegerField("hauteur")
    rank = models.BigIntegerField("rang")
    digest = models.CharField("empreinte", max_length=64)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["height", "rank"], name="one_subtree_each"),)


class TreeHead(models.Model):
    """A signed head: the root of the first `size` entries at a date, with the time-stamp of its signature when there is one."""

    size = models.BigIntegerField("entrées", primary_key=True)
    log = models.CharField("journal", max_length=64)
    root = models.CharField("racine", max_length=64)
    last = models.CharField("empreinte de la dernière entrée", max_length=64)
    at = models.CharField("date", max_length=27)
    signature = models.CharField("signature", max_length=88)
    token = models.TextField("jeton d’horodatage", blank=True)

    class Meta:
        ordering = ("size",)
        verbose_name = "tête signée du journal"
