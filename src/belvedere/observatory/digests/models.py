"""The monthly letter: to whom it went, and which indicators a person no longer wants to hear of."""

from django.conf import settings
from django.db import models

from belvedere.observatory.publication.models import Release

EVERYTHING = "*"


class Sent(models.Model):
    """A letter written to a person for a release."""

    release = models.ForeignKey(Release, models.CASCADE, verbose_name="publication")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, verbose_name="personne")
    at = models.DateTimeField("écrite le")

    class Meta:
        verbose_name = "lettre"
        constraints = (models.UniqueConstraint(fields=["release", "person"], name="one_letter_each"),)


class Muted(models.Model):
    """An indicator that a person muted ("*": the whole letter)."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, verbose_name="personne", related_name="muted")
    indicator = models.CharField("indicateur", max_length=40)
    at = models.DateTimeField("depuis le")

    class Meta:
        verbose_name = "indicateur tu"
        verbose_name_plural = "indicateurs tus"
        constraints = (models.UniqueConstraint(fields=["person", "indicator"], name="muted_once"),)
