"""A change of software over the API: start, compare lots, see how far it is, end."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from belvedere.api.exchange.answers import PRINTED, refused
from belvedere.api.exchange.auth import StructureToken
from belvedere.api.schemas import Problem
from belvedere.engine.exchange.rules import rules
from belvedere.observatory.exchange import doors, moving
from belvedere.observatory.exchange.models import Move

router = Router(tags=["échanges"], auth=StructureToken())
NOT_FOUND = Problem(code="X404", message="Ce changement de logiciel n’existe pas, ou n’est pas à vous.", remedy="Vérifiez la référence.")


class MoveIn(Schema):
    """The new software."""

    software: str = Field(max_length=80, pattern=PRINTED)


class CloseIn(Schema):
    """What justifies the files that are not the same; or that the change is dropped."""

    reason: str = Field("", max_length=300, pattern=PRINTED)
    drop: bool = False


def _found(request: HttpRequest, reference: str) -> Move | None:
    return Move.objects.filter(party=request.auth.party, reference=reference[:16]).first()


def _told(row: Move) -> dict[str, Any]:
    return {
        "reference": row.reference, "state": row.state, "old": row.old, "new": row.new, "export": row.export.reference, "opened_at": row.opened_at.isoformat(), "lots": row.lots,
        "strangers": row.strangers, "reason": row.reason, "files": moving.progress(row),
        "gaps": [{"patient": file.address, "gaps": file.gaps} for file in row.files.filter(state="differs")],
    }  # fmt: skip


@router.post("", response={201: dict[str, Any], 422: Problem}, summary="Commencer un changement de logiciel")
def start(request: HttpRequest, asked: MoveIn) -> Status:
    """Un export complet est fait aussitôt ; chaque usager y est un dossier à retrouver."""
    try:
        return Status(201, _told(moving.start(party=request.auth.party, software=asked.software, by=request.auth.party.code)))
    except moving.MoveRefused as error:
        return refused(error)


@router.get("/{reference}", response={200: dict[str, Any], 404: Problem}, summary="Où en est un changement de logiciel")
def state(request: HttpRequest, reference: str) -> Status:
    row = _found(request, reference)
    return Status(200, _told(row)) if row else Status(404, NOT_FOUND)


@router.post("/{reference}/lots", response={200: dict[str, Any], 404: Problem, 422: dict[str, Any]}, summary="Comparer un lot du nouveau logiciel")
def compare(request: HttpRequest, reference: str) -> Status:
    """Corps : une transaction TDDUI. Les règles d’un dépôt sont passées, rien n’est gardé."""
    row = _found(request, reference)
    if row is None:
        return Status(404, NOT_FOUND)
    try:
        raw, _ = doors.transaction_of(request.body, row.party.finess)
        told = moving.take(row, raw, by=request.auth.party.code)
    except (moving.MoveRefused, doors.DoorRefused) as error:
        return Status(422, {"code": "X422", "message": str(error), "remedy": "Corrigez la demande, puis renvoyez-la."})
    if told.remarks:
        remarks = [
            {"rule": one.rule, "where": one.where, "message": rules()[one.rule].message, "remedy": rules()[one.rule].remedy} for one in told.remarks
        ]
        return Status(422, {"code": "X422", "message": "Les règles refusent ce lot.", "remedy": "Corrigez chaque remarque.", "remarks": remarks})
    return Status(200, {"same": told.same, "differs": told.differs, "strangers": told.strangers, "files": moving.progress(row)})


@router.post(
    "/{reference}/close", response={200: dict[str, Any], 404: Problem, 422: Problem}, summary="Terminer, ou abandonner, un changement de logiciel"
)
def close(request: HttpRequest, reference: str, asked: CloseIn) -> Status:
    row = _found(request, reference)
    if row is None:
        return Status(404, NOT_FOUND)
    try:
        return Status(200, _told(moving.close(row, by=request.auth.party.code, reason=asked.reason, drop=asked.drop)))
    except moving.MoveRefused as error:
        return refused(error)
