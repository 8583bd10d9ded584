"""Counts for institutions: persons by territory, GIR and sex, through the observatory's own secrecy engine."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from belvedere.engine.exchange.access import Thing
from belvedere.engine.exchange.vocabulary import Category, Grain, Purpose
from belvedere.engine.secrecy.contributions import fill
from belvedere.engine.secrecy.protect import protect
from belvedere.engine.secrecy.specification import parse
from belvedere.observatory.exchange import events, policy
from belvedere.observatory.exchange.models import Dataset, DatasetState, Party, Resource, Stated
from belvedere.observatory.journal.actions import record

CODE = "agregats-gir"
UNKNOWN = "ND"
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


def _specification(territory: dict[str, str | None]) -> str:
    girs = {"*": None, **dict.fromkeys((*map(str, range(1, 7)), UNKNOWN), "*")}
    return yaml.safe_dump({
        "title": "Personnes accompagnées", "contributor": "establishment", "holding": "establishment", "patients": {"distinct": "person", "splits": ["territory", "gir", "sex"]},
        "dimensions": {"territory": {"tree": territory}, "gir": {"tree": girs}, "sex": {"tree": {"*": None, "F": "*", "M": "*", UNKNOWN: "*"}}},
        "measures": {"persons": "one"}, "seed": 11,
    }, allow_unicode=True, sort_keys=False)  # fmt: skip


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


@transaction.atomic
def propose(*, consumer: Party, by: str) -> Dataset:
    """Freeze the counts of an institution for a month, and put them forward: another person lets them out. Cells masked by an earlier version stay masked.

    AggregateRefused: no right, nothing to count, no mask holds, or a month that has its counts already: their difference would be whoever came meanwhile."""
    at = timezone.now()
    thing = Thing(department=consumer.department, region=consumer.region)
    right = policy.judge().decide(policy.asking(consumer, 2), Purpose.STEERING, Category.HEALTH, Grain.AGGREGATE, thing, at)
    if not right.permitted:
        raise AggregateRefused(right.reason)
    earlier = Dataset.objects.filter(code=CODE, consumer=consumer)
    if earlier.filter(period=f"{timezone.localtime(at):%Y-%m}").exclude(state=DatasetState.DECLINED).exists():
        raise AggregateRefused("Les comptes de ce mois sont déjà figés : deux versions d’un même mois diraient qui est arrivé entre elles.")
    rows = _rows(consumer, at)
    if not rows:
        raise AggregateRefused("Personne n’est à compter : aucun séjour ouvert dans ce territoire.")
    territory: dict[str, str | None] = {"*": None, **dict.fromkeys(sorted({row[0] for row in rows}), "*")}
    specification = parse(_specification(territory), Path())
    columns = list(zip(*rows, strict=True))
    filled = fill(specification, pa.table({
        "territory": columns[0], "gir": columns[1], "sex": columns[2], "establishment": [str(value) for value in columns[3]], "person": [str(value) for value in columns[4]],
        "one": pa.array([1.0] * len(rows)),
    }))  # fmt: skip
    lattice = filled.table.lattice
    sticky = np.zeros(len(lattice), dtype=bool)
    for one in earlier.exclude(state=DatasetState.DECLINED):
        for cell in one.report["cells"]:
            key = (cell["territory"], cell["gir"], cell["sex"])
            if cell["persons"] is None and key in lattice.index:
                sticky[lattice.index[key]] = True
    done = protect(filled.table, specification.parameters, seed=11, sticky=sticky)
    if done.leaks:
        raise AggregateRefused("Aucun masque ne protège ces comptes : rien n’est publié.")
    # A count of nobody is masked as any small one: that it is empty would be told otherwise.
    small = (filled.table.given.patients > 0) & (filled.table.given.patients < specification.parameters.patients)
    cells = [
        {"territory": key[0], "gir": key[1], "sex": key[2], "persons": None if done.mask[at_] or small[at_] else int(filled.measures["persons"][at_])}
        for key, at_ in lattice.index.items()
    ]  # fmt: skip
    version = (earlier.aggregate(last=Max("version"))["last"] or 0) + 1
    made = Dataset.objects.create(
        code=CODE,
        contract="1.0",
        period=f"{timezone.localtime(at):%Y-%m}",
        version=version,
        consumer=consumer,
        state=DatasetState.WAITING,
        rows=len(cells),
        report={"cells": cells, "by": by},
        made_at=at,
    )
    record(
        by=by,
        action="echange.agregats.proposes",
        subject=f"jeu:{CODE}:{made.period}:{version}",
        cells=len(cells),
        masked=sum(cell["persons"] is None for cell in cells),
        rule=right.rule,
    )
    return made


@transaction.atomic
def decide(*, dataset: Dataset, approve: bool, by: str) -> Dataset:
    """Let counts out to their institution, or decline them; AggregateRefused for one's own, or decided already."""
    row = Dataset.objects.select_for_update(of=("self",)).get(pk=dataset.pk)
    if row.report.get("by") == by:
        raise AggregateRefused("Une autre personne que celle qui a produit ces comptes doit décider.")
    if row.state != DatasetState.WAITING:
        raise AggregateRefused("Ces comptes sont déjà décidés.")
    row.state = DatasetState.SOUND if approve else DatasetState.DECLINED
    row.save(update_fields=["state"])
    record(by=by, action="echange.agregats.approuves" if approve else "echange.agregats.declines", subject=f"jeu:{CODE}:{row.period}:{row.version}")
    if approve:
        events.raise_(topic="jeu-publie", establishment=row.consumer, focus=f"jeux/{CODE}/{row.period}/{row.version}")
    return row


def cells(dataset: Dataset) -> list[Cell]:
    """The counts of a frozen version."""
    return [Cell(**cell) for cell in dataset.report["cells"]]
