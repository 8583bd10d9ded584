"""The compute engine: DuckDB over the live files, with the dimensions of the nomenclatures attached.

The view `facts` is the only thing indicators see: every live line, less those of persons who objected
(anti-join), with month, region, family, mode, age band and payer.
"""

import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import duckdb
import pyarrow as pa

from belvedere.engine.nomenclature.products import SUPPLY_MODES, UNKNOWN_FAMILY, belongings, products
from belvedere.engine.nomenclature.territories import region_of
from belvedere.engine.warehouse.connection import Connection
from belvedere.engine.warehouse.facts import UNKNOWN_DEPARTMENT
from belvedere.engine.warehouse.objected import Objected
from belvedere.engine.warehouse.returns import RETURNS
from belvedere.engine.warehouse.schema import FACTS

DUCKDB = "duckdb"
IN_MEMORY = 5_000_000  # lines copied to memory when they are read many times; beyond, files are read again
GONE = ("No files found that match", "No such file or directory", "FILE_NOT_EXIST")  # DuckDB twice, Spark
UNKNOWN_REGION = "RXX"
AGE_BANDS = {"0-19": (0, 19), "20-39": (20, 39), "40-59": (40, 59), "60-74": (60, 74), "75+": (75, 199)}
UNKNOWN_AGE = "ND"
# Days of treatment that one billed unit stands for; what is sold lasts no known time.
UNIT_DAYS = {"week": 7, "day": 1, "month": 30, "unit": 0}
PAYERS = {"general": "Régime général", "agricole": "Régime agricole", "autres": "Autres régimes"}


class FilesGone(Exception):
    """A file of the list was destroyed while it was read: the reading begins again on the list of the moment."""


@contextlib.contextmanager
def files_gone() -> Iterator[None]:
    """FilesGone instead of what an engine says of a file that is no longer there."""
    try:
        yield
    except Exception as error:  # each engine has its own class for it: told by its words, anything else goes on as it came
        if any(text in str(error) for text in GONE):
            raise FilesGone(type(error).__name__) from error
        raise


def _case(column: str, pairs: Iterable[tuple[str, str]], other: str) -> str:
    return "CASE " + " ".join(f"WHEN {column} {test} THEN '{value}'" for test, value in pairs) + f" ELSE '{other}' END"


def opened(address: str = DUCKDB, threads: int = 2, memory: str = "", spill: Path | None = None) -> Connection:
    """A session of a compute engine: DuckDB in this process, within `memory` ("4GB") and spilling to a folder of its own, which is made private;
    or a Spark Connect server (`sc://host:port`), which has its own bounds."""
    if address == DUCKDB:
        limits: dict[str, str] = {"memory_limit": memory} if memory else {}
        if spill is not None:
            spill.mkdir(mode=0o700, parents=True, exist_ok=True)
            limits["temp_directory"] = str(spill)
        return cast(Connection, duckdb.connect(config={"threads": threads, "preserve_insertion_order": "false", **limits}))
    from belvedere.engine.warehouse.spark import SparkConnection  # its client is an extra

    return SparkConnection(address)


def in_process(connection: Connection) -> bool:
    """Whether the engine is DuckDB in this process, which can hand over lines in order without their leaving the machine."""
    return isinstance(connection, duckdb.DuckDBPyConnection)


def in_order(connection: Connection, query: str, batch: int) -> Iterator[pa.RecordBatch]:
    """The rows of an ordered query of an engine in this process, batch by batch."""
    yield from cast(duckdb.DuckDBPyConnection, connection).sql(query).to_arrow_reader(batch)


def _source(connection: Connection, name: str, content: Sequence[Path] | pa.Table, schema: pa.Schema) -> str:
    """What a query reads: files, or a table registered under `name`, or nothing of that schema."""
    if not isinstance(content, pa.Table) and content:
        if hasattr(connection, "read"):
            connection.read(name, content, schema)
            return name
        quoted = ", ".join("'" + str(path).replace("'", "''") + "'" for path in content)
        return f"read_parquet([{quoted}])"
    connection.register(name, content if isinstance(content, pa.Table) else schema.empty_table())
    return name


def connect(
    paths: Sequence[Path] | pa.Table,
    *,
    groups: Mapping[int, int],
    objected: Objected,
    threads: int = 2,
    materialise: bool = False,
    returned: Sequence[Path] | pa.Table = (),
    address: str = DUCKDB,
    memory: str = "",
    spill: Path | None = None,
) -> Connection:
    """A connection whose view `facts` reads the given live files, or facts held in a table.

    `groups` maps member to group (the contributor of the secrecy rules); `objected` says whose lines are
    left out, and which prescribers are unknown; `returned` are the files of payments (view `payments`). `materialise` copies the view to memory when it holds few enough
    lines (`IN_MEMORY`), worth it when it is read many times; `address`, `memory` and `spill` are the engine's (`opened`).
    """
    connection = opened(address, threads, memory, spill)
    dated = belongings()
    connection.register("raw_product", pa.table({
        "lpp": pa.array([item.lpp for item in dated], pa.int32()),
        "family": [item.family for item in dated], "node": [item.node for item in dated],
        "since": pa.array([dt.date.fromisoformat(item.since) for item in dated]),
        "until": pa.array([dt.date.fromisoformat(item.until) for item in dated]),
        "unit_days": pa.array([UNIT_DAYS[products()[item.lpp].unit] for item in dated], pa.int32()),
    }))  # fmt: skip
    connection.register("raw_territory", pa.table({"department": list(region_of()), "region": list(region_of().values())}))
    connection.register("raw_group", pa.table({
        "member_id": pa.array(list(groups), pa.int32()), "grp": pa.array(list(groups.values()), pa.int32()),
    }))  # fmt: skip
    connection.register("raw_objection", objected.table())
    connection.register("raw_prescriber", pa.table({"prescriber": pa.array(sorted(set(objected.prescribers)), pa.int64())}))
    source = _source(connection, "raw_lines", paths, FACTS)
    connection.execute(f"CREATE TEMP VIEW payments AS SELECT * FROM {_source(connection, 'raw_payments', returned, RETURNS)}")
    mode = _case("supply_type", [(f"= '{k}'", v) for k, v in SUPPLY_MODES.items()], "service")
    age = _case("age", [(f"BETWEEN {low} AND {high}", name) for name, (low, high) in AGE_BANDS.items()], UNKNOWN_AGE)
    payer = _case("regime", [("= 1", "general"), ("= 2", "agricole")], "autres")
    if materialise and in_process(connection):
        materialise = connection.sql(f"SELECT count(*) FROM {source}").fetchall()[0][0] <= IN_MEMORY
    connection.execute(f"""
        CREATE TEMP {"TABLE" if materialise else "VIEW"} facts AS
        SELECT {", ".join(f"f.{name}" for name in FACTS.names if name != "prescriber")},
               CASE WHEN h.prescriber IS NULL THEN f.prescriber ELSE 0 END AS prescriber,
               strftime(f.period, '%Y-%m') AS month,
               coalesce(t.region, '{UNKNOWN_REGION}') AS region,
               coalesce(p.family, '{UNKNOWN_FAMILY}') AS family,
               coalesce(p.unit_days, 0) AS unit_days,
               {mode} AS mode, {age} AS age_band, {payer} AS payer,
               CAST(f.sex AS VARCHAR) AS sex_code, coalesce(p.node, CAST(f.lpp AS VARCHAR)) AS lpp_code,
               f.member_id * 10000000000 + f.invoice_no AS invoice,
               coalesce(g.grp, -f.member_id) AS grp
        FROM {source} f
        LEFT JOIN raw_product p ON f.lpp = p.lpp AND f.act_date >= p.since AND f.act_date < p.until
        LEFT JOIN raw_territory t ON f.department = t.department
        LEFT JOIN raw_group g ON f.member_id = g.member_id
        LEFT JOIN raw_prescriber h ON f.prescriber = h.prescriber
        ANTI JOIN raw_objection o ON f.patient = o.patient AND f.act_date < o.until
    """)
    return connection


__all__ = ["AGE_BANDS", "PAYERS", "UNKNOWN_AGE", "UNKNOWN_DEPARTMENT", "UNKNOWN_REGION", "connect"]
