"""CDRi: what the register answers; and the invoice check: an invoice made from the answer agrees, each change is told alone."""

import datetime as dt
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belvedere.engine.b2.findings import B2Error
from belvedere.engine.services.invoice_check import checked, checks, corrected, differences, invoices
from belvedere.engine.services.results import results
from belvedere.engine.services.rights import COVERED, FaultPlan, Question, Register, Span
from tests.services import ALWAYS, DAY, EXEMPT, file_of, person

NO_FAULT = FaultPlan({})


def question(one, **changes) -> Question:
    return Question(**({"site": "S", "agent": "A1", "nir": one.nir, "key": one.key, "born": one.born, "rank": one.rank, "day": DAY} | changes))


def register(*people, faults=NO_FAULT) -> Register:
    return Register(people, agents=frozenset({"A1"}), faults=faults)


@pytest.mark.parametrize("people, changes, code", [
    ([person(0)], {}, "00"), ([person(0)], {"agent": "inconnu"}, "40"), ([person(0)], {"nir": "2990199999999"}, "10"), ([person(0)], {"key": "00"}, "10"),
    ([person(0)], {"born": "990101"}, "10"), ([person(0), person(0, born="150101", rank="2")], {"born": "", "rank": ""}, "11"), ([person(0), person(0, born="150101", rank="2")], {}, "00"),
    ([person(0, regime="08" if "08" not in COVERED else "99")], {}, "20"), ([person(0, open=(Span(dt.date(2020, 1, 1), dt.date(2026, 9, 30)),))], {}, "30"),
])  # fmt: skip
def test_each_answer(people, changes, code):
    answer = register(*people).consult(question(people[0], **changes))
    assert answer.code == code and ("CDRI", code) in results()
    assert (answer.rights is not None) == (code in ("00", "30"))


def test_faults_are_the_outside_s_and_the_same_question_meets_the_same_one():
    plan = FaultPlan()
    people = [person(rank) for rank in range(300)]
    counted = Counter(register(*people, faults=plan).consult(question(one)).code for one in people)
    assert set(counted) == {"00", "50", "51"} and 5 <= counted["50"] + counted["51"] <= 30, "about one in twenty"
    failed = next(one for one in people if plan.fault(question(one).subject))
    assert register(failed, faults=plan).consult(question(failed)) == register(failed, faults=plan).consult(question(failed))
    assert register(failed, faults=replace(plan, cured=True)).consult(question(failed)).code == "00"


def test_every_useless_answer_says_what_to_do():
    assert all(one.remedy for one in results().values() if not one.useful) and len(COVERED) == 17


@pytest.mark.parametrize("norm", ["FR", "CP"])
def test_an_invoice_made_from_the_answer_agrees(norm):
    people = [person(0), person(1, exemptions=EXEMPT), person(2, solidarity=(ALWAYS,)), person(3, nature="13"), person(4, rank="2", caisse="311")]
    found = list(checked(file_of(people, norm=norm), lambda billed: next(one for one in people if one.nir == billed.nir)))
    assert len(found) == 5 and all(wrong == [] for _, wrong in found)
    assert [billed.day for billed, _ in found] == [DAY] * 5


CHANGES = {
    "nir_key": {"key": "42"}, "born": {"born": "010203"}, "rank": {"rank": "3"}, "regime": {"regime": "17"}, "caisse": {"caisse": "999"}, "centre": {"centre": "0042"},
    "nature": {"nature": "41"}, "exemption": {"exemptions": EXEMPT}, "contract": {"solidarity": (ALWAYS,)}, "closed": {"open": (Span(dt.date(2020, 1, 1), dt.date(2026, 1, 1)),)},
}  # fmt: skip


@pytest.mark.parametrize("norm", ["FR", "CP"])
@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_told_alone_and_corrected(name, norm):
    billed_as, rights = person(7), person(7, **CHANGES[name])
    raw = file_of([person(6), billed_as, person(8)], norm=norm)
    found = differences(list(invoices(raw))[1], rights)
    assert [one.check.name for one in found] == [name] and found[0].check.cause and found[0].check.cause_label
    assert name == "closed" or found[0].positions
    mended = corrected(raw, found)
    left = differences(list(invoices(mended))[1], rights)
    assert [one.check.name for one in left] == (["closed"] if name == "closed" else [])
    for at, one in ((0, person(6)), (2, person(8))):
        assert differences(list(invoices(mended))[at], one) == [], "its neighbours are left as they are"
    changed = sum(a != b for a, b in zip(raw, mended, strict=True))
    assert changed == 0 if name == "closed" else changed > 0


def test_a_corrected_key_is_written_on_every_record_of_its_invoice():
    raw, rights = file_of([person(7)]), person(7, key="42")
    mended = corrected(raw, differences(next(invoices(raw)), rights))
    keys = {mended[at + 24 : at + 26] for at in range(0, len(mended), 128) if mended[at : at + 1] in (b"2", b"4", b"5")}
    assert keys == {b"42"}


def test_every_check_is_met():
    assert {check.name for check in checks()} == set(CHANGES)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=12, unique=True), st.data())
def test_only_what_differs_is_told(ranks, data):
    people = [person(rank) for rank in ranks]
    changed = {rank: data.draw(st.lists(st.sampled_from(sorted(set(CHANGES) - {"nir_key"})), unique=True, max_size=3)) for rank in ranks}
    rights = {
        one.nir: person(rank, **{key: value for name in changed[rank] for key, value in CHANGES[name].items()})
        for rank, one in zip(ranks, people, strict=True)
    }
    for (billed, wrong), rank in zip(checked(file_of(people), lambda billed: rights[billed.nir]), ranks, strict=True):
        assert {one.check.name for one in wrong} == set(changed[rank]), billed.number


def test_where_the_service_was_silent_nothing_is_said():
    assert [wrong for _, wrong in checked(file_of([person(1)]), lambda billed: None)] == [None]
    with pytest.raises(B2Error):
        list(invoices(b"ce n est pas un flux".ljust(256)))
