"""Counts of an institution, month after month, in random worlds: what any two of them tell together, judged by a second, slow program that knows the truth.

It shares nothing with what protects: persons are sets, and recovery is a rank over the finest cells."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from belvedere.engine.exchange.counts import Earlier, TooFewMoved, Unprotected, protected
from belvedere.engine.exchange.turnover import table_of
from belvedere.engine.secrecy.errors import SecrecyError
from belvedere.engine.secrecy.rules import Parameters

RULES = Parameters(patients=11, holdings=3)
GIRS, SEXES = (*"123456", "ND"), ("F", "M", "ND")
Row = tuple[str, str, str, int, int]


def next_month(rows: list[Row], rng: np.random.Generator, places: int, fresh: int, *, leave: float, come: int, move: float) -> list[Row]:
    """The same world a month later: some left, some came, some have another GIR."""
    kept = []
    for territory, gir, sex, place, person in rows:
        if rng.random() < leave:
            continue
        kept.append((territory, str(rng.choice(GIRS[:6])) if rng.random() < move else gir, sex, place, person))
    return kept + [
        (str(75 + place % 2), str(rng.choice(GIRS[:6])), str(rng.choice(SEXES[:2])), place, fresh + rank)
        for rank, place in enumerate(rng.integers(0, places, come).tolist())
    ]  # fmt: skip


def within(key: tuple[str, str, str], row: Row) -> bool:
    return all(code in ("*", held) for code, held in zip(key, row[:3], strict=True))


def designates(keys: list[tuple[str, str, str]], before: list[Row], after: list[Row]) -> bool:
    """Whether the change of these cells together is that of few persons or of few establishments."""
    was, now = ({row for row in rows if any(within(key, row) for key in keys)} for rows in (before, after))
    if {row[4] for row in was} == {row[4] for row in now} and len(was) == len(now):
        return False  # the number has not changed, whoever is in it
    known = {row[4] for row in before}, {row[4] for row in after}
    moved = {row for row in was if row[4] not in known[1]} | {row for row in now if row[4] not in known[0]}
    if len(was) == len(now) and not moved:
        return False  # as many moved in as out: the difference is nothing
    return len({row[4] for row in moved}) < RULES.patients or len({row[3] for row in moved}) < RULES.holdings


def told(cells: dict) -> set:
    return {key for key, value in cells.items() if value is not None}


def sums(key: tuple[str, str, str], told: set, codes: tuple[tuple[str, ...], ...]) -> list[list[tuple[str, str, str]]]:
    """Under a told total, what is left once its told parts are taken away, along each dimension."""
    found = []
    for place, parts in enumerate(codes):
        if key[place] == "*":
            children = [(*key[:place], code, *key[place + 1 :]) for code in parts]
            left = [child for child in children if child not in told]
            if left and len(left) < len(children):
                found.append(left)
    return found


@given(seed=st.integers(0, 2**32 - 1), people=st.integers(150, 700), leave=st.sampled_from([0.0, 0.02, 0.1]), come=st.sampled_from([0, 1, 12, 40, 120]), move=st.sampled_from([0.0, 0.02]))  # fmt: skip
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_two_counts_tell_who_came_or_left(seed, people, leave, come, move):
    rng, places = np.random.default_rng(seed), 9
    rows = next_month([], rng, places, 1, leave=0, come=people, move=0)
    out: list[tuple[list[Row], dict]] = []
    for month in range(4):
        if month:
            rows = next_month(rows, rng, places, month * 10_000, leave=leave, come=come, move=move)
        earlier = [Earlier(str(rank), cells, table_of(held)) for rank, (held, cells) in enumerate(out)]
        try:
            out.append((rows, protected(table_of(rows), earlier, RULES)))
        except (TooFewMoved, Unprotected, SecrecyError):
            continue
    codes = (tuple(sorted({row[0] for held, _ in out for row in held})), GIRS, SEXES)
    leaves = list(itertools.product(*codes))
    of_leaves = {key: np.array([within(key, (*leaf, 0, 0)) for leaf in leaves], dtype=float) for key in itertools.product(*(("*", *part) for part in codes))}  # fmt: skip
    for (before, first), (after, second) in itertools.combinations(out, 2):
        both = told(first) & told(second)
        assert told(second) <= told(first) | (set(second) - set(first)), "masks only grow"
        for key in both:
            assert not designates([key], before, after), (key, first[key], second[key])
            for left in sums(key, both, codes):
                assert not designates(left, before, after), (key, left)
        matrix = np.array([of_leaves[key] for key in told(second)])
        rank = np.linalg.matrix_rank(matrix) if len(matrix) else 0
        for key in set(of_leaves) - told(second):
            if designates([key], before, after):
                assert np.linalg.matrix_rank(np.vstack([matrix, of_leaves[key]])) > rank, f"{key} is had from what is told"


def test_the_judge_sees_a_difference_of_one():
    before = [("75", "1", "F", rank % 4, rank) for rank in range(1, 41)]
    assert designates([("*", "*", "*")], before, [*before, ("75", "1", "F", 0, 99)])
    assert not designates([("*", "*", "*")], before, [*before, *(("75", "1", "F", rank % 4, 100 + rank) for rank in range(12))])
    assert designates([("*", "1", "*")], before, [("75", "2", "F", 0, 1), *before[1:]]) and not designates([("*", "*", "*")], before, [("75", "2", "F", 0, 1), *before[1:]])  # fmt: skip


def test_two_counts_protected_each_alone_tell_somebody():
    rng = np.random.default_rng(7)
    rows = next_month([], rng, 9, 1, leave=0, come=600, move=0)
    later = next_month(rows, rng, 9, 10_000, leave=0, come=12, move=0)
    first, second = (protected(table_of(held), [], RULES) for held in (rows, later))
    assert any(designates([key], rows, later) for key in told(first) & told(second))


@pytest.mark.parametrize("come", [0, 60])
def test_a_second_count_is_worth_reading_when_many_moved(come):
    """The rule is not met by hiding everything: with sixty newcomers over nine houses, totals are told again."""
    rng = np.random.default_rng(7)
    rows = next_month([], rng, 9, 1, leave=0, come=600, move=0)
    first = protected(table_of(rows), [], RULES)
    later = next_month(rows, rng, 9, 10_000, leave=0, come=come, move=0)
    second = protected(table_of(later), [Earlier("un", first, table_of(rows))], RULES)
    assert second["*", "*", "*"] == 600 + come and second["75", "*", "*"] is not None
    assert len(told(second)) > 0.3 * len(told(first))
