"""The exchange hub beside FHIR: deposits and receipts, datasets, exports, erasures, simulation, deliveries."""

from dataclasses import asdict
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Field, Router, Schema, Status

from belvedere.api.exchange.answers import NOT_FOUND, PAGE, PRINTED, party_of, refused
from belvedere.api.exchange.auth import PartyToken, StructureToken
from belvedere.api.schemas import Problem
from belvedere.engine.exchange import contracts, matrix
from belvedere.engine.exchange.access import Party as Asking
from belvedere.engine.exchange.access import Thing
from belvedere.engine.exchange.strict import MOST_BYTES
from belvedere.engine.exchange.vocabulary import Actor, Category, Grain, Purpose
from belvedere.observatory.exchange import (
    aggregates,
    datasets,
    doors,
    erasing,
    gating,
    intake,
    naming,
    policy,
    portability,
    subscribing,
)
from belvedere.observatory.exchange.models import TOLD, Dataset, Deposit, Export, Party, Subscription
from belvedere.observatory.journal import sealing
from belvedere.observatory.journal.actions import note

router = Router(tags=["échanges"])


@router.get("/matrix", auth=None, summary="Matrice d’habilitation en vigueur")
def matrix_in_force(request: HttpRequest) -> dict[str, str]:
    held = policy.judge().matrix
    return {"version": held.version, "rows": matrix.write(held)}


class Question(Schema):
    """A question to the decision point: nothing is read."""

    actor: Actor
    purpose: Purpose
    category: Category
    grain: Grain = Grain.NAMED
    level: int = Field(2, ge=0, le=3)
    establishment_kind: str = Field("", max_length=4)
    same_territory: bool = True
    agreed: bool = False
    named: bool = Field(False, description="L’accord désigne ce destinataire")
    opposed: bool = False


class Decided(Schema):
    """The decision, its rule and version, and why."""

    permitted: bool
    rule: str | None
    version: str
    obligations: list[str]
    reason: str


@router.post("/matrix/simulation", auth=None, response=Decided, summary="Simuler une décision d’accès")
def simulate(request: HttpRequest, question: Question) -> Decided:
    """Décision et motif pour une question ; aucune donnée n’est lue."""
    from belvedere.engine.exchange.consent import State

    here, there = ("75", "R11", "750000010"), ("75", "R11", "750000010") if question.same_territory else ("69", "R84", "690000028")
    asking = Asking(question.actor, (), here[2], here[0], here[1], "p", question.level)
    thing = Thing(
        there[2],
        there[0],
        there[1],
        question.establishment_kind,
        "p" if question.same_territory else "q",
        "tddui-questionnaire-aggir-pa-ssiad",
        timezone.localdate(),
    )
    said = State(question.opposed, question.agreed or question.named, question.named)
    made = policy.judge().decide(asking, question.purpose, question.category, question.grain, thing, timezone.now(), lambda *asked: said)
    return Decided(permitted=made.permitted, rule=made.rule, version=made.version, obligations=list(made.obligations), reason=made.reason)


@router.get("/matrix/{version}", auth=None, response={200: dict[str, str], 404: Problem}, summary="Matrice d’habilitation d’une version passée")
def matrix_of(request: HttpRequest, version: str) -> Status:
    """Les lignes qui étaient en vigueur sous cette empreinte : une décision passée se relit."""
    try:
        held = policy.judge_of(version[:16]).matrix
    except LookupError:
        return Status(404, NOT_FOUND)
    return Status(200, {"version": held.version, "rows": matrix.write(held)})


def _deposit(row: Deposit) -> dict[str, Any]:
    return {
        "reference": row.reference, "state": row.state, "state_label": row.get_state_display(), "channel": row.channel, "identifier": row.identifier, "sha256": row.sha256,
        "received_at": row.received_at.isoformat(), "counts": row.counts, "remarks": row.remarks, "software": row.software, "journal": row.place,
    }  # fmt: skip


@router.get("/deposits", auth=PartyToken(), summary="Mes dépôts")
def deposits(request: HttpRequest) -> list[dict[str, Any]]:
    return [_deposit(row) for row in Deposit.objects.filter(party=party_of(request))[:PAGE]]


@router.post(
    "/deposits",
    auth=StructureToken(),
    response={202: dict[str, Any], 200: dict[str, Any], 413: Problem, 422: Problem, 409: Problem, 503: Problem},
    summary="Déposer un document CDA, une archive XDM ou le fichier mensuel",
)
def deposit_file(request: HttpRequest) -> Status:
    """Corps : un document CDA R2 (TDDUI version 1), une archive XDM, ou le fichier mensuel (CSV `;`). Lu comme une transaction : mêmes contrôles, mêmes accusés."""
    length = request.headers.get("Content-Length") or "0"
    if not length.isdecimal() or len(length) > 12 or int(length) > MOST_BYTES:
        note(by=party_of(request).code, action="echange.acces.refuse", subject="api:POST deposits", status=413, reason="Le dépôt dépasse 10 Mo.")
        return Status(413, Problem(code="X413", message="Le dépôt dépasse 10 Mo.", remedy="Découpez-le en plusieurs dépôts."))
    try:
        raw, channel = doors.transaction_of(request.body, party_of(request).finess)
    except doors.DoorRefused as error:
        note(
            by=party_of(request).code,
            action="echange.depot.refuse",
            subject="depot:illisible",
            bytes=len(request.body),
            software=request.auth.software,
        )
        return refused(error)
    made = intake.receive(
        party_of(request),
        raw,
        channel=channel,
        original=request.body,
        key=request.headers.get("Idempotency-Key", "")[:200],
        imputed=request.auth.person,
        software=request.auth.software,
    )
    if made.status == 503:
        return Status(503, Problem(code="X503", message=made.body["issue"][0]["diagnostics"], remedy="Renvoyez le même dépôt plus tard."))
    if made.deposit is None or made.status == 409:
        return Status(409, Problem(code="X409", message="Cet identifiant a déjà servi à un autre contenu.", remedy="Changez l’identifiant."))
    return Status(200 if made.headers.get("X-Deja-Recu") else 202, _deposit(made.deposit))


@router.get(
    "/deposits/{reference}",
    auth=PartyToken(),
    response={200: dict[str, Any], 404: Problem},
    summary="Récépissé d’un dépôt, avec sa preuve au journal",
)
def receipt(request: HttpRequest, reference: str) -> Status:
    row = Deposit.objects.filter(party=party_of(request), reference=reference[:16]).first()
    if row is None:
        return Status(404, NOT_FOUND)
    return Status(200, {**_deposit(row), "proof": sealing.proof(row.place)})


UNTOLD = ("cells", "places", "people", "gate", "by")  # of a report: what has its own door, and what only the gate looks at


def _dataset(row: Dataset) -> dict[str, Any]:
    return {
        "code": row.code, "period": row.period, "version": row.version, "contract": row.contract, "verdict": row.state, "rows": row.rows, "sha256": row.sha256,
        "made_at": row.made_at.isoformat(), "report": {name: value for name, value in row.report.items() if name not in UNTOLD},
    }  # fmt: skip


@router.get("/datasets", auth=PartyToken(), summary="Mes jeux de données")
def dataset_list(request: HttpRequest) -> list[dict[str, Any]]:
    party = party_of(request)
    rows = [*aggregates.told_to(party)[:PAGE], *Dataset.objects.filter(consumer=party, state__in=TOLD).exclude(code=gating.CODE)[:PAGE]]
    by_place = [_dataset(row) | {"code": gating.PLACES, "rows": len(row.report["places"])} for row in aggregates.placed_to(party)[:PAGE]]
    return sorted([*(_dataset(row) for row in rows), *by_place], key=lambda row: row["made_at"], reverse=True)[:PAGE]


@router.get(
    "/datasets/{code}/{period}/{version}",
    auth=StructureToken(),
    response={200: Any, 404: Problem, 422: Problem},
    summary="Fichier d’un jeu, ou ses agrégats",
)
def dataset_file(request: HttpRequest, code: str, period: str, version: int) -> HttpResponse | Status:
    party = party_of(request)
    if code == gating.PLACES:
        return _placed(party, period, version)
    held = aggregates.told_to(party) if code == gating.CODE else Dataset.objects.filter(consumer=party, state__in=TOLD, code=code[:40])
    row = held.filter(period=period[:7], version=min(version, 2**31 - 1)).first()
    if row is None:
        return Status(404, NOT_FOUND)
    if code == gating.CODE:
        aggregates.taken(row, party)
        return Status(200, {**_dataset(row), "cells": [asdict(cell) for cell in aggregates.cells(row, party)]})
    try:
        raw = datasets.content(row, by=party_of(request).code)
    except datasets.DatasetRefused as error:
        return refused(error)
    made = HttpResponse(raw, content_type="application/zip")
    made["X-Sha256"], made["Content-Disposition"] = row.sha256, f'attachment; filename="{row.code}-{row.period}-v{row.version}.zip"'
    return made


def _placed(party: Party, period: str, version: int) -> Status:
    row = next((one for one in aggregates.placed_to(party) if (one.period, one.version) == (period, version)), None)
    if row is None:
        return Status(404, NOT_FOUND)
    aggregates.taken(row, party, gating.PLACES)
    return Status(
        200,
        {
            **_dataset(row),
            "code": gating.PLACES,
            "rows": len(row.report["places"]),
            "cells": [asdict(cell) for cell in aggregates.place_cells(row, party)],
        },
    )


class ErasureIn(Schema):
    """Whose data: the INS, or the establishment's own number; and why."""

    number: str = Field(min_length=1, max_length=120, pattern=PRINTED)
    why: str = Field(min_length=3, max_length=120, pattern=PRINTED)


@router.post("/erasures", auth=StructureToken(), response={200: dict[str, Any], 404: Problem}, summary="Effacer ce que j’ai déposé d’une personne")
def erase(request: HttpRequest, asked: ErasureIn) -> Status:
    """Toutes les versions de ce que l’établissement a déposé d’une personne, les octets de ses dépôts et les paquets qui la nomment ; le journal garde l’acte, et qui avait reçu ces données en est averti (`donnee-effacee`). Sans retour."""
    party = party_of(request)
    person = naming.accompanied(party, asked.number)
    if person is None:
        return Status(404, NOT_FOUND)
    return Status(200, {"versions": erasing.erase(person=person, party=party, by=party.code, why=asked.why)})


@router.get("/contracts", auth=None, summary="Contrats de qualité des jeux")
def contract_list(request: HttpRequest) -> list[dict[str, Any]]:
    return [{"note": contract.note, **datasets.schema(contract)} for contract in contracts.contracts().values()]


class ExportIn(Schema):
    """What to export: unitaire, cible or massif, and the addresses of patients."""

    kind: str = Field(max_length=10)
    persons: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9.\-]{1,64}$")]] = Field(default_factory=list, max_length=1_000)


def _export(row: Export) -> dict[str, Any]:
    return {
        "reference": row.reference, "kind": row.kind, "state": row.state, "asked_at": row.asked_at.isoformat(), "due_at": row.due_at.isoformat(), "sha256": row.sha256,
        "kept_until": row.kept_until.isoformat() if row.kept_until else None, "report": row.report,
        "plan": portability.plan(row),
    }  # fmt: skip


@router.post("/exports", auth=StructureToken(), response={202: dict[str, Any], 422: Problem}, summary="Demander un export de portabilité")
def ask_export(request: HttpRequest, asked: ExportIn) -> Status:
    try:
        if asked.kind not in ("unitaire", "cible", "massif"):
            raise portability.ExportRefused("Le type est unitaire, cible ou massif.")
        return Status(202, _export(portability.ask(party=party_of(request), kind=asked.kind, persons=asked.persons, by=party_of(request).code)))
    except portability.ExportRefused as error:
        return refused(error)


@router.get("/exports/{reference}", auth=PartyToken(), response={200: dict[str, Any], 404: Problem}, summary="État d’un export")
def export_state(request: HttpRequest, reference: str) -> Status:
    row = Export.objects.filter(party=party_of(request), reference=reference[:16]).first()
    return Status(200, _export(row)) if row else Status(404, NOT_FOUND)


@router.get("/exports/{reference}/package", auth=StructureToken(), response={200: Any, 404: Problem, 422: Problem}, summary="Paquet d’un export")
def export_package(request: HttpRequest, reference: str) -> HttpResponse | Status:
    row = Export.objects.filter(party=party_of(request), reference=reference[:16]).first()
    if row is None:
        return Status(404, NOT_FOUND)
    try:
        return HttpResponse(portability.taken(row, by=party_of(request).code), content_type="application/zip")
    except portability.ExportRefused as error:
        return refused(error)


def _subscription(request: HttpRequest, uid: str) -> Subscription | None:
    return Subscription.objects.select_related("party").filter(party=party_of(request), uid=uid[:36]).first()


@router.get(
    "/subscriptions/{uid}/deliveries", auth=PartyToken(), response={200: list[dict[str, Any]], 404: Problem}, summary="Livraisons d’un abonnement"
)
def delivery_list(request: HttpRequest, uid: str) -> Status:
    found = _subscription(request, uid)
    if found is None:
        return Status(404, NOT_FOUND)
    rows = found.deliveries.select_related("event").order_by("-number")[:PAGE]
    return Status(200, [
        {"number": row.number, "at": row.event.at.isoformat(), "message": row.message, "tries": row.tries, "status": row.status, "told_at": row.told_at.isoformat() if row.told_at else None, "withheld": bool(row.withheld)}
        for row in rows
    ])  # fmt: skip


@router.post(
    "/subscriptions/{uid}/deliveries/{number}/replay",
    auth=PartyToken(),
    response={202: dict[str, Any], 404: Problem},
    summary="Rejouer une livraison",
)
def replay(request: HttpRequest, uid: str, number: int) -> Status:
    found = _subscription(request, uid)
    row = found.deliveries.filter(number=min(number, 2**62)).first() if found else None
    if found is None or row is None:
        return Status(404, NOT_FOUND)
    subscribing.replay(row)
    return Status(202, {"number": row.number})


@router.post(
    "/subscriptions/{uid}/secrets", auth=PartyToken(), response={201: dict[str, str], 404: Problem}, summary="Renouveler le secret de signature"
)
def rotate(request: HttpRequest, uid: str) -> Status:
    """L’ancien secret signe encore à côté du nouveau jusqu’au renouvellement suivant."""
    found = _subscription(request, uid)
    return Status(201, {"secret": subscribing.rotate(found)}) if found else Status(404, NOT_FOUND)


@router.post(
    "/subscriptions/{uid}/test", auth=PartyToken(), response={202: dict[str, str], 404: Problem}, summary="Essayer un abonnement (poignée de main)"
)
def trial(request: HttpRequest, uid: str) -> Status:
    found = _subscription(request, uid)
    if found is None:
        return Status(404, NOT_FOUND)
    subscribing.resume(found)
    return Status(202, {"state": "requested"})
