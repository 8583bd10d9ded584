"""What a release tells beside its cells, and what it refuses to."""

import pytest

from belvedere.engine.indicators import supplement
from belvedere.engine.indicators.examples import facts, months_of
from belvedere.engine.secrecy.rules import Parameters
from belvedere.engine.warehouse import engine
from belvedere.engine.warehouse.objected import Objected

WINDOW = {"12m-2025-12": tuple(months_of("2025-01..2025-12"))}
RULES = Parameters()


def told(lines, parameters=RULES, published=lambda *_: True):
    table, groups = facts({"lines": lines})
    connection = engine.connect(table, groups=groups, objected=Objected(), materialise=True)
    try:
        return supplement.compute(connection, WINDOW, published, parameters)
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
    assert all(not by_family for by_family in told(world(6), published=lambda *_: False).values())


def test_bands_want_ten_groups_of_eleven_patients_and_never_an_extreme():
    assert told(world(9))["average_amo"]["OXY"]["12m-2025-12"] is None
    assert told(world(12, known=3, new=2))["average_amo"]["OXY"]["12m-2025-12"] is None, "groups of five patients"
    band = told(world(14))["average_amo"]["OXY"]["12m-2025-12"]
    assert set(band) == {"p25", "p50", "p75"}
    values = [(8 * 12 + 4 * 10) * (3000 + 100 * number) / 12 for number in range(14)]
    assert min(values) < band["p25"] < band["p75"] < max(values)
    assert all(float(f"{value:.1e}") == value for value in band.values())


def test_concentration_is_a_class_and_dominance_hides_it():
    assert told(world(12))["concentration"]["OXY"]["12m-2025-12"] in supplement.CLASSES
    lines = world(6) + people(12, "g0", "2025-01..2025-12", start=900, facture=90_000.0)
    assert told(lines)["concentration"]["OXY"]["12m-2025-12"] is None


def test_what_was_told_or_hidden_before_stays():
    now = {"courses": {"OXY": {"12m-2025-12": {"new": 30}, "12m-2024-12": {"new": 20}}}}
    before = [{"courses": {"OXY": {"12m-2025-12": {"new": 29}}}}, {"courses": {"OXY": {"12m-2024-12": None}}}]
    assert supplement.kept(now, before)["courses"]["OXY"] == {"12m-2025-12": {"new": 29}, "12m-2024-12": None}
