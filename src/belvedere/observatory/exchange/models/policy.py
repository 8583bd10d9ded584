"""The access matrix as it was at each date, proposals for it, and what persons said."""

from django.db import models

from belvedere.engine.exchange.vocabulary import SPEAKERS, Speaker, Statement
from belvedere.observatory.exchange.models.deposits import Person
from belvedere.observatory.journal.guards import Guard, unchanged


class MatrixVersion(models.Model):
    """A matrix in force from a date: never changed, the next one replaces it."""

    number = models.PositiveIntegerField("version", unique=True)
    version = models.CharField("empreinte", max_length=16)
    rows = models.TextField("lignes (CSV)")
    valid_from = models.DateTimeField("en vigueur depuis")
    proposed_by = models.CharField("proposée par", max_length=120)
    approved_by = models.CharField("approuvée par", max_length=120)

    class Meta:
        verbose_name = "version de la matrice"
        ordering = ("-number",)


class Proposal(models.Model):
    """A matrix somebody proposes; somebody else decides."""

    rows = models.TextField("lignes (CSV)")
    version = models.CharField("empreinte", max_length=16)
    reason = models.CharField("motif", max_length=300)
    proposed_by = models.CharField("proposée par", max_length=120)
    proposed_at = models.DateTimeField("proposée le", auto_now_add=True)
    decided_by = models.CharField("décidée par", max_length=120, blank=True)
    decided_at = models.DateTimeField("décidée le", null=True)
    approved = models.BooleanField("approuvée", null=True)

    class Meta:
        verbose_name = "proposition de matrice"
        ordering = ("-proposed_at",)
        constraints = (
            models.CheckConstraint(
                name="two_persons_change_the_matrix", condition=models.Q(decided_by="") | ~models.Q(decided_by=models.F("proposed_by"))
            ),
        )


class Stated(models.Model):
    """One statement of a person, never changed; "" in a scope means all. `at` is when it holds from, `known_at` when the hub learnt it.

    The database itself refuses another word or its removal; only whom it is of may follow a person recognised as another."""

    person = models.ForeignKey(Person, models.PROTECT, related_name="statements")
    kind = models.CharField("dit", max_length=10, choices=[(kind.value, kind.value) for kind in Statement])
    purpose = models.CharField("finalité", max_length=32, blank=True)
    category = models.CharField("catégorie", max_length=8, blank=True)
    recipient = models.CharField("destinataire", max_length=60, blank=True)
    at = models.DateTimeField("à compter de")
    known_at = models.DateTimeField("connu le")
    collected_by = models.CharField("recueilli par", max_length=120)
    said_by = models.CharField(
        "dit par", max_length=12, choices=[(code.value, label) for code, label in SPEAKERS.items()], default=Speaker.PERSON.value
    )
    proof = models.CharField("preuve", max_length=120, blank=True)

    class Meta:
        verbose_name = "volonté exprimée"
        ordering = ("known_at", "id")
        indexes = (models.Index(fields=["person", "known_at"]),)


# A person recognised as another takes its words along, and only to that one.
_FOLLOWS = (
    "(NEW.person_id = OLD.person_id OR EXISTS (SELECT 1 FROM exchange_alias a JOIN exchange_person p ON p.token = a.token "
    "WHERE p.id = OLD.person_id AND a.person_id = NEW.person_id))"
)
KEPT_FOR_GOOD = {
    "exchange_stated": Guard(
        "id", unchanged("id", "kind", "purpose", "category", "recipient", "at", "known_at", "collected_by", "said_by", "proof") + f" AND {_FOLLOWS}",
        "une volonté ne se change pas",
    ),
    "exchange_matrixversion": Guard("id", refusal="une version de la matrice ne se change pas"),
}  # fmt: skip
