"""ROC under any order of verbs: shares add up, nothing is paid above its commitment, and what was said once is said again."""

import contextlib
import datetime as dt
import threading

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from belvedere.engine.services import roc
from belvedere.engine.services.guarantees import KINDS, Guarantee, Line, shares

DAY = dt.date(2026, 11, 2)
LINES = st.lists(
    st.builds(Line, st.sampled_from(KINDS), st.integers(0, 500_000), base=st.integers(0, 500_000), rate=st.integers(0, 100), days=st.integers(0, 40)), min_size=1, max_size=8
)  # fmt: skip
GUARANTEES = st.lists(
    st.builds(Guarantee, st.sampled_from(KINDS), percent=st.integers(0, 300), per_day=st.integers(0, 9_000), cap=st.integers(0, 90_000), days=st.integers(0, 30)), max_size=5
)  # fmt: skip


@given(LINES, GUARANTEES, st.integers(0, 50_000))
def test_shares_add_up_and_stay_within_what_is_left(lines, guarantees, deductible):
    for line, share in zip(lines, shares(lines, guarantees, DAY, deductible=deductible), strict=True):
        assert share.amo + share.amc + share.patient == line.total
        assert min(share.amo, share.amc, share.patient) >= 0 and share.amc <= line.total - share.amo


@given(LINES, GUARANTEES)
def test_what_is_simulated_is_what_is_committed(lines, guarantees):
    contract = roc.Contract("M", tuple(guarantees), dt.date(2020, 1, 1), dt.date(2030, 1, 1))
    file, _ = roc.identify(roc.File(), contract, DAY)
    _, estimate = roc.simulate(file, contract, lines, DAY)
    _, made = roc.commit(file, contract, lines, DAY, "k")
    assert (estimate.amo, estimate.amc, estimate.patient, estimate.lines) == (made.amo, made.amc, made.patient, made.lines)


class Verbs(RuleBasedStateMachine):
    """Any verbs in any order, from a side that repeats itself, beside a plain model of what must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.contract = roc.Contract("M", (Guarantee("TM"), Guarantee("CP", per_day=6000)), dt.date(2020, 1, 1), dt.date(2030, 1, 1))
        self.file, self.day, self.answers, self.keys = roc.File(), DAY, {}, 0

    def _try(self, verb, *given):
        before = self.file
        try:
            self.file, reply = verb(self.file, *given)
        except roc.RocRefused:
            assert self.file == before
            return None
        return reply

    @rule()
    def identify(self):
        self._try(roc.identify, self.contract, self.day)

    @rule(lines=LINES)
    def simulate(self, lines):
        number = self.file.number
        self._try(roc.simulate, self.contract, lines, self.day)
        assert self.file.number == number, "no commitment"

    @rule(lines=LINES)
    def commit(self, lines):
        self.keys += 1
        reply = self._try(roc.commit, self.contract, lines, self.day, f"k{self.keys}")
        if reply:
            self.answers[f"k{self.keys}"] = (lines, self.day, reply)

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def commit_again(self, data):
        key = data.draw(st.sampled_from(sorted(self.answers)))
        lines, day, reply = self.answers[key]
        before = self.file
        assert roc.commit(self.file, self.contract, lines, day, key) == (before, reply)

    @rule()
    def cancel(self):
        state = self.file.state
        reply = self._try(roc.cancel)
        assert (reply is None) == (state not in ("ENGAGE", "ANNULE"))

    @rule(part=st.integers(0, 120))
    def bill(self, part):
        amount = self.file.amount * part // 100
        self._try(roc.bill, amount, self.day)

    @rule(paid=st.booleans())
    def settle(self, paid):
        if self.file.state == "FACTURE":
            self.file = roc.settle(self.file, paid=paid)

    @rule(days=st.integers(1, 20))
    def wait(self, days):
        self.day += dt.timedelta(days=days)
        self.file = roc.expire(self.file, self.day)

    @invariant()
    def nothing_above_the_commitment(self):
        assert (
            0 <= self.file.billed <= max(self.file.amount, self.file.billed if self.file.state in ("PAYE", "REJETE") else 0)
            or self.file.state == "ENGAGE"
        )
        assert self.file.state != "FACTURE" or self.file.billed <= self.file.amount
        assert roc.loaded(roc.dumped(self.file)) == self.file


TestVerbs = Verbs.TestCase


@given(st.booleans())
def test_a_commitment_and_its_cancellation_at_once_end_in_one_order(first):
    """Two callers under one lock: whatever the order, the state is one that the order gives."""
    contract = roc.Contract("M", (Guarantee("TM"),), dt.date(2020, 1, 1), dt.date(2030, 1, 1))
    held = {"file": roc.identify(roc.File(), contract, DAY)[0]}
    lock = threading.Lock()

    def do(verb, *given):
        with lock, contextlib.suppress(roc.RocRefused):
            held["file"], _ = verb(held["file"], *given)

    threads = [
        threading.Thread(target=do, args=(roc.commit, contract, [Line("TM", 1000, base=1000, rate=65)], DAY, "k")),
        threading.Thread(target=do, args=(roc.cancel,)),
    ]
    for thread in threads if first else threads[::-1]:
        thread.start()
    for thread in threads:
        thread.join()
    assert held["file"].state in ("ENGAGE", "ANNULE")
