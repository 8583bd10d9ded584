"""Dated registries of the study: rows that are imported, added, changed and withdrawn, each with its journal entry; the engine reads them as it reads files."""

import csv
import tempfile
from pathlib import Path

from django.db import transaction

from belvedere.engine.study import inputs
from belvedere.engine.study.errors import StudyError
from belvedere.observatory.journal.actions import record
from belvedere.observatory.study.models import RegistryRow

KEPT = tuple(name for name in inputs.tables() if name not in ("flux", "appels", "rejets"))
LABELS = {
    "editeurs": "Éditeurs", "alias": "Alias", "fusions": "Fusions", "produits": "Produits", "integrations": "Intégrations et certifications", "cibles": "Cibles des services", "etablissements": "Établissements",
    "regimes": "Régimes", "evenements": "Événements marquants",
}  # fmt: skip
MOST = 50_000


def _columns(table: str) -> list[str]:
    if table not in KEPT:
        raise StudyError("M108", table, table=table)
    return [column.column for column in inputs.tables()[table]]


def write(table: str, rows: list[dict[str, str]], path: Path) -> None:
    """Rows of a registry as a file that the engine reads."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, _columns(table), extrasaction="ignore", restval="")
        writer.writeheader()
        writer.writerows(rows)


def _verified(table: str, rows: list[dict[str, str]]) -> None:
    """Every cell reads as its column asks. StudyError names the line, as for a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{table}.csv"
        write(table, rows, path)
        inputs.load_file(inputs.connect(), table, path)


@transaction.atomic
def add(*, table: str, values: dict[str, str], by: str) -> RegistryRow:
    """One more row. StudyError when a cell does not read."""
    held = {name: str(values.get(name, "")).strip()[:200] for name in _columns(table)}
    _verified(table, [held])
    made = RegistryRow.objects.create(table=table, values=held, by=by)
    record(by=by, action="etude.registre.ajoute", subject=f"registre:{table}:{made.pk}", **held)
    return made


@transaction.atomic
def change(*, row: RegistryRow, values: dict[str, str], by: str) -> RegistryRow:
    """A row rectified; what it said before is in the journal. StudyError."""
    held = {name: str(values.get(name, "")).strip()[:200] for name in _columns(row.table)}
    _verified(row.table, [held])
    before, row.values, row.by = row.values, held, by
    row.save()
    record(by=by, action="etude.registre.change", subject=f"registre:{row.table}:{row.pk}", before=before, after=held)
    return row


@transaction.atomic
def withdraw(*, row: RegistryRow, by: str) -> None:
    """A row taken away; the journal keeps what it said."""
    record(by=by, action="etude.registre.retire", subject=f"registre:{row.table}:{row.pk}", **row.values)
    row.delete()


@transaction.atomic
def fill(*, table: str, rows: list[dict[str, str]], by: str) -> int:
    """A whole registry in place of what it held, from rows; returns how many. StudyError: it is left as it was."""
    columns = _columns(table)
    if len(rows) > MOST:
        raise StudyError("M101", table, reason=f"plus de {MOST} lignes")
    found = [{name: str(row.get(name) or "").strip()[:200] for name in columns} for row in rows]
    _verified(table, found)
    RegistryRow.objects.filter(table=table).delete()
    RegistryRow.objects.bulk_create([RegistryRow(table=table, values=row, by=by) for row in found])
    record(by=by, action="etude.registre.remplace", subject=f"registre:{table}", rows=len(found))
    return len(found)


def replace(*, table: str, path: Path, by: str) -> int:
    """A whole registry from a CSV file, in place of what it held; returns its rows. StudyError: the registry is left as it was."""
    _columns(table)
    inputs.load_file(inputs.connect(), table, path)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        head = stream.readline()
        stream.seek(0)
        found = [dict(row) for row in csv.DictReader(stream, delimiter=";" if head.count(";") > head.count(",") else ",")]
    return fill(table=table, rows=found, by=by)
