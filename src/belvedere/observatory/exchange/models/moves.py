"""A change of software: what the new one must hold, file by file, and how far it has come."""

from django.db import models

from belvedere.observatory.exchange.models.deposits import Person
from belvedere.observatory.exchange.models.packages import Export
from belvedere.observatory.exchange.models.parties import Party


class MoveState(models.TextChoices):
    """Where a change of software stands."""

    OPEN = "open", "En cours"
    DONE = "done", "Terminé"
    DROPPED = "dropped", "Abandonné"


class FileState(models.TextChoices):
    """Where the file of a person stands."""

    AWAITED = "awaited", "Attendu"
    SAME = "same", "Identique"
    DIFFERS = "differs", "Diffère"


class Move(models.Model):
    """A change of software of an establishment, against the export of what the old one had deposited."""

    reference = models.CharField("référence", max_length=16, unique=True)
    party = models.ForeignKey(Party, models.PROTECT, related_name="moves")
    export = models.ForeignKey(Export, models.PROTECT, related_name="+")
    old = models.CharField("ancien logiciel", max_length=80, blank=True)
    new = models.CharField("nouveau logiciel", max_length=80)
    state = models.CharField("état", max_length=10, choices=MoveState.choices, default=MoveState.OPEN)
    lots = models.PositiveIntegerField("lots contrôlés", default=0)
    strangers = models.PositiveIntegerField("personnes qui n’étaient pas de l’export", default=0)
    opened_at = models.DateTimeField("ouvert le")
    closed_at = models.DateTimeField("terminé le", null=True)
    reason = models.CharField("ce qui justifie les écarts", max_length=300, blank=True)

    class Meta:
        verbose_name = "changement de logiciel"
        ordering = ("-opened_at",)
        constraints = (models.UniqueConstraint(fields=["party"], condition=models.Q(state="open"), name="one_change_at_a_time"),)


class MoveFile(models.Model):
    """One person's file in a change of software. `gaps`: what differs, by type; never a value."""

    move = models.ForeignKey(Move, models.CASCADE, related_name="files")
    person = models.ForeignKey(Person, models.CASCADE, related_name="+")
    address = models.CharField("usager de l’export", max_length=80)
    also = models.JSONField("autres usagers de l’export qui sont la même personne", default=list)
    resources = models.PositiveIntegerField("ressources attendues")
    state = models.CharField("état", max_length=10, choices=FileState.choices, default=FileState.AWAITED)
    gaps = models.JSONField("écarts", default=list)
    compared_at = models.DateTimeField("comparé le", null=True)

    class Meta:
        verbose_name = "dossier d’un changement de logiciel"
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=["move", "person"], name="one_file_a_person"),)
