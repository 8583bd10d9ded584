"""What was deposited: bundles, the versions of their resources, and whom they speak of."""

from django.db import models

from belvedere.observatory.exchange.models.parties import Party


class Person(models.Model):
    """A person concerned: a token made with the hub's key, nothing that names it."""

    token = models.CharField("jeton", max_length=64, unique=True)
    qualified = models.BooleanField("INS connue", default=False)
    created_at = models.DateTimeField("connue depuis", auto_now_add=True)


class Alias(models.Model):
    """Another token of a person: its number in an establishment, or its INS met later. `own_name` is set when two persons proved to be one: the
    token under which the resources of the first are still told apart."""

    token = models.CharField("jeton", max_length=64, unique=True)
    person = models.ForeignKey(Person, models.CASCADE, related_name="aliases")
    own_name = models.CharField("premier jeton", max_length=64, blank=True)


class DepositState(models.TextChoices):
    """How a deposit ended."""

    RECEIVED = "received", "Reçu"
    ACCEPTED = "accepted", "Accepté"
    REMARKS = "remarks", "Accepté avec réserves"
    REFUSED = "refused", "Refusé"


class Deposit(models.Model):
    """One deposit and its answer; the original bytes lie sealed in the vault, those of a refused one are not kept."""

    reference = models.CharField("référence", max_length=16, unique=True)
    party = models.ForeignKey(Party, models.PROTECT, related_name="deposits")
    channel = models.CharField("voie", max_length=8, default="fhir")
    identifier = models.CharField("identifiant de l’émetteur", max_length=200)
    sha256 = models.CharField("empreinte", max_length=64)
    state = models.CharField("état", max_length=10, choices=DepositState.choices)
    software = models.CharField("logiciel", max_length=80, blank=True)
    received_at = models.DateTimeField("reçu le")
    counts = models.JSONField("ressources par type", default=dict)
    remarks = models.JSONField("remarques", default=list)
    answer = models.JSONField("réponse", default=dict)
    original = models.BinaryField("original scellé", default=bytes)
    all_known = models.BooleanField("personnes toutes connues", default=True)  # False: made before they were kept apart
    place = models.BigIntegerField("numéro au journal", default=0)

    class Meta:
        verbose_name = "dépôt"
        ordering = ("-received_at",)
        constraints = (
            models.UniqueConstraint(
                fields=["party", "identifier"], condition=models.Q(state__in=("received", "accepted", "remarks")), name="one_deposit_an_identifier"
            ),
        )
        indexes = (models.Index(fields=["party", "-received_at"]), models.Index(fields=["party", "identifier"]))


class DepositPerson(models.Model):
    """A person whom a deposit speaks of, whether or not it says anything new of it: the deposit's bytes go with the person's."""

    deposit = models.ForeignKey(Deposit, models.CASCADE, related_name="spoken_of")
    person = models.ForeignKey(Person, models.CASCADE, related_name="spoken_of_in", db_index=False)

    class Meta:
        verbose_name = "personne d’un dépôt"
        constraints = (models.UniqueConstraint(fields=["person", "deposit"], name="one_person_of_a_deposit"),)


class Resource(models.Model):
    """One version of a resource, sealed; a rectification is a new version, an erasure empties the contents and says so."""

    type = models.CharField("type", max_length=32)
    uid = models.CharField("identifiant", max_length=36)
    version = models.PositiveIntegerField("version", default=1)
    profile = models.CharField("profil", max_length=60)
    person = models.ForeignKey(Person, models.PROTECT, null=True, related_name="resources", db_index=False)
    establishment = models.ForeignKey(Party, models.PROTECT, related_name="resources", db_index=False)
    deposit = models.ForeignKey(Deposit, models.PROTECT, related_name="resources")
    own_key = models.CharField("clé chez le déposant", max_length=64)
    day = models.DateField("date des faits", null=True)
    facts = models.JSONField("valeurs codées", default=dict)
    content = models.BinaryField("contenu scellé")
    digest = models.CharField("empreinte salée", max_length=64)
    current = models.BooleanField("en vigueur", default=True)
    erased = models.BooleanField("effacée", default=False)
    stored_at = models.DateTimeField("enregistrée le")

    class Meta:
        verbose_name = "ressource"
        constraints = (
            models.UniqueConstraint(fields=["uid", "version"], name="one_version_of_a_resource"),
            models.UniqueConstraint(fields=["establishment", "own_key"], condition=models.Q(current=True), name="one_version_in_force"),
        )
        indexes = (
            models.Index(fields=["type", "current", "id"]),
            # Each foreign key begins an index here. One of its own would be chosen over these, and read whole, where SQLite has no statistics.
            models.Index(fields=["person", "establishment", "profile"]),
            models.Index(fields=["establishment", "type", "current"]),
        )
