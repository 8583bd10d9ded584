"""The insurance's front-end, simulated: it reads how a flow is sealed before it opens it, refuses what must be, acknowledges, then pays and rejects.

What is real: the S/MIME messages, CMS, the B2 files and the NOEMIE answers. What is made up: the acknowledgement (its official layout is not public) and who
is paid when."""

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from belvedere.engine.b2 import der
from belvedere.engine.b2.envelope import Holder, open_envelope
from belvedere.engine.b2.findings import B2Error
from belvedere.engine.b2.noemie import render
from belvedere.engine.b2.unwrap import Clear
from belvedere.engine.services import BANNER
from belvedere.engine.services.invoice_check import Billed, differences, invoices
from belvedere.engine.services.rights import Rights

NOEMIE_MESSAGE = "SIMULATEUR BELVEDERE"
CLEAR, AES, DES = "CLAIR", "AES", "3DES"


@dataclass(frozen=True)
class Acknowledgement:
    """The answer to a flow: accepted or not, its code, what to do; the algorithm it was sealed with, and what was read of it."""

    reference: str
    accepted: bool
    code: str
    label: str
    remedy: str
    algorithm: str
    invoices: int = 0
    warnings: tuple[str, ...] = ()
    note: str = BANNER


@dataclass(frozen=True)
class Taken:
    """What the front-end keeps of a flow: its acknowledgement, and the clear B2 when it was accepted."""

    acknowledgement: Acknowledgement
    clear: bytes = b""


def algorithm(sealed: bytes | memoryview) -> str:
    """How a flow is sealed, read from its public part alone: AES, 3DES, the name of another cipher, or CLAIR."""
    try:
        parts = der.enveloped(memoryview(sealed))
        name = cms.EncryptionAlgorithm.load(bytes(parts.algorithm), strict=False)["algorithm"].native
    except (der.Truncated, der.NotEnveloped, ValueError, TypeError, KeyError):
        return CLEAR if bytes(sealed[:3]) == b"000" or bytes(sealed[:2]) in (b"\x1f\x8b", b"PK") else ""
    return AES if name.startswith("aes") else DES if name == "tripledes_3key" else name.upper()


_REFUSED = {
    "E702": ("F02", "Le message est tronqué.", "Renvoyez-le : le transfert a été interrompu."),
    "E704": ("F04", "Le flux est chiffré pour un autre destinataire.", "Prenez le certificat de la caisse dans l’annuaire."),
    "E705": ("F05", "L’algorithme n’est pas admis.", "Chiffrez en AES-128."), "E706": ("F06", "Le certificat employé a expiré.", "Prenez le certificat en vigueur dans l’annuaire."),
}  # fmt: skip
_ELSE = ("F07", "Le flux ne se lit pas.", "Vérifiez la compression et l’enveloppe, puis renvoyez-le.")


def receive(sealed: bytes, holders: Sequence[Holder], now: dt.datetime) -> Taken:
    """Judge a flow; nothing of it is kept when it is refused. Clear flows are refused (rule of 18 May 2015); 3DES is accepted with a warning."""
    reference = "ARL-" + hashlib.sha256(sealed).hexdigest()[:12].upper()
    found = algorithm(sealed)
    if found == CLEAR:
        return Taken(
            Acknowledgement(reference, False, "F01", "Le flux n’est pas chiffré.", "Chiffrez-le en AES-128 avec le certificat de la caisse.", CLEAR)
        )
    try:
        envelope = open_envelope(sealed, holders, now)
        clear = b"".join(Clear(envelope).chunks())
        count = sum(1 for _ in invoices(clear))
    except B2Error as error:
        code, label, remedy = _REFUSED.get(error.finding.code, _ELSE)
        return Taken(Acknowledgement(reference, False, code, label, remedy, found))
    warnings = ("Le triple DES n’est plus sûr : passez à AES-128.",) if found == DES else ()
    return Taken(Acknowledgement(reference, True, "F00", "Flux accepté.", "", found, count, warnings), clear)


@dataclass(frozen=True)
class Settled:
    """What becomes of an invoice: paid or rejected, with its cause; amounts in cents, the day of the answer."""

    number: str
    amo: int
    amc: int
    day: dt.date
    cause: str = ""
    label: str = ""

    @property
    def paid(self) -> bool:
        return not self.cause


DELAYS = (5, 12)  # days, the shortest and the longest
OTHER_CAUSES = (
    ("P204", "ENTENTE PREALABLE ABSENTE OU EXPIREE"),
    ("A310", "CODE LPP NON PRIS EN CHARGE A CETTE DATE"),
    ("T115", "PRESTATION DEJA PRISE EN CHARGE SUR LA PERIODE"),
)
OTHER_RATE = 0.01


def settle(clear: bytes, amounts: dict[str, tuple[int, int]], register: dict[str, Rights], day: dt.date, *, seed: int = 1) -> list[Settled]:
    """Pay or reject each invoice of an accepted file: whatever differs from the rights is rejected for it, one in a hundred of the others for a cause of its
    own. `amounts` are (AMO, AMC) by invoice number; `register` the rights by person."""
    found = []
    for billed in invoices(clear):
        amo, amc = amounts.get(billed.number, (0, 0))
        cause, label, draw = _fate(billed, register.get(billed.nir), seed)
        later = day + dt.timedelta(days=DELAYS[0] + draw % (DELAYS[1] - DELAYS[0] + 1))
        found.append(Settled(billed.number, amo, amc, later, cause, label))
    return found


def _fate(billed: Billed, rights: Rights | None, seed: int) -> tuple[str, str, int]:
    draw = int.from_bytes(hashlib.blake2b(f"{seed}|{billed.number}|{billed.nir}".encode(), digest_size=8).digest())
    if rights is None:
        return "B007", "BENEFICIAIRE INCONNU DE L ORGANISME", draw
    if wrong := differences(billed, rights):
        return wrong[0].check.cause, wrong[0].check.cause_label, draw
    if draw / 2**64 < OTHER_RATE:
        return (*OTHER_CAUSES[draw % len(OTHER_CAUSES)], draw)
    return "", "", draw


def noemie(settled: Sequence[Settled], finess: int, sent: dt.date) -> bytes:
    """The NOEMIE return that says so, in the form of the norm (reference §10)."""
    items: list[tuple[str, str, dict[str, str | int]]] = [("040", "02", {"payee_no": f"{finess:09d}"})]
    for day in sorted({one.day for one in settled}):
        items.append(("070", "03", {"accounting_date": f"{day:%y%m%d}"}))
        for one in settled:
            if one.day == day:
                items += _entities(one, sent)
    last = max((one.day for one in settled), default=sent)
    header = {
        "reference": "576", "created": f"{last:%y%m%d}", "sender_type": "CT", "sender_no": "0000001594", "dest_type": "TP", "dest_no": f"{finess:09d}", "message": NOEMIE_MESSAGE, "flow": "R",
    }  # fmt: skip
    return render(items, blocked=True, header=header)


def _entities(one: Settled, sent: dt.date) -> list[tuple[str, str, dict[str, str | int]]]:
    day, state = f"{sent:%y%m%d}", "P" if one.paid else "R"
    rows: list[tuple[str, str, dict[str, str | int]]] = [
        ("102", "05", {"invoice_no": int(one.number), "lot_no": 1, "lot_date": day, "billing_date": day, "kind": "B"}),
        ("198", "06", {"asked": one.amo, "state": state, "paid": one.amo if one.paid else 0, "sign": "P"}),
    ]
    if one.amc:
        rows.append(("199", "06", {"asked": one.amc, "state": state, "paid": one.amc if one.paid else 0, "sign": "P"}))
    if not one.paid:
        rows.append(("294", "06", {"code": one.cause, "label": one.label, "level": "F", "share": "O"}))
    return rows


def certificate_digest(certificate: x509.Certificate) -> str:
    """What a directory publishes beside a certificate."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
