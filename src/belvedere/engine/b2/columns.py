"""Records as columns and back, without loss: every zone of every record type, as the layouts say.

A numeric zone becomes integers; where it holds spaces it is null, and whatever else it holds is kept aside
verbatim, so that writing the columns gives the bytes that were read.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from belvedere.engine.b2 import digits
from belvedere.engine.b2.layouts import RECORD_LENGTH, Layout, Zone
from belvedere.engine.b2.records import KINDS, Records

_WIDEST = 18  # digits of an int64 that always fit


@dataclass(frozen=True)
class Column:
    """One zone of n records. Numeric: `values` int64 with `blank` where the zone is spaces and `odd` where it
    is neither digits nor spaces; `raw` holds the bytes of the odd rows. Alphabetic: `values` is (n, width) uint8."""

    zone: Zone
    values: np.ndarray
    blank: np.ndarray | None = None
    odd: np.ndarray | None = None
    raw: np.ndarray | None = None


def zone_names(layout: Layout) -> list[str]:
    """Column names of a layout; zones that share a name (filler) are told by their position."""
    names = [zone.name for zone in layout.zones]
    return [name if names.count(name) == 1 else f"{name}_{zone.start}" for name, zone in zip(names, layout.zones, strict=True)]


def decode(block: np.ndarray, layout: Layout) -> dict[str, Column]:
    """Columns of (n, 128) records of one type."""
    found = {}
    for name, zone in zip(zone_names(layout), layout.zones, strict=True):
        text = block[:, zone.slice]
        if zone.type != "N" or zone.width > _WIDEST:
            found[name] = Column(zone, text.copy())
            continue
        values, bad = digits.read(block, zone.slice)
        blank = bad & (text == 32).all(axis=1)
        odd = bad & ~blank
        found[name] = Column(zone, values, blank, odd, text[odd].copy())
    return found


def encode(columns: dict[str, Column], count: int) -> np.ndarray:
    """(count, 128) records of the columns of `decode`."""
    out = np.full((count, RECORD_LENGTH), 32, dtype=np.uint8)
    for column in columns.values():
        if column.blank is None or column.odd is None or column.raw is None:
            out[:, column.zone.slice] = column.values
            continue
        digits.write(out, column.zone.slice, column.values)
        out[column.blank, column.zone.slice] = 32
        out[column.odd, column.zone.slice] = column.raw
    return out


def rebuild(parts: dict[str, tuple[np.ndarray, dict[str, Column]]]) -> bytes:
    """The bytes of a batch from (rows, columns) of each record type."""
    total = sum(len(rows) for rows, _ in parts.values())
    out = np.empty((total, RECORD_LENGTH), dtype=np.uint8)
    for rows, columns in parts.values():
        out[rows] = encode(columns, len(rows))
    return out.tobytes()


def split(records: Records) -> dict[str, tuple[np.ndarray, dict[str, Column]]]:
    """(rows, columns) of each record type of a batch; KeyError for a record of unknown type."""
    present = [kind for kind in KINDS if len(records.rows(kind))]
    return {kind: (records.rows(kind), decode(records.block(kind), records.layout(kind))) for kind in present}


def _arrow(column: Column) -> pa.Array:
    if column.blank is not None and column.odd is not None:
        return pa.array(column.values, mask=column.blank | column.odd)
    width = column.values.shape[1]
    text = np.ascontiguousarray(column.values).tobytes().decode("latin-1")
    return pa.array([text[at : at + width].rstrip() for at in range(0, len(text), width)] if width else [], pa.string())


def table(records: Records, kind: str) -> pa.Table:
    """The records of one type as a table: `record` (1-based number in the file) and every zone that says
    something. Amounts stay in cents."""
    columns = decode(records.block(kind), records.layout(kind))
    made = {"record": pa.array(records.rows(kind) + records.start + 1)}
    for name, column in columns.items():
        if not name.startswith(("filler", "reserved")):
            made[name] = _arrow(column)
    return pa.table(made)


class TableFiles:
    """Writes one file per record type, in a stream: `FOLDER/4F.parquet` or `.csv`."""

    def __init__(self, folder, form: str) -> None:
        self._folder, self._form = folder, form
        self._writers: dict[str, pq.ParquetWriter | pa_csv.CSVWriter] = {}
        self.rows: dict[str, int] = {}

    def write(self, records: Records) -> None:
        """Add a batch."""
        for kind in records.counts():
            if kind == "?":
                continue
            made = table(records, kind)
            if kind not in self._writers:
                self._folder.mkdir(parents=True, exist_ok=True)
                path = self._folder / f"{kind}.{self._form}"
                self._writers[kind] = pq.ParquetWriter(path, made.schema) if self._form == "parquet" else pa_csv.CSVWriter(path, made.schema)
            self._writers[kind].write_table(made)
            self.rows[kind] = self.rows.get(kind, 0) + len(made)

    def close(self) -> None:
        """Finish every file."""
        for writer in self._writers.values():
            writer.close()


def convert(batches: Iterable[Records], folder, form: str) -> dict[str, int]:
    """Write the tables of a file; number of rows by record type."""
    out = TableFiles(folder, form)
    try:
        for batch in batches:
            out.write(batch)
    finally:
        out.close()
    return out.rows


def words(record: np.ndarray, layout: Layout) -> Iterator[tuple[Zone, str, str]]:
    """(zone, text as written, value in words) of one record, fillers left out."""
    for zone in layout.zones:
        if zone.name.startswith(("filler", "reserved")):
            continue
        text = record[zone.slice].tobytes().decode("latin-1")
        yield zone, text, _spoken(zone, text)


def _spoken(zone: Zone, text: str) -> str:
    value = text.strip()
    if not value:
        return "—"
    if zone.type == "N" and value.isascii() and value.isdigit():
        if zone.name.endswith("date") and len(value) == 6 and value != "000000":
            return f"{value[4:]}/{value[2:4]}/{value[:2]}"
        if zone.decimals:
            return f"{int(value) / 10**zone.decimals:,.{zone.decimals}f}".replace(",", "\u202f").replace(".", ",")
        return str(int(value)) if zone.width < 8 else value
    return value
