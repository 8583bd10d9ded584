"""The synthetic market whose report gives the figures printed by the 2018 study."""

import json

import pytest

from belvedere.engine.study import inputs, market, tiers
from tests.conftest import SHARED

FOLDER = SHARED / "sesam"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="shared/data absent : les chiffres imprimés de l’étude ne sont pas là")


@pytest.fixture(scope="module")
def made():
    session = inputs.connect()
    inputs.load(session, FOLDER / "flux_marche_synthetique.csv")
    return market.study(session, market.Period.of("2017-07..2018-06"))


def test_the_printed_figures(made):
    printed = json.loads((FOLDER / "etude_2018_chiffres_publies.json").read_text())
    found = {row["category"]: row for row in made.made["T01"].named()}
    for category in ("EPS", "ESPIC", "CP"):
        assert (found[category]["n"], found[category]["evolution"]) == (
            printed["etablissements"][category]["n"],
            printed["etablissements"][category]["evolution_pct"],
        )
    assert found["Ensemble"]["n"] == printed["etablissements"]["total"]
    assert [found[category]["n1"] for category in ("EPS", "ESPIC")] == [1488, 343] and found["CP"]["n1"] in (2061, 2062), (
        "last year’s counts can be had back"
    )
    segments = {row["segment"]: row["vendors"] for row in made.made["T02"].named()}
    vendors = printed["editeurs_facturation"]
    assert segments == {
        "EPS ou ESPIC seulement": vendors["uniquement_eps_espic"],
        "CP seulement": vendors["uniquement_cp"],
        "EPS ou ESPIC, et CP": vendors["mixtes"],
    }


def test_the_identities_of_the_study(made):
    printed = json.loads((FOLDER / "etude_2018_chiffres_publies.json").read_text())
    segments = {row["segment"]: row["vendors"] for row in made.made["T02"].named()}
    shares = [row["share"] for row in made.made["T03"].named()]
    concentration = {row["segment"]: row for row in made.made["T03c"].named()}
    matrix, billing, crypto = printed["editeurs_matrice"], printed["editeurs_facturation"], printed["chiffrement"]
    assert sum(segments.values()) == len(made.vendors) - 1 == billing["total"] == 44
    assert concentration["CP"]["vendors"] == segments["CP seulement"] + segments["EPS ou ESPIC, et CP"] == billing["cp_au_moins_une_solution"]
    assert abs(sum(shares) - 100) < 0.5 and concentration["Ensemble"]["cr3"] > 50, "three of them bill more than half"
    counts = made.made["T01"].named()
    assert sum(row["n"] for row in counts[:-1]) == counts[-1]["n"]
    assert (
        matrix["sans_facturation"] + matrix["facturation"] == matrix["identifies"]
        and crypto["egalement_gap"] + crypto["specialises"] == crypto["editeurs"]
    )
    assert matrix["facturation"] - matrix["facturation_sans_transport"] == crypto["egalement_gap"], "billing with transport: those that also encrypt"


def test_the_public_reads_totals(made):
    told = {one.definition.code: one for one in tiers.tell(made, tiers.PUBLIC)}
    assert not any(tiers.MASKED in row for code in ("T01", "T02", "T06", "T12") for row in told[code].rows)
    own = {one.definition.code: one for one in tiers.tell(made, "EDITEUR 02")}["T03"]
    assert len(own.rows) == 1 and len(own.quartiles) == 2
