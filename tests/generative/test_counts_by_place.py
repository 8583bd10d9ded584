"""Counts by establishment beside the table of counts, in random worlds: what both tell together, now and from one year to the next, judged by rank over the
finest cells: no group of fewer than eleven, and nothing that the table of counts masks, can be computed from what is told."""

import itertools

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from belvedere.engine.exchange.counts import Earlier, TooFewMoved, Unprotected, protected
from belvedere.engine.exchange.placed import Before, by_establishment
from belvedere.engine.exchange.turnover import table_of
from belvedere.engine.secrecy.errors import SecrecyError
from belvedere.engine.secrecy.rules import Parameters

RULES = Parameters(patients=11, holdings=3)
GIRS, SEXES = (*"1234", "ND"), ("F", "M")  # few of each: ranks are computed in full
ABOVE = {"75": "R11", "76": "R28", "92": "R11"}
PLACES = {number: (f"F{number}", ("75", "76", "92")[number % 3]) for number in range(10)}
ALL_GIRS, ALL_SEXES = (*"123456", "ND"), ("F", "M", "ND")
Row = tuple[str, str, str, str, int, int, bool, bool]


def world(rng: np.random.Generator, people: int, first: int) -> list[Row]:
    """Persons, more in some houses than in others; two houses share an operator."""
    weights = rng.dirichlet(np.full(len(PLACES), 0.7))
    return [
        (PLACES[place][1], str(rng.choice(GIRS)), str(rng.choice(SEXES)), f"o{max(1, place)}", place, first + rank, True, False)
        for rank, place in enumerate(rng.choice(len(PLACES), people, p=weights).tolist())
    ]  # fmt: skip


def moved(rng: np.random.Generator, rows: list[Row], leave: float, come: int, first: int) -> list[Row]:
    kept = [row if rng.random() > 0.03 else (row[0], str(rng.choice(GIRS)), *row[2:]) for row in rows if rng.random() >= leave]
    return kept + world(rng, come, first)


LEAVES = list(itertools.product(PLACES, ALL_GIRS, ALL_SEXES))


def covers(key: tuple[str, str, str]) -> np.ndarray:
    """Which of the finest cells a key adds up."""
    return np.array([
        (key[0] == "*" or key[0] in (PLACES[place][0], PLACES[place][1], ABOVE[PLACES[place][1]])) and key[1] in ("*", gir) and key[2] in ("*", sex)
        for place, gir, sex in LEAVES
    ], dtype=float)  # fmt: skip


EVERY = [
    (place, gir, sex)
    for place in ("*", *sorted(set(ABOVE.values())), *ABOVE, *(code for code, _ in PLACES.values())) for gir in ("*", *ALL_GIRS) for sex in ("*", *ALL_SEXES)
]  # fmt: skip
COVERS = np.array([covers(key) for key in EVERY])
RANK = {key: rank for rank, key in enumerate(EVERY)}


def counted(rows: list[Row]) -> np.ndarray:
    leaf = {name: rank for rank, name in enumerate(LEAVES)}
    found = np.zeros(len(LEAVES))
    for row in rows:
        found[leaf[row[4], row[1], row[2]]] += 1
    return found


def computed(told: list[tuple[str, str, str]]) -> np.ndarray:
    """Which of all cells the told ones determine (bool)."""
    if not told:
        return np.zeros(len(EVERY), dtype=bool)
    _, sizes, basis = np.linalg.svd(COVERS[[RANK[key] for key in told]], full_matrices=False)
    basis = basis[sizes > 1e-9]
    return np.abs(COVERS - (COVERS @ basis.T) @ basis).max(axis=1) < 1e-7


def told(cells: dict) -> list[tuple[str, str, str]]:
    return [key for key, value in cells.items() if value is not None]


@given(
    seed=st.integers(0, 2**32 - 1),
    people=st.integers(100, 700),
    leave=st.sampled_from([0.0, 0.05, 0.3]),
    come=st.sampled_from([0, 2, 30, 150]),
)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_nothing_of_few_is_computed_from_establishments_and_counts(seed, people, leave, come):
    rng = np.random.default_rng(seed)
    rows = world(rng, people, 1)
    out: list[tuple[list[Row], dict, dict]] = []
    for year in range(3):
        if year:
            rows = moved(rng, rows, leave, come, year * 10_000)
        try:
            above = protected(table_of(rows), [Earlier(str(rank), cells, table_of(held)) for rank, (held, cells, _) in enumerate(out)], RULES, ABOVE)
            before = [Before(str(rank), {**cells, **low}, table_of(held)) for rank, (held, cells, low) in enumerate(out) if low]
            low = by_establishment(table_of(rows), above, before, RULES, ABOVE, PLACES)
        except (TooFewMoved, Unprotected, SecrecyError):
            continue
        out.append((rows, above, low))
    for held, above, low in out:
        values = COVERS @ counted(held)
        for key in told(low):
            assert low[key] == values[RANK[key]] >= RULES.patients, key
        masked = np.zeros(len(EVERY), dtype=bool)
        masked[[RANK[key] for key, value in above.items() if value is None]] = True
        known = computed([*told(above), *told(low)])
        few = (values > 0) & (values < RULES.patients)
        wrong = known & (few | (masked & (values > 0)))
        assert not wrong.any(), [EVERY[rank] for rank in np.flatnonzero(wrong)]
    for (first, former, below), (second, latter, under) in itertools.combinations(out, 2):
        both = [key for key in [*told(former), *told(below)] if key in {*told(latter), *told(under)}]
        people_then, people_now = ({(row[5], row[4], row[1], row[2]) for row in held} for held in (first, second))
        numbers = {row[5] for row in first} ^ {row[5] for row in second}
        change = [(person, place, gir, sex) for person, place, gir, sex in people_then ^ people_now if person in numbers]
        thick = COVERS @ np.array([sum((place, gir, sex) == leaf for _, place, gir, sex in change) for leaf in LEAVES], dtype=float)
        net = COVERS @ (counted(second) - counted(first))
        wrong = computed(both) & (net != 0) & (thick < RULES.patients)
        assert not wrong.any(), [EVERY[rank] for rank in np.flatnonzero(wrong)]


def test_a_large_house_is_told_and_told_again_once_enough_have_moved():
    rows = [(PLACES[place][1], "1", "F", f"o{place}", place, place * 1_000 + rank, True, False) for place in range(10) for rank in range(60)]
    above = protected(table_of(rows), [], RULES, ABOVE)
    low = by_establishment(table_of(rows), above, [], RULES, ABOVE, PLACES)
    assert all(low[code, "*", "*"] == 60 for code, _ in PLACES.values()), "nothing is small here"
    came = [
        (PLACES[place][1], "1", "F", f"o{place}", place, 900_000 + place * 100 + rank, True, False) for place in range(1, 10) for rank in range(15)
    ]
    later = [*rows, *came, (PLACES[0][1], "1", "F", "o0", 0, 999_999, True, False)]
    above_then = protected(table_of(later), [Earlier("avant", above, table_of(rows))], RULES, ABOVE)
    again = by_establishment(table_of(later), above_then, [Before("avant", {**above, **low}, table_of(rows))], RULES, ABOVE, PLACES)
    assert again["F0", "*", "*"] is None, "one who came is nobody's to know"
    assert sum(again[code, "*", "*"] == 75 for code, _ in PLACES.values()) >= 7, "fifteen who came may be told"


def test_the_random_worlds_are_not_silent():
    rng = np.random.default_rng(3)
    rows = world(rng, 600, 1)
    above = protected(table_of(rows), [], RULES, ABOVE)
    assert len(told(by_establishment(table_of(rows), above, [], RULES, ABOVE, PLACES))) >= 5
