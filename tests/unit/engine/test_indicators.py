"""Every definition on its own worked example, and the traps of measurement."""

import math
from dataclasses import replace

import pytest

from belvedere.engine.indicators.definitions import DefinitionError, catalogue, parse
from belvedere.engine.indicators.formulas import Ask, evaluate, parts_of_kind
from belvedere.engine.indicators.formulas.ask import SPLITS
from belvedere.engine.indicators.formulas.dynamics import mondays, panel_series
from belvedere.engine.indicators.treatments import kaplan_meier
from belvedere.engine.secrecy.answers import Refused
from tests import examples

COMPUTED = [definition for definition in catalogue().values() if definition.example]


@pytest.mark.parametrize("definition", COMPUTED, ids=lambda definition: definition.name)
def test_a_definition_gives_the_value_of_its_example(definition):
    found, expected = examples.run(definition), definition.example["expected"]
    if isinstance(expected, dict):
        assert set(found) == set(expected)
        assert all(math.isclose(found[code], value, abs_tol=1e-9) for code, value in expected.items())
    elif isinstance(expected, float):
        assert math.isclose(found, expected, abs_tol=1e-9)
    else:
        assert found == expected


def test_the_catalogue_covers_its_themes_and_says_what_waits():
    assert len(catalogue()) >= 60 and len(COMPUTED) >= 55
    assert {definition.theme for definition in catalogue().values()} >= {"activite", "dynamique", "fidelite", "marche", "prescription", "qualite"}
    assert all(definition.needs for definition in catalogue().values() if definition.kind == "absent")
    assert all(definition.title.endswith("?") and definition.why.endswith(".") for definition in catalogue().values())


def test_a_bad_definition_says_what_is_wrong():
    good = "label: a\ntitle: b\nwhy: c\nunit: d\ntheme: activite\ntier: public\nkind: measure\nformula: {of: lines}\ndisplay: nombre\n"
    with pytest.raises(DefinitionError, match="example lacks lines"):
        parse("x", good + "example: {}")
    with pytest.raises(DefinitionError, match="kind 'nope' unknown"):
        parse("x", good.replace("kind: measure", "kind: nope") + "example: {}")
    with pytest.raises(DefinitionError, match="version 2"):
        parse("x", good + "version: 2\nexample: {lines: [], expected: 0}")
    with pytest.raises(DefinitionError, match="dimension 'colour'"):
        parse("x", good + "dimensions: [colour]\nexample: {lines: [], expected: 0}")


def lines_of(name: str, *lines: str):
    """A definition with other lines in its example."""
    import yaml

    definition = catalogue()[name]
    return replace(definition, example={**definition.example, "lines": [yaml.safe_load(line) for line in lines]})


def test_a_newly_plugged_sender_brings_no_new_patient():
    """Its patients look new because it is: nothing is said until it has twelve months behind it."""
    old = "{patient: Anne, mois: 2023-01..2025-12, code: 1136581, facture: 30}"
    plugged = "{patient: Basile, mois: 2025-06..2025-12, code: 1136581, facture: 30, de: autre}"
    assert examples.run(lines_of("new_patients", old, plugged)) is None
    known = "{patient: Basile, mois: 2025-06..2025-12, code: 1136581, facture: 30}"
    assert examples.run(lines_of("new_patients", old, known)) == 1


def test_new_for_me_is_not_new_for_the_market():
    lines = (
        "{patient: Anne, mois: 2023-01..2025-12, code: 1136581, facture: 30}",
        "{patient: Basile, mois: 2023-01..2025-05, code: 1136581, facture: 30, de: autre}",
        "{patient: Basile, mois: 2025-06..2025-12, code: 1136581, facture: 30}",
    )
    assert examples.run(lines_of("new_patients", *lines)) == 0
    assert examples.run(lines_of("new_for_me", *lines)) == 1


def test_five_weeks_make_no_season():
    assert [mondays(month) for month in ("2025-01", "2025-02", "2025-03")] == [4, 4, 5]
    question = examples.ask(catalogue()["seasonality"])
    assert [round(part.value, 9) for part in parts_of_kind("seasonality", question)] == [100.0] * 12


def test_the_three_effects_add_up_to_the_growth():
    question = examples.ask(catalogue()["price_effect"])
    three = [evaluate("effect", replace(question, formula={**question.formula, "effect": name})) for name in ("price", "volume", "mix")]
    whole = evaluate("growth", replace(question, formula={"of": "amount_billed"}))
    assert math.isclose(sum(three), whole, abs_tol=1e-12)


class Masked:
    """A release that tells France alone."""

    months, years = ("2025-01",), ("12m-2025-01",)

    def measure(self, name, **codes):
        return 100 if codes["territory"] == "FR" else "masked"

    def course(self, *_):
        return "masked"

    def beside(self, *_):
        return "masked"


def test_what_is_masked_stays_masked_in_every_formula():
    """Whatever is computed from a masked cell is masked, absent or refused; never a number."""
    codes = dict.fromkeys(("product", "period", "age", "sex", "payer", "mode"), "*") | {"territory": "R84", "period": "12m-2025-01"}
    for definition in catalogue().values():
        if definition.tier == "own" and definition.kind != "share":
            continue
        question = Ask(definition.formula, codes, Masked(), examples.ask(catalogue()["patients"]).own, Masked())
        value = evaluate(definition.kind, question)
        assert value is None or value == "masked" or isinstance(value, Refused), definition.name
        for part in parts_of_kind(definition.kind, question):
            assert part.code == "me" or not isinstance(part.value, int | float), definition.name
    assert set(SPLITS) <= {definition.kind for definition in catalogue().values()} | {"specialties"}


def test_baskets_add_up_what_adds_up_and_refuse_the_rest():
    question = examples.ask(catalogue()["amount_amo"]).at(territory="59,69")
    assert evaluate("measure", question) == 26160
    assert isinstance(evaluate("measure", replace(question, formula={"of": "patients"})), Refused)
    assert isinstance(evaluate("measure", question.at(territory="R32,59")), Refused)


def test_a_survival_curve_against_a_hand_count():
    """Kaplan and Meier by hand: 1 of 4 stops at 1, 1 of 3 at 3 with one censored at 2."""
    import numpy as np

    curve = kaplan_meier(np.array([1, 2, 3, 5]), np.array([True, False, True, False]))
    assert curve.at(1) == 0.75 and curve.at(2) == 0.75 and curve.at(3) == 0.375 and curve.at(6) is None
    assert curve.median == 3
    assert kaplan_meier(np.zeros(0, dtype=int), np.zeros(0, dtype=bool)).at(1) is None


def test_own_index_beside_a_panel_starts_at_the_same_month():
    """A release tells a panel's twelve months; one's own line beside it is 100 at their first month too."""
    question = examples.ask(catalogue()["index_constant"])
    points = panel_series(question.of(question.own), "constant")
    assert [month for month, _ in points] == examples.months_of("2025-01..2025-12") and points[0][1] == 100.0
