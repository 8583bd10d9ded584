"""Nomenclatures that follow their files, and PATHOS as it is declared."""

import datetime as dt
import json

import pytest
from django.core.management.sql import emit_post_migrate_signal
from django.test import Client
from django.utils import timezone

from belvedere.engine.exchange import pathos
from belvedere.observatory.exchange import intake, referentials
from belvedere.observatory.exchange.models import (
    Concept,
    Resource,
)
from tests.exchange import deposit, rules_of

pytestmark = pytest.mark.django_db
SVS = """<?xml version="1.0" encoding="UTF-8"?><RetrieveValueSetResponse xmlns="urn:ihe:iti:svs:2008"><ValueSet id="1.2.3" displayName="JDV_Essai_CISIS" version="1">
<ConceptList><Concept code="A1" displayName="Ancien" codeSystem="1.2.250.1.213.1.1.4.322" dateValid="20200101000000" dateFin="20260601000000"/>
<Concept code="A2" displayName="Nouveau" codeSystem="1.2.250.1.213.1.1.4.322" dateValid="20260601000000" dateFin=""/></ConceptList></ValueSet></RetrieveValueSetResponse>"""


def test_pathos_is_taken_as_it_is_declared(service):
    def grid(code: str = "T2", link: str = "etat-7", system: str = pathos.SYSTEM) -> bytes:
        content = json.loads(deposit(range(1), name=f"{code}{link}{system[-3:]}"))
        found = next(entry["resource"] for entry in content["entry"] if "situation" in str(entry["resource"].get("questionnaire")))
        found["questionnaire"] = pathos.QUESTIONNAIRE
        found["item"] = [{"linkId": link, "answer": [{"valueCoding": {"system": system, "code": code}}]}]
        return json.dumps(content).encode()

    assert rules_of(intake.receive(service, grid("Z9"))) == {"tddui-questionnaire-11"}
    assert rules_of(intake.receive(service, grid("T2", "etat-51"))) == {"tddui-questionnaire-09"}
    assert rules_of(intake.receive(service, grid("T2", system="urn:autre"))) == {"tddui-questionnaire-11"}
    assert intake.receive(service, grid()).status == 200
    assert Resource.objects.get(facts__questionnaire="pathos").facts["pathos"] == {"7": "T2"}
    Concept.objects.filter(valueset=pathos.VALUESET).delete()  # a database that was emptied since its migrations
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
    assert Concept.objects.filter(valueset=pathos.VALUESET).count() == 12
    told = Client().get(f"/fhir/CodeSystem/$lookup?system={pathos.SYSTEM}&code=M2").json()
    assert {"name": "display", "valueString": "Soins palliatifs"} in told["parameter"]


def test_a_value_set_is_read_as_the_agency_publishes_it(tmp_path):
    path = tmp_path / "JDV_Essai_CISIS.xml"
    path.write_text(SVS)
    assert [referentials.load(path, by="test").rows for _ in range(2)] == [2, 2] and Concept.objects.filter(valueset="JDV_Essai_CISIS").count() == 2
    told = Client().get("/fhir/ValueSet/$expand?url=JDV_Essai_CISIS&date=2026-05-31").json()
    assert [one["code"] for one in told["expansion"]["contains"]] == ["A1"]
    for text, why in (("<x/>", "aucun jeu de valeurs"), ("pas du XML", "XML illisible"), (SVS.replace('code="A1"', 'code=""'), "n’a pas de code"),
                      (SVS.replace("20200101", "20209901"), "month"), ("<!DOCTYPE a [<!ENTITY e 'x'>]>" + SVS.partition("?>")[2], "DOCTYPE")):  # fmt: skip
        path.write_text(text)
        with pytest.raises(referentials.ImportRefused, match=why):
            referentials.load(path, by="test")


def test_a_nomenclature_follows_its_file(tmp_path):
    path = tmp_path / "JDV_Essai_CISIS.xml"
    path.write_text(SVS)
    referentials.load(path, by="test")
    path.write_text(
        SVS.replace('dateFin="20260601000000"', 'dateFin="20260501000000"').replace(
            '<Concept code="A2" displayName="Nouveau" codeSystem="1.2.250.1.213.1.1.4.322" dateValid="20260601000000" dateFin=""/>', ""
        )
    )
    referentials.load(path, by="test")
    held = dict(Concept.objects.filter(valueset="JDV_Essai_CISIS").values_list("code", "until"))
    assert held == {"A1": dt.date(2026, 5, 1), "A2": timezone.localdate()}, "what the set no longer holds ends on the day it is known"


def test_serafin_is_dated(tmp_path):
    path = tmp_path / "serafin.csv"
    path.write_text(
        "code,parent,bloc,libelle,jdv,dateValid,dateFin\n2,,2,Prestations directes,J283,,\n"
        "2.1,2,2,Soins,J283,20200101000000,20270101000000\n2.1.1,2.1,2,Soins somatiques,J283,20260601,\n"
    )
    referentials.load(path, by="test")
    days = [dt.date(2019, 1, 1), dt.date(2026, 5, 31), dt.date(2026, 6, 1), dt.date(2027, 1, 1)]
    assert [referentials.serafin("2.1", day) for day in days] == [None, True, False, None], "a leaf until it has children that day"
    assert [referentials.serafin("2.1.1", day) for day in days] == [None, None, True, True]
    path.write_text("code,parent,bloc,libelle,jdv,dateValid\n2,,2,Prestations,J283,20261301\n")
    with pytest.raises(referentials.ImportRefused, match="month"):
        referentials.load(path, by="test")
