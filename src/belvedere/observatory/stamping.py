"""Time-stamps (RFC 3161): from the configured authority, else, for signatures, from the observatory's own."""

import asyncio
import base64
import hashlib

from asn1crypto import keys as asn1_keys
from asn1crypto import pem as asn1_pem
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pyhanko.sign.timestamps import DummyTimeStamper, TimeStamper
from pyhanko.sign.timestamps.requests_client import HTTPTimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

from belvedere.observatory.environment import read
from belvedere.observatory.keyfiles import issue, keys_dir, pem, strict, write_secret

TIMEOUT_SECONDS = 10
AUTHORITY, SEAL, STAMPS = "authority", "seal", "stamps"
NAMES = {AUTHORITY: "Belvedere - autorite de l’observatoire", SEAL: "Belvedere - cachet de l’observatoire", STAMPS: "Belvedere - horodatage interne"}


def create_keys() -> None:
    """Make the missing keys of what the observatory signs: its authority, its seal, its own time-stamps (RSA 3072, 2 to 10 years)."""
    folder = keys_dir()
    if not (folder / f"{AUTHORITY}.key").exists():
        _create(AUTHORITY, None, days=3650)
    for name, purpose in ((SEAL, "sign"), (STAMPS, "stamp")):
        if not (folder / f"{name}.key").exists():
            _create(name, purpose, days=730)


def _create(name: str, purpose: str | None, *, days: int) -> None:
    folder, key = keys_dir(), rsa.generate_private_key(public_exponent=65537, key_size=3072)
    if purpose is None:
        certificate = issue(NAMES[name], key, authority=True, days=days)
    else:
        root = serialization.load_pem_private_key(strict(folder / f"{AUTHORITY}.key"), password=None)
        assert isinstance(root, rsa.RSAPrivateKey)
        issuer = x509.load_pem_x509_certificate((folder / f"{AUTHORITY}.crt").read_bytes()).subject
        certificate = issue(NAMES[name], key, issuer=(issuer, root), purpose=purpose, days=days)
    write_secret(folder / f"{name}.key", pem(key))
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def certificate(name: str) -> asn1_x509.Certificate:
    """One of the observatory's certificates, as pyHanko wants it."""
    _, _, der = asn1_pem.unarmor((keys_dir() / f"{name}.crt").read_bytes())
    return asn1_x509.Certificate.load(der)


def private_key(name: str) -> asn1_keys.PrivateKeyInfo:
    """The key of a certificate, as pyHanko wants it."""
    _, _, der = asn1_pem.unarmor(strict(keys_dir() / f"{name}.key"))
    return asn1_keys.PrivateKeyInfo.load(der)


def authority() -> TimeStamper | None:
    """The configured outside authority, if any."""
    url = read("BELVEDERE_TSA_URL")
    return HTTPTimeStamper(url, timeout=TIMEOUT_SECONDS) if url else None


def own() -> TimeStamper:
    """The observatory's own time-stamps: they prove the order of what it signed, not the date to who does not trust it."""
    store = SimpleCertificateStore()
    store.register(certificate(AUTHORITY))
    return DummyTimeStamper(tsa_cert=certificate(STAMPS), tsa_key=private_key(STAMPS), certs_to_embed=store)


def token(stamper: TimeStamper, content: bytes) -> str:
    """A time-stamp token of some bytes, base64 DER."""
    found = asyncio.run(stamper.async_timestamp(hashlib.sha256(content).digest(), "sha256"))
    return base64.b64encode(found.dump()).decode()
