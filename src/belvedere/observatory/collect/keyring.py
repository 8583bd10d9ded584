"""Keys of the reception: pseudonyms, the RSA keys that open flows, the Ed25519 key that signs receipts."""

import datetime as dt
import os
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import NameOID

from belvedere.engine.b2.envelope import Holder
from belvedere.engine.privacy import pseudonyms
from belvedere.observatory.collect.vault import keys_dir

VALID_DAYS = 730


def strict(path: Path) -> bytes:
    """The content of a key file; `pseudonyms.KeyFileError` when others can read it."""
    if path.stat().st_mode & 0o077:
        raise pseudonyms.KeyFileError(f"{path.name} est lisible par d’autres : faites chmod 600.")
    return path.read_bytes()


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read; FileExistsError if there is one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """A private key as PEM, not encrypted."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def issue(
    common_name: str, key: rsa.RSAPrivateKey, *, issuer: tuple[x509.Name, rsa.RSAPrivateKey] | None = None, authority: bool = False,
    days: int = VALID_DAYS, start: dt.datetime | None = None,
) -> x509.Certificate:  # fmt: skip
    """A certificate of an RSA key: self-signed, or signed by an authority."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    begins = start or dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
    signer_name, signer = issuer or (name, key)
    usage = x509.KeyUsage(
        digital_signature=authority, content_commitment=False, key_encipherment=not authority, data_encipherment=False, key_agreement=False,
        key_cert_sign=authority, crl_sign=authority, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(signer_name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(begins + dt.timedelta(days=days))
    builder = builder.add_extension(usage, critical=True).add_extension(x509.BasicConstraints(authority, None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return builder.sign(signer, hashes.SHA256())


def create_keys() -> None:
    """Make the keys that are missing: pseudonyms, reception (RSA, 2 years), receipts (Ed25519)."""
    folder = keys_dir()
    if not (folder / "pseudonyms.json").exists():
        pseudonyms.create_keys(folder / "pseudonyms.json")
    if not (folder / "receipts.key").exists():
        write_secret(folder / "receipts.key", pem(ed25519.Ed25519PrivateKey.generate()))
    if not (folder / "reception.key").exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
        write_secret(folder / "reception.key", pem(key))
        certificate = issue("Belvedere - reception des flux", key)
        (folder / "reception.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def create_test_authority(folder: Path) -> list[Path]:
    """A certificate authority for trials, and what it signs: a reception and a vendor. Not for real flows."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    root = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    authority = issue("Belvedere - AUTORITE DE TEST", root, authority=True, days=3650)
    made = [folder / "autorite-test.crt"]
    made[0].write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    write_secret(folder / "autorite-test.key", pem(root))
    for name, label in (("reception", "Belvedere - reception de TEST"), ("editeur", "Editeur de TEST")):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        certificate = issue(label, key, issuer=(authority.subject, root))
        write_secret(folder / f"{name}.key", pem(key))
        (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        made += [folder / f"{name}.crt", folder / f"{name}.key"]
    return made


@cache
def holders(folder: Path, stamp: tuple[float, ...]) -> tuple[Holder, ...]:
    """Our reception certificates with their keys: `reception.crt` and, after a rotation, `reception-*.crt`."""
    found = []
    for path in sorted(folder.glob("reception*.crt")):
        key = serialization.load_pem_private_key(strict(path.with_suffix(".key")), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise pseudonyms.KeyFileError(f"{path.with_suffix('.key').name} n’est pas une clé RSA.")
        found.append(Holder(x509.load_pem_x509_certificate(path.read_bytes()), key))
    return tuple(found)


def reception() -> tuple[Holder, ...]:
    """Everything that can open a flow, read again when a key is added."""
    folder = keys_dir()
    return holders(folder, tuple(path.stat().st_mtime for path in sorted(folder.glob("reception*.crt"))))


def certificate_pem() -> bytes:
    """The reception's certificate, public."""
    return (keys_dir() / "reception.crt").read_bytes()


def certificate() -> x509.Certificate:
    """The reception's certificate, for sealing."""
    return x509.load_pem_x509_certificate(certificate_pem())


@cache
def _receipt_key(folder: Path) -> ed25519.Ed25519PrivateKey:
    key = serialization.load_pem_private_key(strict(folder / "receipts.key"), password=None)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise pseudonyms.KeyFileError("receipts.key n’est pas une clé Ed25519.")
    return key


def receipt_key() -> ed25519.Ed25519PrivateKey:
    """The key that signs receipts and access tokens."""
    return _receipt_key(keys_dir())


@cache
def _pseudonym_keys(folder: Path) -> pseudonyms.PseudonymKeys:
    return pseudonyms.load_keys(folder / "pseudonyms.json")


def pseudonym_keys() -> pseudonyms.PseudonymKeys:
    """The pseudonym keys of the data folder."""
    return _pseudonym_keys(keys_dir())
