"""Guarantees in cents, the four verbs, and the matching of what was committed, billed, returned and banked."""

import datetime as dt
from dataclasses import replace

import pytest

from belvedere.engine.services import matching, roc
from belvedere.engine.services.guarantees import Guarantee, Line, Share, shares

DAY = dt.date(2026, 11, 2)
CONTRACT = roc.Contract(
    "M1", (Guarantee("TM"), Guarantee("FJ", days=10), Guarantee("CP", per_day=6000, cap=20000), Guarantee("DP", percent=100)), dt.date(2020, 1, 1), dt.date(2030, 1, 1)
)  # fmt: skip
STAY = (Line("TM", 100_000, base=100_000, rate=80), Line("FJ", 20_00 * 12, days=12), Line("CP", 7500 * 4, days=4))


@pytest.mark.parametrize("lines, guarantees, expected, why", [
    ((Line("TM", 1000, base=1000, rate=65),), (), [(650, 0, 350)], "sans garantie, le patient paie le reste"),
    ((Line("TM", 1000, base=1000, rate=65),), (Guarantee("TM"),), [(650, 350, 0)], "le ticket modérateur entier"),
    ((Line("TM", 1001, base=1001, rate=65),), (Guarantee("TM", percent=50),), [(651, 175, 175)], "les demis vont vers le haut"),
    ((Line("FJ", 24_000, days=12),), (Guarantee("FJ", days=10),), [(0, 20_000, 4_000)], "dix jours au plus"),
    ((Line("FJ", 12_000, days=6), Line("FJ", 12_000, days=6)), (Guarantee("FJ", days=10),), [(0, 12_000, 0), (0, 8_000, 4_000)], "les jours courent d’une ligne à l’autre"),
    ((Line("CP", 30_000, days=4),), (Guarantee("CP", per_day=6000),), [(0, 24_000, 6_000)], "soixante euros par jour"),
    ((Line("CP", 30_000, days=4),), (Guarantee("CP", per_day=6000, cap=20_000),), [(0, 20_000, 10_000)], "plafonnés"),
    ((Line("CP", 20_000, days=4),), (Guarantee("CP", per_day=6000),), [(0, 20_000, 0)], "jamais plus que le prix"),
    ((Line("DP", 9_000, base=5_000),), (Guarantee("DP", percent=150),), [(0, 7_500, 1_500)], "dépassement en part de la base"),
    ((Line("TM", 1000, base=2000, rate=100),), (Guarantee("TM"),), [(1000, 0, 0)], "la part obligatoire ne passe pas le total"),
    ((Line("TM", 1000, base=1000, rate=65),), (Guarantee("TM", until=dt.date(2026, 1, 1)),), [(650, 0, 350)], "garantie d’hier"),
])  # fmt: skip
def test_shares(lines, guarantees, expected, why):
    assert [(one.amo, one.amc, one.patient) for one in shares(lines, guarantees, DAY)] == expected, why


def test_a_deductible_is_taken_once():
    found = shares((Line("TM", 1000, base=1000, rate=65), Line("TM", 1000, base=1000, rate=65)), (Guarantee("TM"),), DAY, deductible=400)
    assert found == [Share(650, 0, 350), Share(650, 300, 50)]


@pytest.mark.parametrize("line", [Line("XX", 1), Line("TM", -1), Line("TM", 1, rate=101), Line("TM", 1, base=-1), Line("FJ", 1, days=-1)])
def test_impossible_lines(line):
    with pytest.raises(ValueError, match="impossible"):
        shares((line,), (), DAY)


def test_the_four_verbs():
    file, reply = roc.identify(roc.File(), CONTRACT, DAY)
    assert (file.state, reply.amc, reply.level) == ("IDENTIFIE", 0, "standard")
    file, estimate = roc.simulate(file, CONTRACT, STAY, DAY)
    assert file.state == "IDENTIFIE" and estimate.commitment == ""
    file, made = roc.commit(file, CONTRACT, STAY, DAY, "k1")
    assert (made.amo, made.amc, made.patient) == (estimate.amo, estimate.amc, estimate.patient) == (80_000, 60_000, 14_000)
    assert made.commitment == "M1-001" and made.valid_until == "2026-12-02"
    assert roc.commit(file, CONTRACT, STAY, DAY, "k1") == (file, made), "the same request, the same answer"
    with pytest.raises(roc.RocRefused, match="autre demande"):
        roc.commit(file, CONTRACT, STAY[:1], DAY, "k1")
    with pytest.raises(roc.RocRefused, match="court déjà"):
        roc.commit(file, CONTRACT, STAY, DAY, "k2")
    with pytest.raises(roc.RocRefused, match="passe l’engagement"):
        roc.bill(file, 60_001, DAY)
    billed, _ = roc.bill(file, 60_000, DAY)
    with pytest.raises(roc.RocRefused, match="facturé"):
        roc.cancel(billed)
    assert roc.settle(billed, paid=True).state == "PAYE"
    rejected = roc.settle(billed, paid=False)
    again, second = roc.commit(rejected, CONTRACT, STAY, DAY, "k3")
    assert (again.state, second.commitment) == ("ENGAGE", "M1-002")
    gone, answer = roc.cancel(again)
    assert roc.cancel(gone) == (gone, replace(answer)), "cancelled twice, the same answer"
    assert roc.loaded(roc.dumped(again)) == again


def test_a_commitment_passes():
    file, _ = roc.commit(roc.identify(roc.File(), CONTRACT, DAY)[0], CONTRACT, STAY, DAY, "k")
    late = DAY + dt.timedelta(days=31)
    assert roc.expire(file, DAY + dt.timedelta(days=30)) == file
    with pytest.raises(roc.RocRefused, match="expiré"):
        roc.bill(file, 10, late)
    assert roc.commit(roc.expire(file, late), CONTRACT, STAY, late, "k2")[0].state == "ENGAGE"


def test_who_is_not_known_is_not_told_an_amount():
    for contract in (None, replace(CONTRACT, until=dt.date(2021, 1, 1))):
        with pytest.raises(roc.RocRefused, match="ne connaît pas"):
            roc.identify(roc.File(), contract, DAY)
    with pytest.raises(roc.RocRefused, match="IDB"):
        roc.simulate(roc.File(), CONTRACT, STAY, DAY)


@pytest.mark.parametrize("committed, billed, returned, banked, case", [
    (100, 100, (100, False), 100, "COMPLET"), (100, None, None, None, "A_FACTURER"), (100, 100, None, None, "ATTENTE_RETOUR"), (100, 100, (100, False), None, "ATTENTE_BANQUE"),
    (100, 100, (0, True), None, "REJETE"), (100, 100, (90, False), 90, "ECART_RETOUR"), (100, 100, (100, False), 90, "ECART_BANQUE"), (100, 120, (100, False), 100, "AU_DELA"),
    (None, None, None, 50, "PAIEMENT_SEUL"), (None, 100, None, 100, "PAIEMENT_SEUL"),
])  # fmt: skip
def test_every_case_of_the_matching(committed, billed, returned, banked, case):
    keep = lambda value: {} if value is None else {"F1": value}  # noqa: E731
    found = matching.match(
        keep(committed), {} if billed is None else {"F1": (billed, DAY - dt.timedelta(days=45))}, keep(returned), keep(banked), DAY
    )
    assert [one.case.code for one in found] == [case] and (found[0].case.remedy or case == "COMPLET")
    assert list(matching.aged(found)) == [(case, "30 à 59 jours" if billed is not None else "moins de 30 jours")]


def test_every_case_is_met():
    assert set(matching.cases()) == {
        "COMPLET",
        "A_FACTURER",
        "ATTENTE_RETOUR",
        "ATTENTE_BANQUE",
        "REJETE",
        "ECART_RETOUR",
        "ECART_BANQUE",
        "AU_DELA",
        "PAIEMENT_SEUL",
    }
