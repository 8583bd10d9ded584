"""Who takes part: federations, groups, members (billing entities) and the credentials of their senders."""

import datetime as dt

from django.db import models
from django.db.models import Q
from django.utils import timezone


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
    siren = models.CharField("SIREN du siège", max_length=9, blank=True)
    federation = models.ForeignKey(Federation, models.PROTECT, null=True, blank=True, verbose_name="fédération")
    verified_at = models.DateTimeField("vérifié le", null=True, blank=True)
    refusal = models.CharField(
        "refus", max_length=8, blank=True, choices=[("whole", "flux entier"), ("invoice", "par facture")],
        help_text="Ce que refuse une erreur dans une facture ; vide : réglage général.",
    )  # fmt: skip

    class Meta:
        verbose_name = "groupe"
        constraints = (models.UniqueConstraint(fields=["siren"], condition=~Q(siren=""), name="one_group_by_siren"),)

    def __str__(self) -> str:
        return self.name


class MemberQuerySet(models.QuerySet):
    """Members, with what dates say of them."""

    def present(self, day: dt.date | None = None) -> "MemberQuerySet":
        """Those that take part on a day (today by default)."""
        day = day or timezone.localdate()
        return self.filter(Q(joined_on=None) | Q(joined_on__lte=day), Q(left_on=None) | Q(left_on__gt=day))


class Member(models.Model):
    """A billing entity (adhérent) of a group; it comes and goes with dates, its past stays."""

    group = models.ForeignKey(Group, models.PROTECT, verbose_name="groupe", related_name="members")
    name = models.CharField("raison sociale", max_length=120)
    siren = models.CharField("SIREN", max_length=9, db_index=True)
    siret = models.CharField("SIRET", max_length=14, blank=True)
    finess = models.BigIntegerField("FINESS", unique=True)
    department = models.CharField("département", max_length=3)
    norm = models.CharField("norme", max_length=2, choices=[("FR", "fournisseur"), ("CP", "établissement")])
    joined_on = models.DateField("entrée le", null=True, blank=True)
    left_on = models.DateField("sortie le", null=True, blank=True)

    objects = MemberQuerySet.as_manager()

    class Meta:
        verbose_name = "adhérent"
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(fields=["siret"], condition=~Q(siret=""), name="one_member_by_siret"),
            models.CheckConstraint(
                name="leaves_after_it_came", condition=Q(left_on=None) | Q(joined_on=None) | Q(left_on__gte=models.F("joined_on"))
            ),
        )

    def __str__(self) -> str:
        return self.name


class Move(models.Model):
    """An entity that changed hands on a day: its past goes with it, and who had it is kept."""

    member = models.ForeignKey(Member, models.PROTECT, verbose_name="entité", related_name="moves")
    left = models.ForeignKey(Group, models.PROTECT, verbose_name="groupe quitté", related_name="+")
    joined = models.ForeignKey(Group, models.PROTECT, verbose_name="groupe rejoint", related_name="+")
    day = models.DateField("le")

    class Meta:
        verbose_name = "changement de groupe"
        verbose_name_plural = "changements de groupe"
        ordering = ("day", "pk")


class SenderKey(models.Model):
    """With what a group's software sends flows: a token (also the secret of OAuth2 client credentials), an
    address for its mail, a public key for SFTP. Of what is secret only the hash is kept."""

    group = models.ForeignKey(Group, models.CASCADE, verbose_name="groupe", related_name="senders")
    member = models.ForeignKey(Member, models.PROTECT, null=True, blank=True, verbose_name="seule entité", related_name="senders")
    label = models.CharField("libellé", max_length=80)
    token_hash = models.CharField("empreinte", max_length=64, unique=True)
    mail_hash = models.CharField("empreinte de l’adresse de dépôt", max_length=64, blank=True, db_index=True)
    public_key = models.TextField("clé publique SSH", blank=True)
    created_at = models.DateTimeField("créé le", auto_now_add=True)
    last_used_at = models.DateTimeField("dernier usage", null=True, blank=True)
    replaced_by = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, verbose_name="remplacée par")
    expires_at = models.DateTimeField("expire le", null=True, blank=True)
    revoked_at = models.DateTimeField("révoqué le", null=True, blank=True)

    class Meta:
        verbose_name = "clé d’émetteur"

    @property
    def client_id(self) -> str:
        """The public name of the sender: OAuth2 client and SFTP user."""
        return f"emetteur-{self.pk}"
