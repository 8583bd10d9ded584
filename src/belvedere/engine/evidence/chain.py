"""The hash chain of a journal: what an entry's hashes are made of, and what a signed head says.

An entry's content is hashed with a random salt of its own, so that its hash tells nothing of a content that was
erased since (the right to erasure leaves the chain whole). The chain hash binds it to the entry before.
"""

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

GENESIS = "0" * 64
SALT_BYTES = 16
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def canonical(content: object) -> bytes:
    """JSON with sorted keys and no blanks, UTF-8."""
    return _encode(content).encode()


def moment(at: dt.datetime) -> str:
    """A date as the journal writes it: UTC, microseconds."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def content_hash(salt: str, at: str, actor: str, action: str, subject: str, detail: Mapping[str, object]) -> str:
    """SHA-256 (hex) of the salt and of what the entry says."""
    return hashlib.sha256(bytes.fromhex(salt) + canonical([at, actor, action, subject, detail])).hexdigest()


def chained(previous: str, number: int, content: str) -> str:
    """SHA-256 (hex) that binds an entry's content hash to its number and to the entry before."""
    return hashlib.sha256(f"{previous}{number}:{content}".encode()).hexdigest()


@dataclass(frozen=True)
class SignedHead:
    """What the observatory signs of its journal: the root of its first `size` entries at a date."""

    log: str
    size: int
    root: str
    last: str  # chain hash of entry `size`
    at: str
    signature: str = ""
    token: str = ""  # RFC 3161 time-stamp of the signature, base64, when an authority is configured

    def signed_part(self) -> bytes:
        """The bytes that are signed."""
        return canonical(["belvedere-head-1", self.log, self.size, self.root, self.last, self.at])

    def sign(self, key: Ed25519PrivateKey) -> "SignedHead":
        """The same head with its Ed25519 signature."""
        return SignedHead(**asdict(self) | {"signature": base64.b64encode(key.sign(self.signed_part())).decode()})

    def verified(self, key: Ed25519PublicKey) -> bool:
        """Whether the signature is this key's on this very content."""
        try:
            key.verify(base64.b64decode(self.signature), self.signed_part())
        except (InvalidSignature, ValueError):
            return False
        return self.log == log_id(key)


def log_id(key: Ed25519PublicKey) -> str:
    """The name of a journal: SHA-256 (hex) of the key that signs its heads."""
    return hashlib.sha256(key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)).hexdigest()


def public_text(key: Ed25519PublicKey) -> str:
    """The key as it is published: base64 of its 32 bytes."""
    return base64.b64encode(key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)).decode()


def public_key(text: str) -> Ed25519PublicKey:
    """The key of its published text; ValueError otherwise."""
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
