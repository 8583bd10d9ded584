"""What a filtered search shows and what a reading one by one permits are the same, in random stores (orchestrator reference §4.4)."""

import itertools
import random

import pytest

from belvedere.engine.exchange.vocabulary import Category, Grain, Purpose
from belvedere.observatory.exchange import intake, reading, vault
from belvedere.observatory.exchange.models import Person, Resource
from tests.exchange import OTHER, SSIAD, deposit, establishment, institution, say

pytestmark = pytest.mark.django_db
ASKED = ("Patient", "Encounter", "QuestionnaireResponse", "Task")


@pytest.mark.parametrize("seed", range(4))
def test_a_list_shows_what_each_point_permits(seed):
    draw = random.Random(seed)
    places = [establishment(), establishment(OTHER)]
    for rank, place in enumerate(places):
        agreed = {10 * rank + each: draw.random() < 0.5 for each in range(4) if draw.random() < 0.6}
        assert intake.receive(place, deposit(range(10 * rank, 10 * rank + 4), number=place.finess, agreed=agreed, events=1)).status == 200
    parties = [
        institution("CNSA_SIDOBA"), institution("ARS", region="R11"), institution("DEPARTEMENT", department="69"), institution("DREES"), institution("CNAM_RESIDESMS"), *places,
    ]  # fmt: skip
    for person in Person.objects.all():
        for _ in range(draw.randrange(3)):
            say(
                person, draw.choice(["accord", "opposition", "retrait"]), draw.choice(places), recipient=draw.choice(["", *(party.code for party in parties)]),
                purpose=draw.choice(["", *Purpose]), category=draw.choice(["", *Category]),
            )  # fmt: skip
    shown, hidden = 0, 0
    for party, purpose, grain, kind in itertools.product(parties, Purpose, (Grain.NAMED, Grain.PSEUDONYM), ASKED):
        listed = {row["id"] for row in reading.search(party, 2, purpose, grain, kind, count=200).resources}
        if not listed and draw.random() < 0.9:
            continue  # most questions open nothing: one in ten of these is asked point by point
        for uid in Resource.objects.filter(type=kind, current=True, erased=False).values_list("uid", flat=True):
            name = uid if grain == Grain.NAMED else vault.address(party.code, kind, uid)
            permitted = bool(reading.one(party, 2, purpose, grain, kind, name).resources)
            assert permitted == (name in listed), (party.actor, purpose, grain, kind)
            shown, hidden = shown + permitted, hidden + (not permitted)
    assert shown > 20 and hidden > 200 and SSIAD
