"""The hub's key: what seals the contents of persons, and makes the tokens that stand for them. Nothing that names anybody is stored without it."""

import contextlib
import hashlib
import hmac
import os
import zlib
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

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


def seal(content: bytes, about: str = "") -> bytes:
    """Content under the key (AES-256-GCM), bound to what it is `about`: a sealed content moved to another row no longer opens."""
    nonce = os.urandom(NONCE)
    return nonce + _keys(keys_dir())[0].encrypt(nonce, zlib.compress(content, 1), about.encode())


def unseal(stored: bytes, about: str = "") -> bytes:
    """The content; `cryptography.exceptions.InvalidTag` when it was altered or moved."""
    stored = bytes(stored)
    return zlib.decompress(_keys(keys_dir())[0].decrypt(stored[:NONCE], stored[NONCE:], about.encode()))


def token(kind: str, text: str) -> str:
    """A token of a text, of its kind: the same for the same text, nothing to whoever has no key (HMAC-SHA-256, hex)."""
    return hmac.new(_keys(keys_dir())[1], f"{kind}\0{text}".encode(), hashlib.sha256).hexdigest()


def pseudonym(consumer: str, text: str) -> str:
    """What a consumer reads in place of an identifier: its own, so that two consumers cannot join theirs."""
    return token(f"pseudonyme:{consumer}", text)[:32]
