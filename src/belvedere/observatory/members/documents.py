"""Documents that bind: conventions and invoices, kept byte for byte, readable by their owner alone."""

import hashlib
import os
from pathlib import Path

from belvedere.observatory.environment import data_dir

TEXTS = "belvedere.observatory.members.texts"


def folder() -> Path:
    """Where conventions and invoices are kept, readable by their owner alone."""
    path = data_dir() / "agreements"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def keep(name: str, content: bytes) -> str:
    """Write a document durably; returns its SHA-256."""
    descriptor = os.open(folder() / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return hashlib.sha256(content).hexdigest()
