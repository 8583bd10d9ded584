"""The LPP as controls need it: what a code is worth, which act code bills it, since when and until when.

Built from the shipped tables, or read from the official LPPTOT file ("NX" format: records of 128 characters
whose first seven tell their type; norm reference §11).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from belvedere.engine.nomenclature.products import products, tariffs

RECORD_LENGTH = 128
FOREVER = 65_535  # days since 1970, past any date the field can write


class NomenclatureError(Exception):
    """The file is no LPPTOT NX file; says why."""


@dataclass(frozen=True)
class LppReference:
    """Price steps of LPP codes, sorted by (code, start). Arrays of equal length: `key` = code * 65536 + first
    day, `until` last day (days since 1970), `tariff` in cents (0: on quotation), `most` largest quantity (0:
    none), `nature` act code (3 bytes), `agreement` whether prior agreement is needed. `apart` are pairs
    low * 10**7 + high of codes not to be billed together. `complete`: a code that is absent does not exist."""

    key: np.ndarray
    until: np.ndarray
    tariff: np.ndarray
    most: np.ndarray
    nature: np.ndarray
    agreement: np.ndarray
    apart: np.ndarray
    complete: bool

    def __len__(self) -> int:
        return len(self.key)

    def at(self, codes: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Row of the price step in force for each (code, day since 1970); -1 where there is none."""
        if not len(self.key):
            return np.full(len(codes), -1)
        row = np.searchsorted(self.key, codes.astype(np.int64) * 65_536 + days, side="right") - 1
        safe = np.maximum(row, 0)
        return np.where((row >= 0) & (self.key[safe] >> 16 == codes) & (days <= self.until[safe]), safe, -1)

    def knows(self, codes: np.ndarray) -> np.ndarray:
        """Whether each code has any step."""
        at = np.clip(np.searchsorted(self.key, codes.astype(np.int64) << 16), 0, max(len(self.key) - 1, 0))
        return (self.key[at] >> 16 == codes) if len(self.key) else np.zeros(len(codes), dtype=bool)


def _made(steps: Iterable[tuple[int, int, int, int, int, bytes, bool]], apart: Iterable[int], complete: bool) -> LppReference:
    rows = sorted(steps)
    columns = list(zip(*rows, strict=True)) if rows else [()] * 7
    code, start, until, tariff, most, nature, agreement = columns
    key = np.array(code, dtype=np.int64) * 65_536 + np.array(start, dtype=np.int64)
    return LppReference(
        key, np.array(until, dtype=np.int64), np.array(tariff, dtype=np.int64), np.array(most, dtype=np.int64),
        np.array(nature, dtype="S3"), np.array(agreement, dtype=bool), np.unique(np.array(list(apart), dtype=np.int64)), complete,
    )  # fmt: skip


@cache
def shipped() -> LppReference:
    """The reference made of the tables that come with the observatory: known codes and tariffs only."""
    steps = []
    for code, dated in tariffs().items():
        days = [int(np.datetime64(day).astype(int)) for day, _ in dated]
        for rank, (_, cents) in enumerate(dated):
            until = days[rank + 1] - 1 if rank + 1 < len(days) else FOREVER
            steps.append((code, days[rank], until, cents, 0, products()[code].act_code.encode(), False))
    return _made(steps, (), complete=False)


def _day(text: bytes) -> int | None:
    """AAAAMMJJ as days since 1970; None for zeros or blanks."""
    if not text.strip(b"0 "):
        return None
    return int(np.datetime64(f"{text[:4].decode()}-{text[4:6].decode()}-{text[6:8].decode()}").astype(int))


def read_nx(data: bytes) -> LppReference:
    """Read an LPPTOT file, with or without line ends; NomenclatureError when it is none."""
    lines = data.replace(b"\r", b"").split(b"\n")
    # Files cut into lines lose the blanks at the end of their last record.
    text = b"".join(line + b" " * (-len(line) % RECORD_LENGTH) for line in lines)
    steps, apart, code = [], [], 0
    for at in range(0, len(text), RECORD_LENGTH):
        line = text[at : at + RECORD_LENGTH]
        kind = line[:5]
        if kind == b"10101":
            code = int(line[7:20]) if line[7:20].strip().isdigit() else 0
        elif kind == b"11001" and code:
            start, until = _day(line[7:15]), _day(line[15:23])
            steps.append((
                code, start or 0, FOREVER if until is None else until, round(int(line[44:54] or b"0")),
                int(line[78:81].strip() or b"0"), line[23:26].strip(), line[26:27] == b"O",
            ))  # fmt: skip
        elif kind == b"12001" and code:
            for place in range(7, 7 + 9 * 13, 13):
                other = line[place : place + 13].strip()
                if other.isdigit() and int(other):
                    apart.append(min(code, int(other)) * 10**7 + max(code, int(other)))
    if not steps:
        raise NomenclatureError("Aucun tarif (enregistrements 11001) : ce n’est pas un fichier LPPTOT au format NX.")
    return _made(steps, apart, complete=True)


def save(reference: LppReference, path: Path) -> None:
    """Keep an imported reference as Parquet."""
    table = pa.table({name: getattr(reference, name) for name in ("key", "until", "tariff", "most", "nature", "agreement")})
    apart = ",".join(map(str, reference.apart.tolist()))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    pq.write_table(table.replace_schema_metadata({"apart": apart}), partial)
    partial.rename(path)


def load(path: Path) -> LppReference:
    """An imported reference."""
    table = pq.read_table(path)
    text = (table.schema.metadata or {}).get(b"apart", b"").decode()
    columns = {name: table[name].to_numpy() for name in ("key", "until", "tariff", "most", "agreement")}
    nature = np.array(table["nature"].to_pylist(), dtype="S3")
    apart = np.array([int(item) for item in text.split(",") if item], dtype=np.int64)
    return LppReference(nature=nature, apart=apart, complete=True, **columns)
