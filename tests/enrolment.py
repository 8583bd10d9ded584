"""A provider that declares itself and signs: the steps that most tests of the way in begin with."""

import re

from django.test import Client

from belvedere.observatory.accounts import factors
from belvedere.observatory.members.models import Enrolment
from belvedere.observatory.notices import actions as notices
from tests.flows import sector

SIREN = "732829320"
TABLE = "siren;siret;finess;nom\n732829320;73282932000074;{0};Loire Sud\n732829320;;{1};Loire Nord"


def of_provider(rank: int) -> str:
    provider = sector().providers[rank]
    return f"{provider.siren};;{provider.finess:09d};{provider.name}"


def form(federation=None, **changed) -> dict[str, str]:
    """A form that a provider could send."""
    given = {
        "is_group": "0", "name": "Loire Santé", "siren": SIREN, "address": "12 rue des Lilas", "postcode": "44000", "city": "Nantes", "phone": "",
        "federation": str(federation.pk) if federation else "aucune", "transmission": "vendor", "vendor": "Logiciel X", "signatory": "Anne Le Goff",
        "signatory_title": "présidente", "signatory_email": "anne@loire.fr", "legal": "on", "entities": of_provider(0),
    }  # fmt: skip
    return given | changed


def link_in(message: str) -> str:
    return re.search(r"https?://[^/\s]+(/\S+)", message)[1]


def declared(**changed) -> Enrolment:
    answer = Client().post("/adherer/", form(**changed))
    assert (answer.status_code, answer.headers["Location"]) == (302, "/adherer/merci/")
    return Enrolment.objects.latest("pk")


def signed(outbox, **changed) -> Enrolment:
    enrolled = declared(**changed)
    notices.deliver_due()
    client, address = Client(), link_in(outbox[-1].body)
    client.get(address)
    enrolled.refresh_from_db()
    proof = {"typed": "Le Goff Anne", "code": factors.code(factors.unseal(enrolled.factor)), "read": "on", "legal": "on", "electronic": "on"}
    assert client.post(address, proof).status_code == 302
    enrolled.refresh_from_db()
    return enrolled


def delivered(outbox):
    notices.deliver_due()
    return outbox
