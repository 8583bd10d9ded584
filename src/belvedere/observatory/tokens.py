"""References that people read aloud, and secrets of which only the hash is kept."""

import hashlib
import secrets

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no 0/O, no 1/I: references are read on the telephone


def reference(kind: str, *blocks: int) -> str:
    """A reference that says nothing: the letter of its kind, then blocks of so many letters (`O-4KRT-9D5E`)."""
    return "-".join([kind, *("".join(secrets.choice(LETTERS) for _ in range(size)) for size in blocks)])


def digest(token: str) -> str:
    """What is kept of a secret that was drawn at random: its SHA-256 (hex)."""
    return hashlib.sha256(token.encode()).hexdigest()
