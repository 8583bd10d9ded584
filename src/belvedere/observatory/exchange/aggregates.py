"""Counts for institutions: persons by territory, GIR and sex, one table a month through the observatory's own secrecy engine, of which each reads its slice."""

import datetime as dt
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from belvedere.engine.exchange.access import Consent, Thing
from belvedere.engine.exchange.counts import UNKNOWN, Earlier, TooFewMoved, Unprotected, protected
from belvedere.engine.exchange.turnover import TOP, table_of
from belvedere.engine.exchange.vocabulary import Category, Grain, Purpose
from belvedere.engine.nomenclature.territories import region_of
from belvedere.engine.secrecy.errors import SecrecyError
from belvedere.observatory.exchange import counted, gating, placed, policy
from belvedere.observatory.exchange.gating import AggregateRefused
from belvedere.observatory.exchange.models import Dataset, DatasetState, Party, Resource, Stated
from belvedere.observatory.exchange.placed import PlaceCell
from belvedere.observatory.journal.actions import note, record
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.publication import computing, gate

TRIES = 2  # of a month: each try, its mask known, would say a little of what changed since the last
KEPT_BACK = "echange.agregats.retenus"
SEXES = {"female": "F", "male": "M"}
Row = tuple[str, str, str, str, int, int, bool, bool]


class _KeptBack(AggregateRefused):
    """The figures themselves may not be told: one try a day, for each refusal says a little of them."""


@dataclass(frozen=True)
class Cell:
    """One count: what of, and the number, None when it is masked."""

    territory: str
    gir: str
    sex: str
    persons: int | None


def _right(party: Party, category: Category, at: dt.datetime, thing: Thing, consent: Consent | None = None, grain: Grain = Grain.AGGREGATE) -> bool:
    asking = policy.asking(party, 2)
    arguments = (asking, Purpose.STEERING, category, grain, thing, at)
    return policy.judge().decide(*arguments, *([consent] if consent else [])).permitted


def _own(party: Party) -> Thing:
    return Thing(department=party.department, region=party.region)


# Persons by territory are told with their GIR, those of an establishment are a number alone: it is administrative.
ASKED = {Grain.AGGREGATE: Category.HEALTH, Grain.ESTABLISHMENT: Category.ADM}


def readers(at: dt.datetime, grain: Grain = Grain.AGGREGATE) -> list[Party]:
    """The institutions that the matrix lets read counts of persons somewhere: by territory, or by establishment."""
    every = Party.objects.filter(admitted=True, finess="").order_by("pk")
    return [party for party in every if _right(party, ASKED[grain], at, _own(party), grain=grain)]


def _facts(people: set[int | None], today: dt.date) -> dict[tuple[int | None, int], dict[str, Any]]:
    """Sex and GIR of each person as the establishment of its stay told them, the latest day first: what another says elsewhere moves nobody here."""
    found: dict[tuple[int | None, int], dict[str, Any]] = {}
    rows = Resource.objects.filter(person__in=people, type__in=("Patient", "QuestionnaireResponse"), current=True, erased=False)
    for row in sorted(rows.defer("content"), key=lambda row: (row.day or dt.date.min, row.pk)):
        if row.day is None or row.day <= today:
            known = found.setdefault((row.person_id, row.establishment_id), {})
            known.update({name: row.facts[name] for name in ("sex", "gir") if name in row.facts})
    return found


def _rows(at: dt.datetime, since: dt.datetime | None, *, finely: bool = False) -> list[Row]:
    """Where each person in an open stay is counted: those whom every institution that reads the place may count, those that read by establishment too when
    the counts are told so (`finely`). `since`: when the last counts that went out were made."""
    every = [(party, grain) for grain in (Grain.AGGREGATE, *([Grain.ESTABLISHMENT] if finely else [])) for party in readers(at, grain)]
    stays = Resource.objects.filter(profile="tddui-encounter-sejour", current=True, erased=False, facts__end="", person__isnull=False).defer(
        "content"
    )
    held = sorted(stays.select_related("establishment", "person"), key=lambda row: (row.facts.get("start", ""), row.establishment.finess, row.pk))
    people: set[int | None] = {stay.person_id for stay in held}
    around_person: dict[int | None, set[str]] = {}
    for stay in held:
        around_person.setdefault(stay.person_id, set()).add(stay.establishment.entity)
    facts = _facts(people, timezone.localtime(at).date())
    said: dict[int, list[Stated]] = {}
    for one in Stated.objects.filter(person__in=people):
        said.setdefault(one.person_id, []).append(one)
    around: dict[Thing, list[tuple[Party, Grain]]] = {}
    found, seen = list[Row](), set[int]()
    for stay in held:
        person, place = stay.person, stay.establishment
        if person is None or person.pk in seen or place.department not in region_of():
            continue  # a person counts once, where its first stay is: what is summed adds up
        # Whom two operators know, both would take away; a place of which nobody is known to run it may be anybody's. Neither is counted.
        if "" in around_person[person.pk] or len(around_person[person.pk]) > 1:
            continue
        thing = policy.thing(stay)
        where = Thing(department=place.department, region=place.region)
        near = around.setdefault(where, [(party, grain) for party, grain in every if _right(party, ASKED[grain], at, thing, grain=grain)])
        ask = policy.consent_of(person.pk, place.code, at, policy.said(said.get(person.pk, [])))
        if not near or not all(_right(party, ASKED[grain], at, thing, ask, grain) for party, grain in near):
            continue
        seen.add(person.pk)
        known = facts.get((person.pk, place.pk), {})
        # The sex is administrative, the GIR is not; of an establishment it is never told.
        sexed = [party for party, grain in near if grain == Grain.AGGREGATE and _right(party, Category.ADM, at, thing)]
        sex = SEXES.get(known.get("sex", ""), UNKNOWN) if sexed and all(_right(party, Category.ADM, at, thing, ask) for party in sexed) else UNKNOWN
        found.append(
            (place.department, str(known.get("gir", UNKNOWN)), sex, place.entity, place.pk, person.pk, person.qualified, since is not None and person.created_at <= since)
        )  # fmt: skip
    return found


def _may_count(told: list[Dataset], period: str, at: dt.datetime) -> None:
    held = Dataset.objects.filter(code=gating.CODE)
    same = list(held.filter(period=period).values_list("state", flat=True))
    if any(state != DatasetState.DECLINED for state in same):
        raise AggregateRefused("Les comptes de ce mois sont déjà figés : deux versions d’un même mois diraient qui est arrivé entre elles.")
    if len(same) >= TRIES:
        raise AggregateRefused("Les comptes de ce mois ont déjà été écartés deux fois : comptez le mois prochain.")
    if held.filter(state=DatasetState.WAITING).exists():
        raise AggregateRefused("D’autres comptes attendent l’avis des fédérations : ils se décident ou s’écartent d’abord.")
    if any(not one.counted for one in told):
        raise AggregateRefused("Des comptes parus ne disent plus de qui ils sont faits : leur différence avec de nouveaux ne se contrôle pas.")
    if Entry.objects.filter(action=KEPT_BACK, at__gte=at - dt.timedelta(days=1)).exists():
        raise AggregateRefused("Des comptes ont été retenus il y a moins d’un jour : un seul essai par jour, car chaque refus dit un peu d’eux.")


def propose(*, by: str, finely: bool = False) -> Dataset:
    """Freeze the counts of the month, and put them to the federations (`gating.py`). Cells that earlier counts mask stay masked, and so does whatever would
    tell, with any of them, who came or left. `finely`: told by establishment too, once a year, to whom the matrix lets read it (`placed.py`).

    AggregateRefused: nobody may read them, nothing to count, no mask holds, a month that has its counts or was set aside twice, counts under review already."""
    try:
        made = _propose(by, finely)
    except _KeptBack as error:
        note(by=by, action=KEPT_BACK, subject=f"jeu:{gating.CODE}")
        raise AggregateRefused(str(error)) from error
    gating.speak_for_standing(made)
    return Dataset.objects.get(pk=made.pk)


def _propose(by: str, finely: bool) -> Dataset:
    at = timezone.now()
    told, period = list(gating.gone_out()), f"{timezone.localtime(at):%Y-%m}"
    _may_count(told, period, at)
    every = readers(at)
    if not every:
        raise AggregateRefused("Aucune institution admise ne peut lire des comptes : voyez la matrice d’habilitation.")
    if finely:
        placed.may_tell(told, period, readers(at, Grain.ESTABLISHMENT))
    since = told[-1].made_at if told else None
    rows = _rows(at, since, finely=finely)
    if not rows:
        raise AggregateRefused("Personne n’est à compter : aucun séjour ouvert qu’une institution puisse compter.")
    now = table_of(rows)
    parameters = replace(computing.parameters(), federations_attack=False, federation_percent=None)  # no federation has a member here
    before = [Earlier(one.period, _held(one), counted.today(counted.unseal(one))) for one in told]
    try:
        found = protected(now, before, parameters, region_of())
    except TooFewMoved as late:
        raise _KeptBack(
            f"Trop peu de personnes sont arrivées ou parties depuis les comptes de {late} : leur différence les désignerait. Comptez plus tard."
        ) from late
    except (Unprotected, SecrecyError) as error:
        raise _KeptBack("Aucun masque ne protège ces comptes : rien n’est publié.") from error
    try:
        low = placed.protected_with(now, found, told, parameters) if finely else []
    except (Unprotected, SecrecyError) as error:
        raise _KeptBack("Aucun masque ne protège les comptes par établissement sous ceux du mois : proposez ceux du mois seuls.") from error
    with transaction.atomic():
        gate.hold()  # before the journal, as whoever decides does
        _may_count(told, period, at)
        if list(gating.gone_out()) != told or _rows(at, since, finely=finely) != rows:
            raise AggregateRefused("Des dépôts, des volontés ou des avis sont arrivés pendant le calcul : comptez de nouveau.")
        made = _frozen(now, rows, found, every, told, period, at)
        if finely:
            made.report |= {"places": low}
            made.report["gate"] |= {"place_readers": {str(party.pk): [party.department, party.region] for party in readers(at, Grain.ESTABLISHMENT)}}
        made.save()
        record(
            by=by, action="echange.agregats.proposes", subject=f"jeu:{gating.CODE}:{made.period}:{made.version}", readers=len(every), finely=finely
        )
        return made


def _frozen(
    now: Any,
    rows: list[Row],
    found: dict[tuple[str, str, str], int | None],
    every: list[Party],
    told: list[Dataset],
    period: str,
    at: dt.datetime,
) -> Dataset:
    cells = [asdict(Cell(*key, persons)) for key, persons in found.items()]
    version = (gating.gone_out().aggregate(last=Max("version"))["last"] or 0) + 1
    held = Counter(row[3] for row in rows)
    floors = {
        "operators": len(held),
        "persons": len(rows),
        "biggest": max(held.values()) / len(rows),
        "against": [one.pk for one in told],
        "readers": {str(party.pk): [party.department, party.region, _right(party, Category.ADM, at, _own(party))] for party in every},
    }
    made = Dataset(
        code=gating.CODE, contract="2.0", period=period, version=version, state=DatasetState.WAITING, rows=len(cells), report={"cells": cells, "gate": floors}, made_at=at,
    )  # fmt: skip
    counted.seal(made, now)
    return made


def _held(dataset: Dataset) -> dict[tuple[str, str, str], int | None]:
    return {(cell["territory"], cell["gir"], cell["sex"]): cell["persons"] for cell in dataset.report["cells"]}


def taken(dataset: Dataset, party: Party, code: str = gating.CODE) -> None:
    """Tell the journal that an institution reads counts, with the rules that let it."""
    grain = Grain.ESTABLISHMENT if code == gating.PLACES else Grain.AGGREGATE
    opening = policy.opened(party, Purpose.STEERING, ASKED[grain], grain)
    told = opening.told if opening else {}
    note(by=party.code, action="echange.agregats", subject=f"jeu:{code}:{dataset.period}:{dataset.version}", purpose=Purpose.STEERING.value, **told)


def placed_to(party: Party) -> list[Dataset]:
    """The counts by establishment that an institution reads today, while the matrix lets it, the newest first."""
    may = party.admitted and _right(party, Category.ADM, timezone.now(), _own(party), grain=Grain.ESTABLISHMENT)
    return placed.gone_out_to(party) if may else []


def place_cells(dataset: Dataset, party: Party) -> list[PlaceCell]:
    """An institution's slice of counts by establishment: those of its perimeter today."""
    at = timezone.now()
    places = Party.objects.filter(finess__in={cell["finess"] for cell in dataset.report["places"]})
    things = {place.finess: Thing(place.finess, place.department, place.region, place.kind) for place in places}
    return placed.cells(dataset, {finess for finess, thing in things.items() if _right(party, Category.ADM, at, thing, grain=Grain.ESTABLISHMENT)})


def told_to(party: Party) -> QuerySet[Dataset]:
    """The counts that an institution reads today, the newest first: those it was taken into account for, while the matrix still lets it."""
    found = gating.gone_out().order_by("-made_at", "-pk")
    if not party.admitted or not _right(party, Category.HEALTH, timezone.now(), _own(party)):
        return found.none()
    return found.filter(pk__in=[pk for pk, told in found.values_list("pk", "report__gate__readers") if str(party.pk) in (told or {})])


def cells(dataset: Dataset, party: Party) -> list[Cell]:
    """An institution's slice of counts: the territory it was taken into account for and what lies under it; by sex where it might and may read it."""
    department, region, sexed = dataset.report["gate"]["readers"].get(str(party.pk), ["-", "-", False])
    if (department, region) != (party.department, party.region):
        return []  # its territory changed: nobody was asked about this one
    places = (
        {party.department}
        if party.department
        else {party.region, *(d for d, region in region_of().items() if region == party.region)}
        if party.region
        else None
    )
    sexed = sexed and _right(party, Category.ADM, timezone.now(), _own(party))
    return [
        Cell(**cell) for cell in dataset.report["cells"]
        if (places is None or cell["territory"] in places) and (sexed or cell["sex"] == TOP)
    ]  # fmt: skip
