"""Who takes part: federations, groups, members (billing entities) and the credentials of their senders."""

from django.db import models


class Federation(models.Model):
    """One of the three professional organisations."""

    name = models.CharField("nom", max_length=40, unique=True)

    class Meta:
        verbose_name = "fédération"

    def __str__(self) -> str:
        return self.name


class Group(models.Model):
    """A holding, enrolled once for all its entities: the contributor of the secrecy rules."""

    name = models.CharField("nom", max_length=120, unique=True)
    federation = models.ForeignKey(Federation, models.PROTECT, null=True, blank=True, verbose_name="fédération")

    class Meta:
        verbose_name = "groupe"

    def __str__(self) -> str:
        return self.name


class Member(models.Model):
    """A billing entity (adhérent) of a group."""

    group = models.ForeignKey(Group, models.PROTECT, verbose_name="groupe", related_name="members")
    name = models.CharField("raison sociale", max_length=120)
    siren = models.CharField("SIREN", max_length=9, unique=True)
    finess = models.BigIntegerField("FINESS", unique=True)
    department = models.CharField("département", max_length=3)
    norm = models.CharField("norme", max_length=2, choices=[("FR", "fournisseur"), ("CP", "établissement")])

    class Meta:
        verbose_name = "adhérent"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class SenderKey(models.Model):
    """A token with which a group's software sends flows; only its hash is kept."""

    group = models.ForeignKey(Group, models.CASCADE, verbose_name="groupe")
    label = models.CharField("libellé", max_length=80)
    token_hash = models.CharField("empreinte", max_length=64, unique=True)
    created_at = models.DateTimeField("créé le", auto_now_add=True)
    revoked_at = models.DateTimeField("révoqué le", null=True, blank=True)

    class Meta:
        verbose_name = "clé d’émetteur"
