"""Counts for institutions: persons by territory, GIR and sex, through the observatory's own secrecy engine."""

import datetime as dt
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from belvedere.engine.exchange.access import Thing
from belvedere.engine.exchange.counts import UNKNOWN, Earlier, TooFewMoved, Unprotected, protected
from belvedere.engine.exchange.turnover import table_of
from belvedere.engine.exchange.vocabulary import Category, Grain, Purpose
from belvedere.engine.secrecy.errors import SecrecyError
from belvedere.observatory.exchange import counted, gating, policy
from belvedere.observatory.exchange.models import Dataset, DatasetState, Party, Resource, Stated
from belvedere.observatory.journal.actions import record
from belvedere.observatory.publication import computing, gate

TRIES = 2  # of a month: each try, its mask known, would say a little of what changed since the last
SEXES = {"female": "F", "male": "M"}


class AggregateRefused(Exception):
    """The counts may not be told; says why, in French."""


@dataclass(frozen=True)
class Cell:
    """One count: what of, and the number, None when it is masked."""

    territory: str
    gir: str
    sex: str
    persons: int | None


def _rows(consumer: Party, at: dt.datetime) -> list[tuple[str, str, str, int, int]]:
    """(department, GIR, sex, establishment, person) of the persons in an open stay whom the consumer may count."""
    judge, asking = policy.judge(), policy.asking(consumer, 2)
    stays = Resource.objects.filter(profile="tddui-encounter-sejour", current=True, erased=False, facts__end="", person__isnull=False).select_related(
        "establishment", "person"
    )
    stays = (
        stays.filter(establishment__region=consumer.region)
        if consumer.region
        else stays.filter(establishment__department=consumer.department)
        if consumer.department
        else stays
    )
    held = list(stays)
    people = {stay.person_id for stay in held}
    facts: dict[int, dict[str, Any]] = {}
    for row in Resource.objects.filter(person__in=people, type__in=("Patient", "QuestionnaireResponse"), current=True, erased=False).order_by("day"):
        known = facts.setdefault(row.person_id or 0, {})
        known.update({name: row.facts[name] for name in ("sex", "gir") if name in row.facts})
    said: dict[int, list[Stated]] = {}
    for one in Stated.objects.filter(person__in=people):
        said.setdefault(one.person_id, []).append(one)
    found, seen = [], set()
    for stay in held:
        person = stay.person_id or 0
        if person in seen:
            continue  # a person counts once, where it was met first: what is summed adds up
        ask = policy.consent_of(person, stay.establishment.code, at, policy.said(said.get(person, [])))
        thing = policy.thing(stay)
        health, adm = (
            judge.decide(asking, Purpose.STEERING, each, Grain.AGGREGATE, thing, at, ask).permitted for each in (Category.HEALTH, Category.ADM)
        )
        if health:
            seen.add(person)
            known = facts.get(person, {})
            sex = SEXES.get(known.get("sex", ""), UNKNOWN) if adm else UNKNOWN  # the sex is administrative, the GIR is not
            found.append((stay.establishment.department, str(known.get("gir", UNKNOWN)), sex, stay.establishment_id, person))
    return found


def _may_count(earlier: QuerySet[Dataset], told: list[Dataset], period: str) -> None:
    same = list(earlier.filter(period=period).values_list("state", flat=True))
    if any(state != DatasetState.DECLINED for state in same):
        raise AggregateRefused("Les comptes de ce mois sont déjà figés : deux versions d’un même mois diraient qui est arrivé entre elles.")
    if len(same) >= TRIES:
        raise AggregateRefused("Les comptes de ce mois ont déjà été écartés deux fois : comptez le mois prochain.")
    if earlier.filter(state=DatasetState.WAITING).exists():
        raise AggregateRefused("D’autres comptes de cette institution attendent l’avis des fédérations : ils se décident ou s’écartent d’abord.")
    if any(not one.counted for one in told):
        raise AggregateRefused("Des comptes parus ne disent plus de qui ils sont faits : leur différence avec de nouveaux ne se contrôle pas.")


@transaction.atomic
def propose(*, consumer: Party, by: str) -> Dataset:
    """Freeze the counts of an institution for a month, and put them to the federations (`gating.py`). Cells that earlier counts mask stay masked, and so does
    whatever would tell, with any of them, who came or left.

    AggregateRefused: no right, nothing to count, no mask holds, a month that has its counts or was set aside twice, counts under review already."""
    gate.hold()  # before the journal, as whoever decides does
    at = timezone.now()
    thing = Thing(department=consumer.department, region=consumer.region)
    right = policy.judge().decide(policy.asking(consumer, 2), Purpose.STEERING, Category.HEALTH, Grain.AGGREGATE, thing, at)
    if not right.permitted:
        raise AggregateRefused(right.reason)
    earlier, told, period = (
        Dataset.objects.filter(code=gating.CODE, consumer=consumer),
        list(gating.gone_out(consumer)),
        f"{timezone.localtime(at):%Y-%m}",
    )
    _may_count(earlier, told, period)
    rows = _rows(consumer, at)
    if not rows:
        raise AggregateRefused("Personne n’est à compter : aucun séjour ouvert dans ce territoire.")
    now = table_of(rows)
    parameters = replace(computing.parameters(), federations_attack=False, federation_percent=None)  # no federation has a member here
    before = [
        Earlier(one.period, {(cell.territory, cell.gir, cell.sex): cell.persons for cell in cells(one)}, counted.today(counted.unseal(one)))
        for one in told
    ]
    try:
        found = protected(now, before, parameters)
    except TooFewMoved as since:
        raise AggregateRefused(
            f"Trop peu de personnes sont arrivées ou parties depuis les comptes de {since} : leur différence les désignerait. Comptez plus tard."
        ) from since
    except (Unprotected, SecrecyError) as error:
        raise AggregateRefused(f"Aucun masque ne protège ces comptes, rien n’est publié : {error}") from error
    frozen = [asdict(Cell(*key, persons)) for key, persons in found.items()]
    version = (earlier.aggregate(last=Max("version"))["last"] or 0) + 1
    held = Counter(row[3] for row in rows)
    made = Dataset(
        code=gating.CODE,
        contract="1.0",
        period=period,
        version=version,
        consumer=consumer,
        state=DatasetState.WAITING,
        rows=len(frozen),
        report={
            "cells": frozen,
            "gate": {
                "establishments": len(held),
                "persons": len(rows),
                "biggest": max(held.values()) / len(rows),
                "against": [one.pk for one in told],
            },
        },
        made_at=at,
    )
    counted.seal(made, now)
    made.save()
    record(
        by=by,
        action="echange.agregats.proposes",
        subject=f"jeu:{gating.CODE}:{made.period}:{version}",
        cells=len(frozen),
        rule=right.rule,
    )
    gating.speak_for_standing(made)
    return Dataset.objects.get(pk=made.pk)


def cells(dataset: Dataset) -> list[Cell]:
    """The counts of a frozen version."""
    return [Cell(**cell) for cell in dataset.report["cells"]]
