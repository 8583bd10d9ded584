"""The hub's key: what seals the contents of persons, and makes the tokens that stand for them. Nothing that names anybody is stored without it."""

import contextlib
import hmac
import os
import uuid
import zlib
from functools import cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from belvedere.observatory.environment import read
from belvedere.observatory.keyfiles import keys_dir, strict, write_secret

NONCE = 12


@cache
def _keys(folder: Path) -> tuple[AESGCM, bytes]:
    path = folder / "exchange.key"
    if not path.exists():
        with contextlib.suppress(FileExistsError):  # another process made it first
            write_secret(path, os.urandom(64))
    raw = strict(path)
    return AESGCM(raw[:32]), raw[32:]


_folders: dict[str, Path] = {}


def _held() -> tuple[AESGCM, bytes]:
    """The keys of the data folder in use; the folder is looked for once, not at each of the hundred seals of a deposit."""
    name = read("BELVEDERE_DATA")
    if name not in _folders:
        _folders[name] = keys_dir()
    return _keys(_folders[name])


def seal(content: bytes, about: str = "") -> bytes:
    """Content under the key (AES-256-GCM), bound to what it is `about`: a sealed content moved to another row no longer opens."""
    nonce = os.urandom(NONCE)
    return nonce + _held()[0].encrypt(nonce, zlib.compress(content, 1), about.encode())


def unseal(stored: bytes, about: str = "") -> bytes:
    """The content; `cryptography.exceptions.InvalidTag` when it was altered or moved."""
    stored = bytes(stored)
    return zlib.decompress(_held()[0].decrypt(stored[:NONCE], stored[NONCE:], about.encode()))


def token(kind: str, text: str) -> str:
    """A token of a text, of its kind: the same for the same text, nothing to whoever has no key (HMAC-SHA-256, hex)."""
    return hmac.digest(_held()[1], f"{kind}\0{text}".encode(), "sha256").hex()


def pseudonym(consumer: str, text: str) -> str:
    """What a consumer reads in place of a name: its own, so that two consumers cannot join theirs."""
    return token(f"pseudonyme:{consumer}", text)[:32]


@cache
def _siv(key: bytes) -> AESSIV:
    return AESSIV(hmac.digest(key, b"adresses", "sha512"))


def address(consumer: str, kind: str, uid: str) -> str:
    """A resource's identifier as one consumer of pseudonyms reads it (64 hexadecimal characters): the hub alone finds the resource again."""
    return _siv(_held()[1]).encrypt(uuid.UUID(uid).bytes, [consumer.encode(), kind.encode()]).hex()


def uid_of(consumer: str, kind: str, text: str) -> str | None:
    """The identifier behind an address that this consumer was given; None for any other text."""
    try:
        return str(uuid.UUID(bytes=_siv(_held()[1]).decrypt(bytes.fromhex(text), [consumer.encode(), kind.encode()])))
    except (ValueError, InvalidTag):
        return None


def cursor(consumer: str, grain: str, row: int) -> str:
    """Where a reader's next page begins, as an address of its own: row numbers, common to all, are told to nobody."""
    return _siv(_held()[1]).encrypt(row.to_bytes(8, "big"), [consumer.encode(), grain.encode(), b"page"]).hex()


def row_of(consumer: str, grain: str, text: str) -> int:
    """The row behind a cursor; 0, the beginning, for any other text."""
    try:
        return int.from_bytes(_siv(_held()[1]).decrypt(bytes.fromhex(text), [consumer.encode(), grain.encode(), b"page"]), "big")
    except (ValueError, InvalidTag):
        return 0
