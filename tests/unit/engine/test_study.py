"""The market study: what each table counts, the traps of the published one, and what each reader is told."""

import pytest

from belvedere.engine.study import inputs, market, secrecy, tiers
from belvedere.engine.study.definitions import definitions
from belvedere.engine.study.errors import StudyError, catalogue
from tests.study import PERIOD, SITES, flows, study, write


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return study(tmp_path_factory.mktemp("marche"))


def rows(made: market.Study, code: str) -> list[dict]:
    return made.made[code].named()


def by(made: market.Study, code: str, column: str) -> dict:
    return {row[column]: row for row in rows(made, code)}


def test_every_table_is_filled_and_says_what_it_counts(made):
    assert [one.code for one in definitions()] == list(made.made)
    for one in made.made.values():
        assert one.rows, one.definition.code
        assert one.definition.population and one.definition.source and one.definition.definition and len(one.definition.digest) == 12
        assert all(len(row) == len(one.definition.columns) for row in one.rows)


def test_establishments_and_what_explains_their_evolution(made):
    found = by(made, "T01", "category")
    assert {name: (row["n"], row["n1"], row["evolution"]) for name, row in found.items()} == {
        "EPS": (4, 3, 33.3), "CP": (4, 5, -20.0), "ESPIC": (2, 2, 0.0), "HIA": (1, 1, 0.0), "Ensemble": (11, 11, 0.0),
    }  # fmt: skip
    effects = {(row["category"], row["cause"]): row["effect"] for row in rows(made, "T01b")}
    assert effects == {("EPS", "création"): 1, ("CP", "fusion"): -1}
    for category, row in found.items():
        if category != "Ensemble":
            assert sum(effect for (name, _), effect in effects.items() if name == category) == row["n"] - row["n1"]


def test_tests_are_never_counted(made):
    assert "ESSAI" not in made.vendors and "S77" not in {site for site, *_ in SITES}
    assert by(made, "T01", "category")["Ensemble"]["n"] == 11


def test_aliases_and_agreement_numbers_name_one_vendor(made):
    assert made.vendors == ("(non renseigné)", "ALPHA", "BETA", "DELTA", "EPSILON", "GAMMA")
    assert made.unmapped == ()
    assert by(made, "T03", "vendor")["BETA"]["sites"] == 2, "its agreement number alone names it"


def test_as_it_was_and_as_of_today(made):
    then, now = by(made, "T03", "vendor"), by(made, "T03n", "vendor")
    assert then["GAMMA"]["invoices"] == 1100, "one month under its own name, then its buyer's"
    assert "GAMMA" not in now and now["DELTA"]["invoices"] == then["DELTA"]["invoices"] + 1100
    assert ("GAMMA", "DELTA") not in {(row["from_vendor"], row["to_vendor"]) for row in rows(made, "T10")}, "a buy-out is no move"
    assert rows(made, "T10") == [{"from_vendor": "BETA", "to_vendor": "ALPHA", "sites": 1}]


def test_what_is_unknown_is_printed_and_never_spread(made):
    unknown = by(made, "T03", "vendor")["(non renseigné)"]
    assert unknown["invoices"] == 600 and abs(sum(row["share"] for row in rows(made, "T03")) - 100) < 0.05
    assert {row["category"]: row["share"] for row in rows(made, "T12") if f"{row['month']:%m}" == "01"}["CP"] == 9.76
    told = {row["segment"]: row for row in rows(made, "T03c")}
    known = [row["share"] for row in rows(made, "T03") if row["vendor"] != "(non renseigné)"]
    assert told["Ensemble"]["cr3"] == pytest.approx(sum(sorted(known)[-3:]), abs=0.1), "its part stays in the denominator"


def test_two_softwares_a_flow(made):
    assert {row["kind"]: row["vendors"] for row in rows(made, "T08")} == {"chiffrement seulement": 1, "facturation et chiffrement": 1}
    pairs = {(row["vendor"], row["crypto_vendor"]) for row in rows(made, "T08x")}
    assert {("ALPHA", "CRYPTO+"), ("ALPHA", "ALPHA"), ("DELTA", "CRYPTO+")} <= pairs
    shares = {row["algorithm"]: row["share"] for row in rows(made, "T08m") if f"{row['month']:%m}" == "03"}
    assert set(shares) == {"AES", "3DES", "(non renseigné)"} and sum(shares.values()) == pytest.approx(100, abs=0.05)


def test_targets_are_a_dated_registry(made):
    found = by(made, "T05", "service")
    assert (found["CDRI"]["target"], found["CDRI"]["active"]) == (5, 3), "a target of the past is none"
    assert (found["FIDES"]["target"], found["FIDES"]["active"], found["FIDES"]["rate"]) == (2, 1, 50.0)


def test_two_potentials_each_under_its_name(made):
    found = by(made, "T07", "service")["CDRI"]
    assert (found["equipped"], found["equipped_share"], found["calls"], found["success"], found["regimes"]) == (3, 60.0, 200, 90.0, 3)
    assert found["insured_share"] == 96.0, "the regime that answered nothing is not covered"
    assert found["potential_sites"] == 60.0 and found["potential_invoices"] == pytest.approx(100 * 6300 / 15100, abs=0.5), (
        "BETA’s certificate ended in 2025"
    )


def test_an_establishment_of_two_vendors(made):
    alpha, epsilon = by(made, "T03", "vendor")["ALPHA"], by(made, "T03", "vendor")["EPSILON"]
    assert (alpha["sites"], epsilon["sites"]) == (3, 2), "it counts for each of its vendors"
    assert by(made, "T01", "category")["EPS"]["n"] == 4, "and once in totals"
    assert sum(row["invoices"] for row in rows(made, "T03")) == sum(row["invoices"] for row in rows(made, "T06"))


def test_the_matrix_and_its_counts(made):
    assert {(row["vendor"], row["service"]): row["mark"] for row in rows(made, "T09")}[("GAMMA", "FACTURATION")] == "○"
    assert rows(made, "T09c") == [{"vendors": 4, "without_billing": 1, "billing": 3, "everything": 1, "billing_without_transport": 2}]


def test_groups_of_hospitals_and_rejects(made):
    assert {row["vendors"]: row["groups"] for row in rows(made, "T10g")} == {1: 2}
    found = by(made, "T11", "vendor")
    assert "EPSILON" not in found and "(non renseigné)" not in found, "fewer than a thousand answers say nothing"
    alpha = found["ALPHA"]
    assert alpha["low"] < alpha["rate"] < alpha["high"] and alpha["judged"] == 6300
    causes = {(row["vendor"], row["cause"]): (row["share"], row["others"]) for row in rows(made, "T11c")}
    assert causes["GAMMA", "D101"] == (25.0, 100.0) and causes["ALPHA", "D101"] == (100.0, 25.0)


def test_taking_a_vendor_away_changes_its_rows_and_denominators_alone(made, tmp_path):
    left = study(tmp_path, changed=[row for row in flows() if row["texte_editeur"] != "DELTA"])
    before, after = by(made, "T03", "vendor"), by(left, "T03", "vendor")
    assert set(before) - set(after) == set() and after["DELTA"]["invoices"] < before["DELTA"]["invoices"], "what it bought stays its own"
    for name in set(after) - {"DELTA"}:
        assert (before[name]["invoices"], before[name]["sites"]) == (after[name]["invoices"], after[name]["sites"])


def made_of(folder):
    session = inputs.connect()
    inputs.load(session, folder)
    return market.study(session, PERIOD)


@pytest.mark.parametrize("change, code, where", [
    (lambda folder: (folder / "flux.csv").write_text("finess_geo,nb_factures\nS1,2\n"), "M102", "flux.csv"),
    (lambda folder: (folder / "flux.csv").write_text("finess_geo,mois,nb_factures\nS1,2026-01,2\nS2,janvier,2\n"), "M103", "flux.csv, ligne 3"),
    (lambda folder: (folder / "flux.csv").write_text("finess_geo,mois,nb_factures\nS1,2026-01,2\nS2,2026-01,\n"), "M104", "flux.csv, ligne 3"),
    (lambda folder: (folder / "flux.csv").write_text("finess_geo,mois,nb_factures\nS1,2026-01,2,5\n"), "M101", "flux.csv"),
    (lambda folder: (folder / "flux.csv").write_bytes(b"finess_geo,mois,nb_factures\n\xff\xfe,2026-01,2\n"), "M101", "flux.csv"),
    (lambda folder: (folder / "flux.parquet").write_bytes(b"PAR1") and (folder / "flux.csv").unlink(), "M101", "flux.parquet"),
    (lambda folder: (folder / "flux.csv").unlink(), "M101", ""),
    (lambda folder: (folder / "divers.csv").write_text("a\n1\n"), "M108", "divers.csv"),
    (lambda folder: (folder / "fusions.csv").write_text("editeur,devient,le\nA,B,2020-01-01\nB,A,2021-01-01\n"), "M109", "fusions"),
    (lambda folder: (folder / "flux.csv").write_text("finess_geo,mois,nb_factures\nS1,2019-01,2\n"), "M106", "flux"),
])  # fmt: skip
def test_bad_input_says_what_where_and_what_to_do(tmp_path, change, code, where):
    change(write(tmp_path))
    with pytest.raises(StudyError) as raised:
        made_of(tmp_path)
    assert raised.value.code == code and where in raised.value.where and raised.value.do


@pytest.mark.parametrize("text", ["2026", "2026-03..2026-01", "2026-13..2027-01", "2025-01..2026-06", "", "2026-01-01..2026-02-01"])
def test_a_period_that_does_not_read(text):
    with pytest.raises(StudyError) as raised:
        market.Period.of(text)
    assert raised.value.code == "M105"


def test_every_error_is_met_by_a_test():
    assert set(catalogue()) == {f"M{rank}" for rank in range(101, 111)}  # M107 and M110 below, the others above


def test_the_counts_of_services_are_no_matrix(tmp_path):
    """Ticks of the published matrix cannot be read back by column: a list of counts is refused where integrations are expected."""
    write(tmp_path)
    (tmp_path / "integrations.csv").write_text("editeur,nb_services_coches_deduit\n2CSI,5\n")
    with pytest.raises(StudyError) as raised:
        inputs.load(inputs.connect(), tmp_path)
    assert raised.value.code == "M102"


def test_the_same_data_has_the_same_name_and_another_order_too(tmp_path):
    one, two = study(tmp_path / "a"), study(tmp_path / "b", changed=flows()[::-1])
    assert one.version == two.version and {code: made.rows for code, made in one.made.items()} == {code: made.rows for code, made in two.made.items()}
    assert study(tmp_path / "c", changed=flows()[1:]).version != one.version


def test_the_public_reads_no_volume_of_a_vendor(made):
    told = tiers.tell(made, tiers.PUBLIC)
    assert {one.definition.code for one in told}.isdisjoint({"T03", "T03n", "T08x", "T10", "T11", "T11c"})
    for one in told:
        named = one.definition.own or any(column.name == "vendor" for column in one.columns)
        assert not named or not any(isinstance(cell, int | float) for row in one.rows for cell in row), one.definition.code
    concentration = next(one for one in told if one.definition.code == "T03c")
    assert all(isinstance(row[2], str) for row in concentration.rows), "a class, not the figure"


def test_volumes_that_tell_somebody_are_masked(made):
    """One hospital of the armies, one site in FIDES: their months are theirs alone."""
    told = {one.definition.code: one for one in tiers.tell(made, tiers.PUBLIC)}
    assert all(row[2] == tiers.MASKED for row in told["T06"].rows if row[1] == "FIDES_ACE")
    masked = [row for row in told["T06"].rows if row[2] == tiers.MASKED]
    for month in {row[0] for row in told["T06"].rows}:
        assert sum(row[0] == month for row in masked) != 1, "a single masked device would be had by subtraction"
    assert all(row[2] == tiers.MASKED for row in told["T12"].rows if row[1] == "HIA")
    assert secrecy.key_of("T06", ("2026-01", "FIDES_ACE")) in secrecy.closed(made.cells)


def test_a_vendor_reads_its_own_rows_and_nobody_else_s(made):
    told = {one.definition.code: one for one in tiers.tell(made, "ALPHA")}
    for code in ("T03", "T11", "T11c", "T08x"):
        at = [column.name for column in told[code].columns].index("vendor")
        assert told[code].rows and {row[at] for row in told[code].rows} == {"ALPHA"}
    assert "cumulated" not in {column.name for column in told["T03"].columns}, "for the second it would tell the first"
    assert told["T03"].quartiles == (), "five others are too few"
    with pytest.raises(StudyError) as raised:
        tiers.tell(made, "PERSONNE")
    assert raised.value.code == "M107"


def test_flows_that_were_entrusted_tell_less(made):
    """Providers let their flows be observed: the public reads no volume of theirs, a vendor none of fewer than three clients, nobody everything."""
    public = {one.definition.code: one for one in tiers.tell(made, tiers.PUBLIC, entrusted=True)}
    assert [column.name for column in public["T06"].columns] == ["month", "device", "share"]
    assert not any(column.name in one.definition.volumes for one in public.values() for column in one.columns)
    assert all(isinstance(row[2], int) or row[2] == tiers.MASKED for row in public["T12"].rows), "whole percents"
    assert made.wide["T03n"] == {"ALPHA", "DELTA"}
    alpha, beta = ({one.definition.code: one for one in tiers.tell(made, name, entrusted=True)} for name in ("ALPHA", "BETA"))
    for code in ("T03", "T08x"):
        assert all(
            cell in (tiers.MASKED, "ALPHA", "CRYPTO+", "(non renseigné)") or one.unit == "établissements"
            for row in alpha[code].rows
            for cell, one in zip(row, alpha[code].columns, strict=True)
            if one.unit
        ), "one volume, in one table"
    assert all(row[1] == tiers.MASKED for row in beta["T11"].rows), "the rejects of two clients"
    alpha, beta = alpha["T03n"], beta["T03n"]
    at = [column.name for column in beta.columns].index("invoices")
    assert isinstance(alpha.rows[0][at], int) and beta.rows[0][at] == tiers.MASKED and beta.rows[0][at - 1] == 2, (
        "its two clients are counted, not summed"
    )
    with pytest.raises(StudyError) as raised:
        tiers.tell(made, tiers.GOVERNANCE, entrusted=True)
    assert raised.value.code == "M110"


def test_causes_of_one_client_are_masked_with_another(tmp_path):
    """Three clients are rejected for one cause, one of them alone for another: the second is masked, and a third one with it."""
    folder = write(tmp_path)
    lines = [
        ("S01", "D101", 30),
        ("S02", "D101", 25),
        ("S03", "D101", 28),
        ("S01", "P204", 9),
        ("S02", "P204", 8),
        ("S03", "P204", 9),
        ("S01", "A310", 40),
    ]
    (folder / "rejets.csv").write_text(
        "mois;finess_geo;texte_editeur;cause;nb\n" + "".join(f"2026-01-01;{site};ALPHA;{cause};{count}\n" for site, cause, count in lines)
    )
    told = {one.definition.code: one for one in tiers.tell(made_of(folder), "ALPHA", entrusted=True)}["T11c"]
    at = [column.name for column in told.columns].index("rejects")
    assert {row[1]: row[at] for row in told.rows} == {"D101": 83, "A310": tiers.MASKED, "P204": tiers.MASKED}


def test_one_service_of_two_callers_tells_no_volume(tmp_path):
    folder = write(tmp_path)
    text = (folder / "appels.csv").read_text().replace(";S03;", ";S02;")
    (folder / "appels.csv").write_text(text)
    session = inputs.connect()
    inputs.load(session, folder)
    told = {one.definition.code: one for one in tiers.tell(market.study(session, PERIOD), tiers.PUBLIC)}
    row = dict(zip([column.name for column in told["T07"].columns], told["T07"].rows[0], strict=True))
    assert (row["calls"], row["success"]) == (tiers.MASKED, tiers.MASKED) and row["equipped"] == 2
