"""Files of the data folder: sealed flows, facts, and what arrives. Nothing clear is ever written here."""

import hashlib
import os
import secrets
import shutil
from pathlib import Path

from belvedere.engine.b2.findings import B2Error, finding
from belvedere.observatory.environment import data_dir, read


def sealed_path(name: str) -> Path:
    """Where a sealed flow waits for its treatment."""
    return data_dir() / "sealed" / name


def incoming_path(name: str) -> Path:
    """Where the bytes of a sealed flow gather until they are whole."""
    return data_dir() / "incoming" / name


def facts_path(name: str) -> Path:
    """Where a fact file lies."""
    return data_dir() / "facts" / name


def inbox() -> Path:
    """The watched folder: one sub-folder per sending member, named by its FINESS."""
    return data_dir() / "inbox"


def sftp_root(client_id: str) -> Path:
    """The folder of one SFTP sender, which it sees as the root."""
    return data_dir() / "sftp" / client_id


def sync_folder(path: Path) -> None:
    """Make the entries of a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes) -> None:
    """Write and sync a file and its folder entry before returning."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    sync_folder(path.parent)


def room() -> bool:
    """Whether the disk has room for another deposit."""
    data_dir().mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(data_dir()).free > int(read("BELVEDERE_MIN_FREE_MB")) * 1_048_576


class Deposit:
    """Sealed bytes on their way to the disk. The first byte is looked at before anything is written: a clear
    file, sent by mistake, never gets there (B2Error E703)."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or f"{secrets.token_hex(16)}.p7m"
        self.size, self._digest, self._head = 0, hashlib.sha256(), b""
        self._path = incoming_path(self.name)
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._stream = self._path.open("wb")

    def write(self, piece: bytes) -> None:
        if not self.size:
            self._head += piece
            if len(self._head) < 2:
                return
            if not looks_sealed(self._head):
                raise B2Error(finding("E703"))
            piece = self._head
        self._stream.write(piece)
        self._digest.update(piece)
        self.size += len(piece)

    def keep(self) -> str:
        """Make the bytes durable in the sealed folder; returns their SHA-256."""
        if not self.size:
            self.drop()
            raise B2Error(finding("E703"))
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        move_to_sealed(self.name)
        return self._digest.hexdigest()

    def drop(self) -> None:
        """Forget what was written."""
        self._stream.close()
        self._path.unlink(missing_ok=True)


def looks_sealed(head: bytes) -> bool:
    """Whether bytes begin like a CMS structure: an ASN.1 sequence with a long or indefinite length. A clear
    B2 file begins with "000", which reads as a sequence of 48 bytes."""
    return len(head) > 1 and head[0] == 0x30 and head[1] >= 0x80


def move_to_sealed(name: str) -> None:
    """Move whole, synced bytes from the incoming to the sealed folder."""
    target = sealed_path(name)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    incoming_path(name).rename(target)
    sync_folder(target.parent)
