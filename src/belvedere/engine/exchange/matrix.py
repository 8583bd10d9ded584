"""The access matrix: dated rows, indexed by what a question names. Shipped rows are a proposal whose legal bases are to be validated."""

import csv
import datetime as dt
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files

from belvedere.engine.exchange.vocabulary import Actor, Category, Grain, Need, Perimeter, Purpose

ALWAYS, NEVER = dt.date.min, dt.date.max
SMALLEST = 11  # persons below which an aggregate is not told
OBLIGATIONS = {
    Grain.NAMED: (), Grain.PSEUDONYM: ("pseudonymiser",), Grain.AGGREGATE: (f"agréger à {SMALLEST} personnes au moins",), Grain.ESTABLISHMENT: ("agréger par établissement",),
}  # fmt: skip


class MatrixError(Exception):
    """The matrix cannot be read; says the line and why, in French."""


@dataclass(frozen=True, slots=True)
class Row:
    """One permission, valid from `since` (included) to `until` (excluded)."""

    rule: str
    actor: Actor
    purpose: Purpose
    category: Category
    grain: Grain
    perimeter: Perimeter
    consent: Need
    legal_basis: str
    condition: str
    since: dt.date = ALWAYS
    until: dt.date = NEVER

    def valid(self, day: dt.date) -> bool:
        return self.since <= day < self.until


@dataclass(frozen=True)
class Matrix:
    """Rows with the index that decisions read; `version` is the digest of the rows."""

    rows: tuple[Row, ...]
    version: str = ""
    index: Mapping[tuple[str, str, str, str], tuple[Row, ...]] = field(default_factory=dict)

    @staticmethod
    def of(rows: Iterable[Row]) -> "Matrix":
        """A matrix; the order of its rows decides nothing, the version does not depend on it."""
        kept = tuple(sorted(rows, key=lambda row: (row.rule, row.since)))
        index: dict[tuple[str, str, str, str], tuple[Row, ...]] = {}
        for row in kept:
            key = (row.actor, row.purpose, row.category, row.grain)
            index[key] = (*index.get(key, ()), row)
        digest = hashlib.sha256(json.dumps([asdict(row) for row in kept], default=str, ensure_ascii=False).encode()).hexdigest()
        return Matrix(kept, digest[:16], index)


@cache
def conditions() -> dict[str, tuple[str, ...]]:
    """The condition of a row, in words, to the tests that it asks; a condition that is not here permits nothing."""
    with (files(__package__) / "conditions.csv").open(encoding="utf-8") as stream:
        return {row["condition"]: tuple(row["tests"].split()) for row in csv.DictReader(stream)} | {"": ()}


def _row(line: int, row: Mapping[str, str], rule: str, category: str) -> Row:
    try:
        return Row(
            rule, Actor(row["actor"]), Purpose(row["purpose"]), Category(category), Grain(row["grain"]), Perimeter(row["perimeter"]), Need(row["consent"]),
            row["legal_basis"], row["condition"],
            dt.date.fromisoformat(row["since"]) if row.get("since") else ALWAYS, dt.date.fromisoformat(row["until"]) if row.get("until") else NEVER,
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise MatrixError(f"Ligne {line} de la matrice : {error}. Corrigez la ligne, puis proposez-la de nouveau.") from error


def read(text: str) -> Matrix:
    """A matrix from CSV: one line a set of categories, `rules` its first rule (R001 then R002…); `since` and `until` are optional. MatrixError."""
    found: list[Row] = []
    for line, row in enumerate(csv.DictReader(io.StringIO(text)), 2):
        first = row.get("rules") or ""
        if not first[1:].isdecimal() or None in row.values() or not {"categories", "condition"} <= set(row):
            raise MatrixError(f"Ligne {line} de la matrice : le numéro de règle ou une colonne manque.")
        for rank, category in enumerate(row["categories"].split()):
            found.append(_row(line, row, f"{first[0]}{int(first[1:]) + rank:0{len(first) - 1}d}", category))
            if row["condition"] not in conditions():
                raise MatrixError(f"Ligne {line} de la matrice : la condition « {row['condition']} » n’a pas de test ; elle n’ouvrirait aucun droit.")
    if not found:
        raise MatrixError("La matrice est vide : elle fermerait tout à tous.")
    return Matrix.of(found)


def write(matrix: Matrix) -> str:
    """The matrix as `read` takes it, one line a row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["rules", "actor", "purpose", "categories", "grain", "perimeter", "consent", "legal_basis", "condition", "since", "until"])
    for row in matrix.rows:
        writer.writerow([
            row.rule, row.actor, row.purpose, row.category, row.grain, row.perimeter, row.consent, row.legal_basis, row.condition,
            "" if row.since == ALWAYS else row.since, "" if row.until == NEVER else row.until,
        ])  # fmt: skip
    return out.getvalue()


@cache
def proposed() -> Matrix:
    """The shipped proposal."""
    return read((files(__package__) / "matrix.csv").read_text(encoding="utf-8"))
