"""The tables of the study as data: what each answers, its columns, and what each tier reads of it (`tables.yaml`, `sql/`)."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml


@dataclass(frozen=True)
class Column:
    """A column of a table: its name in the query, its French label, its unit."""

    name: str
    label: str
    unit: str


@dataclass(frozen=True)
class Definition:
    """One table: what it says and of whom, its query, its columns by tier."""

    code: str
    title: str
    question: str
    definition: str
    population: str
    source: str
    columns: tuple[Column, ...]
    sql: str
    public: tuple[str, ...] = ()  # columns that everybody reads; none: the table is not public
    own: str = ""  # the column that names a vendor
    volumes: tuple[str, ...] = ()  # columns counted in invoices, told to the public through the secrecy engine alone
    top: int = 0  # rows that the report prints; the annexes hold all
    bands: tuple[tuple[str, tuple[float, ...]], ...] = ()  # columns of which the public reads a class
    pivot: tuple[str, ...] = ()  # row, column and value of a table that is read across

    @property
    def digest(self) -> str:
        """What names the query in footnotes."""
        return hashlib.sha256(self.sql.encode()).hexdigest()[:12]

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


@cache
def definitions() -> tuple[Definition, ...]:
    """Every table, in the order of the report."""
    rows = yaml.safe_load((files(__package__) / "tables.yaml").read_text(encoding="utf-8"))
    return tuple(
        Definition(
            row["code"], row["title"], row["question"], row["definition"], row["population"], row["source"], tuple(Column(*column) for column in row["columns"]),
            query(row["code"]), tuple(row.get("public", ())), row.get("own", ""), tuple(row.get("volumes", ())), row.get("top", 0),
            tuple((name, tuple(bounds)) for name, bounds in row.get("bands", {}).items()),
            tuple(row.get("pivot", ())),
        )
        for row in rows
    )  # fmt: skip


def query(name: str) -> str:
    """A query's text."""
    return (files(__package__) / "sql" / f"{name}.sql").read_text(encoding="utf-8")
