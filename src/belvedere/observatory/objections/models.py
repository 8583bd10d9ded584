"""Patients and prescribers who objected: their pseudonyms alone, so that no later flow brings them back, and the
references of their requests. Nothing here, nor in a request, says who they are."""

from django.db import models
from django.db.models import Q


class Kind(models.TextChoices):
    """Who objects."""

    PATIENT = "patient", "Patient"
    PRESCRIBER = "prescriber", "Prescripteur"


class Objection(models.Model):
    """One person left out of every figure from `at` on; `until` is the day from which care counts again, once it was withdrawn."""

    kind = models.CharField("de qui", max_length=12, choices=Kind.choices, default=Kind.PATIENT)
    pseudonym = models.BigIntegerField("pseudonyme")
    at = models.DateTimeField("date", auto_now_add=True)
    until = models.DateField("retirée à partir des soins du", null=True)
    checked_until = models.BigIntegerField("dernier fichier vérifié", default=0)
    confirmed_until = models.BigIntegerField(
        "dernier fichier vérifié deux fois", default=0
    )  # the second time, nothing of a lower number was under way
    checked_at = models.DateTimeField("fichiers vérifiés le", null=True)
    purged_at = models.DateTimeField("effacée des fichiers le", null=True)

    class Meta:
        verbose_name = "opposition"
        constraints = (models.UniqueConstraint(fields=["kind", "pseudonym"], name="one_objection_each"),)


class Request(models.Model):
    """One request: its reference is all that its author keeps."""

    reference = models.CharField("référence", max_length=14, unique=True)
    objection = models.ForeignKey(Objection, models.PROTECT, verbose_name="opposition", related_name="requests")
    at = models.DateTimeField("date")
    withdrawn_at = models.DateTimeField("retirée le", null=True)

    class Meta:
        verbose_name = "demande d’opposition"
        indexes = (models.Index(fields=["at"], name="standing_requests", condition=Q(withdrawn_at=None)),)
