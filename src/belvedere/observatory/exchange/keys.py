"""Tokens of parties and personal links: drawn at random, shown once, kept as hashes."""

import datetime as dt
import secrets

from django.db import transaction
from django.utils import timezone

from belvedere.engine.exchange.access import STRUCTURE, TOKEN
from belvedere.observatory.exchange.models import Party, PartyCertificate, PartyKey, Person, PersonLink
from belvedere.observatory.journal.actions import record
from belvedere.observatory.tokens import digest

LINK_DAYS = 30


@transaction.atomic
def issue(*, party: Party, label: str, by: str, level: int = 2, thumbprint: str = "") -> str:
    """A new token of a party's machine; with a `thumbprint`, it opens only beside that certificate (RFC 8705 §3)."""
    token = "bvx_" + secrets.token_urlsafe(32)
    PartyKey.objects.create(party=party, label=label[:80], token_hash=digest(token), level=level, thumbprint=thumbprint)
    record(by=by, action="echange.jeton.ouvert", subject=party.code, level=level)
    return token


@transaction.atomic
def revoke(*, key: PartyKey, by: str) -> None:
    """Close a token at once."""
    PartyKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    record(by=by, action="echange.jeton.ferme", subject=key.party.code)


def level_of(party: Party) -> int:
    """The level of identification that the operator verified of a party: that of its best open token, or of a certificate it holds."""
    if PartyCertificate.objects.filter(party=party, revoked_at=None).exists():
        return STRUCTURE
    return max(PartyKey.objects.filter(party=party, revoked_at=None).values_list("level", flat=True), default=TOKEN)


def key_of(token: str, thumbprint: str = "") -> PartyKey | None:
    """The open key of a token, of an admitted party; one bound to a certificate opens beside it alone."""
    if not token.startswith("bvx_"):
        return None
    key = PartyKey.objects.select_related("party").filter(token_hash=digest(token), revoked_at=None, thumbprint__in=("", thumbprint)).first()
    if key is None or not key.party.admitted:
        return None
    closed = key.thumbprint and PartyCertificate.objects.filter(thumbprint=key.thumbprint).exclude(revoked_at=None).exists()
    return None if closed else key


@transaction.atomic
def give_link(*, person: Person, party: Party) -> str:
    """A personal link for a person that an establishment accompanies; it reads who received what, nothing else."""
    token = secrets.token_urlsafe(24)
    PersonLink.objects.create(person=person, token_hash=digest(token), given_by=party, expires_at=timezone.now() + dt.timedelta(days=LINK_DAYS))
    record(by=party.code, action="echange.lien.donne", subject=f"usager:{person.pk}")
    return token


def person_of_link(token: str) -> PersonLink | None:
    """The link of a token, while it holds."""
    return (
        PersonLink.objects.select_related("person", "given_by")
        .filter(token_hash=digest(token), expires_at__gt=timezone.now(), given_by__admitted=True)
        .first()
    )
