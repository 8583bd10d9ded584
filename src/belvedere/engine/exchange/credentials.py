"""Certificates of structures and tokens bound to them: what a front end passes on, whose certificate it is, what a token must say.

A structure's certificate names it in its organisational unit: "1" then its FINESS number (IGC-Santé gabarits, Struct_IdNat; to be verified
against their text before relying on it). A bound token names the certificate that may present it, `cnf.x5t#S256` (RFC 8705 §3).
"""

import base64
import binascii
import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from belvedere.engine.exchange.identifiers import finess_valid, rpps_valid

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TYPE = "urn:ietf:params:oauth:token-type:access_token"
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
TOKEN_SECONDS = 3600
ACR = "eidas1"  # Pro Santé Connect's level, substantial
ROLE_FINESS = "1"
_UNREADABLE = (ValueError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, UnsupportedAlgorithm)


class CredentialRefused(Exception):
    """A certificate or a token that is not taken: the OAuth error code (RFC 6749 §5.2), and why, in French."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error


def presented(header: str) -> x509.Certificate | None:
    """The client certificate that the front end passes on: `:base64 of the DER:` (RFC 9440 §2.1). None without one; CredentialRefused."""
    text = header.strip()
    if not text:
        return None
    if len(text) < 3 or text[0] != ":" or text[-1] != ":":
        raise CredentialRefused("invalid_client", "Le certificat transmis n’est pas écrit comme le demande la RFC 9440.")
    try:
        return x509.load_der_x509_certificate(base64.b64decode(text[1:-1], validate=True))
    except (binascii.Error, *_UNREADABLE) as error:
        raise CredentialRefused("invalid_client", "Le certificat transmis ne se lit pas.") from error


def read_pem(raw: bytes) -> x509.Certificate:
    """The first certificate of a PEM file. CredentialRefused."""
    try:
        return x509.load_pem_x509_certificate(raw)
    except _UNREADABLE as error:
        raise CredentialRefused("invalid_client", "Ce fichier n’est pas un certificat PEM.") from error


def header_of(certificate: x509.Certificate) -> str:
    """A certificate as the front end passes it on."""
    return ":" + base64.b64encode(certificate.public_bytes(Encoding.DER)).decode() + ":"


def thumbprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, base64url without padding: the value of `x5t#S256`."""
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def trusted(certificate: x509.Certificate, authorities: Iterable[x509.Certificate], now: dt.datetime) -> bool:
    """Whether one of the authorities signed it, for a client, and it is in its dates. Revocation is the front end's to check: it holds the lists."""
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        usages = None
    except _UNREADABLE:
        return False
    if usages is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in usages:
        return False
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return False
    for authority in authorities:
        try:
            certificate.verify_directly_issued_by(authority)
        except (TypeError, InvalidSignature, *_UNREADABLE):
            continue
        if authority.not_valid_before_utc <= now <= authority.not_valid_after_utc:  # one renewed under the same key may be: the next ones are tried
            return True
    return False


def finess_of(certificate: x509.Certificate) -> str:
    """The FINESS number of the structure that a certificate names; "" when it names none."""
    for unit in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME):
        text = str(unit.value)
        if text[:1] == ROLE_FINESS and finess_valid(text[1:]):
            return text[1:]
    return ""


def bound_to(claims: Mapping[str, Any]) -> str:
    """The thumbprint that a token is bound to; "" when it is bound to none."""
    cnf = claims.get("cnf")
    return str(cnf.get("x5t#S256", "")) if isinstance(cnf, Mapping) else ""


def asked(form: Mapping[str, str]) -> str:
    """The subject token of an exchange request (RFC 8693 §2.1). CredentialRefused."""
    if form.get("grant_type") != GRANT:
        raise CredentialRefused("unsupported_grant_type", f"Seul l’échange de jeton est servi : grant_type={GRANT}.")
    if form.get("subject_token_type") != ACCESS_TYPE or not form.get("subject_token"):
        raise CredentialRefused("invalid_request", f"Donnez subject_token, le jeton d’accès de la personne, et subject_token_type={ACCESS_TYPE}.")
    if form.get("requested_token_type", ACCESS_TYPE) not in (ACCESS_TYPE, JWT_TYPE):
        raise CredentialRefused("invalid_request", "Seul un jeton d’accès peut être demandé.")
    return form["subject_token"]


def national_number(userinfo: Mapping[str, Any]) -> str:
    """The national number of a professional (RPPS with its prefix 8) in what the provider says of it. CredentialRefused."""
    number = str(userinfo.get("SubjectNameID", ""))
    if number[:1] != "8" or not rpps_valid(number[1:]):
        raise CredentialRefused("invalid_grant", "Le fournisseur d’identité ne donne pas de numéro RPPS.")
    return number


def places_of(userinfo: Mapping[str, Any]) -> tuple[str, ...]:
    """FINESS numbers of the sites where the professional works, as the provider tells them."""
    reference = userinfo.get("SubjectRefPro")
    return tuple(
        str(activity["numeroFinessSite"])
        for exercise in _listed(reference, "exercices")
        for activity in _listed(exercise, "activities")
        if isinstance(activity, Mapping) and activity.get("numeroFinessSite")
    )


def _listed(held: Any, name: str) -> Sequence[Any]:
    found = held.get(name) if isinstance(held, Mapping) else None
    return found if isinstance(found, list) else []
