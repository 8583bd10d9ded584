"""The billing world's services over HTTP, as a member's software calls them: rights, invoice check, ROC, supporting documents, shared records."""

import base64
import binascii
import datetime as dt
from dataclasses import asdict
from typing import Any, Literal

import requests
from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Router, Schema, Status
from pydantic import AwareDatetime

from belvedere.api.auth import Sender, caller
from belvedere.api.schemas import Problem, Refusal
from belvedere.engine.b2.findings import B2Error
from belvedere.engine.services import BANNER, documents, pieces
from belvedere.engine.services.catalogue import services
from belvedere.engine.services.identity import OID, Traits
from belvedere.engine.services.results import Result, results
from belvedere.engine.services.rights import Question
from belvedere.observatory.services import consulting, facade
from belvedere.observatory.services.adapters import Outside
from belvedere.observatory.services.models import LotState, RightsLot

router = Router(tags=["services"])
MOST_BYTES = 16 * 1024 * 1024
NOT_FOUND = Problem(code="V404", message="Cet établissement, ou ce lot, n’est pas à vous.", remedy="Vérifiez le FINESS ou la référence.")


class QuestionIn(Schema):
    """One consultation: `nir` alone, or with its key, birth date (AAMMJJ) and rank."""

    site: str = Field(max_length=9, description="FINESS géographique, un de vos établissements")
    agent: str = Field(max_length=40, description="agent habilité")
    nir: str = Field(min_length=13, max_length=13)
    key: str = Field("", max_length=2)
    born: str = Field("", max_length=6)
    rank: str = Field("", max_length=1)
    day: dt.date


class TraitsIn(Schema):
    """Strict traits of a person: birth name, given names, sex (M, F), birth date, INSEE code of the place."""

    site: str = Field(max_length=9)
    family: str = Field(min_length=1, max_length=100)
    given: str = Field(min_length=1, max_length=100)
    sex: Literal["M", "F"]
    born: dt.date
    place: str = Field("", max_length=5)


class LotIn(Schema):
    """A lot of consultations of one establishment; `reference` makes it unique."""

    site: str = Field(max_length=9)
    reference: str = Field(min_length=1, max_length=80)
    questions: list[QuestionIn] = Field(min_length=1, max_length=consulting.MOST)


class LineIn(Schema):
    """A line of an estimate: amounts in cents."""

    kind: Literal["TM", "FJ", "CP", "DP", "PAT"]
    total: int = Field(ge=0)
    base: int = Field(0, ge=0)
    rate: int = Field(0, ge=0, le=100)
    days: int = Field(0, ge=0)


class RocIn(Schema):
    """A verb of ROC: member, stay, day; lines (SIM, CLC), request key (CLC), amount billed (DRE)."""

    site: str = Field(max_length=9)
    member: str = Field(max_length=40)
    stay: str = Field(max_length=40)
    day: dt.date
    lines: list[LineIn] = Field(default_factory=list, max_length=200)
    key: str = Field("", max_length=80)
    amount: int = Field(0, ge=0)


class DocumentIn(Schema):
    """The metadata of a document for the shared record."""

    ins: str = Field(max_length=15)
    title: str = Field(max_length=200)
    class_code: str = Field(max_length=10)
    type_code: str = Field(max_length=20)
    format_code: str = Field(max_length=80)
    mime: str = Field(max_length=60)
    author: str = Field(max_length=120)
    created: AwareDatetime
    service_from: dt.date
    service_to: dt.date
    confidentiality: str = Field("N", max_length=20)


class PieceIn(Schema):
    """A supporting document in base64."""

    name: str = Field(max_length=120)
    invoice: str = Field(max_length=9)
    day: dt.date
    content: str


class PiecesIn(Schema):
    """A lot to check: the B2 file, whether it was acknowledged, its invoices and those that ask for a piece."""

    site: str = Field(max_length=9)
    file_id: str = Field(max_length=20)
    acknowledged: bool
    billed_on: dt.date
    invoices: list[str] = Field(max_length=5_000)
    required: list[str] = Field(max_length=5_000)
    pieces: list[PieceIn] = Field(max_length=500)


def _service(request: HttpRequest) -> Outside:
    try:
        return facade.outside(request.headers.get("X-Logiciel", "")[:40])
    except facade.NotPlugged as error:
        raise Refusal("P503") from error


def _site(request: HttpRequest, site: str) -> str | None:
    try:
        return facade.own(caller(request), site)
    except facade.NotYours:
        return None


def _result(service: str, code: str) -> Result:
    """A result of the list; one that an adapter made up is told as it came."""
    return results().get((service, code)) or Result(service, code[:8], "Réponse inconnue du service", False, "Signalez ce code à l’exploitant.")


def _unusable(message: str, remedy: str = "Corrigez la demande, puis renvoyez-la.") -> Status:
    return Status(422, Problem(code="V422", message=message, remedy=remedy))


def _down() -> Status:
    return Status(502, Problem(code="V502", message="Le service extérieur ne répond pas.", remedy="Relancez plus tard : rien n’a été changé."))


@router.get("", auth=None, summary="Services : ce qui est réel, ce qui est simulé")
def listing(request: HttpRequest) -> list[dict[str, str]]:
    return [asdict(one) for one in services()]


@router.post("/cdri/consultations", auth=Sender(), response={200: dict[str, Any], 404: Problem}, summary="Consulter des droits (CDRi)")
def consult(request: HttpRequest, asked: QuestionIn) -> Status:
    """Une personne, un jour. Le code dit si la réponse est utile, et sinon que faire. Notre interface : le contrat officiel n’est pas public."""
    if (site := _site(request, asked.site)) is None:
        return Status(404, NOT_FOUND)
    answer = _service(request).consult(Question(**(asked.dict() | {"site": site})))
    told = _result("CDRI", answer.code)
    return Status(
        200,
        {
            "code": told.code,
            "label": told.label,
            "useful": told.useful,
            "remedy": told.remedy,
            "rights": asdict(answer.rights) if answer.rights else None,
            "note": BANNER,
        },
    )


@router.post("/insi/identities", auth=Sender(), response={200: dict[str, Any], 404: Problem, 502: Problem}, summary="Chercher une identité (INSi)")
def identify(request: HttpRequest, asked: TraitsIn) -> Status:
    """L’INS n’est rendu que si une seule identité a ces traits ; les traits rendus ne remplacent jamais ceux du dossier."""
    service = _service(request)
    if (site := _site(request, asked.site)) is None:
        return Status(404, NOT_FOUND)
    try:
        code, ins, traits = service.identify(Traits(asked.family, asked.given, asked.sex, asked.born, asked.place), site)
    except (requests.RequestException, ValueError, KeyError):
        return _down()
    told = _result("INSI", code)
    return Status(
        200,
        {
            "code": told.code,
            "label": told.label,
            "useful": told.useful,
            "remedy": told.remedy,
            "ins": ins,
            "oid": OID if ins else "",
            "traits": asdict(traits) if traits else None,
            "note": BANNER,
        },
    )


def _lot(lot: RightsLot) -> dict[str, Any]:
    held = consulting.lines(lot)
    return {
        "reference": lot.reference, "given": lot.given, "state": lot.state, "state_label": lot.get_state_display(), "total": lot.total, "useful": lot.useful, "results": lot.results,
        "lines": [{"rank": rank, "code": one["code"], "label": _result("CDRI", one["code"]).label if one["code"] else ""} for rank, one in enumerate(held, 1)],
    }  # fmt: skip


@router.post("/cdri/lots", auth=Sender(), response={202: dict[str, Any], 404: Problem, 422: Problem}, summary="Déposer un lot de consultations")
def open_lot(request: HttpRequest, asked: LotIn) -> Status:
    """Mille dossiers au plus. La même référence avec le même contenu est le même lot. Chaque dossier a son résultat ; ce qui échoue se redemande seul."""
    _service(request)
    if (site := _site(request, asked.site)) is None or any(one.site != asked.site for one in asked.questions):
        return Status(404, NOT_FOUND)
    questions = [Question(**(one.dict() | {"site": site})) for one in asked.questions]
    try:
        return Status(202, _lot(consulting.open_lot(site=site, given=asked.reference, asked=questions, by=f"emetteur:{caller(request).pk}")))
    except consulting.LotRefused as error:
        return _unusable(str(error))


def _own_lot(request: HttpRequest, reference: str) -> RightsLot | None:
    lot = RightsLot.objects.filter(reference=reference[:20]).first()
    return lot if lot and _site(request, lot.site) else None


@router.get("/cdri/lots/{reference}", auth=Sender(), response={200: dict[str, Any], 404: Problem}, summary="État d’un lot, dossier par dossier")
def read_lot(request: HttpRequest, reference: str) -> Status:
    lot = _own_lot(request, reference)
    return Status(200, _lot(lot)) if lot else Status(404, NOT_FOUND)


@router.post("/cdri/lots/{reference}/retry", auth=Sender(), response={202: dict[str, Any], 404: Problem}, summary="Redemander ce qui a échoué")
def retry_lot(request: HttpRequest, reference: str) -> Status:
    """Ce qui a déjà une réponse utile n’est pas redemandé."""
    _service(request)
    if (lot := _own_lot(request, reference)) is None:
        return Status(404, NOT_FOUND)
    RightsLot.objects.filter(pk=lot.pk, state=LotState.PARTLY).update(state=LotState.RECEIVED)
    lot.refresh_from_db()
    return Status(202, _lot(lot))


@router.post(
    "/cdri/invoice-check",
    auth=Sender(),
    response={200: dict[str, Any], 404: Problem, 413: Problem, 422: Problem},
    summary="Contrôler des factures B2 contre les droits",
)
def invoice_check(request: HttpRequest, site: str, agent: str, correct: bool = False) -> Status:
    """Corps : un fichier B2 en clair, gardé en mémoire le temps de l’appel. Réponse : chaque écart avec sa zone, ses positions, le rejet probable ; `correct` rend aussi le fichier corrigé (base64)."""
    service = _service(request)
    if (own := _site(request, site)) is None:
        return Status(404, NOT_FOUND)
    raw = request.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        return Status(413, Problem(code="V413", message="Le fichier dépasse 16 Mo.", remedy="Découpez-le."))
    try:
        found, mended = facade.check_invoices(raw, site=own, agent=agent[:40], service=service)
    except B2Error as error:
        return _unusable(f"{error.finding.code} : {error.finding.message}", error.finding.remedy)
    except facade.TooMany:
        return _unusable(f"Plus de {facade.MOST_INVOICES} personnes dans un appel.", "Découpez le fichier.")
    wrong = [one for _, differences in found for one in differences or ()]
    told = {
        "invoices": len(found), "unchecked": [billed.number for billed, differences in found if differences is None], "to_correct": len({one.invoice for one in wrong}),
        "differences": [
            {"invoice": one.invoice, "record": one.record, "positions": one.positions, "zone": one.check.label, "billed": one.billed, "expected": one.expected, "cause": one.check.cause, "cause_label": one.check.cause_label, "correctable": one.check.correctable}
            for one in wrong
        ],
        "note": BANNER,
    }  # fmt: skip
    return Status(200, told | ({"corrected": base64.b64encode(mended).decode()} if correct else {}))


@router.post(
    "/roc/{verb}", auth=Sender(), response={200: dict[str, Any], 404: Problem, 409: Problem, 502: Problem}, summary="ROC : IDB, SIM, CLC, DEL, DRE"
)
def roc(request: HttpRequest, verb: Literal["IDB", "SIM", "CLC", "DEL", "DRE"], asked: RocIn) -> Status:
    """Montants en centimes. SIM n’engage pas ; CLC donne un numéro d’engagement, le même pour la même clé ; DEL avant la facture seulement."""
    service = _service(request)
    if (site := _site(request, asked.site)) is None:
        return Status(404, NOT_FOUND)
    try:
        done, told = service.roc(
            verb,
            site,
            member=asked.member,
            stay=asked.stay,
            day=asked.day.isoformat(),
            lines=[line.dict() for line in asked.lines],
            key=asked.key,
            amount=asked.amount,
        )
    except (requests.RequestException, ValueError):
        return _down()
    if not done:
        return Status(
            409, Problem(code="V409", message=str(told.get("message", "Refusé.")), remedy=f"État du séjour : {told.get('state', 'inconnu')}.")
        )
    return Status(200, told)


@router.post(
    "/scor/check", auth=Sender(), response={200: dict[str, Any], 404: Problem, 422: Problem}, summary="Contrôler un lot de pièces justificatives"
)
def check_pieces(request: HttpRequest, asked: PiecesIn) -> Status:
    """Rien n’est gardé : chaque remarque dit la pièce ou la facture, et quoi faire ; un lot sans remarque reçoit son manifeste."""
    if (site := _site(request, asked.site)) is None:
        return Status(404, NOT_FOUND)
    try:
        made = tuple(pieces.Piece(one.name, base64.b64decode(one.content, validate=True), one.invoice, one.day) for one in asked.pieces)
    except (binascii.Error, ValueError):
        return _unusable("Une pièce n’est pas en base64.")
    lot = pieces.Lot(site, asked.file_id, asked.acknowledged, frozenset(asked.invoices), frozenset(asked.required), asked.billed_on, made)
    remarks = pieces.check(lot)
    told = [
        {"code": one.code, "where": one.where, "message": pieces.problems()[one.code][0], "remedy": pieces.problems()[one.code][1]} for one in remarks
    ]
    return Status(200, {"ready": not remarks, "remarks": told, "manifest": "" if remarks else pieces.manifest(lot).decode(), "note": BANNER})


@router.post(
    "/dmp/documents",
    auth=Sender(),
    response={200: dict[str, Any], 404: Problem, 422: Problem, 502: Problem},
    summary="Envoyer un document au dossier partagé",
)
def submit(request: HttpRequest, site: str, asked: DocumentIn) -> Status:
    """Les métadonnées sont contrôlées ici ; ce qui est juste part."""
    service = _service(request)
    if (own := _site(request, site)) is None:
        return Status(404, NOT_FOUND)
    told = documents.Metadata(**asked.dict())
    remarks = documents.wrong(told, timezone.now())
    if remarks:
        return _unusable(" ".join(remarks))
    try:
        code = service.submit_document(
            asked.dict() | {name: getattr(asked, name).isoformat() for name in ("created", "service_from", "service_to")}, own
        )
    except (requests.RequestException, ValueError):
        return _down()
    held = _result("DMP", code)
    return Status(200, {"code": held.code, "label": held.label, "remedy": held.remedy, "note": BANNER})
