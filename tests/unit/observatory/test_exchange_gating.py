"""The gate of counts for institutions: floors, three words, blind until all have spoken; nobody reads a figure before."""

import datetime as dt
import re

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone

from belvedere.engine.nomenclature.territories import region_of
from belvedere.observatory.accounts.models import Role, User
from belvedere.observatory.exchange import aggregates, counted, erasing, gating, intake
from belvedere.observatory.exchange.models import Alias, Dataset, Event, Party, Person, Resource
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.publication import gate
from belvedere.observatory.publication.gate import GateClosed
from belvedere.observatory.publication.models import Verdict
from tests.exchange import OTHER, bearer, deposit, establishment, finess, institution, say
from tests.people import browsing, person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ars(data_folder):
    return institution("ARS", region="R11")


def places(*people: int) -> None:
    for rank, count in enumerate(people):
        place = establishment(finess(f"7500001{rank}"))
        assert intake.receive(place, deposit(range(100 * rank, 100 * rank + count), number=place.finess)).status == 200


def address(held: Dataset) -> str:
    return f"/api/v1/exchange/datasets/{held.code}/{held.period}/{held.version}"


def test_three_words_let_counts_out(federations, ars):
    places(12, 12, 12)
    held, headers = aggregates.propose(by="test"), bearer(ars)
    for federation in federations:
        assert Client().get(address(held), **headers).status_code == 404 and Client().get("/api/v1/exchange/datasets", **headers).json() == []
        gating.decide(dataset=held, federation=federation, by=None)
    told = Client().get(address(held), **headers).json()
    assert told["cells"] and told["report"] == {}, "what the gate looks at is told to nobody"
    assert Event.objects.filter(topic="jeu-publie", establishment=ars).count() == 1
    assert Entry.objects.filter(action="echange.agregats.valides").count() == 3 and Entry.objects.filter(action="echange.agregats.parus").count() == 1
    with pytest.raises(GateClosed, match="attendent plus"):
        gating.decide(dataset=held, federation=federations[0], by=None, verdict=Verdict.NO, reason="trop tard")


def test_one_no_holds_them_and_words_are_blind(federations, ars):
    places(12, 12, 12)
    held = aggregates.propose(by="test")
    with pytest.raises(GateClosed, match="se motive"):
        gating.decide(dataset=held, federation=federations[0], by=None, verdict=Verdict.NO)
    gating.decide(dataset=held, federation=federations[0], by=None, verdict=Verdict.NO, reason="le 93 n’a qu’un mois")
    gating.decide(dataset=held, federation=federations[1], by=None)
    own, others = gating.words_for(held, federations[1])
    assert own is not None and own.verdict == Verdict.YES and others == []
    held = gating.decide(dataset=held, federation=federations[2], by=None)
    assert held.state == "waiting" and len(gating.words_for(held, federations[1])[1]) == 3
    assert gating.decide(dataset=held, federation=federations[0], by=None).state == "sound", "a no may be taken back"


@pytest.mark.parametrize(
    ("people", "why"),
    [((12, 12), "3 entités juridiques"), ((4, 3, 3), "11 personnes"), ((30, 4, 4), "pèse trop")],
    ids=["places", "persons", "biggest"],
)
def test_floors(federations, ars, people, why):
    places(*people)
    held = aggregates.propose(by="test")
    assert any(why in text for text in gating.reasons(held))
    with pytest.raises(GateClosed, match=why):
        gating.decide(dataset=held, federation=federations[0], by=None)


def test_two_federations_are_not_enough(federations, ars):
    federations[2].delete()
    places(12, 12, 12)
    held = aggregates.propose(by="test")
    with pytest.raises(GateClosed, match="Le verrou veut 3 fédérations"):
        gating.decide(dataset=held, federation=federations[0], by=None)


def test_standing_approvals_speak_for_what_may_go_out(federations, ars):
    user = User.objects.create_user(email="v@test.fr", password="x" * 14, role=Role.VALIDATOR, federation=federations[0])
    for federation in federations:
        gate.give_standing(federation=federation, series=gating.SERIES, by=user)
    places(12, 12)
    held = aggregates.propose(by="test")
    assert held.state == "waiting" and not held.words.exists()
    operator = User.objects.create_user(email="o@test.fr", password="x" * 14, role=Role.OPERATOR)
    with pytest.raises(GateClosed, match="Dites pourquoi"):
        gating.set_aside(dataset=held, by=operator, reason=" ")
    with pytest.raises(PermissionDenied):
        gating.set_aside(dataset=held, by=user, reason="je ne suis pas l’opérateur")
    assert gating.set_aside(dataset=held, by=operator, reason="deux établissements").state == "declined"
    third = establishment(finess("75000015"))
    intake.receive(third, deposit(range(500, 512), number=third.finess))
    again = aggregates.propose(by="test")
    assert again.state == "sound" and again.version == 1, "versions tell nothing of what was set aside"
    assert all(word.standing for word in again.words.all())


def out(held: Dataset, federations, period: str = "2026-01") -> Dataset:
    """Counts that went out, a month ago."""
    for federation in federations:
        held = gating.decide(dataset=held, federation=federation, by=None)
    Dataset.objects.filter(pk=held.pk).update(period=period)
    return held


def told(held: Dataset, ars: Party) -> dict[tuple[str, str, str], int | None]:
    return {(cell.territory, cell.gir, cell.sex): cell.persons for cell in aggregates.cells(held, ars)}


@pytest.fixture
def later(monkeypatch):
    """Days that pass: one try a day."""
    ahead, real = [dt.timedelta(0)], timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + ahead[0])

    def pass_by(days: int = 2) -> None:
        ahead[0] += dt.timedelta(days=days)

    return pass_by


def test_a_second_count_waits_until_its_difference_designates_nobody(federations, ars, later):
    places(12, 12, 12)
    first = out(aggregates.propose(by="test"), federations)
    late = establishment(finess("75000016"))
    intake.receive(late, deposit(range(900, 901), number=late.finess))
    with pytest.raises(aggregates.AggregateRefused, match="Trop peu de personnes sont arrivées ou parties depuis les comptes de 2026-01"):
        aggregates.propose(by="test")
    assert Entry.objects.filter(action="echange.agregats.retenus").count() == 1
    for rank in range(3):  # six more come to each of three others
        place = Party.objects.get(finess=finess(f"7500001{rank}"))
        intake.receive(place, deposit(range(600 + 10 * rank, 606 + 10 * rank), number=place.finess, name=f"suite-{rank}"))
    with pytest.raises(aggregates.AggregateRefused, match="un seul essai par jour"):
        aggregates.propose(by="test")
    later()
    again = aggregates.propose(by="test")
    with pytest.raises(aggregates.AggregateRefused, match="déjà figés"):
        aggregates.propose(by="test")
    page = browsing(person(Role.VALIDATOR, federation=federations[0], email="v@test.fr")).get("/publications/").content.decode()
    assert "cellules, rapprochées de 1 compte déjà paru ; audit sans fuite." in page
    assert out(again, federations, "2026-02").state == "sound"
    before, after = told(first, ars), told(again, ars)
    assert after["R11", "*", "*"] == 55 and before["R11", "*", "*"] == 36
    moved = {after[key] - before[key] for key in before if before[key] is not None and after[key] is not None}
    assert moved <= {0, *range(11, 20)}, "no difference counts fewer than eleven"
    assert {key for key, value in before.items() if value is None} <= {key for key, value in after.items() if value is None}


def test_counts_under_review_go_first(federations, ars):
    places(12, 12, 12)
    held = aggregates.propose(by="test")
    Dataset.objects.filter(pk=held.pk).update(period="2026-01")
    with pytest.raises(aggregates.AggregateRefused, match="attendent l’avis"):
        aggregates.propose(by="test")
    other = Dataset.objects.create(code=gating.CODE, contract="1.0", period="2025-12", version=9, state="sound", report={"cells": []}, made_at=timezone.now())  # fmt: skip
    with pytest.raises(GateClosed, match="ont paru depuis"):
        gating.decide(dataset=held, federation=federations[0], by=None)
    held.refresh_from_db()
    operator = User.objects.create_user(email="o@test.fr", password="x" * 14, role=Role.OPERATOR)
    assert not gating.set_aside(dataset=held, by=operator, reason="recompter").counted, "who was counted is forgotten with counts that never went out"
    with pytest.raises(aggregates.AggregateRefused, match="ne disent plus de qui"):
        aggregates.propose(by="test")
    other.delete()
    for rank in range(2):
        gating.set_aside(dataset=aggregates.propose(by="test"), by=operator, reason=f"essai {rank}")
    with pytest.raises(aggregates.AggregateRefused, match="déjà été écartés deux fois"):
        aggregates.propose(by="test")


def test_who_is_erased_leaves_the_list_and_has_left_for_the_next_count(federations, ars):
    places(12, 12, 12)
    held = out(aggregates.propose(by="test"), federations)
    place = Party.objects.get(finess=finess("75000010"))
    gone = Resource.objects.filter(establishment=place, person__isnull=False).order_by("pk").first().person
    assert gone.pk in counted.unseal(Dataset.objects.get(pk=held.pk))["person"].to_pylist()
    erasing.erase(person=gone, party=place, by="test", why="essai")
    people = counted.unseal(Dataset.objects.get(pk=held.pk))["person"].to_pylist()
    assert gone.pk not in people and len(people) == 36 and people.count(0) == 1
    with pytest.raises(aggregates.AggregateRefused, match="Trop peu"):
        aggregates.propose(by="test")


def test_two_persons_who_prove_to_be_one_have_not_left(federations, ars):
    places(12, 12, 12)
    held = out(aggregates.propose(by="test"), federations)
    one, other = Person.objects.order_by("pk")[:2]
    Alias.objects.update_or_create(token=other.token, defaults={"person": one, "own_name": other.token})
    people = counted.today(counted.unseal(Dataset.objects.get(pk=held.pk)))["person"].to_pylist()
    assert people.count(one.pk) == 2 and other.pk not in people


def test_counts_of_before_the_gate_stay_in(federations, ars):
    held = Dataset.objects.create(code=gating.CODE, contract="1.0", period="2026-01", version=1, state="waiting", report={"cells": []}, made_at=timezone.now())  # fmt: skip
    with pytest.raises(GateClosed, match="avant le verrou"):
        gating.decide(dataset=held, federation=federations[0], by=None)


def test_the_pages(federations, ars):
    places(12, 12, 12)
    held = aggregates.propose(by="test")
    exact = {str(cell["persons"]) for cell in held.report["cells"] if cell["persons"]}
    assert exact
    validators = [browsing(person(Role.VALIDATOR, federation=each, email=f"v{rank}@test.fr")) for rank, each in enumerate(federations)]
    operator = browsing(person(Role.OPERATOR, email="o@test.fr"))
    page = validators[0].get("/publications/").content.decode()
    section = page[page.index("Comptes des échanges") : page.index("Accords permanents")]
    assert "Comptes de" in section and "audit sans fuite" in section and not exact & set(re.findall(r"\d+", re.sub(r"<[^>]*>", " ", section))), (
        "no figure is examined"
    )
    for client in validators:
        assert client.post(f"/publications/comptes/{held.pk}/avis/", {"avis": "yes"}, follow=True).status_code == 200
    assert Dataset.objects.get(pk=held.pk).state == "sound"
    assert "accord donné" in client.post("/publications/accord/", {"serie": "comptes", "accord": "donner"}, follow=True).content.decode()
    assert client.post("/publications/accord/", {"serie": "autre", "accord": "donner"}).status_code == 404
    assert "Comptes des échanges" in operator.get("/exploitation/verrou/").content.decode()
    assert operator.post(f"/publications/comptes/{held.pk}/avis/", {"avis": "yes"}).status_code == 403
    answer = operator.post(f"/exploitation/verrou/comptes/{held.pk}/fin/", {"reason": "essai"}, follow=True)
    assert "attendent plus" in answer.content.decode()


def test_everybody_reads_its_slice_of_one_table(federations, ars):
    """Two institutions of one place put together what each reads: it is the same table, under one mask."""
    paris, drees = institution("DEPARTEMENT", department="75"), institution("DREES")
    places(12, 12, 12)
    lyon = establishment(OTHER)
    intake.receive(lyon, deposit(range(700, 712), number=lyon.finess))
    held = aggregates.propose(by="test")
    assert Client().get(address(held), **bearer(paris)).status_code == 404
    late = institution("DEPARTEMENT", department="69")
    for federation in federations:
        gating.decide(dataset=held, federation=federation, by=None)
    of_region, of_department = told(held, ars), told(held, paris)
    assert {key[0] for key in of_department} == {"75"} and {key[0] for key in of_region} == {
        "R11",
        *(d for d, r in region_of().items() if r == "R11"),
    }
    assert all(key[2] == "*" for key in of_department), "the matrix lets a department read no sex"
    assert of_department == {key: value for key, value in of_region.items() if key in of_department}
    assert Client().get(address(held), **bearer(paris)).json()["cells"] and Event.objects.filter(topic="jeu-publie").count() == 2
    for stranger in (drees, late):
        assert Client().get(address(held), **bearer(stranger)).status_code == 404 and not aggregates.told_to(stranger)
    Party.objects.filter(pk=paris.pk).update(admitted=False)
    paris.refresh_from_db()
    assert not aggregates.told_to(paris), "the right is asked again when the counts are read"


def test_whoever_opposes_one_reader_is_counted_for_none(federations, ars):
    paris = institution("DEPARTEMENT", department="75")
    places(12, 12, 12)
    everybody = aggregates.readers(timezone.now())
    assert {party.pk for party in everybody} == {ars.pk, paris.pk}
    person_ = Resource.objects.filter(person__isnull=False).order_by("pk").first().person
    say(person_, "opposition", Party.objects.get(finess=finess("75000010")), recipient=paris.code)
    assert told(aggregates.propose(by="test"), ars)["R11", "*", "*"] == 35


def test_places_of_one_operator_are_one(federations, ars):
    for rank in range(3):
        place = establishment(finess(f"7500001{rank}"), entity=finess("75000090"))
        intake.receive(place, deposit(range(100 * rank, 100 * rank + 20), number=place.finess))
    held = aggregates.propose(by="test")
    assert any("3 entités juridiques" in text for text in gating.reasons(held)) and set(told(held, ars).values()) == {None}


def test_whom_two_operators_know_and_places_of_nobody_are_not_counted(federations, ars):
    """Both would take that person away from what is told; a place of which nobody is known to run it may be anybody's."""
    places(12, 12, 12)
    shared = Party.objects.get(finess=finess("75000011"))
    intake.receive(shared, deposit(range(2), number=shared.finess, name="partagés"))
    assert len(aggregates._rows(timezone.now(), None)) == 34
    Party.objects.filter(finess=finess("75000012")).update(entity="")
    assert {row[3] for row in aggregates._rows(timezone.now(), None)} == {finess("75000010"), finess("75000011")}


def test_a_reader_whose_territory_changed_reads_nothing_of_before(federations, ars):
    places(12, 12, 12)
    held = out(aggregates.propose(by="test"), federations)
    assert aggregates.cells(held, ars)
    Party.objects.filter(pk=ars.pk).update(region="R84")
    ars.refresh_from_db()
    assert aggregates.cells(held, ars) == []


def test_a_place_that_changes_hands_makes_nobody_leave(federations, ars):
    places(12, 12, 12)
    held = out(aggregates.propose(by="test"), federations)
    Party.objects.filter(finess=finess("75000010")).update(entity=finess("75000099"))
    assert finess("75000099") in counted.today(counted.unseal(Dataset.objects.get(pk=held.pk)))["operator"].to_pylist()


def test_what_another_place_says_moves_nobody(federations, ars):
    """An evaluation elsewhere, of later days, does not change where a person is counted; nor does the order of rows."""
    places(12, 12, 12)
    before = {row[5]: row for row in aggregates._rows(timezone.now(), None)}
    lyon = establishment(OTHER)
    intake.receive(lyon, deposit(range(12), number=lyon.finess, end=dt.date(2026, 9, 20)))
    Resource.objects.filter(establishment=lyon, facts__has_key="gir").update(facts={"questionnaire": "tddui-questionnaire-aggir-pa-ssiad", "gir": 6})
    after = {row[5]: row for row in aggregates._rows(timezone.now(), None)}
    assert before == {person_: row for person_, row in after.items() if person_ in before} and len(after) == len(before)


def test_what_arrives_during_the_computing_begins_it_again(federations, ars, monkeypatch):
    places(12, 12, 12)
    real = aggregates.protected

    def slow(*arguments):
        found = real(*arguments)
        place = Party.objects.get(finess=finess("75000010"))
        intake.receive(place, deposit(range(800, 801), number=place.finess, name="pendant"))
        return found

    monkeypatch.setattr(aggregates, "protected", slow)
    with pytest.raises(aggregates.AggregateRefused, match="pendant le calcul"):
        aggregates.propose(by="test")
    assert not Dataset.objects.exists()
