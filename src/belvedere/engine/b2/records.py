"""From bytes to records: framing and classification, in one pass and without a Python loop.

A B2 file is records of 128 characters back to back (norm reference §2); files saved by editors carry
line ends, which are tolerated and reported. The record type is told by the first byte, byte 36 and,
in the CP family, byte 39 (§3.1).
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from belvedere.engine.b2 import digits
from belvedere.engine.b2.findings import B2Error, Finding, finding
from belvedere.engine.b2.layouts import RECORD_LENGTH, Layout, layout

KINDS = [
    "?",
    "000",
    "1",
    "2",
    "2S",
    "2M",
    "2P",
    "2B",
    "2C",
    "3",
    "3S",
    "3E",
    "3F",
    "3H",
    "4",
    "4S",
    "4E",
    "4F",
    "4B",
    "4C",
    "4D",
    "4H",
    "4M",
    "4T",
    "4U",
    "5",
    "6",
    "999",
]
CODE = {kind: code for code, kind in enumerate(KINDS)}
# Norm (record 000, positions 62-65) to layout family. Only FR and CP are evidenced; extend here.
NORMS = {"FR": "STD", "CP": "CP"}

_BASE_OR_SUBTYPE = np.zeros((10, 27), dtype=np.uint8)
for _kind, _code in CODE.items():
    if _kind[0] in "123456" and len(_kind) <= 2:
        _BASE_OR_SUBTYPE[int(_kind[0]), ord(_kind[1]) - 64 if len(_kind) == 2 else 0] = _code


@dataclass
class Records:
    """A framed file: `view` (n, 128) uint8, `kind` (n,) codes of `KINDS`, family, framing findings."""

    view: np.ndarray
    kind: np.ndarray
    family: str
    findings: list[Finding] = field(default_factory=list)
    _numbers: dict = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.view)

    @cached_property
    def _rows(self) -> dict[int, np.ndarray]:
        order = np.argsort(self.kind, kind="stable")
        bounds = np.searchsorted(self.kind[order], np.arange(len(KINDS) + 1))
        return {code: order[bounds[code] : bounds[code + 1]] for code in range(len(KINDS))}

    def rows(self, kind: str) -> np.ndarray:
        """0-based positions in the file of the records of one type, ascending."""
        return self._rows[CODE[kind]]

    def layout(self, kind: str) -> Layout:
        return layout(kind, self.family)

    def block(self, kind: str) -> np.ndarray:
        """(n_kind, 128) bytes of the records of one type."""
        key = ("block", kind)
        if key not in self._numbers:
            self._numbers[key] = self.view[self.rows(kind)]
        return self._numbers[key]

    def number(self, kind: str, zone: str) -> np.ndarray:
        """int64 values of a numeric zone; zones that hold no digits read as 0."""
        return self.number_and_bad(kind, zone)[0]

    def number_and_bad(self, kind: str, zone: str) -> tuple[np.ndarray, np.ndarray]:
        key = (kind, zone)
        if key not in self._numbers:
            self._numbers[key] = digits.read(self.block(kind), self.layout(kind)[zone].slice)
        return self._numbers[key]

    def text(self, kind: str, zone: str) -> np.ndarray:
        """(n_kind, width) bytes of a zone."""
        return self.block(kind)[:, self.layout(kind)[zone].slice]


def _stride(data: bytes) -> tuple[int, int]:
    """(stride, number of records); B2Error F000, F001 or F002."""
    if not data.strip():
        raise B2Error(finding("F000"))
    sample = data[RECORD_LENGTH : RECORD_LENGTH + 2]
    newline = data.find(b"\n", 0, RECORD_LENGTH + 3)
    if newline == -1 and sample[:1] not in (b"\r", b"\n"):
        whole, rest = divmod(len(data), RECORD_LENGTH)
        if rest:
            raise B2Error(finding("F001", record=whole + 1, count=1, length=rest))
        return RECORD_LENGTH, whole
    step = RECORD_LENGTH + (2 if b"\r\n" in data[: RECORD_LENGTH + 3] else 1)
    end = b"\r\n" if step == RECORD_LENGTH + 2 else b"\n"
    text = data[: -len(end)] if data.endswith(end) else data
    count, rest = divmod(len(text) + len(end), step)
    lines = None
    if rest == 0:
        grid = np.frombuffer(text + end, dtype=np.uint8).reshape(count, step)
        if (grid[:, -1] == 10).all() and not (grid[:, :RECORD_LENGTH] == 10).any():
            return step, count
    lines = text.split(end)
    for number, line in enumerate(lines, start=1):
        if len(line) != RECORD_LENGTH:
            raise B2Error(finding("F001", record=number, length=len(line)))
    raise B2Error(finding("F002"))


def frame(data: bytes) -> Records:
    """Frame and classify a clear B2 file; B2Error when it is no B2 file at all."""
    step, count = _stride(data)
    remarks = []
    if step == RECORD_LENGTH:
        view = np.frombuffer(data, dtype=np.uint8).reshape(count, RECORD_LENGTH)
    else:
        padded = data if len(data) >= count * step else data + b"\r\n"[-(count * step - len(data)) :]
        view = np.frombuffer(padded, dtype=np.uint8, count=count * step).reshape(count, step)[:, :RECORD_LENGTH]
        view = np.ascontiguousarray(view)
        remarks.append(finding("F010"))
    first, last = bytes(view[0]), bytes(view[-1])
    if first[:3] != b"000" or last[:3] != b"999":
        raise B2Error(finding("F002", record=1 if first[:3] != b"000" else count))
    if first[65:67] != b"B2" or first[82:85] != b"128":
        raise B2Error(finding("F003", record=1))
    norm = first[61:65].decode("ascii", "replace").strip()
    if norm not in NORMS:
        raise B2Error(finding("F011", record=1, position="62-65", norm="déclarée" if not norm.isalnum() else norm))
    family = NORMS[norm]
    return Records(view, _classify(view, family), family, remarks)


def _classify(view: np.ndarray, family: str) -> np.ndarray:
    head = view[:, 0].astype(np.int16) - 48
    letter = view[:, 35].astype(np.int16) - 64
    letter[(letter < 1) | (letter > 26)] = 0
    if family == "CP":
        other = view[:, 38].astype(np.int16) - 64
        letter = np.where((letter == 0) & (other >= 1) & (other <= 26), other, letter)
    letter[(head < 2) | (head > 4)] = 0
    valid = (head >= 0) & (head <= 9)
    kind = np.where(valid, _BASE_OR_SUBTYPE[np.where(valid, head, 0), letter], 0).astype(np.uint8)
    kind[0], kind[-1] = CODE["000"], CODE["999"]
    return kind
