"""Metadata of flows and dated registries, read into typed tables: what cannot be read says its file, line and column."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import duckdb

from belvedere.engine.study.errors import StudyError

SUFFIXES = (".csv", ".parquet")
# How a kind is cast, and what it is called when it cannot be.
_CASTS = {
    "text": ("nullif(trim({0}), '')", "un texte"),
    "month": ("date_trunc('month', try_cast(case when length(trim({0})) = 7 then trim({0}) || '-01' else trim({0}) end as date))::date", "un mois"),
    "date": ("try_cast(nullif(trim({0}), '') as date)", "une date"),
    "integer": ("try_cast(nullif(trim({0}), '') as bigint)", "un nombre entier"),
    "boolean": ("case lower(trim({0})) when '1' then true when 'true' then true when 'oui' then true when 'r' then true when '0' then false when 'false' then false when 'non' then false when 't' then false when 'd' then false end", "oui ou non"),
}  # fmt: skip
_TYPES = {"text": "varchar", "month": "date", "date": "date", "integer": "bigint", "boolean": "boolean"}
_ALSO = {("flux", "texte_editeur"): "editeur", ("rejets", "texte_editeur"): "editeur"}


@dataclass(frozen=True)
class Column:
    """One column of an input table: its name in files, ours, its kind, and the value of an empty cell."""

    column: str
    name: str
    kind: str
    required: bool
    otherwise: str
    note: str


@cache
def tables() -> dict[str, tuple[Column, ...]]:
    """Input tables by their French name, in the order of the reference."""
    found: dict[str, list[Column]] = {}
    with (files(__package__) / "inputs.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            found.setdefault(row["table"], []).append(
                Column(row["column"], row["name"], row["kind"], row["required"] == "1", row["otherwise"], row["note"])
            )
    return {name: tuple(columns) for name, columns in found.items()}


def connect() -> duckdb.DuckDBPyConnection:
    """A session with every table, empty."""
    session = duckdb.connect()
    session.execute("SET TimeZone = 'UTC'")
    session.execute("SET enable_progress_bar = false")
    for name, columns in tables().items():
        session.execute(f"CREATE TABLE {name} ({', '.join(f'{column.name} {_TYPES[column.kind]}' for column in columns)})")
    return session


def _source(path: Path) -> tuple[str, list[object]]:
    """The relation of a file, every column a text, and its parameters."""
    if path.suffix == ".parquet":
        return "read_parquet(?)", [str(path)]
    with path.open(encoding="utf-8-sig") as stream:
        head = stream.readline()
    delimiter = ";" if head.count(";") > head.count(",") else ","
    names = next(csv.reader([head], delimiter=delimiter), [])
    if len(set(names)) != len(names) or not all(names):
        raise StudyError("M101", path.name, reason="deux colonnes ont le même nom, ou l’une n’en a pas")
    # Columns are told rather than guessed: a line that has one more, or one less, is an error and not another layout.
    columns = ", ".join("'" + name.replace("'", "''") + "': 'VARCHAR'" for name in names)
    return f"read_csv(?, delim = '{delimiter}', header = true, columns = {{{columns}}}, quote = '\"', strict_mode = true, auto_detect = false)", [
        str(path)
    ]


def load_file(session: duckdb.DuckDBPyConnection, table: str, path: Path) -> int:
    """Add a file to a table; returns its rows. StudyError M101 to M104, M108."""
    if table not in tables():
        raise StudyError("M108", path.name, table=table)
    try:
        relation, given = _source(path)
        held = [row[0] for row in session.execute(f"DESCRIBE SELECT * FROM {relation}", given).fetchall()]
        names = {name.strip().lstrip("\ufeff").lower(): name for name in held}
        chosen = _chosen(table, names, path)
        session.execute(f"CREATE OR REPLACE TEMP TABLE raw AS SELECT {', '.join(chosen.values())} FROM {relation}", given)
    except (duckdb.Error, OSError, UnicodeDecodeError) as error:
        raise StudyError("M101", path.name, reason=str(error).splitlines()[0][:160]) from error
    _check(session, table, path)
    session.execute(f"INSERT INTO {table} SELECT {', '.join(_cast(column) for column in tables()[table])} FROM raw")
    row = session.execute("SELECT count(*) FROM raw").fetchone()
    session.execute("DROP TABLE raw")
    return int(row[0]) if row else 0


def _chosen(table: str, names: dict[str, str], path: Path) -> dict[str, str]:
    chosen = {}
    for column in tables()[table]:
        told = names.get(column.column) or names.get(_ALSO.get((table, column.column), ""))
        if told is None and column.required:
            raise StudyError("M102", path.name, column=column.column)
        quoted = '"' + (told or "").replace('"', '""') + '"'
        chosen[column.column] = f'{quoted}::varchar AS "{column.column}"' if told else f'NULL::varchar AS "{column.column}"'
    return chosen


def _cast(column: Column) -> str:
    cast = _CASTS[column.kind][0].format(f'"{column.column}"')
    return f"coalesce({cast}, '{column.otherwise}'::{_TYPES[column.kind]})" if column.otherwise else cast


def _check(session: duckdb.DuckDBPyConnection, table: str, path: Path) -> None:
    """Every cell reads, every required one is filled; the first that does not is named by its line."""
    tests = []
    for column in tables()[table]:
        cell, cast = f'"{column.column}"', _CASTS[column.kind][0].format(f'"{column.column}"')
        blank = f"nullif(trim({cell}), '') IS NULL"
        if column.kind != "text":
            tests.append((column, "M103", f"NOT ({blank}) AND ({cast}) IS NULL"))
        if column.required:
            tests.append((column, "M104", blank))
    counts = session.execute(f"SELECT {', '.join(f'count_if({test})' for *_, test in tests)} FROM raw").fetchone() or ()
    for (column, code, test), count in zip(tests, counts, strict=True):
        if count:
            line, value = session.execute(
                f'SELECT line, value FROM (SELECT row_number() OVER () + 1 AS line, "{column.column}" AS value, {test} AS wrong FROM raw) WHERE wrong ORDER BY line LIMIT 1'
            ).fetchone() or (0, "")  # fmt: skip
            facts = {"column": column.column} | ({"value": str(value)[:40], "kind": _CASTS[column.kind][1]} if code == "M103" else {})
            raise StudyError(code, f"{path.name}, ligne {line}", **facts)


def load(session: duckdb.DuckDBPyConnection, path: Path) -> dict[str, int]:
    """Read a file of flows, or a folder of tables named as in the reference; returns rows by table. StudyError."""
    if path.is_dir():
        found = sorted(item for item in path.iterdir() if item.suffix in SUFFIXES)
        if not any(item.stem == "flux" for item in found):
            raise StudyError("M101", path.name, reason="le dossier n’a pas de table « flux »")
        return {item.stem: load_file(session, item.stem, item) for item in found}
    return {"flux": load_file(session, "flux", path)}
