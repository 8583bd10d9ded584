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
    refusal = models.CharField(
        "refus", max_length=8, blank=True, choices=[("whole", "flux entier"), ("invoice", "par facture")],
        help_text="Ce que refuse une erreur dans une facture ; vide : réglage général.",
    )  # fmt: skip

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
    """With what a group's software sends flows: a token (also the secret of OAuth2 client credentials), an
    address for its mail, a public key for SFTP. Of what is secret only the hash is kept."""

    group = models.ForeignKey(Group, models.CASCADE, verbose_name="groupe", related_name="senders")
    label = models.CharField("libellé", max_length=80)
    token_hash = models.CharField("empreinte", max_length=64, unique=True)
    mail_hash = models.CharField("empreinte de l’adresse de dépôt", max_length=64, blank=True, db_index=True)
    public_key = models.TextField("clé publique SSH", blank=True)
    created_at = models.DateTimeField("créé le", auto_now_add=True)
    revoked_at = models.DateTimeField("révoqué le", null=True, blank=True)

    class Meta:
        verbose_name = "clé d’émetteur"

    @property
    def client_id(self) -> str:
        """The public name of the sender: OAuth2 client and SFTP user."""
        return f"emetteur-{self.pk}"
