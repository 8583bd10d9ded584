"""Counts of an institution, month after month, in random worlds: what any two of them tell together, judged by a second, slow program that knows the truth.

It shares nothing with what protects: persons are sets, and recovery is a rank over the finest cells."""

import itertools
from collections import Counter

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
ABOVE = {"75": "R11", "76": "R28", "92": "R11"}  # nobody is ever counted in 92
Row = tuple[str, str, str, str, int, int, bool, bool]  # …, operator, establishment, person, identified, known
PERSON, OPERATOR = 5, 3


def next_month(
    rows: list[Row],
    rng: np.random.Generator,
    places: int,
    fresh: int,
    *,
    leave: float,
    come: int,
    move: float,
    renamed: bool = False,
    first: bool = False,
    passed: int = 0,
) -> list[Row]:
    """The same world a month later: some left, some came, some have another GIR, some passed to another operator; houses may name their persons anew, with
    their INS or without, another give them all a first GIR."""
    kept: list[Row] = []
    for territory, gir, sex, operator, place, person, identified, known in rows:
        if rng.random() < leave:
            continue
        if renamed and place < 4 and (not identified or place < 2):
            person, identified = person + 5_000_000, place == 3
        if passed and place == 5:
            operator, place, passed = "o4", 4, passed - 1
        if first and place == 3:
            gir = "2"
        kept.append((territory, str(rng.choice(GIRS[:6])) if rng.random() < move else gir, sex, operator, place, person, identified, known))
    skewed = rng.permutation(places)[np.minimum(rng.geometric(0.35, come) - 1, places - 1)]
    return kept + [
        (str(75 + place % 2), "ND" if place == 3 and rng.random() < 0.8 else str(rng.choice(GIRS[:6])), str(rng.choice(SEXES[:2])), f"o{place // 2 if place > 6 else place}", place, fresh + rank, bool(rng.random() < 0.7), False)
        for rank, place in enumerate(skewed.tolist())
    ]  # fmt: skip


def within(key: tuple[str, str, str], row: Row) -> bool:
    return key[0] in ("*", row[0], ABOVE[row[0]]) and all(code in ("*", held) for code, held in zip(key[1:], row[1:3], strict=True))


def few(rows: set[Row]) -> bool:
    """Whether these persons are few, of few operators, or few once one of these takes its own away."""
    of: dict[str, set[int]] = {}
    for row in rows:
        of.setdefault(row[OPERATOR], set()).add(row[PERSON])
    total = sum(map(len, of.values()))
    return len(of) < RULES.holdings or total - max(map(len, of.values()), default=0) < RULES.patients


def designates(keys: list[tuple[str, str, str]], before: list[Row], after: list[Row]) -> bool:
    """Whether the change of these cells together is that of few, an operator that knows its own part reading it or not."""
    was, now = ({row for row in rows if any(within(key, row) for key in keys)} for rows in (before, after))
    person = lambda row: row[PERSON] % 5_000_000  # noqa: E731 - whoever was named anew is the same human being
    theirs = {(person(row), row[OPERATOR]) for row in was}, {(person(row), row[OPERATOR]) for row in now}
    if theirs[0] == theirs[1]:
        return False  # neither the number nor what each knows of its own has changed
    known = {person(row) for row in before}, {person(row) for row in after}
    moved = {row for row in was if person(row) not in known[1]} | {row for row in now if person(row) not in known[0]}
    if len(was) == len(now) and not moved and Counter(by for _, by in theirs[0]) == Counter(by for _, by in theirs[1]):
        return False  # as many moved in as out, of each: the difference is nothing, to whoever takes its own away too
    return few(moved)


def one_weighs(key: tuple[str, str, str], before: list[Row], after: list[Row]) -> bool:
    """Whether one operator makes nearly all of the change of a cell, moves included."""
    was, now = ({(row[PERSON] % 5_000_000, row[OPERATOR]) for row in rows if within(key, row)} for rows in (before, after))
    shares = sorted(Counter(operator for _, operator in was ^ now).values(), reverse=True)
    return bool(shares) and (sum(shares[2:]) < RULES.p_percent * shares[0] or shares[0] > RULES.dominance_share * sum(shares))


def told(cells: dict) -> set:
    return {key for key, value in cells.items() if value is not None}


PARTS = ({"*": sorted(set(ABOVE.values())), **{region: sorted(code for code, over in ABOVE.items() if over == region) for region in ABOVE.values()}}, {"*": GIRS}, {"*": SEXES})  # fmt: skip


def sums(key: tuple[str, str, str], told: set) -> list[list[tuple[str, str, str]]]:
    """Under a told total, what is left once its told parts are taken away, along each dimension."""
    found = []
    for place, parts in enumerate(PARTS):
        if key[place] in parts:
            children = [(*key[:place], code, *key[place + 1 :]) for code in parts[key[place]]]
            left = [child for child in children if child not in told]
            if left and len(left) < len(children):
                found.append(left)
    return found


def months(seed: int, people: int, count: int, **happens) -> list[tuple[list[Row], dict]]:
    """What went out of a world, month after month."""
    rng, places = np.random.default_rng(seed), 12
    rows = next_month([], rng, places, 1, leave=0, come=people, move=0)
    out: list[tuple[list[Row], dict]] = []
    for month in range(count):
        if month:
            rows = next_month(rows, rng, places, month * 10_000, **happens)
        earlier = [Earlier(str(rank), cells, table_of(held)) for rank, (held, cells) in enumerate(out)]
        try:
            out.append((rows, protected(table_of(rows), earlier, RULES, ABOVE)))
        except (TooFewMoved, Unprotected, SecrecyError):
            continue
    return out


@given(
    seed=st.integers(0, 2**32 - 1), people=st.integers(150, 900), leave=st.sampled_from([0.0, 0.02, 0.1]), come=st.sampled_from([0, 1, 12, 40, 120]),
    move=st.sampled_from([0.0, 0.02]), renamed=st.booleans(), first=st.booleans(), passed=st.sampled_from([0, 1, 4]),
)  # fmt: skip
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_two_counts_tell_who_came_or_left(seed, people, leave, come, move, renamed, first, passed):
    out = months(seed, people, 4, leave=leave, come=come, move=move, renamed=renamed, first=first, passed=passed)
    leaves = list(itertools.product(ABOVE, GIRS, SEXES))
    every = list(itertools.product(("*", *set(ABOVE.values()), *ABOVE), ("*", *GIRS), ("*", *SEXES)))
    of_leaves = {key: np.array([within(key, (*leaf, "", 0, 0, True, False)) for leaf in leaves], dtype=float) for key in every}
    for rows, cells in out:
        for key in told(cells):
            assert not few({row for row in rows if within(key, row)}), (key, cells[key])
            for left in sums(key, told(cells)):
                inside = {row for row in rows if any(within(part, row) for part in left)}
                assert not inside or not few(inside), (key, left)
    for (before, former), (after, latter) in itertools.combinations(out, 2):
        both = told(former) & told(latter)
        assert all(key in told(former) or not any(within(key, row) for row in before) for key in told(latter)), "masks only grow"
        for key in both:
            assert not designates([key], before, after), (key, former[key], latter[key])
            assert not one_weighs(key, before, after), (key, former[key], latter[key])
            for left in sums(key, both):
                assert not designates(left, before, after), (key, left)
        matrix = np.array([of_leaves[key] for key in told(latter)]).reshape(-1, len(leaves))
        rank = np.linalg.matrix_rank(matrix) if len(matrix) else 0
        for key in set(of_leaves) - told(latter):
            if designates([key], before, after):
                assert np.linalg.matrix_rank(np.vstack([matrix, of_leaves[key]])) > rank, f"{key} is had from what is told"


def of(person: int, gir: str = "1", place: int = 0, *, identified: bool = True, known: bool = False) -> Row:
    return ("75", gir, "F", f"o{place}", place, person, identified, known)


def test_the_judge_sees_a_difference_of_one():
    before = [of(rank, place=rank % 4) for rank in range(1, 41)]
    assert designates([("*", "*", "*")], before, [*before, of(99)])
    assert not designates([("*", "*", "*")], before, [*before, *(of(100 + rank, place=rank % 4) for rank in range(16))])
    assert designates([("*", "*", "*")], before, [*before, *(of(100 + rank, place=min(rank // 9, 2)) for rank in range(12))]), (
        "nine are the reader's own"
    )
    moved = [of(1, "2", 1), *before[1:]]
    assert designates([("*", "1", "*")], before, moved) and not designates([("*", "*", "*")], before, moved)


def test_two_counts_protected_each_alone_tell_somebody():
    rng = np.random.default_rng(7)
    rows = next_month([], rng, 12, 1, leave=0, come=900, move=0)
    later = next_month(rows, rng, 12, 10_000, leave=0, come=12, move=0)
    alone, too = (protected(table_of(held), [], RULES, ABOVE) for held in (rows, later))
    assert any(designates([key], rows, later) for key in told(alone) & told(too))


@pytest.mark.parametrize("come", [0, 120])
def test_a_second_count_is_worth_reading_when_many_moved(come):
    """The rule is not met by hiding everything: with many newcomers over the houses, totals are told again."""
    rng = np.random.default_rng(7)
    rows = next_month([], rng, 12, 1, leave=0, come=900, move=0)
    former = protected(table_of(rows), [], RULES, ABOVE)
    later = next_month(rows, rng, 12, 10_000, leave=0, come=come, move=0)
    latter = protected(table_of(later), [Earlier("un", former, table_of(rows))], RULES, ABOVE)
    assert latter["*", "*", "*"] == 900 + come and latter["R11", "*", "*"] is not None
    assert len(told(latter)) > 0.1 * len(told(former))


def crowd(*sizes: int, gir: str = "1", start: int = 1, **said) -> list[Row]:
    """So many persons of each house."""
    return [of(start + 1_000 * place + rank, gir, place, **said) for place, size in enumerate(sizes) for rank in range(size)]


def counted(rows: list[Row], *before: list[Row]) -> dict:
    earlier = [Earlier(str(rank), protected(table_of(held), [], RULES, ABOVE), table_of(held)) for rank, held in enumerate(before)]
    return protected(table_of(rows), earlier, RULES, ABOVE)


def test_a_house_takes_its_own_away_and_reads_nobody():
    assert counted(crowd(10, 1, 1))["75", "1", "F"] is None and counted(crowd(40, 30, 30))["75", "1", "F"] == 100


def test_whoever_is_erased_and_comes_back_makes_nothing_thicker():
    before = crowd(40, 40, 40)
    erased = [(*row[:PERSON], 0, *row[PERSON + 1 :]) if rank % 3 == 0 else row for rank, row in enumerate(before)]
    back = [(*row[:-1], True) for row in before]
    with pytest.raises(TooFewMoved):
        protected(table_of([*back, of(9_999)]), [Earlier("un", counted(before), table_of(erased))], RULES, ABOVE)


def test_three_houses_that_name_their_persons_anew_tell_not_who_came():
    before = crowd(40, 40, 40, identified=False)
    anew = [(*row[:PERSON], row[PERSON] + 500_000, *row[PERSON + 1 :]) for row in before]
    with pytest.raises(TooFewMoved):
        counted([*anew, of(9_999)], before)


@pytest.mark.parametrize("before, after", [(True, False), (False, True)], ids=["lost", "gained"])
def test_an_ins_that_goes_or_comes_with_a_number_tells_not_who_came(before, after):
    held = crowd(40, 40, 40, identified=before)
    anew = [(*row[:PERSON], row[PERSON] + 500_000, after, False) for row in held]
    with pytest.raises(TooFewMoved):
        counted([*anew, of(9_999)], held)


def test_who_passes_to_another_operator_is_not_read_by_the_one_it_left():
    before = crowd(60, 60, 60)
    after = [(*before[0][:OPERATOR], "o1", 1, *before[0][PERSON:]), *before[1:]]
    with pytest.raises(TooFewMoved):
        counted(after, before)
    come = crowd(30, 30, 30, gir="2", start=200_000)
    assert counted([*after, *come], before)["75", "1", "F"] is None


def test_what_begins_where_some_were_is_not_told():
    """A cell of nobody, masked as one of few, stays masked: told, it would say that it had nobody."""
    before = crowd(60, 60, 60)
    cells = counted([*before, *crowd(40, 40, 40, gir="2", start=200_000)], before)
    assert cells["75", "*", "*"] == 300 and cells["75", "2", "F"] is None


def test_a_house_that_evaluates_everybody_at_once_is_not_read():
    before = [*crowd(300, 60, 60, gir="ND"), *crowd(50, 60, 60, gir="2", start=100_000)]
    after = [*crowd(300, 60, 60, gir="2"), *crowd(50, 60, 60, gir="2", start=100_000)]
    after = [(*row[:1], "ND", *row[2:]) if row[OPERATOR] != "o0" and row[PERSON] < 100_000 else row for row in after]
    come = [*crowd(12, 12, 12, gir="ND", start=200_000), *crowd(12, 12, 12, gir="2", start=300_000)]
    cells = counted([*after, *come], before)
    assert cells["*", "*", "*"] is not None and cells["*", "2", "*"] is None and cells["*", "ND", "*"] is None


def test_an_empty_place_is_told_as_one_of_few():
    cells = counted([*crowd(40, 30, 30), *(("76", "3", "M", f"o{rank}", rank, 90_000 + rank, True, False) for rank in range(11))])
    assert not any(value == 0 for value in cells.values()) and cells["R11", "1", "F"] == 100
    assert all(value is None for key, value in cells.items() if key[0] == "92")
