"""Object, and withdraw an objection. The identity lives in memory for the time of one pseudonym; nobody learns whether the
person is in the data, for nothing here looks."""

import datetime as dt
import re
from dataclasses import dataclass

import numpy as np
from django.db import transaction
from django.utils import timezone

from belvedere.engine.b2.keys import nir_key
from belvedere.engine.privacy import pseudonyms
from belvedere.observatory import tokens
from belvedere.observatory.collect import keyring
from belvedere.observatory.journal.actions import record
from belvedere.observatory.objections import register
from belvedere.observatory.objections.models import Kind, Objection, Request

PUBLIC = "public"


class ObjectionRefused(Exception):
    """What is wrong with what was typed: field and French sentence."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(why)
        self.where, self.why = where, why


@dataclass(frozen=True)
class Identity:
    """A person as B2 names it; never printed, never stored."""

    kind: Kind
    nir: str = ""
    birth: str = ""  # AAMMJJ
    rank: int = 1
    number: int = 0

    def __repr__(self) -> str:
        return "Identity(…)"

    def pseudonym(self) -> int:
        """The 63-bit token of the person, the same as its lines carry."""
        keys = keyring.pseudonym_keys()
        if self.kind == Kind.PRESCRIBER:
            return int(pseudonyms.prescribers(np.array([self.number]), keys)[0])
        nir = np.frombuffer(self.nir.encode(), dtype=np.uint8).reshape(1, 13)
        return int(pseudonyms.patients(nir, np.array([int(self.birth)]), np.array([self.rank]), keys)[0])


def patient(nir: str, birth: str, rank: str) -> Identity:
    """A patient from what it types: 15 characters of its health insurance number (13 and its key), date of birth JJ/MM/AAAA, birth rank.
    ObjectionRefused names the field; dates of people born under another calendar (day or month 00, month above 12) are taken as written."""
    number = re.sub(r"[\s.\-]", "", nir).upper()
    if not re.fullmatch(r"\d{5}(\d\d|2A|2B)\d{6}\d{2}", number):
        raise ObjectionRefused(
            "nir", "Quinze caractères : les treize du numéro et les deux de la clé, tels que sur la carte Vitale ou l’attestation."
        )
    if nir_key(number[:13]) != int(number[13:]):
        raise ObjectionRefused("nir", "La clé (les deux derniers chiffres) ne tombe pas juste : vérifiez le numéro.")
    found = re.fullmatch(r"(\d\d)[/. -]?(\d\d)[/. -]?(?:\d\d)(\d\d)", birth.strip())
    if found is None or int(found[1]) > 31 or int(found[2]) > 99:
        raise ObjectionRefused("birth", "Jour, mois, année sur quatre chiffres : 07/03/1950.")
    if not rank.isdecimal() or not 1 <= int(rank) <= 9:
        raise ObjectionRefused("rank", "Un chiffre de 1 à 9 ; 1, sauf pour des jumeaux.")
    return Identity(Kind.PATIENT, nir=number[:13], birth=found[3] + found[2] + found[1], rank=int(rank))


def prescriber(number: str) -> Identity:
    """A prescriber from its nine-digit health insurance number (AM)."""
    digits = re.sub(r"\s", "", number)
    if not re.fullmatch(r"\d{9}", digits) or not int(digits):
        raise ObjectionRefused("number", "Neuf chiffres : votre numéro d’identification à l’assurance maladie, tel que sur vos ordonnances.")
    return Identity(Kind.PRESCRIBER, number=int(digits))


@transaction.atomic
def object_to(identity: Identity) -> Request:
    """Leave a person out from now on; the same answer whether or not it is known, and whether or not it objected before."""
    objection, _ = Objection.objects.get_or_create(kind=identity.kind, pseudonym=identity.pseudonym())
    if objection.until is not None:
        objection.until, objection.purged_at, objection.checked_until = None, None, 0
        objection.save(update_fields=["until", "purged_at", "checked_until"])
    register.note(objection)
    request = Request.objects.create(reference=tokens.reference("O", 4, 4), objection=objection, at=timezone.now())
    record(by=PUBLIC, action="opposition.recue", subject=f"opposition:{request.reference}", kind=str(identity.kind))
    return request


@transaction.atomic
def withdraw(*, reference: str, identity: Identity, day: dt.date | None = None) -> Request:
    """Take an objection back: care from that day on counts again, the past does not come back. Both the reference and the person must agree."""
    objection = Objection.objects.select_for_update(of=("self",)).filter(kind=identity.kind, pseudonym=identity.pseudonym()).first()
    request = Request.objects.filter(reference=reference.strip().upper(), objection=objection).first() if objection else None
    if request is None or objection is None:
        raise ObjectionRefused("reference", "Cette référence et cette personne ne vont pas ensemble : vérifiez l’une et l’autre.")
    now = timezone.now()
    Request.objects.filter(objection=objection, withdrawn_at=None).update(withdrawn_at=now)
    if objection.until is None:
        objection.until = day or timezone.localdate()
        objection.save(update_fields=["until"])
        register.note(objection)
        record(by=PUBLIC, action="opposition.retiree", subject=f"opposition:{request.reference}", kind=str(identity.kind))
    request.refresh_from_db()
    return request
