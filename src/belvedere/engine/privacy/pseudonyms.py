"""Pseudonyms: the only module that turns a NIR into anything.

A person is one 16-byte block (NIR, birth date, birth rank). Stage 1 encrypts the block with AES-256 under
the reception key and xors it with its input: deterministic, free of collisions in practice and one-way
even for who holds the key, short of enumerating all persons. Stage 2 repeats this under the key at rest
and keeps 63 bits. One block per value: ECB leaks no structure here (decision 5 of the design).
"""

import base64
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BUCKETS = 16


class KeyFileError(Exception):
    """The key file is absent, readable by others, or not a key file; says what to do."""


@dataclass(frozen=True)
class PseudonymKeys:
    """The two 32-byte keys; never printed."""

    stage1: bytes
    stage2: bytes

    def __repr__(self) -> str:
        return "PseudonymKeys(…)"


def create_keys(path: Path) -> PseudonymKeys:
    """Draw two keys and write them to a new file that only its owner can read."""
    keys = PseudonymKeys(secrets.token_bytes(32), secrets.token_bytes(32))
    text = json.dumps({"stage1": base64.b64encode(keys.stage1).decode(), "stage2": base64.b64encode(keys.stage2).decode()})
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    return keys


def load_keys(path: Path) -> PseudonymKeys:
    """Read the key file; KeyFileError when it is missing or open to other users."""
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise KeyFileError(f"{path.name} est lisible par d’autres ({mode:o}) : faites chmod 600.")
        content = json.loads(path.read_text())
        keys = PseudonymKeys(base64.b64decode(content["stage1"]), base64.b64decode(content["stage2"]))
    except FileNotFoundError as error:
        raise KeyFileError(f"{path.name} manque : créez-le avec « belvedere keys ».") from error
    except (ValueError, KeyError) as error:
        raise KeyFileError(f"{path.name} n’est pas un fichier de clés.") from error
    if len(keys.stage1) != 32 or len(keys.stage2) != 32:
        raise KeyFileError(f"{path.name} : chaque clé doit faire 32 octets.")
    return keys


def _permute(blocks: np.ndarray, key: bytes) -> np.ndarray:
    clear = np.ascontiguousarray(blocks)
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 (one block a value, see above)
    mixed = np.frombuffer(cipher.update(clear.tobytes()) + cipher.finalize(), dtype=np.uint8).reshape(-1, 16)
    return mixed ^ clear


def _integers(tokens: np.ndarray) -> np.ndarray:
    return (tokens.view("<u8")[:, 0] >> np.uint64(1)).astype(np.int64)


def person_blocks(nir: np.ndarray, birth_date: np.ndarray, birth_rank: np.ndarray) -> np.ndarray:
    """(n, 16) uint8: 13 characters of NIR, then birth date (AAMMJJ as written) and rank in 24 bits."""
    blocks = np.empty((len(nir), 16), dtype=np.uint8)
    blocks[:, :13] = nir
    tail = birth_date.astype(np.int64) * 10 + birth_rank.astype(np.int64)
    for place in range(3):
        blocks[:, 13 + place] = tail >> (8 * place) & 0xFF
    return blocks


def patients(nir: np.ndarray, birth_date: np.ndarray, birth_rank: np.ndarray, keys: PseudonymKeys) -> np.ndarray:
    """63-bit pseudonyms (int64, n) of persons given as (n, 13) bytes, AAMMJJ and rank columns."""
    first = _permute(person_blocks(nir, birth_date, birth_rank), keys.stage1)
    return _integers(_permute(first, keys.stage2))


def prescribers(numbers: np.ndarray, keys: PseudonymKeys) -> np.ndarray:
    """63-bit pseudonyms of prescriber numbers (int64); 0 stays 0 (unknown). The leading letter keeps the
    domain apart from persons, whose blocks begin with a digit."""
    blocks = np.full((len(numbers), 16), ord("P"), dtype=np.uint8)
    blocks[:, 8:] = np.asarray(numbers, dtype="<i8").view(np.uint8).reshape(-1, 8)
    found = _integers(_permute(_permute(blocks, keys.stage1), keys.stage2))
    return np.where(np.asarray(numbers) == 0, 0, found)
