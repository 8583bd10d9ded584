"""The convention: set with Typst, sealed by the observatory with PAdES (pyHanko), its evidence attached, its date stamped.

Each text has a version and never changes; what the signatory read is kept byte for byte beside what was signed.
"""

import asyncio
import datetime as dt
import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path

from pyhanko.pdf_utils import embed
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko.sign.validation.status import PdfSignatureStatus
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

from belvedere.observatory import printing, stamping
from belvedere.observatory.environment import data_dir
from belvedere.observatory.members.models import Bearing, Enrolment, Federation, Fee

VERSION = "2026-1"
PACKAGE = "belvedere.observatory.members.texts"
EVIDENCE = "preuve.json"
FIELD = "Signature"


def folder() -> Path:
    """Where conventions and invoices are kept, readable by their owner alone."""
    path = data_dir() / "agreements"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def keep(name: str, content: bytes) -> str:
    """Write a document durably; returns its SHA-256."""
    descriptor = os.open(folder() / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return hashlib.sha256(content).hexdigest()


def text_path(enrolment: Enrolment) -> Path:
    """The text that the signatory reads."""
    return folder() / f"convention-{enrolment.reference}.pdf"


def signed_path(enrolment: Enrolment) -> Path:
    """The signed convention."""
    return folder() / f"convention-{enrolment.reference}-signee.pdf"


def fee_on(day: dt.date) -> Fee | None:
    """The fee in force on a day."""
    return Fee.objects.filter(valid_from__lte=day).first()


def borne(federation: Federation | None, day: dt.date) -> bool:
    """Whether a federation bears the fee of its members on a day."""
    if federation is None:
        return False
    rows = Bearing.objects.filter(federation=federation, valid_from__lte=day)
    return any(row.valid_until is None or day < row.valid_until for row in rows)


def cost(enrolment: Enrolment, day: dt.date) -> str:
    """Article 5: how much, and who pays."""
    fee = fee_on(day)
    if fee is None:
        return "L’adhésion est gratuite."
    amount = f"L’adhésion coûte {printing.euros(fee.amount)} hors taxes par an"
    if borne(enrolment.federation, day):
        return f"{amount}. Elle est prise en charge par {enrolment.federation}, dont l’adhérent déclare être membre."
    return f"{amount}, soit {printing.euros(fee.amount + fee.tax)} toutes taxes comprises, payable à {fee.days} jours sur facture."


def write_text(enrolment: Enrolment, day: dt.date) -> str:
    """Set the convention of an enrolment and keep it; returns its SHA-256."""
    data = {
        "reference": enrolment.reference, "version": VERSION, "operator": printing.operator(), "name": enrolment.name, "siren": enrolment.siren,
        "address": enrolment.address, "postcode": enrolment.postcode, "city": enrolment.city, "signatory": enrolment.signatory,
        "title": enrolment.signatory_title, "federation": str(enrolment.federation) if enrolment.federation else "aucune",
        "group": enrolment.is_group, "entities": enrolment.entities, "cost": cost(enrolment, day),
    }  # fmt: skip
    return keep(text_path(enrolment).name, printing.render(PACKAGE, f"convention-{VERSION}.typ", data))


def sign(text: bytes, evidence: Mapping[str, object], *, name: str) -> bytes:
    """The convention with its evidence attached, sealed by the observatory (PAdES B-T: signature and time-stamp)."""
    writer = IncrementalPdfFileWriter(io.BytesIO(text))
    content = json.dumps(evidence, ensure_ascii=False, indent=1).encode()
    embed.embed_file(writer, embed.FileSpec(
        file_spec_string=EVIDENCE, file_name=EVIDENCE, description="Dossier de preuve de la signature",
        embedded_data=embed.EmbeddedFileObject.from_file_data(writer, data=content, mime_type="application/json"),
    ))  # fmt: skip
    store = SimpleCertificateStore()
    store.register(stamping.certificate(stamping.AUTHORITY))
    signer = signers.SimpleSigner(
        signing_cert=stamping.certificate(stamping.SEAL), signing_key=stamping.private_key(stamping.SEAL), cert_registry=store
    )
    meta = signers.PdfSignatureMetadata(
        field_name=FIELD, md_algorithm="sha256", subfilter=fields.SigSeedSubFilter.PADES, reason="Convention d’adhésion", name=name
    )
    stamper = stamping.authority() or stamping.own()
    return asyncio.run(signers.PdfSigner(meta, signer, timestamper=stamper).async_sign_pdf(writer)).getvalue()


def status(document: bytes) -> PdfSignatureStatus:
    """pyHanko's own judgement of a signed convention, with the observatory's authority as root of trust."""
    reader = PdfFileReader(io.BytesIO(document))
    context = ValidationContext(trust_roots=[stamping.certificate(stamping.AUTHORITY)], allow_fetching=False)
    return asyncio.run(async_validate_pdf_signature(reader.embedded_signatures[0], context, context))


def evidence_of(document: bytes) -> dict:
    """The evidence attached to a signed convention."""
    reader = PdfFileReader(io.BytesIO(document))
    names = reader.root["/Names"]["/EmbeddedFiles"]["/Names"]
    stream = names[1].get_object()["/EF"]["/F"].get_object()
    return json.loads(stream.data)
