"""Immutable Parquet files: written and synced first, listed second (by the application's database)."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from belvedere.engine.warehouse.schema import PSEUDONYMS


def write(table: pa.Table, path: Path) -> int:
    """Write a fact table durably; returns its size in bytes. No statistics are kept on pseudonyms, so that
    an erased one survives in no footer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    measured = [name for name in table.column_names if name not in PSEUDONYMS]
    partial = path.with_suffix(".partial")
    pq.write_table(table, partial, compression="zstd", compression_level=1, write_statistics=measured, use_dictionary=list(measured))
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.rename(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return path.stat().st_size
