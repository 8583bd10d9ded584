"""The gate of counts for institutions: floors, three words, blind until all have spoken; nobody reads a figure before."""

import re

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone

from belvedere.observatory.accounts.models import Role, User
from belvedere.observatory.exchange import aggregates, counted, erasing, gating, intake
from belvedere.observatory.exchange.models import Alias, Dataset, Event, Party, Person, Resource
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.publication import gate
from belvedere.observatory.publication.gate import GateClosed
from belvedere.observatory.publication.models import Verdict
from tests.exchange import bearer, deposit, establishment, finess, institution
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
    held, headers = aggregates.propose(consumer=ars, by="test"), bearer(ars)
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
    held = aggregates.propose(consumer=ars, by="test")
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
    ("people", "why"), [((12, 12), "3 établissements"), ((4, 3, 3), "11 personnes"), ((30, 4, 4), "pèse trop")], ids=["places", "persons", "biggest"]
)
def test_floors(federations, ars, people, why):
    places(*people)
    held = aggregates.propose(consumer=ars, by="test")
    assert any(why in text for text in gating.reasons(held))
    with pytest.raises(GateClosed, match=why):
        gating.decide(dataset=held, federation=federations[0], by=None)


def test_two_federations_are_not_enough(federations, ars):
    federations[2].delete()
    places(12, 12, 12)
    held = aggregates.propose(consumer=ars, by="test")
    with pytest.raises(GateClosed, match="Le verrou veut 3 fédérations"):
        gating.decide(dataset=held, federation=federations[0], by=None)


def test_standing_approvals_speak_for_what_may_go_out(federations, ars):
    user = User.objects.create_user(email="v@test.fr", password="x" * 14, role=Role.VALIDATOR, federation=federations[0])
    for federation in federations:
        gate.give_standing(federation=federation, series=gating.SERIES, by=user)
    places(12, 12)
    held = aggregates.propose(consumer=ars, by="test")
    assert held.state == "waiting" and not held.words.exists()
    operator = User.objects.create_user(email="o@test.fr", password="x" * 14, role=Role.OPERATOR)
    with pytest.raises(GateClosed, match="Dites pourquoi"):
        gating.set_aside(dataset=held, by=operator, reason=" ")
    with pytest.raises(PermissionDenied):
        gating.set_aside(dataset=held, by=user, reason="je ne suis pas l’opérateur")
    assert gating.set_aside(dataset=held, by=operator, reason="deux établissements").state == "declined"
    third = establishment(finess("75000015"))
    intake.receive(third, deposit(range(500, 512), number=third.finess))
    again = aggregates.propose(consumer=ars, by="test")
    assert again.state == "sound" and again.version == 2 and all(word.standing for word in again.words.all())


def out(held: Dataset, federations, period: str = "2026-01") -> Dataset:
    """Counts that went out, a month ago."""
    for federation in federations:
        held = gating.decide(dataset=held, federation=federation, by=None)
    Dataset.objects.filter(pk=held.pk).update(period=period)
    return held


def told(held: Dataset) -> dict[tuple[str, str, str], int | None]:
    return {(cell.territory, cell.gir, cell.sex): cell.persons for cell in aggregates.cells(held)}


def test_a_second_count_waits_until_its_difference_designates_nobody(federations, ars):
    places(12, 12, 12)
    first = out(aggregates.propose(consumer=ars, by="test"), federations)
    late = establishment(finess("75000016"))
    intake.receive(late, deposit(range(900, 901), number=late.finess))
    with pytest.raises(aggregates.AggregateRefused, match="Trop peu de personnes sont arrivées ou parties depuis les comptes de 2026-01"):
        aggregates.propose(consumer=ars, by="test")
    for rank in range(3):  # four more come to each of three others
        place = Party.objects.get(finess=finess(f"7500001{rank}"))
        intake.receive(place, deposit(range(600 + 10 * rank, 604 + 10 * rank), number=place.finess, name=f"suite-{rank}"))
    again = aggregates.propose(consumer=ars, by="test")
    with pytest.raises(aggregates.AggregateRefused, match="déjà figés"):
        aggregates.propose(consumer=ars, by="test")
    page = browsing(person(Role.VALIDATOR, federation=federations[0], email="v@test.fr")).get("/publications/").content.decode()
    assert "cellules, rapprochées de 1 compte déjà paru ; audit sans fuite." in page
    assert out(again, federations, "2026-02").state == "sound"
    before, after = told(first), told(again)
    assert after["*", "*", "*"] == 49 and before["*", "*", "*"] == 36
    moved = {after[key] - before[key] for key in before if before[key] is not None and after[key] is not None}
    assert moved <= {0, *range(11, 14)}, "no difference counts fewer than eleven"
    assert {key for key, value in before.items() if value is None} <= {key for key, value in after.items() if value is None}


def test_counts_under_review_go_first(federations, ars):
    places(12, 12, 12)
    held = aggregates.propose(consumer=ars, by="test")
    Dataset.objects.filter(pk=held.pk).update(period="2026-01")
    with pytest.raises(aggregates.AggregateRefused, match="attendent l’avis"):
        aggregates.propose(consumer=ars, by="test")
    other = Dataset.objects.create(code=gating.CODE, contract="1.0", period="2025-12", version=9, consumer=ars, state="sound", report={"cells": []}, made_at=timezone.now())  # fmt: skip
    with pytest.raises(GateClosed, match="ont paru depuis"):
        gating.decide(dataset=held, federation=federations[0], by=None)
    held.refresh_from_db()
    operator = User.objects.create_user(email="o@test.fr", password="x" * 14, role=Role.OPERATOR)
    assert not gating.set_aside(dataset=held, by=operator, reason="recompter").counted, "who was counted is forgotten with counts that never went out"
    with pytest.raises(aggregates.AggregateRefused, match="ne disent plus de qui"):
        aggregates.propose(consumer=ars, by="test")
    other.delete()
    for rank in range(2):
        gating.set_aside(dataset=aggregates.propose(consumer=ars, by="test"), by=operator, reason=f"essai {rank}")
    with pytest.raises(aggregates.AggregateRefused, match="déjà été écartés deux fois"):
        aggregates.propose(consumer=ars, by="test")


def test_who_is_erased_leaves_the_list_and_has_left_for_the_next_count(federations, ars):
    places(12, 12, 12)
    held = out(aggregates.propose(consumer=ars, by="test"), federations)
    place = Party.objects.get(finess=finess("75000010"))
    gone = Resource.objects.filter(establishment=place, person__isnull=False).order_by("pk").first().person
    assert gone.pk in counted.unseal(Dataset.objects.get(pk=held.pk))["person"].to_pylist()
    erasing.erase(person=gone, party=place, by="test", why="essai")
    people = counted.unseal(Dataset.objects.get(pk=held.pk))["person"].to_pylist()
    assert gone.pk not in people and len(people) == 36 and people.count(0) == 1
    with pytest.raises(aggregates.AggregateRefused, match="Trop peu"):
        aggregates.propose(consumer=ars, by="test")


def test_two_persons_who_prove_to_be_one_have_not_left(federations, ars):
    places(12, 12, 12)
    held = out(aggregates.propose(consumer=ars, by="test"), federations)
    one, other = Person.objects.order_by("pk")[:2]
    Alias.objects.update_or_create(token=other.token, defaults={"person": one, "own_name": other.token})
    people = counted.today(counted.unseal(Dataset.objects.get(pk=held.pk)))["person"].to_pylist()
    assert people.count(one.pk) == 2 and other.pk not in people


def test_counts_of_before_the_gate_stay_in(federations, ars):
    held = Dataset.objects.create(code=gating.CODE, contract="1.0", period="2026-01", version=1, consumer=ars, state="waiting", report={"cells": []}, made_at=timezone.now())  # fmt: skip
    with pytest.raises(GateClosed, match="avant le verrou"):
        gating.decide(dataset=held, federation=federations[0], by=None)


def test_the_pages(federations, ars):
    places(12, 12, 12)
    held = aggregates.propose(consumer=ars, by="test")
    exact = {str(cell["persons"]) for cell in held.report["cells"] if cell["persons"]}
    assert exact
    validators = [browsing(person(Role.VALIDATOR, federation=each, email=f"v{rank}@test.fr")) for rank, each in enumerate(federations)]
    operator = browsing(person(Role.OPERATOR, email="o@test.fr"))
    page = validators[0].get("/publications/").content.decode()
    section = page[page.index("Comptes des échanges") : page.index("Accords permanents")]
    assert "Institution ARS" in section and "audit sans fuite" in section and not exact & set(re.findall(r"\d+", re.sub(r"<[^>]*>", " ", section))), (
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
