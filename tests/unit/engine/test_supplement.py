"""What a release tells beside its cells, and what it refuses to."""

import pytest

from belvedere.engine.indicators import panel, supplement
from belvedere.engine.secrecy.rules import Parameters
from belvedere.engine.warehouse import engine
from belvedere.engine.warehouse.objected import Objected
from tests.examples import facts, months_of

WINDOW = {"12m-2025-12": tuple(months_of("2025-01..2025-12"))}
RULES = Parameters()


def told(lines, parameters=RULES, published=None):
    table, groups = facts({"lines": lines})
    connection = engine.connect(table, groups=groups, objected=Objected(), materialise=True)
    try:
        count = connection.sql("SELECT count(DISTINCT patient) FROM facts WHERE month >= '2025-01'").fetchall()[0][0]
        return supplement.compute(connection, WINDOW, published or (lambda *_: count), parameters)
    finally:
        connection.close()


def people(count, group, mois, start=0, facture=30.0):
    return [{"patient": f"{group}-{start + n}", "mois": mois, "code": 1136581, "unites": 4, "facture": facture, "de": group} for n in range(count)]


def world(groups, known=8, new=4):
    """Groups of as many known and new patients each, all with two years of past."""
    lines = []
    for number in range(groups):
        lines += people(known, f"g{number}", "2023-06..2025-12", facture=30.0 + number)
        lines += people(new, f"g{number}", "2025-03..2025-12", start=100, facture=30.0 + number)
    return lines


def test_courses_are_told_when_every_part_is_safe():
    parts = told(world(6))["courses"]["OXY"]["12m-2025-12"]
    assert (parts["new"], parts["known"], parts["unsure"]) == (24, 48, 0)
    assert "stopped" not in parts, "everybody going: nobody may be told to be"


@pytest.mark.parametrize("groups, new", [(6, 1), (2, 20)], ids=["six new patients", "two groups"])
def test_courses_are_hidden_with_few_persons_or_few_groups(groups, new):
    parts = told(world(groups, new=new))["courses"]["OXY"]["12m-2025-12"]
    assert parts is None or "new" not in parts


def test_a_group_that_makes_all_the_new_patients_hides_them():
    lines = world(6, new=0) + people(40, "g0", "2025-03..2025-12", start=500)
    parts = told(lines)["courses"]["OXY"]["12m-2025-12"]
    assert parts is None or "new" not in parts


def test_no_total_over_families_and_nothing_of_a_hidden_family():
    found = told(world(6))
    assert "*" not in found["courses"]
    assert all(not by_family for by_family in told(world(6), published=lambda *_: None).values())


def test_bands_want_ten_groups_of_eleven_patients_and_never_an_extreme():
    assert told(world(9))["average_amo"]["OXY"]["12m-2025-12"] is None
    assert told(world(12, known=3, new=2))["average_amo"]["OXY"]["12m-2025-12"] is None, "groups of five patients"
    band = told(world(17))["average_amo"]["OXY"]["12m-2025-12"]
    assert set(band) == {"p25", "p50", "p75"}
    values = [(8 * 12 + 4 * 10) * (3000 + 100 * number) / 12 for number in range(17)]
    assert min(values) < band["p25"] < band["p75"] < max(values)
    wild = told(world(16) + people(12, "g99", "2023-06..2025-12", facture=9_000.0), parameters=Parameters(dominance_share=2.0, p_percent=0.0))
    assert wild["average_amo"]["OXY"]["12m-2025-12"]["p50"] < max(values), "an extreme group weighs on no band"
    assert all(float(f"{value:.1e}") == value for value in band.values())


def test_concentration_is_a_class_and_dominance_hides_it():
    assert told(world(12))["concentration"]["OXY"]["12m-2025-12"] in supplement.CLASSES
    lines = world(6) + people(12, "g0", "2025-01..2025-12", start=900, facture=90_000.0)
    assert told(lines)["concentration"]["OXY"]["12m-2025-12"] is None


def test_what_was_told_or_hidden_before_stays():
    now = {"courses": {"OXY": {"12m-2025-12": {"new": 30}, "12m-2024-12": {"new": 20}}}}
    before = [{"courses": {"OXY": {"12m-2025-12": {"new": 29}}}}, {"courses": {"OXY": {"12m-2024-12": None}}}]
    assert supplement.kept(now, before, {"12m-2025-12", "12m-2024-12"})["courses"]["OXY"] == {"12m-2025-12": {"new": 29}, "12m-2024-12": None}
    assert supplement.kept({}, before, {"12m-2025-12"}) == {"courses": {"OXY": {"12m-2025-12": {"new": 29}}}}


def test_courses_that_do_not_add_up_to_the_published_persons_are_not_told():
    """Computed at another time than the cell beside, they would tell who came or went in between."""
    assert told(world(6), published=lambda *_: 71)["courses"]["OXY"]["12m-2025-12"] is None


def test_growths_are_told_to_the_point():
    band = told(world(14))["growth_patients"]["OXY"]["12m-2025-12"]
    assert band is None or all(abs(value * 100 - round(value * 100)) < 1e-9 for value in band.values())


def test_a_window_shorter_than_a_year_tells_nothing():
    table, groups = facts({"lines": world(12)})
    connection = engine.connect(table, groups=groups, objected=Objected(), materialise=True)
    short = {"12m-2025-12": tuple(months_of("2025-07..2025-12"))}
    assert all(not by_family for by_family in supplement.compute(connection, short, lambda *_: 144, RULES).values())


SPAN = "2024-01..2025-12"


def joined(joiners, patients=15, start="2025-07", **given):
    """Eight groups that were always there, and some that come later: the panel's series of December 2025."""
    lines = [line for number in range(8) for line in people(patients, f"g{number}", SPAN, facture=30.0 + number)]
    for number in range(joiners):
        lines += people(patients, f"n{number}", f"{start}..2025-12", facture=30.0 + number)
    return panels(lines, **given)["OXY"]


def panels(lines, **given):
    table, groups = facts({"lines": lines})
    connection = engine.connect(table, groups=groups, objected=Objected(), materialise=True)
    try:
        return panel.compute(connection, list(WINDOW["12m-2025-12"]), RULES, **given)
    finally:
        connection.close()


def test_a_newly_plugged_member_is_no_growth_of_the_market():
    found = joined(4)
    assert set(found["constant"].values()) <= {100, 80}, "the panel's months differ by their weeks alone"
    assert found["constant"]["2025-12"] == found["extrapolated"]["2025-12"] == 80
    assert list(found["constant"]) == list(WINDOW["12m-2025-12"]), "windows share no month: two panels have no difference"


@pytest.mark.parametrize("joiners", [1, 2])
def test_the_panel_is_hidden_when_it_would_give_a_newcomer_away(joiners):
    """With the raw series beside, the constant one would tell what one or two groups bill; the extrapolated one too."""
    assert joined(joiners) is None
    assert joined(0) is not None and joined(4) is not None


def test_a_federation_that_knows_its_members_learns_no_more():
    """Of four newcomers, three are of one federation: less what it knows, one is left."""
    house = dict.fromkeys((9, 10, 11), 7)
    assert joined(4) is not None and joined(4, federations=house) is None


def test_lines_that_came_after_a_month_was_closed_hide_its_panel():
    """The raw cells are those of the ledger: a panel of live lines would tell the backfill of a newcomer."""
    lines = [line for number in range(8) for line in people(15, f"g{number}", SPAN, facture=30.0 + number)]
    sealed = {("OXY", month): {number + 1: round(15 * (30 + number) * 100) for number in range(8)} for month in WINDOW["12m-2025-12"][:6]}
    assert panels(lines, sealed=sealed)["OXY"] is not None
    late = lines + people(1, "g3", "2025-02", start=900)
    assert panels(late)["OXY"] is not None and panels(late, sealed=sealed)["OXY"] is None
    backfill = lines + people(15, "n0", SPAN)
    assert panels(backfill)["OXY"] is not None and panels(backfill, sealed=sealed)["OXY"] is None


def test_an_index_that_leaves_half_to_double_is_too_fine_to_be_told():
    lines = [line for number in range(8) for line in people(15, f"g{number}", "2025-02..2025-12") + people(3, f"g{number}", "2025-01", start=50)]
    assert panels(lines)["OXY"] is None


def test_the_total_is_never_told():
    assert "*" not in told(world(6))["panel"]
