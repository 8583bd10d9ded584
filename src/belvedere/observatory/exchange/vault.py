"""The hub's key: what seals the contents of persons, and makes the tokens that stand for them. Nothing that names anybody is stored without it."""

import contextlib
import hmac
import os
import uuid
import zlib
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from belvedere.engine.privacy import pseudonyms
from belvedere.observatory.environment import read
from belvedere.observatory.keyfiles import keys_dir, strict, write_secret

NONCE, KEY = 12, 32
FIRST, LATER = "exchange.key", "exchange-seal-{number}.key"  # the first also makes the tokens, which never change


@lru_cache(maxsize=4)
def _keys(folder: Path, stamp: tuple) -> tuple[tuple[AESGCM, ...], bytes]:
    path = folder / FIRST
    if not path.exists():
        if any(folder.glob(LATER.format(number="*"))):
            raise pseudonyms.KeyFileError(
                f"{FIRST} manque alors que des clés plus récentes sont là : remettez-le d’une sauvegarde, aucun jeton ne se referait sans lui."
            )
        with contextlib.suppress(FileExistsError):  # another process made it first
            write_secret(path, os.urandom(2 * KEY))
    raw = strict(path)
    later = sorted(folder.glob(LATER.format(number="*")), key=number_of, reverse=True)
    return (*(AESGCM(strict(one)) for one in later), AESGCM(raw[:KEY])), raw[KEY:]


def number_of(path: Path) -> int:
    """The number of a key file that came after the first."""
    return int(path.stem.rsplit("-", 1)[1])


_folders: dict[str, Path] = {}


def _held() -> tuple[tuple[AESGCM, ...], bytes]:
    """The keys of the data folder in use: those that seal, the newest first, and the one that makes tokens. Another process may have changed them: names
    and the first file's number on disk tell it, where a date might be the same."""
    name = read("BELVEDERE_DATA")
    if name not in _folders:
        _folders[name] = keys_dir()
    return _keys(_folders[name], _stamp(_folders[name]))


def _stamp(folder: Path) -> tuple:
    names = sorted(name for name in os.listdir(folder) if name.startswith("exchange"))
    return (*names, *(_of(folder / FIRST) if FIRST in names else ()))


def _of(path: Path) -> tuple[int, int, int]:
    told = os.stat(path)
    return told.st_ino, told.st_mtime_ns, told.st_ctime_ns


@lru_cache(maxsize=4)
def _first(folder: Path, stamp: tuple[int, int, int]) -> bytes:
    return _keys(folder, _stamp(folder))[1]


def _tokens() -> bytes:
    """The key that makes tokens: rotations leave it alone, so that only its own file is looked at."""
    name = read("BELVEDERE_DATA")
    if name in _folders:
        with contextlib.suppress(FileNotFoundError):
            return _first(_folders[name], _of(_folders[name] / FIRST))
    return _held()[1]


def seal(content: bytes, about: str = "") -> bytes:
    """Content under the newest key (AES-256-GCM), bound to what it is `about`: a sealed content moved to another row no longer opens."""
    return sealer()(content, about)


def sealer() -> Callable[[bytes, str], bytes]:
    """`seal` under the key that is the newest now, for many contents at once."""
    key = _held()[0][0]

    def under(content: bytes, about: str) -> bytes:
        nonce = os.urandom(NONCE)
        return nonce + key.encrypt(nonce, zlib.compress(content, 1), about.encode())

    return under


def unseal(stored: bytes, about: str = "") -> bytes:
    """The content; `cryptography.exceptions.InvalidTag` when it was altered or moved, or when its key was destroyed."""
    stored = bytes(stored)
    keys = _held()[0]
    for key in keys[:-1]:
        with contextlib.suppress(InvalidTag):
            return zlib.decompress(key.decrypt(stored[:NONCE], stored[NONCE:], about.encode()))
    return zlib.decompress(keys[-1].decrypt(stored[:NONCE], stored[NONCE:], about.encode()))


def sealed_anew(stored: bytes, about: str = "") -> bytes | None:
    """The same content under the newest key; None when it is already."""
    stored = bytes(stored)
    try:
        _held()[0][0].decrypt(stored[:NONCE], stored[NONCE:], about.encode())
    except InvalidTag:
        return seal(unseal(stored, about), about)
    return None


def token(kind: str, text: str) -> str:
    """A token of a text, of its kind: the same for the same text, nothing to whoever has no key (HMAC-SHA-256, hex)."""
    return hmac.digest(_tokens(), f"{kind}\0{text}".encode(), "sha256").hex()


def pseudonym(consumer: str, text: str) -> str:
    """What a consumer reads in place of a name: its own, so that two consumers cannot join theirs."""
    return token(f"pseudonyme:{consumer}", text)[:32]


@cache
def _siv(key: bytes) -> AESSIV:
    return AESSIV(hmac.digest(key, b"adresses", "sha512"))


def address(consumer: str, kind: str, uid: str) -> str:
    """A resource's identifier as one consumer of pseudonyms reads it (64 hexadecimal characters): the hub alone finds the resource again."""
    return _siv(_tokens()).encrypt(uuid.UUID(uid).bytes, [consumer.encode(), kind.encode()]).hex()


def uid_of(consumer: str, kind: str, text: str) -> str | None:
    """The identifier behind an address that this consumer was given; None for any other text."""
    try:
        return str(uuid.UUID(bytes=_siv(_tokens()).decrypt(bytes.fromhex(text), [consumer.encode(), kind.encode()])))
    except (ValueError, InvalidTag):
        return None


def cursor(consumer: str, grain: str, row: int) -> str:
    """Where a reader's next page begins, as an address of its own: row numbers, common to all, are told to nobody."""
    return _siv(_tokens()).encrypt(row.to_bytes(8, "big"), [consumer.encode(), grain.encode(), b"page"]).hex()


def row_of(consumer: str, grain: str, text: str) -> int:
    """The row behind a cursor; 0, the beginning, for any other text."""
    try:
        return int.from_bytes(_siv(_tokens()).decrypt(bytes.fromhex(text), [consumer.encode(), grain.encode(), b"page"]), "big")
    except (ValueError, InvalidTag):
        return 0
