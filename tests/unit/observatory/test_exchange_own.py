"""A person's own data by its personal link."""

import json

import pytest
from django.test import Client

from belvedere.engine.exchange import plainly
from belvedere.engine.exchange.sample import resident
from belvedere.observatory.exchange import intake, keys
from belvedere.observatory.exchange.models import (
    Person,
    Resource,
)
from belvedere.observatory.journal.models import Entry
from tests.exchange import OTHER, deposit, establishment, rules_of, say

pytestmark = pytest.mark.django_db


def test_a_person_reads_its_own_data_of_whoever_gave_the_link(service):
    other = establishment(OTHER)
    intake.receive(service, deposit(range(2), agreed={0: False}))
    intake.receive(other, deposit(range(1), number=OTHER))
    person = Resource.objects.get(type="Patient", establishment=other).person
    address = f"/echanges/mes-acces/{keys.give_link(person=person, party=service)}/donnees/"
    page = Client().get(address)
    text = page.content.decode()
    assert page.status_code == 200 and page["Cache-Control"] == "no-store"
    family = resident(0).family.upper()
    assert family in text and "à domicile" in text and "depuis le 1er septembre 2026" in text and "séjour" in text and "Encounter/" not in text, (
        "an opposition closes nothing to oneself"
    )
    assert "évaluation" not in text.lower() and "santé" in text, "health asks for more than a link, and the page says so"
    held = Client().get(address + "?format=json").json()
    places = {row["id"] for row in (entry["resource"] for entry in held["entry"])}
    assert places <= set(Resource.objects.filter(person=person, establishment=service).values_list("uid", flat=True)), (
        "nothing that another deposited"
    )
    assert not any(entry["resource"]["resourceType"] == "QuestionnaireResponse" for entry in held["entry"])
    told = Entry.objects.filter(action="echange.acces.personne").first()
    assert told.subject == f"usager:{person.pk}" and told.detail["rules"] == ["R013", "R015", "R017"] and told.detail["given_by"] == service.code
    assert Client().get("/echanges/mes-acces/inconnu/donnees/").status_code == 404
    said = Client().get(address.removesuffix("donnees/")).content.decode()
    assert "<b>opposition</b>, pour tous" in said and address in said


def test_words_of_a_statement_are_told_in_french(service):
    intake.receive(service, deposit(range(1)))
    person = Person.objects.get()
    say(person, "accord", service, recipient="CNSA_SIDOBA", purpose="FINANCEMENT", category="SANTE")
    text = Client().get(f"/echanges/mes-acces/{keys.give_link(person=person, party=service)}/").content.decode()
    assert "finalité financement, données santé, pour CNSA, SIDOBA" in text


def test_a_stay_without_end_as_software_writes_it_stops_no_page(service, data_folder):
    content = json.loads(deposit(range(1)))
    for entry in content["entry"]:
        if entry["resource"].get("type") and entry["resource"]["resourceType"] == "Encounter":
            entry["resource"]["period"]["end"] = "9999-12-31T23:59:59Z"
    if (made := intake.receive(service, json.dumps(content).encode())).status == 200:
        link = keys.give_link(person=Person.objects.get(), party=service)
        assert Client().get(f"/echanges/mes-acces/{link}/donnees/").status_code == 200
    else:
        assert rules_of(made)
    assert plainly.day("9999-12-31T23:59:59Z") == "9999-12-31T23:59:59Z"
