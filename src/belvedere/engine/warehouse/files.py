"""Immutable Parquet files: written and synced first, listed second (by the application's database)."""

import contextlib
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from belvedere.engine.warehouse.schema import PSEUDONYMS

ROW_GROUP = 122_880


class Writer:
    """Writes a fact file batch by batch, in row groups of `ROW_GROUP` rows: what is sorted is found by their statistics. Nothing stands at `path`
    before `close`. No statistics are kept on pseudonyms, so that an erased one survives in no footer."""

    def __init__(self, path: Path) -> None:
        self._path, self._partial = path, path.with_suffix(".partial")
        self._held: list[pa.Table] = []
        self._rows, self.rows = 0, 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        """Add rows of the schema FACTS."""
        if not len(table):
            return
        self.rows += len(table)
        self._held.append(table)
        self._rows += len(table)
        if self._rows >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._held:
            return
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            measured = [name for name in self._held[0].column_names if name not in PSEUDONYMS]
            self._writer = pq.ParquetWriter(
                self._partial, self._held[0].schema, compression="zstd", compression_level=1, write_statistics=measured, use_dictionary=measured
            )
        self._writer.write_table(pa.concat_tables(self._held), row_group_size=ROW_GROUP)
        self._held, self._rows = [], 0

    def close(self) -> int:
        """Make the file durable under its name; returns its size in bytes. At least one row must have come."""
        self._flush()
        if self._writer is None:
            raise ValueError("a fact file has at least one row")
        self._writer.close()
        self._writer = None
        with self._partial.open("rb") as stream:
            os.fsync(stream.fileno())
        self._partial.rename(self._path)
        descriptor = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return self._path.stat().st_size

    def drop(self) -> None:
        """Forget what was written and not closed."""
        self._held = []
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._writer = None
        self._partial.unlink(missing_ok=True)


def write(table: pa.Table, path: Path) -> int:
    """Write a whole fact table durably; returns its size in bytes."""
    writer = Writer(path)
    try:
        writer.write(table)
        return writer.close()
    except BaseException:
        writer.drop()
        raise
