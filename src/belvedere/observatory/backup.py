"""A copy of everything but the keys, consistent at one moment, and its return: the database first, then the files that it lists.

Keys are saved apart, by other hands: who holds the copy alone reads no sealed file and signs nothing. Objections that came
after the copy are given back from their register, so that a restored observatory forgets nobody's refusal.
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from django.utils import timezone

from belvedere.observatory.environment import data_dir, read

DATABASE = "belvedere.sqlite3"
MANIFEST = "manifeste.json"
FOLDERS = ("releases", "agreements", "nomenclature")
ATTEMPTS = 5
SESSIONS = ("django_session", "usersessions_usersession", "cache")


class BackupRefused(Exception):
    """Why a copy cannot be made or given back, in French."""


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(source, target)
    os.chmod(target, 0o600)


def make(where: Path) -> Path:
    """Copy the observatory into a new folder under `where`; returns it. SQLite only: PostgreSQL has its own tools."""
    if read("BELVEDERE_DATABASE_URL"):
        raise BackupRefused("Avec PostgreSQL, sauvegardez la base par pg_dump, puis facts/, releases/ et agreements/ : voyez le guide « Exploiter ».")
    folder = where / f"belvedere-{timezone.now():%Y%m%dT%H%M%S}"
    folder.mkdir(parents=True, mode=0o700)
    for _ in range(ATTEMPTS):
        _snapshot(data_dir() / DATABASE, folder / DATABASE)
        if _files(folder):
            break
    else:
        raise BackupRefused("Les fichiers changent trop vite : recommencez à un moment plus calme.")
    for name in FOLDERS:
        for path in (data_dir() / name).rglob("*") if (data_dir() / name).is_dir() else ():
            if path.is_file():
                _copy(path, folder / path.relative_to(data_dir()))
    listed = {str(path.relative_to(folder)): _digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    (folder / MANIFEST).write_text(json.dumps({"made": timezone.now().isoformat(), "files": listed}, indent=1))
    return folder


def _snapshot(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        for table in SESSIONS:  # who holds a copy must not enter by somebody's open session
            copy.execute(f"DELETE FROM {table}")
        copy.commit()
        copy.execute("VACUUM")
    os.chmod(target, 0o600)


def _live(database: Path) -> Iterator[str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        yield from (
            name
            for (name,) in connection.execute(
                "SELECT name FROM collect_datafile WHERE retired_at IS NULL UNION ALL SELECT name FROM collect_returnfile"
            )
        )


def _files(folder: Path) -> bool:
    """Copy the fact files that the copied database lists; False when one was replaced meanwhile: the database is copied again."""
    for name in _live(folder / DATABASE):
        try:
            _copy(data_dir() / "facts" / name, folder / "facts" / name)
        except FileNotFoundError:
            shutil.rmtree(folder / "facts", ignore_errors=True)
            return False
    return True


def check(folder: Path) -> int:
    """Compare a copy with its manifest; returns how many files it holds. BackupRefused names the first that differs."""
    try:
        listed = json.loads((folder / MANIFEST).read_text())["files"]
    except (OSError, ValueError, KeyError):
        raise BackupRefused(f"{folder} n’est pas une sauvegarde : {MANIFEST} manque ou ne se lit pas.") from None
    for name, digest in listed.items():
        path = folder / name
        if not path.is_file() or _digest(path) != digest:
            raise BackupRefused(f"{name} manque ou n’est plus celui qui a été sauvegardé.")
    return len(listed)


def give_back(folder: Path) -> int:
    """Copy a checked copy into the data folder, which must hold no database; returns how many files came back."""
    if (data_dir() / DATABASE).exists():
        raise BackupRefused("Le dossier des données n’est pas vide : restaurez dans un dossier neuf, puis remplacez l’ancien.")
    count = check(folder)
    for name in json.loads((folder / MANIFEST).read_text())["files"]:
        _copy(folder / name, data_dir() / name)
    return count
