"""Who exchanges: establishments and institutions, their keys, the personal links of persons concerned; dated nomenclatures."""

from django.db import models

from belvedere.engine.exchange.matrix import ALWAYS, NEVER
from belvedere.engine.exchange.vocabulary import ACTORS


class Party(models.Model):
    """An actor: an establishment that deposits (FINESS, category, department) or an institution that receives (territory)."""

    actor = models.CharField("acteur", max_length=32, choices=[(code, label) for code, label in ACTORS.items()])
    name = models.CharField("nom", max_length=160)
    finess = models.CharField("FINESS", max_length=9, blank=True)
    entity = models.CharField("FINESS juridique", max_length=9, blank=True)  # who runs the establishment
    kind = models.CharField("catégorie FINESS", max_length=4, blank=True)
    department = models.CharField("département", max_length=3, blank=True)
    region = models.CharField("région", max_length=4, blank=True)
    opened_on = models.DateField("ouvert le", null=True, blank=True)
    closed_on = models.DateField("fermé le", null=True, blank=True)
    software = models.CharField("logiciel", max_length=80, blank=True)
    contact = models.EmailField("contact technique", blank=True)
    admitted = models.BooleanField("admis", default=True)

    class Meta:
        verbose_name = "acteur des échanges"
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=["finess"], condition=~models.Q(finess=""), name="one_establishment_a_finess"),)

    def __str__(self) -> str:
        return self.name

    @property
    def code(self) -> str:
        """How the journal, consents and web addresses name it."""
        return f"acteur-{self.pk}"


class Establishment(models.Model):
    """What an establishment is from an extraction of FINESS on (`since`), until the next row of it."""

    finess = models.CharField("FINESS", max_length=9)
    name = models.CharField("nom", max_length=160)
    kind = models.CharField("catégorie FINESS", max_length=4)
    department = models.CharField("département", max_length=3)
    region = models.CharField("région", max_length=4, blank=True)
    entity = models.CharField("FINESS juridique", max_length=9, blank=True)
    opened_on = models.DateField("ouvert le", null=True, blank=True)
    closed_on = models.DateField("fermé le", null=True, blank=True)
    since = models.DateField("depuis")
    source = models.CharField("fichier", max_length=120)

    class Meta:
        verbose_name = "établissement de FINESS"
        verbose_name_plural = "établissements de FINESS"
        constraints = (models.UniqueConstraint(fields=["finess", "since"], name="one_establishment_at_a_time"),)


class Picture(models.Model):
    """An extraction of FINESS that was taken: the day it is the picture of."""

    day = models.DateField("jour", unique=True)
    source = models.CharField("fichier", max_length=120)

    class Meta:
        verbose_name = "extraction de FINESS"
        verbose_name_plural = "extractions de FINESS"


class Formerly(models.Model):
    """What decisions took an actor for until an instant, kept when it changes: a past decision is explained by it."""

    party = models.ForeignKey(Party, models.CASCADE, related_name="+")
    until = models.DateTimeField("jusqu’à")
    kind = models.CharField("catégorie FINESS", max_length=4, blank=True)
    department = models.CharField("département", max_length=3, blank=True)
    region = models.CharField("région", max_length=4, blank=True)

    class Meta:
        verbose_name = "ancien état d’un acteur"
        verbose_name_plural = "anciens états des acteurs"
        indexes = (models.Index(fields=["party", "until"]),)


class Offer(models.Model):
    """What an establishment offers, as the national register of resources told it, from a day to another."""

    number = models.CharField("identifiant de l’offre", max_length=64)
    finess = models.CharField("FINESS", max_length=9, db_index=True)
    name = models.CharField("nom", max_length=200)
    mode = models.CharField("mode de prise en charge", max_length=20, blank=True)
    field = models.CharField("champ d’activité", max_length=20, blank=True)
    activity = models.CharField("activité opérationnelle", max_length=20, blank=True)
    capacity = models.PositiveIntegerField("places installées", null=True)
    since = models.DateField("depuis")
    until = models.DateField("jusqu’au", default=NEVER)
    updated = models.DateTimeField("mise à jour au répertoire")
    source = models.CharField("fichier", max_length=120)

    class Meta:
        verbose_name = "offre du ROR"
        verbose_name_plural = "offres du ROR"
        constraints = (models.UniqueConstraint(fields=["number", "since"], name="one_offer_at_a_time"),)


class PartyKey(models.Model):
    """A token of a party's machine; only its hash is kept."""

    party = models.ForeignKey(Party, models.PROTECT, related_name="keys")
    label = models.CharField("libellé", max_length=80)
    token_hash = models.CharField("empreinte du jeton", max_length=64, unique=True)
    level = models.PositiveSmallIntegerField("niveau d’identification", default=2)
    thumbprint = models.CharField("certificat auquel il est lié", max_length=43, blank=True)
    created_at = models.DateTimeField("créée le", auto_now_add=True)
    revoked_at = models.DateTimeField("révoquée le", null=True, blank=True)


class PartyCertificate(models.Model):
    """A certificate tied to a party by hand: institutions', whose certificates name no establishment."""

    party = models.ForeignKey(Party, models.PROTECT, related_name="certificates")
    thumbprint = models.CharField("empreinte SHA-256", max_length=43, unique=True)
    until = models.DateTimeField("valable jusqu’au")
    revoked_at = models.DateTimeField("révoqué le", null=True, blank=True)


class PersonLink(models.Model):
    """The personal link by which a person reads who received what about it; given by an establishment, only its hash is kept."""

    person = models.ForeignKey("exchange.Person", models.CASCADE, related_name="links")
    token_hash = models.CharField("empreinte du lien", max_length=64, unique=True)
    given_by = models.ForeignKey(Party, models.PROTECT, related_name="+")
    expires_at = models.DateTimeField("expire le")


class Concept(models.Model):
    """One code of a nomenclature, valid from `since` (included) to `until` (excluded); `parent` in trees."""

    system = models.CharField("système", max_length=160)
    valueset = models.CharField("jeu de valeurs", max_length=120)
    code = models.CharField("code", max_length=60)
    display = models.CharField("libellé", max_length=300)
    parent = models.CharField("code père", max_length=60, blank=True)
    since = models.DateField("valide depuis", default=ALWAYS)
    until = models.DateField("valide jusqu’à", default=NEVER)
    source = models.CharField("source", max_length=120)

    class Meta:
        verbose_name = "concept"
        indexes = (models.Index(fields=["system", "code"]), models.Index(fields=["valueset", "code"]))
        constraints = (models.UniqueConstraint(fields=["valueset", "system", "code", "since"], name="one_concept_a_date"),)
