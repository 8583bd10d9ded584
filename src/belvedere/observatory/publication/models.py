"""Releases, their approvals by the federations, and their states."""

from django.conf import settings
from django.db import models

from belvedere.observatory.members.models import Federation


class ReleaseState(models.TextChoices):
    """The life of a release."""

    DRAFT = "draft", "À l’examen des fédérations"
    PUBLISHED = "published", "Publiée"
    WITHDRAWN = "withdrawn", "Retirée"
    REFUSED = "refused", "Écartée"


RELEASE_TRANSITIONS: dict[str, tuple[str, ...]] = {
    ReleaseState.DRAFT: (ReleaseState.PUBLISHED, ReleaseState.REFUSED),
    ReleaseState.PUBLISHED: (ReleaseState.WITHDRAWN,),
    ReleaseState.WITHDRAWN: (),
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
    series = models.CharField("série", max_length=20, default="mensuelle")
    members = models.IntegerField("entités présentes", default=0)
    biggest = models.FloatField("part du plus grand groupe", default=0.0)
    ended_at = models.DateTimeField("retirée ou écartée le", null=True)
    ended_for = models.CharField("motif", max_length=400, blank=True)

    class Meta:
        verbose_name = "publication"
        ordering = ("-id",)


class Verdict(models.TextChoices):
    """What a federation says of a release."""

    YES = "yes", "Validée"
    NO = "no", "Refusée"


class Word(models.Model):
    """A federation's word on figures under review: it may change until they leave it; the journal keeps each one."""

    federation = models.ForeignKey(Federation, models.PROTECT, verbose_name="fédération")
    verdict = models.CharField("avis", max_length=4, choices=Verdict.choices, default=Verdict.YES)
    reason = models.CharField("motif", max_length=1000, blank=True)
    standing = models.BooleanField("par accord permanent", default=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, verbose_name="par")
    at = models.DateTimeField("date")

    class Meta:
        abstract = True


class Approval(Word):
    """A federation's word on a release."""

    release = models.ForeignKey(Release, models.CASCADE, related_name="approvals")

    class Meta:
        verbose_name = "avis"
        verbose_name_plural = "avis"
        constraints = (
            models.UniqueConstraint(fields=["release", "federation"], name="one_word_each"),
            models.CheckConstraint(name="a_refusal_has_a_reason", condition=~models.Q(verdict=Verdict.NO, reason="")),
        )


class StandingApproval(models.Model):
    """A federation's approval of a whole series, until it is withdrawn."""

    federation = models.ForeignKey(Federation, models.PROTECT, verbose_name="fédération")
    series = models.CharField("série", max_length=20)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, verbose_name="par")
    at = models.DateTimeField("donné le")
    withdrawn_at = models.DateTimeField("retiré le", null=True)

    class Meta:
        verbose_name = "accord permanent"
        constraints = (
            models.UniqueConstraint(fields=["federation", "series"], condition=models.Q(withdrawn_at=None), name="one_standing_approval_each"),
        )


class Thresholds(models.Model):
    """What a release must reunite, from a date on."""

    valid_from = models.DateField("à partir du", unique=True)
    members = models.PositiveIntegerField("entités")
    groups = models.PositiveIntegerField("groupes")
    lines = models.PositiveBigIntegerField("lignes")
    patients = models.PositiveIntegerField("patients")
    biggest = models.FloatField("part maximale du plus grand groupe")

    class Meta:
        verbose_name = "seuils du verrou"
        verbose_name_plural = "seuils du verrou"
        ordering = ("-valid_from",)
