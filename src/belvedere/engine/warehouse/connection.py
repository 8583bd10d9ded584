"""What the indicators ask of a compute engine: DuckDB's own connection has it, Spark's is made to (`spark`)."""

from typing import Any, Protocol

import pyarrow as pa


class Result(Protocol):
    """A query's answer."""

    def fetchall(self) -> list[Any]: ...
    def to_arrow_table(self) -> pa.Table: ...


class Connection(Protocol):
    """A session of a compute engine; texts are DuckDB's dialect."""

    def sql(self, query: str, *, params: Any = None) -> Result: ...
    def execute(self, query: str) -> Any: ...
    def register(self, name: str, table: Any) -> Any: ...
    def close(self) -> None: ...
