"""A copy of everything but the keys, consistent at one moment, and its return: the database first, then the files that it lists.

Keys are saved apart, by other hands: who holds the copy alone reads no sealed file and signs nothing. Objections that came
after the copy are given back from their register, so that a restored observatory forgets nobody's refusal.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from django.db import connection
from django.utils import timezone

from belvedere.observatory.collect.models import DataFile, ReturnFile
from belvedere.observatory.environment import data_dir, read

DATABASE = "belvedere.sqlite3"
DUMP = "belvedere.dump"
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
    """Copy the observatory into a new folder under `where`; returns it. With PostgreSQL, its own tools copy the database (`pg_dump`, of its version or newer)."""
    folder = where / f"belvedere-{timezone.now():%Y%m%dT%H%M%S}"
    folder.mkdir(parents=True, mode=0o700)
    for _ in range(ATTEMPTS):
        if _whole(folder):
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


def _whole(folder: Path) -> bool:
    """Copy the database, then the files that it lists; False when one was destroyed meanwhile."""
    if not (address := read("BELVEDERE_DATABASE_URL")):
        _snapshot(data_dir() / DATABASE, folder / DATABASE)
        return _files(folder, set(_live(folder / DATABASE)))
    before = _listed()
    _tool("pg_dump", address, "--format=custom", "--no-owner", *(f"--exclude-table-data={table}" for table in SESSIONS), f"--file={folder / DUMP}")
    os.chmod(folder / DUMP, 0o600)
    # The dump shows an instant between the two lists: what it names is in one of them.
    return _files(folder, before | _listed())


def _listed() -> set[str]:
    return {*DataFile.objects.filter(retired_at=None).values_list("name", flat=True), *ReturnFile.objects.values_list("name", flat=True)}


def _shown(address: str) -> str:
    """A database's address without its password."""
    bare = urlsplit(address)
    host = bare.netloc.rpartition("@")[2]
    return urlunsplit(bare._replace(netloc=f"{bare.username}@{host}" if bare.username else host))


def _tool(name: str, address: str, *arguments: str) -> None:
    """Run a tool of PostgreSQL on a database; the password goes by the environment, never on the command line."""
    found = shutil.which(name)
    if found is None:
        raise BackupRefused(
            f"{name} manque : installez les outils clients de PostgreSQL (paquet postgresql-client), de la version du serveur ou plus récents."
        )
    password = urlsplit(address).password
    secret = {"PGPASSWORD": unquote(password)} if password else {}
    done = subprocess.run([found, f"--dbname={_shown(address)}", *arguments], env=os.environ | secret, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackupRefused(f"{name} : {done.stderr.strip()[:400]}")


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


def _files(folder: Path, names: set[str]) -> bool:
    """Copy the fact files of a list; False when one was replaced meanwhile: the database is copied again."""
    for name in sorted(names):
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
    address = read("BELVEDERE_DATABASE_URL")
    if (data_dir() / DATABASE).exists() or (data_dir() / "facts").is_dir():
        raise BackupRefused("Le dossier des données n’est pas vide : restaurez dans un dossier neuf, puis remplacez l’ancien.")
    count = check(folder)
    if (folder / DUMP).exists() != bool(address):
        raise BackupRefused(
            "Cette sauvegarde vient de l’autre base : BELVEDERE_DATABASE_URL doit désigner un PostgreSQL pour la sauvegarde d’un PostgreSQL."
        )
    if address:
        with connection.cursor() as cursor:
            if connection.introspection.table_names(cursor):
                raise BackupRefused("La base n’est pas vide : restaurez dans une base neuve, puis changez BELVEDERE_DATABASE_URL.")
        _tool("pg_restore", address, "--no-owner", "--exit-on-error", str(folder / DUMP))
    for name in json.loads((folder / MANIFEST).read_text())["files"]:
        if name != DUMP:
            _copy(folder / name, data_dir() / name)
    return count
