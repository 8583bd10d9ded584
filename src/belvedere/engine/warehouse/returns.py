"""Payments as columns: what a NOEMIE return says of each invoice, kept without any person (norm reference §10)."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files

import pyarrow as pa
import pyarrow.compute as pc

from belvedere.engine import b2
from belvedere.engine.b2 import noemie
from belvedere.engine.b2.findings import B2Error, finding
from belvedere.engine.warehouse.intake import Examined, Identify, Write

LARGEST = 64 * 1_048_576  # a return is read whole; a year of a national provider weighs a tenth of this

_COLUMNS = (
    ("flow_id", pa.int64(), "identifiant", "numéro d’accusé du retour"),
    ("member_id", pa.int32(), "identifiant", "entité payée (FINESS du destinataire)"),
    ("invoice_no", pa.int64(), "numéro", "entités 100 et 102, 6-14"),
    ("lot_no", pa.int64(), "numéro", "entités 080, 12-14 et 102, 21-23"),
    ("lot_date", pa.date32(), "date", "entités 080, 6-11 et 102, 24-29"),
    ("answered", pa.date32(), "date", "date comptable (070, 6-11), sinon création du fichier (000, 56-61)"),
    ("state", pa.string(), "P payée, R rejetée, D différée", "entité 198, 14"),
    ("asked_amo", pa.int64(), "centimes", "entité 198, 6-13"),
    ("paid_amo", pa.int64(), "centimes", "entités 198, 15-22 ou 210, 53-60"),
    ("asked_amc", pa.int64(), "centimes", "entité 199, 6-13"),
    ("paid_amc", pa.int64(), "centimes", "entité 199, 15-22"),
    ("code", pa.string(), "code", "premier rejet : entités 290, 8-17 et 294, 6-9"),
    ("label", pa.string(), "texte", "son libellé"),
)
RETURNS = pa.schema([pa.field(name, kind, metadata={"unit": unit, "source": source}) for name, kind, unit, source in _COLUMNS])


_LONG_NUMBER = re.compile(r"\d{6,}|\d(?:[ ._/-]*[\dAB]){8,}")
_CODE = re.compile(r"[A-Z0-9]{1,10}")
SENDER_WIDTH = 37


@cache
def _words() -> frozenset[str]:
    """Words of the insurance's reject labels that may be kept: a name is none of them."""
    return frozenset((files(b2) / "reject_words.txt").read_text(encoding="utf-8").split())


def sender_text(text: str) -> str:
    """What a return says of its sender, fit to be kept: printable, without any long number, which could be a person's."""
    return _LONG_NUMBER.sub("…", "".join(char for char in text if char.isprintable())).strip()[:SENDER_WIDTH]


def label_text(text: str | None) -> str | None:
    """A reject label word by word: words that are not of the trade, and numbers, are left out, since a label is free text in which a caisse may
    name somebody."""
    if text is None:
        return None
    words = re.findall(r"[^\W\d_]+|\S", unicodedata.normalize("NFKD", text.upper()).encode("ascii", "ignore").decode())
    kept = [word if word in _words() else "…" for word in words if word.isalpha() or word.isdigit()]
    return re.sub(r"(?:… ?)+", "… ", " ".join(kept)).strip()


def code_text(text: str | None) -> str | None:
    """A reject code, if it is one."""
    return text if text and _CODE.fullmatch(text) else None


def looked_at(chunks: Iterator[bytes]) -> tuple[bool, Iterator[bytes]]:
    """Whether a clear flow is a return, by its first record, and the flow whole again; what goes wrong is raised by the latter."""
    head, wrong = b"", None
    try:
        while len(head) < noemie.BLOCK and (piece := next(chunks, None)) is not None:
            head += piece
    except B2Error as error:
        wrong = error

    def whole() -> Iterator[bytes]:
        yield head
        if wrong is not None:
            raise wrong
        yield from chunks

    return noemie.is_noemie(head), whole()


def payments(found: noemie.Returns, *, member_id: int, flow_id: int) -> pa.Table:
    """The payments of a return, in the schema RETURNS."""
    table = noemie.table(found)
    created = noemie.as_date(found.created)
    made = {
        "code": pa.array([code_text(code) for code in table["code"].to_pylist()], pa.string()),
        "label": pa.array([label_text(label) for label in table["label"].to_pylist()], pa.string()),
        "flow_id": pa.repeat(pa.scalar(flow_id, pa.int64()), len(table)),
        "member_id": pa.repeat(pa.scalar(member_id, pa.int32()), len(table)),
        "answered": pc.fill_null(table["accounting_date"], pa.scalar(created, pa.date32())) if created else table["accounting_date"],
    }
    return pa.table({field.name: made.get(field.name, table[field.name] if field.name in table.column_names else None) for field in RETURNS}, RETURNS)


def examine_return(
    chunks: Iterable[bytes], *, flow_id: int = 0, identify: Identify = lambda billers: 0, write: Write = lambda table: None
) -> Examined:
    """Read a clear NOEMIE return to its end. `identify` gives the member of the recipient's FINESS; `write` takes the payments. Never
    raises for bad input: what is wrong is in the findings, and `refused` says that nothing counts."""
    found, data, digest = Examined(returned=True), bytearray(), hashlib.sha256()
    try:
        for piece in chunks:
            digest.update(piece)
            if len(data) <= LARGEST:
                data += piece
        found.digest = digest.hexdigest()
        if len(data) > LARGEST:
            raise B2Error(finding("N003", limit=LARGEST // 1_048_576))
        read = noemie.returns(bytes(data))
    except B2Error as error:
        found.findings, found.refused = [error.finding], True
        return found
    found.counts, found.findings, found.software, found.test = read.counts, read.findings, sender_text(read.sender), read.test
    payees = {int(number[-9:]) for number in read.payees if number.isascii() and number[-9:].isdigit()}
    found.member = identify(payees) if len(payees) == 1 else None
    if found.member is None:
        found.findings, found.refused = [*found.findings, finding("N004", 1, "28-41")], True
        return found
    table = payments(read, member_id=found.member, flow_id=flow_id)
    found.invoices = found.lines = len(table)
    found.amount_billed, found.amount_amo = (int(pc.sum(table[name]).as_py() or 0) for name in ("asked_amo", "paid_amo"))
    days = table["answered"].drop_null()
    if len(days):
        bounds = pc.min_max(days).as_py()
        found.first, found.last = (day.toordinal() - 719_163 for day in (bounds["min"], bounds["max"]))
    if not len(table):
        found.findings.append(finding("N005"))
    write(table)
    return found
