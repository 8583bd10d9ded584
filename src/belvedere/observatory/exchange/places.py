"""One line an establishment, of what is said of no person: what FINESS and the register of resources say of it, and how it feeds the hub.

It is the grain "per establishment" of the matrix for services: each institution reads the establishments of its perimeter for a purpose that opens them to it,
and asking is journaled with the rules that opened. Nothing here counts persons: those counts pass the secrecy engine and the gate (`aggregates.py`).
"""

import csv
import datetime as dt
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields

from django.db.models import Count, Q
from django.utils import timezone

from belvedere.engine.exchange.access import Thing
from belvedere.engine.exchange.vocabulary import Actor, Category, Grain, Purpose
from belvedere.observatory.exchange import datasets, policy
from belvedere.observatory.exchange.models import Deposit, DepositState, Establishment, Offer, Party
from belvedere.observatory.journal.actions import note

TAKEN = (DepositState.ACCEPTED, DepositState.REMARKS)


class PlacesRefused(Exception):
    """The table may not be read; says why, in French."""


@dataclass(frozen=True)
class Line:
    """One establishment at the end of a month; places: None when no extraction of the register tells; the rest is of the month."""

    finess: str
    name: str
    kind: str
    department: str
    region: str
    entity: str
    opened_on: str
    closed_on: str
    places: int | None
    software: str
    channels: str
    deposits: int
    refused: int


LABELS = {
    "finess": "FINESS", "name": "nom", "kind": "catégorie", "department": "département", "region": "région", "entity": "entité juridique", "opened_on": "ouvert le", "closed_on": "fermé le",
    "places": "places (ROR)", "software": "logiciel", "channels": "voies", "deposits": "dépôts acceptés", "refused": "dépôts refusés",
}  # fmt: skip


def purposes(party: Party) -> list[Purpose]:
    """For what an institution may read the establishments of its perimeter, under the matrix of today."""
    return [purpose for purpose in Purpose if policy.opened(party, purpose, Category.SERV, Grain.ESTABLISHMENT)]


def table(*, party: Party, purpose: Purpose, period: str, level: int = 2) -> list[Line]:
    """The establishments that a party may read for a purpose, at the end of a month (AAAA-MM); the reading is journaled. PlacesRefused, datasets.DatasetRefused."""
    first, last = datasets.bounds(period)
    if last >= timezone.localdate():  # a month under way, asked again each day, would tell which day each house deposits
        raise PlacesRefused("Ce mois n’est pas fini.")
    opening = policy.opened(party, purpose, Category.SERV, Grain.ESTABLISHMENT, level=level)
    if opening is None:
        raise PlacesRefused("La matrice n’ouvre pas les établissements, un par un, à cet acteur pour cette finalité.")
    found = list(_lines(party, purpose, first, last, level))
    note(
        by=party.code,
        action="echange.etablissements",
        subject=f"jeu:etablissements:{period}",
        purpose=purpose.value,
        lines=len(found),
        **opening.told,
    )
    return found


def _lines(party: Party, purpose: Purpose, first: dt.date, last: dt.date, level: int) -> Iterator[Line]:
    at = timezone.now()
    judge, asking = policy.judge(at), policy.asking(party, level)
    told = {row.finess: row for row in Establishment.objects.filter(since__lte=last).order_by("since")}
    offered: dict[str, int | None] = {}
    for finess, capacity in Offer.objects.filter(since__lte=last, until__gt=last).values_list("finess", "capacity"):
        offered[finess] = (offered.get(finess) or 0) + capacity if capacity is not None else offered.get(finess)
    begun, ended = (dt.datetime.combine(day, dt.time(), timezone.get_current_timezone()) for day in (first, last + dt.timedelta(days=1)))
    month = Deposit.objects.filter(received_at__gte=begun, received_at__lt=ended)
    counted = {
        row["party"]: row
        for row in month.values("party").annotate(
            taken=Count("pk", filter=Q(state__in=TAKEN)), refused=Count("pk", filter=Q(state=DepositState.REFUSED))
        )
    }
    ways: dict[int, set[str]] = {}
    for pk, channel in month.filter(state__in=TAKEN).order_by().values_list("party", "channel").distinct():
        ways.setdefault(pk, set()).add(channel)
    for place in Party.objects.filter(admitted=True, actor=Actor.PRODUCER).exclude(finess="").order_by("finess"):
        thing = Thing(place.finess, place.department, place.region, place.kind)
        if not judge.decide(asking, purpose, Category.SERV, Grain.ESTABLISHMENT, thing, at).permitted:
            continue
        row, fed = told.get(place.finess, place), counted.get(place.pk, {})
        yield Line(
            place.finess, row.name, row.kind, row.department, row.region, row.entity, _day(row.opened_on), _day(row.closed_on), offered.get(place.finess), place.software,
            " ".join(sorted(ways.get(place.pk, ()))), fed.get("taken", 0), fed.get("refused", 0),
        )  # fmt: skip


def _day(day: dt.date | None) -> str:
    return day.isoformat() if day else ""


def written(lines: list[Line]) -> bytes:
    """The table as consumers read it: `;`, UTF-8 with its mark, French headings."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow([LABELS[field.name] for field in fields(Line)])
    writer.writerows([["" if value is None else value for value in asdict(line).values()] for line in lines])
    return ("\ufeff" + out.getvalue()).encode()
