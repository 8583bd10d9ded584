"""Patients who objected: their pseudonyms, so that no later flow brings them back."""

from django.db import models


class Objection(models.Model):
    """One person left out of every figure from `at` on; only the pseudonym is known."""

    pseudonym = models.BigIntegerField("pseudonyme", unique=True)
    at = models.DateTimeField("date", auto_now_add=True)

    class Meta:
        verbose_name = "opposition"
