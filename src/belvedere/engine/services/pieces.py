"""SCOR: a lot of supporting documents, checked before it leaves, tied to a B2 file that was acknowledged (reference §3.5)."""

import csv
import datetime as dt
import hashlib
import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from PIL import Image
from pypdf import PdfReader
from pypdf.errors import PyPdfError

LEAST_DPI = 150
MOST_BYTES = 5 * 1024 * 1024
A4_INCHES = (8.27, 11.69)  # a page that says no resolution is taken for A4
OLDEST = dt.timedelta(days=366)
STATES = {
    "a_joindre": ("pret",), "pret": ("transmis", "a_joindre"), "transmis": ("arl_positif", "arl_negatif"), "arl_positif": (), "arl_negatif": ("a_joindre",),
}  # fmt: skip


@cache
def problems() -> dict[str, tuple[str, str]]:
    """Code -> (what, what to do)."""
    with (files(__package__) / "pieces.csv").open(encoding="utf-8") as stream:
        return {row["code"]: (row["label"], row["remedy"]) for row in csv.DictReader(stream)}


@dataclass(frozen=True)
class Piece:
    """A supporting document: its name, content, the invoice it is for, its day."""

    name: str
    content: bytes = field(repr=False)
    invoice: str
    day: dt.date

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Remark:
    """What is wrong: a code of `problems()`, and the piece or invoice."""

    code: str
    where: str

    @property
    def text(self) -> str:
        what, remedy = problems()[self.code]
        return f"{self.where} : {what} {remedy}"


@dataclass(frozen=True)
class Lot:
    """Pieces of one B2 file: who sends, the file and its acknowledgement, its invoices and those that ask for a piece, the day of the bill."""

    finess: str
    file_id: str
    acknowledged: bool
    invoices: frozenset[str]
    required: frozenset[str]
    billed_on: dt.date
    pieces: tuple[Piece, ...]


def _image(content: bytes) -> list[str]:
    with Image.open(io.BytesIO(content)) as picture:
        if picture.format not in ("JPEG", "PNG"):
            return ["S02"]
        picture.load()
        told = picture.info.get("dpi")
        dpi = (
            min(float(value) for value in told) if told and min(told) > 1 else max(min(picture.size) / A4_INCHES[0], max(picture.size) / A4_INCHES[1])
        )
    return ["S05"] if round(dpi) < LEAST_DPI else []


def _pdf(content: bytes) -> list[str]:
    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted:
        return ["S03"]
    if not reader.pages:
        return ["S04"]
    for page in reader.pages:
        width, height = (float(side) / 72 for side in (page.mediabox.width, page.mediabox.height))
        for picture in page.images:
            pixels = picture.image.size if picture.image else (0, 0)
            # A picture smaller than a third of the page is a logo; one that fills it is a scan.
            if max(pixels) > 400 and min(min(pixels) / min(width, height), max(pixels) / max(width, height)) < LEAST_DPI - 1:
                return ["S05"]
    return []


def readable(content: bytes) -> list[str]:
    """Codes of what is wrong with a file by itself."""
    if len(content) > MOST_BYTES:
        return ["S06"]
    try:
        if content[:5] == b"%PDF-":
            return _pdf(content)
        return _image(content)
    except Image.UnidentifiedImageError:
        return ["S02" if content[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0") else "S01"]
    except (PyPdfError, OSError, ValueError, KeyError, TypeError, AttributeError, Image.DecompressionBombError, RecursionError):
        return ["S01"]


def check(lot: Lot) -> list[Remark]:
    """Everything wrong with a lot: piece by piece, then what is missing; [] when it may leave."""
    remarks = [] if lot.acknowledged else [Remark("S12", lot.file_id)]
    seen: set[str] = set()
    for piece in lot.pieces:
        remarks += [Remark(code, piece.name) for code in readable(piece.content)]
        if piece.digest in seen:
            remarks.append(Remark("S07", piece.name))
        seen.add(piece.digest)
        if not piece.invoice:
            remarks.append(Remark("S08", piece.name))
        elif piece.invoice not in lot.invoices:
            remarks.append(Remark("S09", piece.name))
        if lot.billed_on - piece.day > OLDEST:
            remarks.append(Remark("S11", piece.name))
    held = {piece.invoice for piece in lot.pieces}
    return remarks + [Remark("S10", f"facture {invoice}") for invoice in sorted(lot.required - held)]


MANIFEST = ("finess", "fichier", "facture", "piece", "jour", "octets", "sha256")


def manifest(lot: Lot) -> bytes:
    """The table of a lot: one line a piece, with what ties it to its invoice and its digest."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(MANIFEST)
    writer.writerows([lot.finess, lot.file_id, one.invoice, one.name, one.day.isoformat(), len(one.content), one.digest] for one in lot.pieces)
    return out.getvalue().encode()


def packed(lot: Lot, name: str = "manifeste.csv") -> bytes:
    """The lot as it is sent: its manifest and its pieces, numbered so that no name leaves."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, manifest(lot))
        for rank, piece in enumerate(lot.pieces, 1):
            archive.writestr(f"pieces/{rank:04d}-{piece.digest[:12]}", piece.content)
    return out.getvalue()


def next_states(state: str) -> Sequence[str]:
    """Where a lot may go from a state."""
    return STATES[state]


def codes(remarks: Iterable[Remark]) -> list[str]:
    """The codes of remarks, in order."""
    return [one.code for one in remarks]
