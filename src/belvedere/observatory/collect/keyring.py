"""Keys of the reception: pseudonyms, the RSA keys that open flows, the Ed25519 key that signs receipts."""

from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from belvedere.engine.b2.envelope import Holder
from belvedere.engine.privacy import pseudonyms
from belvedere.observatory.keyfiles import issue, keys_dir, pem, strict, write_secret


def create_keys(*, new: bool = True) -> None:
    """Make the keys that are missing: pseudonyms, reception (RSA, 2 years), receipts (Ed25519).

    `new` is false for an observatory that has received flows: it has its keys, and where one is missing, this process was given only some of them. None is
    drawn in its place."""
    folder = keys_dir()
    if new and not (folder / "pseudonyms.json").exists():
        pseudonyms.create_keys(folder / "pseudonyms.json")
    if not (folder / "receipts.key").exists():
        write_secret(folder / "receipts.key", pem(ed25519.Ed25519PrivateKey.generate()))
    if new and not (folder / "reception.key").exists() and not (folder / "reception.crt").exists():
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
