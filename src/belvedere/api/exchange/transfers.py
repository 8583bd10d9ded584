"""Transfers to the departments' archives over the API: the package, and what the archives answer."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Field, Router, Schema, Status

from belvedere.api.exchange.answers import NOT_FOUND, PAGE, PRINTED, party_of, refused
from belvedere.api.exchange.auth import PartyToken, StructureToken
from belvedere.api.schemas import Problem
from belvedere.observatory.exchange import archives, naming, replies
from belvedere.observatory.exchange.models import Transfer

router = Router(tags=["échanges"])


def _transfer(row: Transfer) -> dict[str, Any]:
    return {
        "reference": row.reference, "state": row.state, "state_label": row.get_state_display(), "establishment": row.establishment.finess, "sha256": row.sha256, "units": row.units,
        "made_at": row.made_at.isoformat(), "reply": row.reply,
    }  # fmt: skip


@router.get("/transfers", auth=PartyToken(), summary="Versements que je prépare, ou que je reçois")
def transfer_list(request: HttpRequest) -> list[dict[str, Any]]:
    party = party_of(request)
    rows = Transfer.objects.filter(archives=party) | Transfer.objects.filter(establishment=party)
    return [_transfer(row) for row in rows.select_related("establishment")[:PAGE]]


class FileIn(Schema):
    """Whose closed file: the INS, or the establishment's own number."""

    number: str = Field(min_length=1, max_length=120, pattern=PRINTED)


@router.post(
    "/transfers", auth=StructureToken(), response={200: dict[str, Any], 404: Problem, 422: Problem}, summary="Verser le dossier clos d’une personne"
)
def transfer_made(request: HttpRequest, asked: FileIn) -> Status:
    """Le paquet du dossier, pour les archives du département de l’établissement : refusé tant qu’un séjour est ouvert, ou que la durée d’utilité administrative court."""
    party = party_of(request)
    person = naming.accompanied(party, asked.number)
    if person is None:
        return Status(404, NOT_FOUND)
    try:
        return Status(200, _transfer(archives.prepare(party=party, person=person, by=party.code)))
    except archives.TransferRefused as error:
        return refused(error)


@router.post(
    "/transfers/{reference}/purge",
    auth=StructureToken(),
    response={200: dict[str, Any], 404: Problem, 422: Problem},
    summary="Effacer ce que les archives ont accepté",
)
def transfer_purged(request: HttpRequest, reference: str) -> Status:
    """La copie de l’établissement, une fois le versement accepté et sur sa décision seule ; la réponse qui le prouve demeure."""
    party = party_of(request)
    row = Transfer.objects.filter(establishment=party, reference=reference[:16]).first()
    if row is None:
        return Status(404, NOT_FOUND)
    try:
        return Status(200, {"versions": archives.purge(row, by=party.code)})
    except archives.TransferRefused as error:
        return refused(error)


@router.get("/transfers/{reference}", auth=PartyToken(), response={200: dict[str, Any], 404: Problem}, summary="Où en est un versement")
def transfer_told(request: HttpRequest, reference: str) -> Status:
    party = party_of(request)
    rows = Transfer.objects.filter(archives=party) | Transfer.objects.filter(establishment=party)
    row = rows.select_related("establishment").filter(reference=reference[:16]).first()
    return Status(200, _transfer(row)) if row else Status(404, NOT_FOUND)


@router.get(
    "/transfers/{reference}/package", auth=StructureToken(), response={200: Any, 404: Problem, 422: Problem}, summary="Paquet SEDA d’un versement"
)
def transfer_package(request: HttpRequest, reference: str) -> HttpResponse | Status:
    row = Transfer.objects.filter(archives=party_of(request), reference=reference[:16]).first()
    if row is None or not row.package:
        return Status(404, NOT_FOUND)
    try:
        return HttpResponse(archives.package(row, by=party_of(request).code), content_type="application/zip")
    except archives.TransferRefused as error:
        return refused(error)


class ReplyIn(Schema):
    """The archives' reply: OK or KO by unit."""

    units: dict[str, str]


@router.post(
    "/transfers/{reference}/reply",
    auth=StructureToken(),
    response={200: dict[str, Any], 404: Problem, 422: Problem},
    summary="Répondre à un versement",
)
def transfer_reply(request: HttpRequest, reference: str, reply: ReplyIn) -> Status:
    row = Transfer.objects.filter(archives=party_of(request), reference=reference[:16]).first()
    if row is None or not row.package:
        return Status(404, NOT_FOUND)
    try:
        return Status(200, _transfer(replies.answer(row, reply.units, by=party_of(request).code)))
    except archives.TransferRefused as error:
        return refused(error)


@router.post(
    "/transfers/{reference}/messages",
    auth=StructureToken(),
    response={200: dict[str, Any], 404: Problem, 422: Problem},
    summary="Message SEDA des archives sur un versement",
    openapi_extra={"requestBody": {"required": True, "content": {"application/xml": {"schema": {"type": "string"}}}}},
)
def transfer_message(request: HttpRequest, reference: str) -> Status:
    """Acknowledgement ou ArchiveTransferReply de SEDA 2.3 : l’accusé dit que le versement est arrivé, la réponse l’accepte (OK, WARNING) ou le refuse (KO). Le même message envoyé deux fois ne change rien."""
    row = Transfer.objects.filter(archives=party_of(request), reference=reference[:16]).first()
    if row is None or not row.package:
        return Status(404, NOT_FOUND)
    try:
        return Status(200, _transfer(replies.hear(row, request.body, by=party_of(request).code)))
    except archives.TransferRefused as error:
        return refused(error)


@router.get(
    "/transfers/{reference}/messages",
    auth=StructureToken(),
    response={200: Any, 404: Problem},
    summary="Dernier message SEDA des archives, octet pour octet",
)
def transfer_message_kept(request: HttpRequest, reference: str) -> HttpResponse | Status:
    party = party_of(request)
    row = (Transfer.objects.filter(archives=party) | Transfer.objects.filter(establishment=party)).filter(reference=reference[:16]).first()
    raw = replies.message_of(row) if row else b""
    return HttpResponse(raw, content_type="application/xml") if raw else Status(404, NOT_FOUND)
