"""From chunks of bytes to batches of whole invoices: framing in a stream, in flat memory.

A B2 file is records of 128 characters back to back (norm reference §2); files saved by editors carry line
ends, which are tolerated and reported. A batch ends after a type 5, 6 or 999, so that an invoice is never
cut: what follows can look at each batch alone.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from belvedere.engine.b2.findings import B2Error, Findings, finding
from belvedere.engine.b2.records import CODE, RECORD_LENGTH, Records, classify

BATCH_BYTES = 2 * 1024 * 1024
# An invoice holds at most 999 lines (§3) of at most 27 records: more than this without an end is none.
LONGEST_INVOICE = 8 * 1024 * 1024
# Norm (record 000, positions 62-65) to layout family. Only FR and CP are evidenced; extend here.
NORMS = {"FR": "STD", "CP": "CP"}
# The layout of 3F changed after the edition of 02/2003 (§13): norm dates (AAMM) before this use the old one.
OLD_3F_BEFORE = 506
_FOREIGN = {b"PK\x03\x04": "ZIP", b"%PDF": "PDF", b"7z\xbc\xaf": "7z", b"\xd0\xcf\x11\xe0": "Office", b"<?xm": "XML", b"\xef\xbb\xbf": "texte UTF-8"}
_FILLER = b"\x00\x1a\r\n "


class Framer:
    """Frames one file. `findings` gathers the tolerances used; `family`, `header` (record 000) and `records`
    (how many so far) are known once the first batch has come."""

    def __init__(self, *, batch_bytes: int = BATCH_BYTES) -> None:
        self.findings = Findings()
        self.family, self.header, self.records = "", b"", 0
        self._batch_bytes, self._end, self._old, self._first_lot = batch_bytes, b"", False, True
        self._biller, self._last = b"", 0

    def batches(self, chunks: Iterable[bytes]) -> Iterator[Records]:
        """Batches of a file given by pieces of any size; B2Error when it is no whole B2 file."""
        held: list[bytes] = []
        size, goal = 0, RECORD_LENGTH + 3
        rest = b""
        for chunk in _pieces(chunks, self._batch_bytes):
            held.append(chunk)
            size += len(chunk)
            if size < goal:
                continue
            data = held[0] if len(held) == 1 else b"".join(held)
            if not self.header:
                self._open(data)
            if len(data) < self._batch_bytes:
                held, goal = [data], self._batch_bytes
                continue
            batch, rest = self._cut(data)
            if batch is not None:
                yield batch
            elif len(data) > LONGEST_INVOICE:
                raise B2Error(finding("S110", record=self.records + 1))
            held, size = [rest], len(rest)
            # Without an end of invoice in sight, ask for half as much again rather than look at every piece.
            goal = max(self._batch_bytes, min(size + size // 2, LONGEST_INVOICE + 1))
        data = b"".join(held)
        if not self.header:
            self._open(data)
        last, rest = self._cut(self._trimmed(data), final=True)
        if rest:
            length = len(rest.rstrip(b"\r\n"))
            raise B2Error(finding("F001", record=self.records + 1, length=length))
        if self._last != CODE["999"]:
            raise B2Error(finding("F002", record=self.records))
        if last is not None:
            yield last

    def _open(self, data: bytes) -> None:
        head = data[:RECORD_LENGTH]
        if not head.strip(_FILLER[1:]):
            raise B2Error(finding("F000"))
        if head[:3] == b"\xf0\xf0\xf0":
            raise B2Error(finding("F015"))
        for magic, name in _FOREIGN.items():
            if head.startswith(magic):
                raise B2Error(finding("F016", format=name))
        if sum(byte < 32 or byte > 126 for byte in head.replace(b"\r", b"").replace(b"\n", b"")) > 8:
            raise B2Error(finding("F017"))
        if head[:3] != b"000":
            raise B2Error(finding("F002", record=1))
        newline = data.find(b"\n", 0, 4 * RECORD_LENGTH)
        self._end = b"" if newline < 0 else b"\r\n" if data[newline - 1 : newline] == b"\r" else b"\n"
        if not self._end and data[RECORD_LENGTH : RECORD_LENGTH + 1] == b"\r":
            self._end = b"\r"
        if self._end:
            length = data.find(self._end)
            if length != RECORD_LENGTH:
                raise B2Error(finding("F001", record=1, length=length))
            self.findings.add("F010", [])
        elif len(head) < RECORD_LENGTH:
            raise B2Error(finding("F001", record=1, length=len(head)))
        if head[61:65].strip().strip(b"0").isdigit() and head[65:67] != b"B2":
            raise B2Error(finding("F018", record=1))
        if head[65:67] != b"B2" or head[82:85] != b"128":
            raise B2Error(finding("F003", record=1))
        norm = head[61:65].decode("ascii", "replace").strip()
        if norm not in NORMS:
            raise B2Error(finding("F011", record=1, position="62-65", norm=norm if norm.isalnum() else "déclarée"))
        self.header, self.family = head, NORMS[norm]

    def _trimmed(self, data: bytes) -> bytes:
        """The data without what may follow the last record; anything but one line end is told."""
        step = RECORD_LENGTH + len(self._end)
        kept = data
        if self._last == CODE["999"]:  # it went with an earlier batch
            if data.strip(_FILLER):
                return data
            if data not in (b"", self._end):
                self.findings.add("F013", [])
            return b""
        if self._end:
            kept = data if not len(data) % step else data + self._end if not (len(data) + len(self._end)) % step else data
        if len(kept) % step == 0 and kept[-step:][:3] == b"999":
            return kept
        # Padding after the 999: whole fields of filler, never part of the record itself.
        at = (len(data.rstrip(_FILLER)) - 1) // step * step
        if at >= 0 and data[at : at + 3] == b"999" and len(data) - at > RECORD_LENGTH and not data[at + RECORD_LENGTH :].strip(_FILLER):
            if data[at + RECORD_LENGTH :] not in (b"", self._end):
                self.findings.add("F013", [])
            return data[: at + RECORD_LENGTH] + self._end
        return kept

    def _cut(self, data: bytes, final: bool = False) -> tuple[Records | None, bytes]:
        """(batch up to the last end of invoice, bytes left over)."""
        step = RECORD_LENGTH + len(self._end)
        count = len(data) // step
        if not count:
            return None, data
        grid = np.frombuffer(data, dtype=np.uint8, count=count * step).reshape(count, step)
        if self._end:
            self._check_ends(grid, data, step)
            view = np.ascontiguousarray(grid[:, :RECORD_LENGTH])
        else:
            view = grid
        if self._first_lot:
            self._read_norm_date(view)
        kind = classify(view, self.family)
        if not final:
            ends = np.flatnonzero((kind == CODE["5"]) | (kind == CODE["6"]) | (kind == CODE["999"]))
            if not len(ends):
                return None, data
            count = int(ends[-1]) + 1
        if not self._end:
            self._check_shift(view[:count], kind[:count], data)
        batch = Records(view[:count], kind[:count], self.family, self.records, self._old)
        self.records += count
        self._last = int(kind[count - 1])
        return batch, data[count * step :]

    def _check_ends(self, grid: np.ndarray, data: bytes, step: int) -> None:
        bad = (grid[:, RECORD_LENGTH:] != np.frombuffer(self._end, dtype=np.uint8)).any(axis=1)
        bad |= (grid[:, :RECORD_LENGTH] == self._end[-1]).any(axis=1)
        if bad.any():
            row = int(np.argmax(bad))
            line = data[row * step :].split(self._end, 1)[0]
            raise B2Error(finding("F001", record=self.records + row + 1, length=len(line)))

    def _check_shift(self, view: np.ndarray, kind: np.ndarray, data: bytes) -> None:
        """Without line ends a record that is too short or too long shifts all that follow. The biller's
        number, which opens every record of a lot, then stands elsewhere: that tells record and length."""
        ones = np.flatnonzero(kind == CODE["1"])
        biller = bytes(view[ones[0], 1:10]) if len(ones) else self._biller
        if not biller:
            return
        ends = (kind == CODE["000"]) | (kind == CODE["999"])
        strange = np.flatnonzero(~ends & (view[:, 1:10] != np.frombuffer(biller, dtype=np.uint8)).any(axis=1))
        if not len(strange):
            return
        at = int(strange[0]) * RECORD_LENGTH
        first, last = max(0, at - RECORD_LENGTH + 2), at + 2 * RECORD_LENGTH
        while (found := data.find(biller, first, last)) > 0:
            first = found + 1
            shift = (found - 1) % RECORD_LENGTH
            # A record opens with its type and leaves a blank after the biller; other zones may hold the number too.
            if shift and data[found - 1 : found] in (b"2", b"3", b"4", b"5") and data[found + 9 : found + 10] == b" ":
                record = (found - 1) // RECORD_LENGTH
                length = RECORD_LENGTH + (shift if shift < RECORD_LENGTH // 2 else shift - RECORD_LENGTH)
                raise B2Error(finding("F001", record=self.records + (record if length > RECORD_LENGTH else record + 1), length=length))

    def _read_norm_date(self, view: np.ndarray) -> None:
        if len(view) < 2 or view[1, 0] != ord("1"):
            return
        self._first_lot = False
        self._biller = bytes(view[1, 1:10])
        text = bytes(view[1, 81:87])
        if text.isdigit():
            self._old = self.family == "CP" and int(text[4:6] + text[:2]) < OLD_3F_BEFORE and text[2:4] == b"20"


def _pieces(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        if len(chunk) <= size:
            yield chunk
        else:
            yield from (chunk[at : at + size] for at in range(0, len(chunk), size))


def frame(data: bytes) -> Records:
    """A whole clear file as one batch; B2Error when it is no B2 file at all."""
    framer = Framer(batch_bytes=len(data) + 1)
    (batch,) = framer.batches([data])
    return batch
