"""How a provider becomes a member: the enrolment and its states, the fee, who bears it, its invoices."""

import datetime as dt

from django.db import models
from django.db.models import Q

from belvedere.observatory.members.models.parties import Federation, Group


class EnrolmentState(models.TextChoices):
    """The life of an enrolment."""

    HELD = "held", "À vérifier"
    INVITED = "invited", "Convention envoyée"
    SIGNED = "signed", "Signée, flux attendu"
    ACTIVE = "active", "Active"
    CANCELLED = "cancelled", "Sans suite"
    ENDED = "ended", "Terminée"


ENROLMENT_TRANSITIONS: dict[str, tuple[str, ...]] = {
    EnrolmentState.HELD: (EnrolmentState.INVITED, EnrolmentState.CANCELLED),
    EnrolmentState.INVITED: (EnrolmentState.SIGNED, EnrolmentState.CANCELLED),
    EnrolmentState.SIGNED: (EnrolmentState.ACTIVE, EnrolmentState.CANCELLED),
    EnrolmentState.ACTIVE: (EnrolmentState.ENDED,),
    EnrolmentState.CANCELLED: (),
    EnrolmentState.ENDED: (),
}
OVER = (EnrolmentState.CANCELLED, EnrolmentState.ENDED)
OWN_IT, VENDOR = "own", "vendor"


class Enrolment(models.Model):
    """One provider or group on its way in: what it declared, the convention it was sent and how it was signed."""

    reference = models.CharField("référence", max_length=12, unique=True)
    state = models.CharField("état", max_length=12, choices=EnrolmentState.choices)
    held_for = models.CharField("à vérifier", max_length=200, blank=True)
    is_group = models.BooleanField("groupe", default=False)
    name = models.CharField("raison sociale", max_length=120)
    siren = models.CharField("SIREN", max_length=9)
    address = models.CharField("adresse", max_length=160)
    postcode = models.CharField("code postal", max_length=5)
    city = models.CharField("ville", max_length=80)
    phone = models.CharField("téléphone", max_length=20, blank=True)
    federation = models.ForeignKey(Federation, models.PROTECT, null=True, blank=True, verbose_name="fédération")
    transmission = models.CharField("télétransmission", max_length=8, choices=[(OWN_IT, "informatique interne"), (VENDOR, "éditeur de logiciel")])
    vendor = models.CharField("éditeur", max_length=80, blank=True)
    signatory = models.CharField("représentant légal", max_length=120)
    signatory_title = models.CharField("qualité", max_length=80)
    signatory_email = models.EmailField("adresse électronique du signataire")
    entities = models.JSONField("entités", default=list)  # dicts: name, siren, siret, finess, department, norm
    people = models.JSONField("personnes à inviter", default=list)
    created_at = models.DateTimeField("créée le")
    text_version = models.CharField("version du texte", max_length=12)
    text_hash = models.CharField("empreinte du texte", max_length=64, blank=True)
    reminders = models.PositiveSmallIntegerField("relances", default=0)
    reminded_at = models.DateTimeField("relancée le", null=True)
    factor = models.TextField("secret d’authentification, chiffré", blank=True)
    factor_tries = models.PositiveSmallIntegerField("codes faux", default=0)
    signed_at = models.DateTimeField("signée le", null=True)
    evidence = models.JSONField("preuve", default=dict)
    group = models.OneToOneField(Group, models.PROTECT, null=True, verbose_name="groupe", related_name="enrolment")

    class Meta:
        verbose_name = "adhésion"
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=["siren"], condition=~Q(state__in=(*OVER, EnrolmentState.HELD)), name="one_enrolment_by_siren"),
            models.CheckConstraint(
                name="signed_has_date_and_group",
                condition=Q(signed_at__isnull=True, group__isnull=True) | Q(signed_at__isnull=False, group__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.reference})"


class Fee(models.Model):
    """The yearly fee from a date on: cents before tax, tax in hundredths of a per cent, days to pay."""

    valid_from = models.DateField("à partir du", unique=True)
    amount = models.PositiveIntegerField("montant HT (centimes)")
    vat = models.PositiveIntegerField("TVA (centièmes de pour cent)")
    days = models.PositiveSmallIntegerField("délai de paiement (jours)", default=30)

    class Meta:
        verbose_name = "cotisation"
        ordering = ("-valid_from",)

    @property
    def tax(self) -> int:
        """Cents of tax, rounded half up."""
        return (self.amount * self.vat + 5_000) // 10_000


class Bearing(models.Model):
    """A federation bears the fee of its members between two dates."""

    federation = models.ForeignKey(Federation, models.PROTECT, verbose_name="fédération", related_name="bearings")
    valid_from = models.DateField("à partir du")
    valid_until = models.DateField("jusqu’au, exclu", null=True, blank=True)

    class Meta:
        verbose_name = "prise en charge"
        ordering = ("federation", "valid_from")


class FeeInvoice(models.Model):
    """What a group that pays for itself was billed for one year; numbers follow each other without hole within a year."""

    number = models.CharField("numéro", max_length=16, unique=True)
    group = models.ForeignKey(Group, models.PROTECT, verbose_name="groupe", related_name="fee_invoices")
    period_from = models.DateField("du")
    period_to = models.DateField("au")
    issued_on = models.DateField("émise le")
    due_on = models.DateField("échéance")
    amount = models.PositiveIntegerField("montant HT (centimes)")
    tax = models.PositiveIntegerField("TVA (centimes)")
    vat = models.PositiveIntegerField("taux de TVA (centièmes de pour cent)")
    digest = models.CharField("empreinte du document", max_length=64)
    paid_on = models.DateField("payée le", null=True)
    payment = models.CharField("référence du paiement", max_length=80, blank=True)

    class Meta:
        verbose_name = "facture d’adhésion"
        ordering = ("-number",)
        constraints = (models.UniqueConstraint(fields=["group", "period_from"], name="one_invoice_by_year"),)

    @property
    def total(self) -> int:
        return self.amount + self.tax

    def late(self, day: dt.date) -> bool:
        """Whether it should have been paid by a day."""
        return self.paid_on is None and self.due_on < day
