"""Releases, their approvals by the federations, and their states."""

from django.conf import settings
from django.db import models

from belvedere.observatory.members.models import Federation


class ReleaseState(models.TextChoices):
    """The life of a release."""

    DRAFT = "draft", "En attente des fédérations"
    PUBLISHED = "published", "Publiée"
    REFUSED = "refused", "Écartée"


RELEASE_TRANSITIONS: dict[str, tuple[str, ...]] = {
    ReleaseState.DRAFT: (ReleaseState.PUBLISHED, ReleaseState.REFUSED),
    ReleaseState.PUBLISHED: (),
    ReleaseState.REFUSED: (),
}


class Release(models.Model):
    """A frozen version of the market's figures. The file never changes; its hash is checked at each opening."""

    label = models.CharField("millésime", max_length=20, unique=True)
    months = models.JSONField("mois couverts")
    state = models.CharField("état", max_length=12, choices=ReleaseState.choices, default=ReleaseState.DRAFT)
    created_at = models.DateTimeField("calculée le")
    published_at = models.DateTimeField("publiée le", null=True)
    file_name = models.CharField("fichier", max_length=120)
    digest = models.CharField("empreinte", max_length=64)
    groups = models.IntegerField("groupes")
    lines = models.BigIntegerField("lignes")
    patients = models.BigIntegerField("patients")
    released_cells = models.IntegerField("cellules publiées")
    masked_cells = models.IntegerField("cellules masquées")
    leaks = models.JSONField("fuites relevées par l’audit", default=list)
    periods = models.JSONField("périodes de douze mois", default=dict)
    fresh_groups = models.IntegerField("groupes présents dans les mois nouveaux", default=0)
    basis = models.JSONField("publications sur lesquelles elle s’appuie", default=list)
    sealed = models.JSONField("empreintes du dossier scellé", default=dict)
    report = models.JSONField("rapport de protection", default=dict)

    class Meta:
        verbose_name = "publication"
        ordering = ("-id",)


class Approval(models.Model):
    """A federation's word on a release."""

    release = models.ForeignKey(Release, models.CASCADE, related_name="approvals")
    federation = models.ForeignKey(Federation, models.PROTECT, verbose_name="fédération")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, verbose_name="par")
    at = models.DateTimeField("date")

    class Meta:
        verbose_name = "validation"
        constraints = (models.UniqueConstraint(fields=["release", "federation"], name="one_word_each"),)
