"""What the hub is told and tells by itself: AGGIR, numbers with their keys, the shipped matrix, instants; a resource filtered, and said under pseudonyms."""

import csv
import datetime as dt
import itertools
import json
from collections import Counter

import pytest

from belvedere.engine.exchange import aggir, checks, matrix, sample
from belvedere.engine.exchange.identifiers import finess_valid, ins_valid, rpps_valid
from belvedere.engine.exchange.moments import moment
from belvedere.engine.exchange.profiles import PROFILE_ROOT, filtered, profile_of, pseudonymised
from belvedere.engine.exchange.vocabulary import Category
from tests.conftest import SHARED
from tests.unit.engine.test_exchange import EXAMPLES, here


@here
def test_aggir_gives_the_legal_distribution():
    source = json.loads((EXAMPLES / "aggir" / "aggir_algorithme.json").read_text())
    counted = Counter(aggir.gir(dict(zip(aggir.VARIABLES, answers, strict=True))) for answers in itertools.product("ABC", repeat=8))
    assert counted == {int(gir): count for gir, count in source["distribution_exhaustive_3^8"].items()}
    for case in source["cas_tests"]:
        assert aggir.gir(case["m"]) == case["gir"]
    example = json.loads((EXAMPLES / "fhir" / "tddui" / "questionnaireresponse_aggir_pa.json").read_text())
    booleans = {link: answer["valueBoolean"] for link, answer in checks.answers_in(example["item"]) if "valueBoolean" in answer}
    grid = aggir.answers_of(booleans)
    assert grid and aggir.gir(grid) == 2


@here
def test_the_shipped_matrix_is_the_proposal():
    with (EXAMPLES / "orchestrateur" / "matrice_habilitation_exemple.csv").open() as stream:
        rows = [tuple(row.values()) for row in csv.DictReader(stream)]
    ours = [(r.rule, r.actor, r.purpose, r.category, r.grain, r.perimeter, r.consent, r.legal_basis, r.condition) for r in matrix.proposed().rows]
    assert ours == rows and matrix.read(matrix.write(matrix.proposed())).version == matrix.proposed().version


@here
def test_numbers_of_the_official_file_are_valid():
    with (SHARED / "finess" / "finess_ege_202607_echantillon.csv").open() as stream:
        numbers = [row["finess_et"] for row in csv.DictReader(stream)]
    assert len(numbers) > 1_700 and all(map(finess_valid, numbers))
    assert not any(finess_valid(number[:-1] + str((int(number[-1]) + 1) % 10)) for number in numbers)


def test_ins_and_rpps_keys():
    assert all(ins_valid(sample.resident(rank).ins) for rank in range(200))
    corsican = "1550220A"  # too short on purpose
    assert not ins_valid(corsican) and rpps_valid("10003456786") and not rpps_valid("10003456785")
    body = "155022A123456"
    key = 97 - int(body.replace("2A", "19")) % 97
    assert ins_valid(f"{body}{key:02d}")


@pytest.mark.parametrize("text, why", [
    ("rules,actor\nR001,X", "numéro de règle"), ("", "vide"),
    ("rules,actor,purpose,categories,grain,perimeter,consent,legal_basis,condition\nR001,INCONNU,AUDIT,ADM,AGREGE,SOI,AUCUN,x,\n", "INCONNU"),
    ("rules,actor,purpose,categories,grain,perimeter,consent,legal_basis,condition\nR001,ARS,AUDIT,ADM,AGREGE,SOI,AUCUN,x,si possible\n", "n’a pas de test"),
])  # fmt: skip
def test_a_matrix_that_cannot_be_read_says_its_line(text, why):
    with pytest.raises(matrix.MatrixError, match=why):
        matrix.read(text)


def test_what_is_filtered_is_tagged():
    stay = {"resourceType": "Encounter", "id": "1", "status": "finished", "reasonCode": [{"text": "chute"}], "_reasonCode": [{}]}
    profile = profile_of(stay)
    assert profile and filtered(profile, stay, set(Category)) == stay
    some = filtered(profile, stay, {Category.ADM, Category.HEALTH})
    assert some and some["reasonCode"] == stay["reasonCode"] and "_reasonCode" not in some, "what may hold anything is for who may read everything"
    left = filtered(profile, stay, {Category.ADM})
    assert left and "reasonCode" not in left and "_reasonCode" not in left and left["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert filtered(profile, stay, {Category.HEALTH}) is None


def test_an_instant_that_has_no_place_in_utc_is_none():
    assert moment("0001-01-01T00:00:00+14:00") is None and moment("9999-12-31T23:59:59-12:00") is None
    assert moment("2026-11-23") == dt.datetime(2026, 11, 23, tzinfo=dt.UTC)


def test_a_reader_of_pseudonyms_gets_nothing_written_by_hand():
    name = "DURAND Germaine"
    stay = {
        "resourceType": "Encounter", "id": "00000000-0000-0000-0000-000000000001", "status": "finished", "meta": {"versionId": "2", "profile": ["https://x/tddui-encounter-sejour", name], "tag": [{"system": "x", "display": name}]},
        "text": {"div": name}, "contained": [{"resourceType": "Patient", "name": [{"family": name}]}], "extension": [{"url": "x", "valueString": name}], "_status": {"extension": [{"valueString": name}]},
        "identifier": [{"system": "x", "value": name}], "reasonCode": [{"text": name, "coding": [{"system": "s", "code": "C1", "display": name}]}], "subject": {"reference": "Patient/1", "display": name},
        "period": {"start": "2026-01-01", "extension": [{"valueString": name}]}, "length": {"value": 3, "unit": name},
    }  # fmt: skip
    told_ = pseudonymised(stay, lambda kind, uid: f"{kind}-x")
    assert name not in json.dumps(told_)
    assert told_ == {
        "resourceType": "Encounter", "id": "Encounter-x", "meta": {"versionId": "2", "profile": [PROFILE_ROOT + "tddui-encounter-sejour"]}, "status": "finished",
        "reasonCode": [{"coding": [{"system": "s", "code": "C1"}]}], "subject": {"reference": "Patient/Patient-x"}, "period": {"start": "2026-01-01"}, "length": {"value": 3},
    }  # fmt: skip
