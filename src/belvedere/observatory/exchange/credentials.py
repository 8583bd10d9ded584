"""How a machine and the professional behind it are known: a structure's certificate, and tokens exchanged for Pro Santé Connect's, bound to it."""

import contextlib
import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from django.db import transaction
from django.utils import timezone

from belvedere.engine.exchange import credentials
from belvedere.engine.exchange.access import PERSON_SUBSTANTIAL
from belvedere.engine.exchange.credentials import CredentialRefused
from belvedere.observatory.environment import certificate_header
from belvedere.observatory.exchange import prosante, vault
from belvedere.observatory.exchange.models import Party, PartyCertificate
from belvedere.observatory.journal.actions import note, record
from belvedere.observatory.keyfiles import keys_dir, pem, strict, write_secret

AUDIENCE = "belvedere-echanges"
AUTHORITIES = "exchange-authorities.pem"
SIGNING = "exchange-token-{number}.key"
PERSON_LENGTH = 32


@dataclass(frozen=True)
class Opened:
    """Who an access token speaks for: the structure, the professional (a token, never the number), its software."""

    party: Party
    person: str
    software: str


def authorities() -> list[x509.Certificate]:
    """Authorities whose certificates of structures are taken: `keys/exchange-authorities.pem`; none without it."""
    path = keys_dir() / AUTHORITIES
    return x509.load_pem_x509_certificates(path.read_bytes()) if path.exists() else []


def certificate(headers: Mapping[str, str]) -> x509.Certificate | None:
    """The client certificate that the front end says it verified, verified again; None without one, or where no front end is trusted to say it. CredentialRefused."""
    name = certificate_header()
    found = credentials.presented(headers.get(name) or "") if name else None
    if found is not None and not credentials.trusted(found, authorities(), timezone.now()):
        raise CredentialRefused("invalid_client", "Le certificat n’est pas d’une autorité reconnue, ou n’est pas dans ses dates.")
    return found


@transaction.atomic
def hold(*, party: Party, raw: bytes, by: str) -> PartyCertificate:
    """Tie a certificate to a party: needed for an institution, whose certificate names no establishment. CredentialRefused."""
    given = credentials.read_pem(raw)
    if not credentials.trusted(given, authorities(), timezone.now()):
        raise CredentialRefused("invalid_client", f"Ce certificat n’est pas d’une autorité de keys/{AUTHORITIES}, ou n’est pas dans ses dates.")
    made, fresh = PartyCertificate.objects.get_or_create(
        thumbprint=credentials.thumbprint(given), defaults={"party": party, "until": given.not_valid_after_utc}
    )
    if made.party_id != party.pk:
        raise CredentialRefused("invalid_client", "Ce certificat est déjà celui d’un autre acteur.")
    named = credentials.finess_of(given)
    if named and named != party.finess:
        raise CredentialRefused("invalid_client", f"Ce certificat est celui de l’établissement {named}, non de cet acteur.")
    if made.revoked_at is not None:
        raise CredentialRefused("invalid_client", "Ce certificat a été révoqué : l’acteur en demande un autre.")
    if fresh:
        record(by=by, action="echange.certificat.retenu", subject=party.code, thumbprint=made.thumbprint)
    return made


@transaction.atomic
def let_go(*, party: Party, raw: bytes, by: str) -> PartyCertificate:
    """Revoke a certificate of a party: it opens nothing any more, nor does a token bound to it. One that names its establishment is held first, so as to be
    refused. CredentialRefused."""
    thumbprint = credentials.thumbprint(credentials.read_pem(raw))
    held = PartyCertificate.objects.select_for_update(of=("self",)).filter(party=party, thumbprint=thumbprint).first() or hold(
        party=party, raw=raw, by=by
    )
    if held.revoked_at is None:
        held.revoked_at = timezone.now()
        held.save(update_fields=["revoked_at"])
        record(by=by, action="echange.certificat.revoque", subject=party.code, thumbprint=held.thumbprint)
    return held


def party_of(given: x509.Certificate) -> Party | None:
    """The admitted party that a trusted certificate names: the one it was tied to, else the establishment whose FINESS it bears."""
    held = PartyCertificate.objects.select_related("party").filter(thumbprint=credentials.thumbprint(given)).first()
    if held is not None:
        return held.party if held.revoked_at is None and held.party.admitted else None
    finess = credentials.finess_of(given)
    return Party.objects.filter(finess=finess, admitted=True).first() if finess else None


def exchanged(form: dict[str, str], given: x509.Certificate | None) -> dict[str, object]:
    """The answer of the token endpoint (RFC 8693): a token of ours for a professional's, bound to the certificate that asks. CredentialRefused."""
    subject = credentials.asked(form)
    if given is None:
        raise CredentialRefused("invalid_client", "L’échange de jeton se demande avec le certificat de la structure (mTLS).")
    party = party_of(given)
    if party is None:
        raise CredentialRefused("invalid_client", "Aucun acteur admis n’a ce certificat.")
    try:
        professional = prosante.professional(subject)
        if party.finess and party.finess not in professional.places:
            raise CredentialRefused("invalid_grant", "Cette personne ne déclare pas d’exercice dans l’établissement du certificat.")
        software = _software(form, given)
    except CredentialRefused as error:
        note(by=party.code, action="echange.jeton.refuse", subject=party.code, error=error.error, reason=str(error)[:160])
        raise
    now = timezone.now()
    person = vault.token("professionnel", professional.number)[:PERSON_LENGTH]
    claims = {
        "iss": AUDIENCE, "aud": AUDIENCE, "sub": person, "client_id": party.code, "acr": credentials.ACR, "software": software, "jti": str(uuid.uuid4()),
        "iat": now, "exp": now + dt.timedelta(seconds=credentials.TOKEN_SECONDS), "cnf": {"x5t#S256": credentials.thumbprint(given)},
    }  # fmt: skip
    number, key = _newest()
    token = jwt.encode(claims, key, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": str(number)})
    note(by=party.code, action="echange.jeton.echange", subject=party.code, person=person, level=PERSON_SUBSTANTIAL)
    return {
        "access_token": token,
        "issued_token_type": credentials.ACCESS_TYPE,
        "token_type": "Bearer",
        "expires_in": credentials.TOKEN_SECONDS,
    }


def _software(form: dict[str, str], given: x509.Certificate) -> str:
    """The software that the actor token names; it must be signed by the certificate's key. Recorded, never an authorisation."""
    if not (text := form.get("actor_token", "")):
        return ""
    try:
        told = jwt.decode(text, given.public_key(), algorithms=["RS256", "PS256", "ES256"], options={"verify_aud": False, "require": ["exp"]})
    except (jwt.PyJWTError, TypeError, ValueError) as error:
        raise CredentialRefused("invalid_request", "actor_token n’est pas signé par la clé du certificat, ou n’a plus cours.") from error
    said = " ".join(str(told.get(name, "")) for name in ("lps_nom", "lps_id", "lps_version") if told.get(name))
    return "".join(filter(str.isprintable, said))[:80]


def opened(token: str, given: x509.Certificate | None) -> Opened | None:
    """Who a token of ours speaks for, when it comes with the certificate it is bound to; None otherwise."""
    try:
        key = _keys().get(int(jwt.get_unverified_header(token).get("kid", "")))
        claims = jwt.decode(token, key.public_key() if key else "", algorithms=["EdDSA"], audience=AUDIENCE, issuer=AUDIENCE)
    except (jwt.PyJWTError, ValueError, TypeError, OSError):  # OSError: a key that was destroyed as it was read
        return None
    bound = credentials.bound_to(claims)
    if given is None or not bound or bound != credentials.thumbprint(given):
        return None
    party = party_of(given)
    if party is None or party.code != claims.get("client_id"):
        return None
    return Opened(party, str(claims["sub"]), str(claims.get("software", "")))


@lru_cache(maxsize=4)
def _keys_of(folder: Path, names: tuple[str, ...]) -> dict[int, ed25519.Ed25519PrivateKey]:
    found = {}
    for path in (folder / name for name in names):
        key = serialization.load_pem_private_key(strict(path), None)
        assert isinstance(key, ed25519.Ed25519PrivateKey)
        found[int(path.stem.rsplit("-", 1)[1])] = key
    return found


def _keys() -> dict[int, ed25519.Ed25519PrivateKey]:
    """Signing keys by number, as the folder holds them now: another process may have made or destroyed some."""
    return _keys_of(keys_dir(), tuple(sorted(path.name for path in keys_dir().glob(SIGNING.format(number="*")))))


def _newest() -> tuple[int, ed25519.Ed25519PrivateKey]:
    if not (found := _keys()):
        new_signing_key()
        found = _keys()
    number = max(found)
    return number, found[number]


def new_signing_key() -> int:
    """Make the key that signs from now on; those before still verify until `forget_signing_keys`. Its number."""
    number = max(_keys(), default=0) + 1
    with contextlib.suppress(FileExistsError):  # another process made it first
        write_secret(keys_dir() / SIGNING.format(number=number), pem(ed25519.Ed25519PrivateKey.generate()))
    return number


def forget_signing_keys(now: dt.datetime) -> int:
    """Delete the keys whose last tokens have run out; how many."""
    numbers = sorted(_keys())
    gone = 0
    for number, following in pairwise(numbers):
        replaced = dt.datetime.fromtimestamp((keys_dir() / SIGNING.format(number=following)).stat().st_mtime, dt.UTC)
        if replaced + dt.timedelta(seconds=credentials.TOKEN_SECONDS) < now:
            (keys_dir() / SIGNING.format(number=number)).unlink()
            gone += 1
    return gone
