"""Key files: private to their owner, made on first use; and the certificates of our own keys."""

import datetime as dt
import os
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from belvedere.engine.privacy import pseudonyms
from belvedere.observatory.environment import data_dir, read

VALID_DAYS = 730


def keys_dir() -> Path:
    """Key files, readable by their owner alone."""
    path = Path(read("BELVEDERE_KEYS") or data_dir() / "keys")
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def strict(path: Path) -> bytes:
    """The content of a key file; `pseudonyms.KeyFileError` when others can read it."""
    if path.stat().st_mode & 0o077:
        raise pseudonyms.KeyFileError(f"{path.name} est lisible par d’autres : faites chmod 600.")
    return path.read_bytes()


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read; FileExistsError if there is one. Whoever sees the file sees it whole."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(draft, path)
    finally:
        os.unlink(draft)


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """A private key as PEM, not encrypted."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def issue(
    common_name: str, key: rsa.RSAPrivateKey, *, issuer: tuple[x509.Name, rsa.RSAPrivateKey] | None = None, authority: bool = False,
    purpose: str = "seal", days: int = VALID_DAYS, start: dt.datetime | None = None,
) -> x509.Certificate:  # fmt: skip
    """A certificate of an RSA key, self-signed or signed by an authority. `purpose`: "seal" opens flows, "sign" signs documents,
    "stamp" signs time-stamps (RFC 3161 §2.3)."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    begins = start or dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
    signer_name, signer = issuer or (name, key)
    usage = x509.KeyUsage(
        digital_signature=authority or purpose != "seal", content_commitment=purpose != "seal", key_encipherment=not authority and purpose == "seal", data_encipherment=False, key_agreement=False,
        key_cert_sign=authority, crl_sign=authority, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(signer_name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(begins + dt.timedelta(days=days))
    builder = builder.add_extension(usage, critical=True).add_extension(x509.BasicConstraints(authority, None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if purpose == "stamp":
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return builder.sign(signer, hashes.SHA256())
