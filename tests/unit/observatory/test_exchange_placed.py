"""Counts by establishment: told once a year with the counts of the month, through the same gate, to the dashboard that the matrix lets read them, alone."""

import datetime as dt

import pytest
from django.test import Client
from django.utils import timezone

from belvedere.engine.exchange import matrix
from belvedere.observatory.accounts.models import Role
from belvedere.observatory.exchange import aggregates, gating, intake, keys
from belvedere.observatory.exchange.models import Dataset, Event, MatrixVersion, Party, Resource
from belvedere.observatory.journal.models import Entry
from tests.exchange import bearer, deposit, establishment, finess, institution, say
from tests.people import browsing, person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ars(data_folder):
    return institution("ARS", region="R11")


@pytest.fixture
def atih(ars):
    return institution("ATIH_TDB")


def places(*people: int) -> list[str]:
    made = []
    for rank, count in enumerate(people):
        place = establishment(finess(f"7500001{rank}"))
        assert intake.receive(place, deposit(range(100 * rank, 100 * rank + count), number=place.finess)).status == 200
        made.append(place.finess)
    return made


def out(held: Dataset, federations) -> Dataset:
    for federation in federations:
        held = gating.decide(dataset=held, federation=federation, by=None)
    assert held.state == "sound"
    return held


def numbers(held: Dataset, party) -> dict[str, int | None]:
    return {cell.finess: cell.persons for cell in aggregates.place_cells(held, party)}


def test_only_the_dashboard_reads_them_and_only_once_they_are_out(federations, ars, atih):
    numbers_of = places(20, 16, 14, 5)
    held = aggregates.propose(by="test", finely=True)
    address = f"/api/v1/exchange/datasets/{gating.PLACES}/{held.period}/{held.version}"
    for party in (ars, atih):
        assert Client().get(address, **bearer(party)).status_code == 404 and Client().get("/api/v1/exchange/datasets", **bearer(party)).json() == []
    out(held, federations)
    assert Client().get(address, **bearer(ars)).status_code == 404
    of_counts = Client().get("/api/v1/exchange/datasets", **bearer(ars)).json()
    assert [row["code"] for row in of_counts] == [gating.CODE] and of_counts[0]["report"] == {}, "nothing of them is in what others read"
    assert Client().get(f"/api/v1/exchange/datasets/{gating.CODE}/{held.period}/{held.version}", **bearer(atih)).status_code == 404
    told = Client().get(address, **bearer(atih)).json()
    assert told["code"] == gating.PLACES and told["report"] == {} and told["rows"] == 4
    found = {cell["finess"]: cell["persons"] for cell in told["cells"]}
    assert found == numbers(held, atih) == dict(zip(numbers_of, (20, 16, None, None), strict=True)), "five are few, and alone would be the rest"
    assert Event.objects.filter(topic="jeu-publie", establishment=atih).get().focus == f"jeux/{gating.PLACES}/{held.period}/{held.version}"
    entry = Entry.objects.get(action="echange.agregats", actor=atih.code, subject=f"jeu:{gating.PLACES}:{held.period}:{held.version}")
    assert entry.detail["rules"] == ["R041"] and entry.detail["purpose"] == "PILOTAGE" and entry.detail["matrix"]


def test_the_screen_asks_for_what_the_machine_needs(federations, ars, atih):
    numbers_of = places(20, 16, 14)
    out(aggregates.propose(by="test", finely=True), federations)
    client = browsing(person(Role.INSTITUTION, party=atih))
    keys.issue(party=atih, label="faible", by="test", level=1)
    page = client.get("/echanges/jeux/").content.decode()
    assert "certificat de structure" in page and numbers_of[0] not in page
    keys.issue(party=atih, label="forte", by="test", level=2)
    page = client.get("/echanges/jeux/").content.decode()
    assert "par établissement" in page and numbers_of[0] in page
    assert Entry.objects.filter(action="echange.agregats", actor=atih.code).count() == 1, "what is shown is told to the journal"


def test_once_a_year_and_to_somebody(federations, ars):
    places(20, 16, 14)
    with pytest.raises(aggregates.AggregateRefused, match="Aucune institution admise"):
        aggregates.propose(by="test", finely=True)
    institution("ATIH_TDB")
    held = out(aggregates.propose(by="test", finely=True), federations)
    Dataset.objects.filter(pk=held.pk).update(period=f"{held.period[:4]}-00", made_at=timezone.now() - dt.timedelta(days=20))
    with pytest.raises(aggregates.AggregateRefused, match="de cette année ont paru"):
        aggregates.propose(by="test", finely=True)
    assert "places" not in aggregates.propose(by="test").report, "the counts of the month go on without them"


def test_a_year_later_nobody_is_designated(federations, ars, atih):
    """One more in a house, fifteen in each of the others: that house is silent, with another that would give it away."""
    numbers_of = places(20, 16, 14, 30)
    first = out(aggregates.propose(by="test", finely=True), federations)
    Dataset.objects.filter(pk=first.pk).update(period="2025-01", made_at=timezone.now() - dt.timedelta(days=300))
    for rank, (number, count) in enumerate(zip(numbers_of, (1, 15, 15, 15), strict=True)):
        party = Party.objects.get(finess=number)
        assert intake.receive(party, deposit(range(1_000 * (rank + 1), 1_000 * (rank + 1) + count), number=number, name="arrivees")).status == 200
    second = out(aggregates.propose(by="test", finely=True), federations)
    before, after = numbers(first, atih), numbers(second, atih)
    told = [number for number in numbers_of if after[number] is not None]
    assert before[numbers_of[0]] == 20 and numbers_of[0] not in told and told and all(before[number] is not None for number in told)


def test_a_closed_row_closes_them_and_an_opposed_person_is_in_neither(federations, ars, atih):
    numbers_of = places(20, 16, 14)
    opposed = Resource.objects.filter(type="Patient", establishment__finess=numbers_of[0]).first()
    say(opposed.person, "opposition", opposed.establishment)
    held = out(aggregates.propose(by="test", finely=True), federations)
    assert numbers(held, atih)[numbers_of[0]] == 19, "the ARS may not count it: neither table does, or their difference would be it"
    rows = "\n".join(line for line in matrix.write(matrix.proposed()).splitlines() if ",ATIH_TDB," not in line)
    MatrixVersion.objects.create(number=1, version=matrix.read(rows).version, rows=rows, valid_from=timezone.now(), proposed_by="a", approved_by="b")
    assert aggregates.placed_to(atih) == [] and aggregates.place_cells(held, atih) == []


def test_a_reader_whose_territory_changed_reads_nothing_of_before(federations, ars):
    """Nobody was asked about its new one."""
    regional = matrix.write(matrix.proposed()).replace(
        "R041,ATIH_TDB,PILOTAGE,ADM,ETABLISSEMENT,NATIONAL", "R041,ARS,PILOTAGE,ADM,ETABLISSEMENT,REGION"
    )
    assert regional != matrix.write(matrix.proposed())
    MatrixVersion.objects.create(
        number=1,
        version=matrix.read(regional).version,
        rows=regional,
        valid_from=timezone.now() - dt.timedelta(days=1),
        proposed_by="a",
        approved_by="b",
    )
    places(20, 16, 14)
    held = out(aggregates.propose(by="test", finely=True), federations)
    assert aggregates.placed_to(ars) == [held] and numbers(held, ars)
    Party.objects.filter(pk=ars.pk).update(region="R84")
    ars.refresh_from_db()
    assert aggregates.placed_to(ars) == []
