"""What the exchange hub tells of itself and of establishments: topics, availability, catalogue of data items, FINESS and offers at a date."""

import datetime as dt
from dataclasses import asdict
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Status

from belvedere.api.exchange.answers import NOT_FOUND, PAGE, PERIOD, refused
from belvedere.api.exchange.auth import PartyToken
from belvedere.api.schemas import Problem
from belvedere.engine.exchange import matrix
from belvedere.engine.exchange.items import items, redundancy
from belvedere.engine.exchange.topics import topics
from belvedere.observatory.exchange import availability, datasets, establishments, offers, places

router = Router(tags=["échanges"])


@router.get("/topics", auth=None, summary="Sujets d’abonnement")
def topic_list(request: HttpRequest) -> list[dict[str, str]]:
    return [{"code": topic.code, "label": topic.label, "category": topic.category} for topic in topics().values()]


@router.get("/availability", auth=None, summary="Disponibilité du dépôt, mesurée chaque minute")
def availability_told(request: HttpRequest) -> dict[str, Any]:
    """Part des minutes où le dépôt répondait, depuis trente jours et jour par jour ; une minute que personne n’a observée compte comme fermée."""
    told = availability.told()
    return {
        "share": told.share, "since": told.since.isoformat() if told.since else None,
        "days": [{"day": day.isoformat(), "share": share} for day, share in told.days if share is not None],
    }  # fmt: skip


@router.get("/items", auth=None, summary="Catalogue des données et rapport de redondance")
def item_list(request: HttpRequest) -> dict[str, Any]:
    """Qui demande quoi, à quelle fréquence, sur quelle base ; ce qu’un dépôt unique épargne."""
    report = redundancy(items())
    rows = [
        {"item": row.name, "category": row.category, "path": row.path, "nomenclature": row.nomenclature, "frequency": row.frequency, "basis": row.basis, "asked_by": list(row.asked_by)}
        for row in items()
    ]  # fmt: skip
    return {
        "items": rows,
        "redundancy": {
            "items": report.items,
            "repeated": report.repeated,
            "entries": report.entries,
            "once": report.once,
            "saved": round(report.saved, 4),
        },
    }


@router.get("/offers", auth=PartyToken(), summary="Offres d’un établissement au ROR, à une date")
def offer_list(request: HttpRequest, finess: str = Query(pattern=r"^[0-9AB]{9}$"), date: dt.date | None = None) -> list[dict[str, Any]]:
    """Ce que les extractions importées du répertoire national en disent ; vide pour un établissement dont aucune ne parle."""
    return [
        {"number": row.number, "name": row.name, "mode": row.mode, "field": row.field, "activity": row.activity, "capacity": row.capacity, "since": row.since.isoformat(),
         "until": None if row.until == matrix.NEVER else row.until.isoformat(), "source": row.source}
        for row in offers.at(finess, date or timezone.localdate())[:PAGE]
    ]  # fmt: skip


@router.get(
    "/places",
    auth=PartyToken(),
    response={200: dict[str, Any], 403: Problem, 422: Problem},
    summary="Les établissements de mon périmètre, un par ligne",
)
def place_list(request: HttpRequest, period: str = Query(pattern=PERIOD)) -> Status:
    """Le grain « par établissement » des services : ce que FINESS et le ROR en disent à la fin du mois, et comment il alimente le hub. La finalité est dans `X-Finalite`. Rien n’y compte de personne."""
    by = request.auth
    if by.purpose is None:
        return Status(403, Problem(code="X403", message="La finalité manque.", remedy="Dites pourquoi vous demandez ces données (X-Finalite)."))
    try:
        found = places.table(party=by.party, purpose=by.purpose, period=period, level=by.level)
    except (places.PlacesRefused, datasets.DatasetRefused) as error:
        return refused(error)
    return Status(200, {"period": period, "rows": [asdict(line) for line in found]})


@router.get(
    "/establishments/{finess}", auth=PartyToken(), response={200: dict[str, Any], 404: Problem}, summary="Un établissement selon FINESS, à une date"
)
def establishment(request: HttpRequest, finess: str, date: dt.date | None = None) -> Status:
    """Ce que l’extraction de FINESS en vigueur ce jour-là en disait : catégorie, territoire, entité juridique, ouverture et fermeture."""
    row = establishments.at(finess[:9], date or timezone.localdate())
    if row is None:
        return Status(404, NOT_FOUND)
    return Status(200, {
        "finess": row.finess, "name": row.name, "kind": row.kind, "department": row.department, "region": row.region, "entity": row.entity,
        "opened_on": row.opened_on, "closed_on": row.closed_on, "since": row.since, "source": row.source,
    })  # fmt: skip
