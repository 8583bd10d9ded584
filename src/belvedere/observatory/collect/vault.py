"""Files of the data folder: sealed flows, facts, and the keys of the reception."""

import datetime as dt
import os
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from belvedere.engine.privacy import pseudonyms
from belvedere.observatory.environment import data_dir


def sealed_path(name: str) -> Path:
    """Where a sealed flow waits for its treatment."""
    return data_dir() / "sealed" / name


def facts_path(name: str) -> Path:
    """Where a fact file lies."""
    return data_dir() / "facts" / name


def inbox() -> Path:
    """The watched folder: one sub-folder per sending member, named by its FINESS."""
    return data_dir() / "inbox"


def keys_dir() -> Path:
    """Key files, readable by their owner alone."""
    path = data_dir() / "keys"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def write_durably(path: Path, content: bytes) -> None:
    """Write and sync a file and its folder entry before returning."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_keys() -> None:
    """Make the keys that are missing: pseudonyms, and the reception's RSA key with its certificate (2 years)."""
    folder = keys_dir()
    if not (folder / "pseudonyms.json").exists():
        pseudonyms.create_keys(folder / "pseudonyms.json")
    if (folder / "reception.key").exists():
        return
    key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Belvedere - reception des flux")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=730))
        .add_extension(x509.KeyUsage(False, False, True, False, False, False, False, False, False), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    descriptor = os.open(folder / "reception.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(private)
    (folder / "reception.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


@cache
def reception_key(folder: Path) -> rsa.RSAPrivateKey:
    """The private key that opens sealed flows; `pseudonyms.KeyFileError` when others can read it."""
    path = folder / "reception.key"
    if path.stat().st_mode & 0o077:
        raise pseudonyms.KeyFileError("reception.key est lisible par d’autres : faites chmod 600.")
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise pseudonyms.KeyFileError("reception.key n’est pas une clé RSA.")
    return key


def certificate_pem() -> bytes:
    """The reception's certificate, public."""
    return (keys_dir() / "reception.crt").read_bytes()


def certificate() -> x509.Certificate:
    """The reception's certificate, for sealing."""
    return x509.load_pem_x509_certificate(certificate_pem())


@cache
def pseudonym_keys(folder: Path) -> pseudonyms.PseudonymKeys:
    """The pseudonym keys of a data folder."""
    return pseudonyms.load_keys(folder / "pseudonyms.json")
