"""Small real flows for tests: a sector's file, and surgery on its bytes."""

import datetime as dt
import re
from functools import cache
from pathlib import Path

from belvedere.engine.sector.billing import Sector, make_sector, month_file
from belvedere.engine.sector.population import Population

FIRST = dt.date(2025, 1, 1)


@cache
def sector(seed: int = 3) -> Sector:
    """Six providers, the last in norm CP."""
    return make_sector(seed=seed, first=FIRST, providers=6, groups=4, months=3, patients=700, establishments=1)


@cache
def a_file(provider: int = 0, month: int = 0) -> bytes:
    """One provider's month."""
    return month_file(sector(), provider, month)


def patched(content: bytes, record: int, position: int, text: str) -> bytes:
    """The file with `text` written at a 1-based position of a 1-based record."""
    at = (record - 1) * 128 + position - 1
    return content[:at] + text.encode() + content[at + len(text) :]


def first_of(content: bytes, kind: str) -> int:
    """1-based number of the first record of a type, read the slow way."""
    for number in range(len(content) // 128):
        line = content[number * 128 : number * 128 + 128].decode("ascii")
        letter = line[35] if line[35].isalpha() else ""
        told = line[:3] if line[:3] in ("000", "999") else line[0] + (letter if line[0] in "234" else "")
        if told == kind:
            return number + 1
    raise LookupError(kind)


def assert_no_identity(folder: Path, people: Population) -> None:
    """No file below a folder holds a NIR or a patient's name of the sector, wherever in its bytes."""
    nirs = {bytes(row) for row in people.nir}
    names = {name.encode() for name in people.names.tolist()}
    width = {len(name) for name in names}
    assert nirs and width == {9}
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        digits = {found.group(1) for found in re.finditer(rb"(?=([12][0-9]{4}[0-9AB]{8}))", content)}
        letters = {found.group(1) for found in re.finditer(rb"(?=([A-Z]{9}))", content)}
        assert not digits & nirs, f"a NIR is in {path}"
        assert not letters & names, f"a name is in {path}"
