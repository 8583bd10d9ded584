"""Apache Spark as compute engine, through Spark Connect (`sc://host:port`): a thin client, no Java in this process (ADR 14, 37).

`SparkConnection` answers to what the indicators ask of a DuckDB connection (`sql`, `execute`, `register`). Each definition has one text, written
for DuckDB; it is parsed and rendered to Spark's dialect by sqlglot. Temporary tables are views that Spark keeps in memory once computed.
"""

import re
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlglot
from pyspark.sql import DataFrame, SparkSession
from sqlglot import exp

_CREATED = re.compile(r"\s*CREATE\s+(?:OR\s+REPLACE\s+)?TEMP\s+(TABLE|VIEW)\s+(\w+)\s+AS\b", re.IGNORECASE)
PERSON = "patient"
_LITERALS = {str: lambda value: exp.Literal.string(value), int: lambda value: exp.Literal.number(value)}


@lru_cache(maxsize=4096)
def rendered(query: str) -> tuple[tuple[str, str, str], ...]:
    """Statements of a DuckDB text as (kind, name, Spark's text): kind "" for a query, "TABLE" or "VIEW" for what keeps its result under a name."""
    found = []
    for statement in query.split(";"):
        if not statement.strip():
            continue
        created = _CREATED.match(statement)
        kind, name = (created.group(1).upper(), created.group(2)) if created else ("", "")
        text = statement[created.end() :] if created else statement
        found.append((kind, name, _explicit(sqlglot.parse_one(text, read="duckdb")).sql(dialect="spark")))
    return tuple(found)


def _explicit(tree: exp.Expr) -> exp.Expr:
    """The same query with `GROUP BY ALL` written out: every column that is not aggregated. Servers differ on the short form."""
    for select in tree.find_all(exp.Select):
        group = select.args.get("group")
        if group is not None and group.args.get("all"):
            plain = [item.unalias() for item in select.expressions if item.find(exp.Column) and not item.find(exp.AggFunc)]
            select.set("group", exp.Group(expressions=[item.copy() for item in plain]) if plain else None)
    return tree


class Result:
    """A query's answer: rows, or an Arrow table."""

    def __init__(self, frame: DataFrame) -> None:
        self._frame = frame

    def to_arrow_table(self) -> pa.Table:
        """The answer as columns, dates and integers of the types that DuckDB gives."""
        table = self._frame.toArrow()
        return pa.Table.from_arrays([_plain(column) for column in table.columns], names=table.column_names)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The answer as rows."""
        table = self.to_arrow_table()
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_decimal(kind):
        return column.cast(pa.int64() if kind.scale == 0 else pa.float64())
    return column.cast(pa.string()) if pa.types.is_large_string(kind) else column


PIECES = "spark.sql.shuffle.partitions"
LINES_A_PIECE = 2_000_000  # a piece of 25 million lines was sorted on disk by an executor of 3 GB, one of 2.5 million was not


class SparkConnection:
    """A session of a Spark Connect server; close it, the server keeps nothing of it."""

    def __init__(self, address: str) -> None:
        with warnings.catch_warnings():
            # Answers are taken as Arrow tables: pandas, whose version the client comments on, is never used.
            warnings.simplefilter("ignore", FutureWarning)
            self._spark = SparkSession.builder.remote(address).create()

    def register(self, name: str, table: pa.Table) -> None:
        """A small table (nomenclature, groups, objections) under a name."""
        frame = self._spark.createDataFrame(table) if len(table) else self._spark.createDataFrame([], _schema(table.schema))
        frame.createOrReplaceTempView(name)

    def read(self, name: str, paths: Sequence[Path], schema: pa.Schema) -> None:
        """Fact files under a name. Their paths must be of a storage that all workers see."""
        frame = self._spark.read.parquet(*map(str, paths)) if paths else self._spark.createDataFrame([], _schema(schema))
        frame.createOrReplaceTempView(name)
        if paths:
            self._spread(frame.count())  # read from the files' footers

    def _spread(self, lines: int) -> None:
        """Cut what is exchanged between workers finely enough for a piece to be counted in memory; a cluster cut finer keeps its setting."""
        wanted = lines // LINES_A_PIECE
        if wanted > int(self._spark.conf.get(PIECES, "200") or 200):
            self._spark.conf.set(PIECES, str(wanted))

    def execute(self, query: str) -> None:
        """Statements that keep their result under a name."""
        for kind, name, text in rendered(query):
            frame = self._spark.sql(text)
            if kind == "TABLE":
                # Lines that are kept lie with the other lines of their person: what is counted person by person is counted where it lies.
                frame = (frame.repartition(PERSON) if PERSON in frame.columns else frame).cache()
            if kind:
                frame.createOrReplaceTempView(name)
            else:
                frame.collect()

    def sql(self, query: str, *, params: Sequence[object] | None = None) -> Result:
        """A query."""
        ((_, _, text),) = rendered(_filled(query, params))
        return Result(self._spark.sql(text))

    def close(self) -> None:
        """End the session."""
        self._spark.stop()


def _filled(query: str, parameters: Sequence[object] | None) -> str:
    """The query with its parameters as literals: escaped by the SQL tree, never pasted."""
    if not parameters:
        return query
    values = iter(parameters)
    return re.sub(r"\?", lambda _: _literal(next(values)), query)


def _literal(value: object) -> str:
    return _LITERALS[type(value)](value).sql(dialect="duckdb")


def _schema(schema: pa.Schema) -> str:
    kinds = {
        "int64": "BIGINT",
        "int32": "INT",
        "int16": "SMALLINT",
        "int8": "TINYINT",
        "string": "STRING",
        "date32[day]": "DATE",
        "double": "DOUBLE",
        "bool": "BOOLEAN",
    }
    return ", ".join(f"`{item.name}` {kinds[str(item.type)]}" for item in schema)
