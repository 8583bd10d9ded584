"""Control keys of the identifiers that travel in B2: NIR, FINESS and other Luhn numbers, LPP.

Each has a scalar form (clear, used by the writer and the tests) and a column form.
Sources: reference of the norm §7 (NIR: RG_BS603; LPP: solved from and true for every published code).
"""

import numpy as np


def nir_number(nir: str) -> int:
    """The 13 characters of a NIR as a number, Corsican departments 2A/2B read as 19/18."""
    return int(nir.replace("2A", "19", 1).replace("2B", "18", 1) if nir[5:7] in ("2A", "2B") else nir)


def nir_key(nir: str) -> int:
    """Key 01..97 of a 13-character NIR: 97 - (N mod 97)."""
    return 97 - nir_number(nir) % 97


def nir_keys(nirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Column form of `nir_key` for (n, 13) uint8; returns (keys int64, unreadable bool)."""
    text = np.array(nirs, dtype=np.uint8, copy=True)
    for letter, digits in ((b"A", b"19"), (b"B", b"18")):
        corsican = (text[:, 5] == ord("2")) & (text[:, 6] == letter[0])
        text[corsican, 5:7] = np.frombuffer(digits, dtype=np.uint8)
    digit = text.astype(np.int64) - 48
    unreadable = np.asarray(((digit < 0) | (digit > 9)).any(axis=1))
    number = digit @ (10 ** np.arange(12, -1, -1, dtype=np.int64))
    return np.where(unreadable, 0, 97 - number % 97), unreadable


def luhn_key(digits: str) -> int:
    """Key digit that makes ``digits + key`` a Luhn number."""
    total = 0
    for rank, char in enumerate(reversed(digits)):
        value = int(char) * (2 if rank % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return -total % 10


def luhn_ok(numbers: np.ndarray, width: int) -> np.ndarray:
    """Whether integers, read on `width` digits, are Luhn numbers (FINESS, SIREN, RPPS); (n,) bool."""
    rest = np.asarray(numbers, dtype=np.int64)
    total = np.zeros_like(rest)
    for rank in range(width):
        value = (rest % 10) * (2 if rank % 2 else 1)
        total += np.where(value > 9, value - 9, value)
        rest = rest // 10
    return total % 10 == 0


def lpp_keys(codes: np.ndarray) -> np.ndarray:
    """Seventh digit that the first six of LPP codes call for: weights 2 to 7, modulo 11, 10 read as 0; (n,) int64."""
    rest = np.asarray(codes, dtype=np.int64) // 10
    total = np.zeros_like(rest)
    for weight in (7, 6, 5, 4, 3, 2):
        total += weight * (rest % 10)
        rest = rest // 10
    return total % 11 % 10


def lpp_ok(codes: np.ndarray) -> np.ndarray:
    """Whether 7-digit LPP codes carry their check digit; (n,) bool."""
    return lpp_keys(codes) == np.asarray(codes, dtype=np.int64) % 10
