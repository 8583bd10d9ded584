"""What is kept of the services: who called what with which result, lots of consultations (sealed), and the last story played."""

from django.db import models


class Call(models.Model):
    """One call of a service: no person, only who called, the regime asked, the result and how long it took."""

    service = models.CharField("service", max_length=20)
    at = models.DateTimeField("le")
    site = models.CharField("établissement", max_length=9)
    software = models.CharField("logiciel", max_length=40, blank=True)
    regime = models.CharField("régime", max_length=3, blank=True)
    result = models.CharField("résultat", max_length=8)
    milliseconds = models.PositiveIntegerField("durée (ms)")

    class Meta:
        verbose_name = "appel"
        indexes = [models.Index(fields=["service", "at"])]


class LotState(models.TextChoices):
    RECEIVED = "recu", "Reçu"
    RUNNING = "en_cours", "En cours"
    DONE = "termine", "Terminé"
    PARTLY = "termine_avec_echecs", "Terminé, avec des échecs"


class RightsLot(models.Model):
    """A lot of consultations: the questions and the answers are sealed, since they name people."""

    reference = models.CharField("référence", max_length=20, unique=True)
    site = models.CharField("établissement", max_length=9)
    given = models.CharField("référence de l’établissement", max_length=80)
    state = models.CharField("état", max_length=20, choices=LotState.choices, default=LotState.RECEIVED)
    total = models.PositiveIntegerField("dossiers")
    useful = models.PositiveIntegerField("réponses utiles", default=0)
    results = models.JSONField("dossiers par résultat", default=dict)
    content = models.BinaryField("questions et réponses, scellées")
    digest = models.CharField("empreinte de la demande", max_length=64)
    started_at = models.DateTimeField("commencé le", null=True)
    made_at = models.DateTimeField("reçu le", auto_now_add=True)
    finished_at = models.DateTimeField("terminé le", null=True)

    class Meta:
        verbose_name = "lot de consultations"
        constraints = [models.UniqueConstraint(fields=["site", "given"], name="one_lot_by_reference")]


class Story(models.Model):
    """A whole loop of billing played against the simulators: steps and figures, nobody's name."""

    made_at = models.DateTimeField("jouée le", auto_now_add=True)
    patients = models.PositiveIntegerField("patients")
    content = models.JSONField("étapes")

    class Meta:
        verbose_name = "histoire"
        ordering = ["-made_at"]
