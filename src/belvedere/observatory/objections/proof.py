"""Look everywhere for what an objection should have erased: files and their old versions, the database, logs, backups listed."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.apps import apps
from django.db import models

from belvedere.observatory.environment import data_dir, read
from belvedere.observatory.objections import register
from belvedere.observatory.objections.models import Objection, Request

OWN = (Objection, Request)  # the list itself must know whom to leave out: it is the one place
CHUNK = 4 * 1024 * 1024


@dataclass
class Found:
    """Where the pseudonym was looked for, and where it was."""

    parquet: int = 0
    rows: int = 0
    tables: int = 0
    others: int = 0
    places: list[str] = field(default_factory=list)


def prove(request: Request) -> Found:
    """Search for the pseudonym of a request. What the withdrawal of an objection lets in again is not its past: see `until`."""
    token = request.objection.pseudonym
    found = Found()
    roots = [data_dir(), *(Path(item) for item in read("BELVEDERE_BACKUPS").split(":") if item)]
    for root in roots:
        for path in _files(root):
            (_parquet if path.suffix == ".parquet" else _bytes)(path, token, found)
    _database(token, found)
    return found


def _files(root: Path) -> Iterator[Path]:
    """Files under a root, the live database's own apart: its tables are asked instead."""
    for path in sorted(root.rglob("*")) if root.is_dir() else ():
        if path.is_file() and path.parent.name != "keys" and path != register.path():
            if path.name.startswith("belvedere.sqlite3") and path.parent == data_dir():
                continue
            yield path


def _parquet(path: Path, token: int, found: Found) -> None:
    file = pq.ParquetFile(path)
    names = [item.name for item in file.schema_arrow if pa.types.is_int64(item.type)]
    found.parquet += 1
    found.rows += file.metadata.num_rows
    for batch in file.iter_batches(columns=names) if names else ():
        for name in names:
            if pc.any(pc.equal(batch[name], token)).as_py():
                found.places.append(f"{path} (colonne {name})")
                return


def _bytes(path: Path, token: int, found: Found) -> None:
    """Raw search, as text and as the eight bytes that a column would hold."""
    found.others += 1
    marks = (str(token).encode(), struct.pack("<q", token), struct.pack(">q", token))
    tail = b""
    with path.open("rb") as stream:
        while piece := stream.read(CHUNK):
            if any(mark in tail + piece for mark in marks):
                found.places.append(str(path))
                return
            tail = piece[-32:]


def _database(token: int, found: Found) -> None:
    numbers = (models.BigIntegerField, models.BigAutoField)
    texts = (models.CharField, models.TextField, models.JSONField)
    for model in apps.get_models():
        if model in OWN:
            continue
        found.tables += 1
        for item in model._meta.concrete_fields:
            if isinstance(item, numbers) and not item.is_relation:
                hit = model._default_manager.filter(**{item.name: token}).exists()
            elif isinstance(item, texts):
                hit = model._default_manager.filter(**{f"{item.name}__icontains": str(token)}).exists()
            else:
                continue
            if hit:
                found.places.append(f"table {model._meta.db_table} ({item.name})")
