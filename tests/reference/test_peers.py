"""Peers' instances, read where they lie beside the project."""

import csv
import gzip

import numpy as np

from belvedere.engine.b2 import keys
from belvedere.engine.nomenclature.products import products, tariffs
from belvedere.engine.nomenclature.territories import departments
from belvedere.engine.secrecy import audit
from belvedere.engine.secrecy.lattice import Cube, Dimension, build


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


def _cube_10k(shared):
    """The 10k synthetic cube as a lattice, with frequencies and the pattern a peer computed."""
    with gzip.open(shared / "secrecy" / "synthetic" / "c10k_inner.csv.gz", "rt") as stream:
        inner = list(csv.DictReader(stream))
    geo = {"Total": None} | {row["region"]: "Total" for row in inner} | {row["dept"]: row["region"] for row in inner}
    product = {"Total": None} | {row["l1"]: "Total" for row in inner} | {row["prod"]: row["l1"] for row in inner}
    third = {"Total": None} | {row["third"]: "Total" for row in inner}
    trees = [
        Dimension(name, tree, {code: str(rank) for rank, code in enumerate(tree)})
        for name, tree in (("geo", geo), ("prod", product), ("third", third))
    ]
    lattice = build(trees, [Cube("all", {t.name: list(t.level.values()) for t in trees})])
    freq = np.zeros(len(lattice), dtype=np.int64)
    for row in inner:
        for g in (row["dept"], row["region"], "Total"):
            for p in (row["prod"], row["l1"], "Total"):
                for t in (row["third"], "Total"):
                    freq[lattice.index[g, p, t]] += int(row["patients"])
    return lattice, freq


def test_auditor_finds_what_it_must_on_the_10k_cube(shared):
    lattice, freq = _cube_10k(shared)
    primary = (freq > 0) & (freq < 11)
    assert primary.sum() == 3486
    # Known figure of the secrecy brief (§4.2): primaries alone give away 1,180 of them exactly.
    assert audit.determined(audit.System.of(lattice), primary, seed=1).sum() == 1180


def test_peer_pattern_is_found_sound_and_one_unmasked_cell_is_not(shared):
    lattice, freq = _cube_10k(shared)
    path = shared / "secrecy" / "synthetic" / "expected_c10k_gs_freq_maxN10_singletonNone.csv.gz"
    mask = np.zeros(len(lattice), dtype=bool)
    with gzip.open(path, "rt") as stream:
        rows = list(csv.DictReader(stream))
    geo_name = next(name for name in rows[0] if name.lower() in ("geo", "dept", "region"))
    for row in rows:
        key = tuple(row[name] for name in (geo_name, *[n for n in rows[0] if n in ("prod", "third")]))
        if row["suppressed"].upper() in ("TRUE", "1"):
            mask[lattice.index[key]] = True
    primary = (freq > 0) & (freq < 11)
    assert (primary & ~mask).sum() == 0
    assert (mask & ~primary).sum() == 877
    assert not (audit.determined(audit.System.of(lattice), mask, seed=1) & primary).any()
    leaks = 0
    for cell in np.flatnonzero(mask & ~primary)[:60]:
        opened = mask.copy()
        opened[cell] = False
        leaks += bool((audit.determined(audit.System.of(lattice), opened, seed=1) & primary).any())
    assert leaks >= 50
