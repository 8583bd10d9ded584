"""The convention: each text has a version and never changes; what the signatory reads is kept beside what it signs."""

import datetime as dt
from pathlib import Path

from belvedere.observatory import printing
from belvedere.observatory.members import documents
from belvedere.observatory.members.fees import borne, fee_on
from belvedere.observatory.members.models import Enrolment

VERSION = "2026-1"


def text_path(enrolment: Enrolment) -> Path:
    """The text that the signatory reads."""
    return documents.folder() / f"convention-{enrolment.reference}.pdf"


def signed_path(enrolment: Enrolment) -> Path:
    """The signed convention."""
    return documents.folder() / f"convention-{enrolment.reference}-signee.pdf"


def cost(enrolment: Enrolment, day: dt.date) -> str:
    """Article 5: how much, and who pays."""
    fee = fee_on(day)
    if fee is None:
        return "L’adhésion est gratuite."
    amount = f"L’adhésion coûte {printing.euros(fee.amount)} hors taxes par an"
    if borne(enrolment.federation, day):
        return f"{amount}. Elle est prise en charge par {enrolment.federation}, dont l’adhérent déclare être membre."
    return f"{amount}, soit {printing.euros(fee.amount + fee.tax)} toutes taxes comprises, payable à {fee.days} jours sur facture."


def write_text(enrolment: Enrolment, day: dt.date) -> str:
    """Set the convention of an enrolment and keep it; returns its SHA-256."""
    data = {
        "reference": enrolment.reference, "version": VERSION, "operator": printing.operator(), "name": enrolment.name, "siren": enrolment.siren,
        "address": enrolment.address, "postcode": enrolment.postcode, "city": enrolment.city, "signatory": enrolment.signatory,
        "title": enrolment.signatory_title, "federation": str(enrolment.federation) if enrolment.federation else "aucune",
        "group": enrolment.is_group, "entities": enrolment.entities, "cost": cost(enrolment, day),
    }  # fmt: skip
    return documents.keep(text_path(enrolment).name, printing.render(documents.TEXTS, f"convention-{VERSION}.typ", data))
