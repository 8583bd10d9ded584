"""PDFs that the observatory seals: PAdES (pyHanko) with its evidence attached and its date stamped, and pyHanko's own judgement of them."""

import asyncio
import io
import json
from collections.abc import Mapping

from pyhanko.pdf_utils import embed
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko.sign.validation.status import PdfSignatureStatus
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

from belvedere.observatory import stamping

EVIDENCE = "preuve.json"
FIELD = "Signature"


def seal(text: bytes, evidence: Mapping[str, object], *, name: str, reason: str) -> bytes:
    """A PDF with its evidence attached, sealed by the observatory for somebody and a reason (PAdES B-T: signature and time-stamp)."""
    writer = IncrementalPdfFileWriter(io.BytesIO(text))
    content = json.dumps(evidence, ensure_ascii=False, indent=1).encode()
    embed.embed_file(writer, embed.FileSpec(
        file_spec_string=EVIDENCE, file_name=EVIDENCE, description="Dossier de preuve",
        embedded_data=embed.EmbeddedFileObject.from_file_data(writer, data=content, mime_type="application/json"),
    ))  # fmt: skip
    store = SimpleCertificateStore()
    store.register(stamping.certificate(stamping.AUTHORITY))
    signer = signers.SimpleSigner(
        signing_cert=stamping.certificate(stamping.SEAL), signing_key=stamping.private_key(stamping.SEAL), cert_registry=store
    )
    meta = signers.PdfSignatureMetadata(field_name=FIELD, md_algorithm="sha256", subfilter=fields.SigSeedSubFilter.PADES, reason=reason, name=name)
    stamper = stamping.authority() or stamping.own()
    return asyncio.run(signers.PdfSigner(meta, signer, timestamper=stamper).async_sign_pdf(writer)).getvalue()


def status(document: bytes) -> PdfSignatureStatus:
    """pyHanko's own judgement of a sealed PDF, with the observatory's authority as root of trust."""
    reader = PdfFileReader(io.BytesIO(document))
    context = ValidationContext(trust_roots=[stamping.certificate(stamping.AUTHORITY)], allow_fetching=False)
    return asyncio.run(async_validate_pdf_signature(reader.embedded_signatures[0], context, context))


def evidence_of(document: bytes) -> dict:
    """The evidence attached to a sealed PDF."""
    reader = PdfFileReader(io.BytesIO(document))
    names = reader.root["/Names"]["/EmbeddedFiles"]["/Names"]
    stream = names[1].get_object()["/EF"]["/F"].get_object()
    return json.loads(stream.data)
