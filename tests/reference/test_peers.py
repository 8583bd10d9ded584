"""Peers' instances, read where they lie beside the project."""

import csv

import numpy as np

from belvedere.engine.b2 import keys
from belvedere.engine.nomenclature.products import products, tariffs
from belvedere.engine.nomenclature.territories import departments


def test_check_digit_holds_for_every_official_lpp_code(shared):
    with (shared / "lpp" / "lpp_referentiel.csv").open(encoding="utf-8") as stream:
        codes = [row["code_lpp"] for row in csv.DictReader(stream)]
    numeric = np.array([int(code) for code in codes if code.isdigit() and len(code) == 7])
    assert len(numeric) > 19_000
    assert keys.lpp_ok(numeric).all()


def test_our_products_are_official_codes_and_published_tariffs_agree(shared):
    with (shared / "lpp" / "lpp_referentiel.csv").open(encoding="utf-8") as stream:
        official = {int(row["code_lpp"]): row for row in csv.DictReader(stream) if row["code_lpp"].isdigit()}
    assert set(products()) <= set(official)
    with (shared / "snds" / "IR_LPP_V.csv").open(encoding="utf-8") as stream:
        published = {int(row["LPP_COD"]): row["LPP_TAR"] for row in csv.DictReader(stream, delimiter=";") if row["LPP_COD"].isdigit()}
    agree = [code for code in tariffs() if published.get(code) and abs(float(published[code]) * 100 - tariffs()[code][0][1]) < 1]
    assert len(agree) >= 35


def test_departments_and_population(shared):
    people: dict[str, int] = {}
    with (shared / "population" / "population_dep_sexe_age5_2023.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            people[row["departement"]] = people.get(row["departement"], 0) + int(row["population"])
    assert {item.code: item.population for item in departments()} == people


def test_funds_of_departments_are_official(shared):
    with (shared / "snds" / "IR_ORG_V.csv").open(encoding="utf-8", errors="replace") as stream:
        funds = {row["ORG_CAI_NUM"] for row in csv.DictReader(stream, delimiter=";") if row["ORG_NUM"].startswith("01C")}
    known = [f"{item.caisse:03d}" for item in departments()]
    assert len([code for code in known if code in funds]) >= 99
