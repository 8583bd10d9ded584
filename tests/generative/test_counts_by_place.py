"""Persons by establishment beside the counts of the month, in random worlds: a judge that shares nothing with what protects looks, by integer programming, for the
smallest group of persons that both tables give, and for the smallest change that two dates give, the months in between too. It finds none smaller than eleven
that the counts of the month do not give by themselves. It is told which of the finest cells are empty: more than any reader knows."""

from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import optimize, sparse

from belvedere.engine.exchange.counts import Earlier, TooFewMoved, Unprotected, protected
from belvedere.engine.exchange.placed import Before, by_establishment
from belvedere.engine.exchange.turnover import table_of
from belvedere.engine.secrecy.errors import SecrecyError
from belvedere.engine.secrecy.rules import Parameters

RULES = Parameters(patients=11, holdings=3)
GIRS = (*"123", "ND")
ABOVE = {"75": "R11", "76": "R28", "92": "R11"}
PLACES = {number: (f"F{number}", ("75", "76", "92")[number % 3]) for number in range(10)}
Row = tuple[str, str, str, str, int, int, bool, bool]
Told = dict[tuple[str, str, str], int | None]


def world(rng: np.random.Generator, people: int, first: int) -> list[Row]:
    weights = rng.dirichlet(np.full(len(PLACES), 1.2))
    return [
        (PLACES[place][1], str(rng.choice(GIRS)), "F", f"o{max(1, place)}", place, first + rank, bool(rng.random() < 0.9), False)
        for rank, place in enumerate(rng.choice(len(PLACES), people, p=weights).tolist())
    ]  # fmt: skip


def later(rng: np.random.Generator, rows: list[Row], leave: float, come: int, first: int) -> list[Row]:
    """Some leave, some come, some have another GIR, some pass to another house."""
    kept: list[Row] = []
    for row in rows:
        if rng.random() < leave:
            continue
        if rng.random() < 0.03:
            row = (row[0], str(rng.choice(GIRS)), *row[2:])
        if rng.random() < 0.02:
            place = int(rng.integers(len(PLACES)))
            row = (PLACES[place][1], row[1], row[2], f"o{max(1, place)}", place, *row[5:])
        kept.append(row)
    return kept + world(rng, come, first)


def within(key: tuple[str, str, str], place: int, gir: str) -> bool:
    code, department = PLACES[place]
    return key[0] in ("*", code, department, ABOVE[department]) and key[1] in ("*", gir) and key[2] in ("*", "F")


class Date:
    """What went out at one date, and who was counted."""

    def __init__(self, rows: list[Row], above: Told, low: dict[str, int | None] | None) -> None:
        self.rows, self.above, self.low = rows, above, low
        self.cells = {(row[4], row[1]) for row in rows}

    def lines(self, leaves: list[tuple[int, str]], *, both: bool) -> np.ndarray:
        keys = [key for key, value in self.above.items() if value is not None]
        keys += [(code, "*", "*") for code, value in (self.low or {}).items() if value is not None] if both else []
        return np.array([[float(within(key, *leaf)) for leaf in leaves] for key in keys]).reshape(-1, len(leaves))

    def counted(self, leaves: list[tuple[int, str]]) -> np.ndarray:
        return np.array([sum((row[4], row[1]) == leaf for row in self.rows) for leaf in leaves], dtype=float)


def smallest(spans: list[np.ndarray], weight: np.ndarray, differs: np.ndarray) -> float:
    """The least weight of a group of finest cells that every span gives, and for which `differs` adds up to something; infinite when there is none."""
    cells, best = len(weight), np.inf
    free = [len(span) for span in spans]
    total = cells + sum(free)
    blocks, start = [], cells
    for span in spans:
        block = sparse.lil_matrix((cells, total))
        block[:, :cells] = sparse.eye(cells)
        block[:, start : start + len(span)] = -span.T
        start += len(span)
        blocks.append(block)
    equal = optimize.LinearConstraint(sparse.vstack(blocks).tocsr(), 0, 0)
    bounds = optimize.Bounds(np.r_[np.zeros(cells), np.full(total - cells, -np.inf)], np.r_[np.ones(cells), np.full(total - cells, np.inf)])
    cost, kinds = np.r_[weight, np.zeros(total - cells)], np.r_[np.ones(cells), np.zeros(total - cells)]
    for sign in (1.0, -1.0):
        some = optimize.LinearConstraint(np.r_[sign * differs, np.zeros(total - cells)][None], 1, np.inf)
        found = optimize.milp(cost, constraints=[equal, some], bounds=bounds, integrality=kinds, options={"time_limit": 20})
        if found.x is not None:
            best = min(best, float(weight @ np.round(found.x[:cells])))
    return best


def history(seed: int, people: int, leave: float, come: int) -> list[Date]:
    """A month alone, the first yearly table, a month between, the second yearly table."""
    rng = np.random.default_rng(seed)
    rows = world(rng, people, 1)
    out: list[Date] = []
    for rank, finely in enumerate((False, True, False, True)):
        if rank:
            rows = later(rng, rows, leave, come, rank * 10_000)
        try:
            above = protected(table_of(rows), [Earlier(str(n), one.above, table_of(one.rows)) for n, one in enumerate(out)], RULES, ABOVE)
        except (TooFewMoved, Unprotected, SecrecyError):
            continue
        low = None
        if finely:
            before = [Before(str(n), one.low, departments(one.above), table_of(one.rows)) for n, one in enumerate(out) if one.low is not None]
            try:
                low = by_establishment(table_of(rows), above, before, RULES, ABOVE, PLACES)
            except Unprotected:
                low = None
        out.append(Date(rows, above, low))
    return out


def departments(above: Told) -> frozenset[str]:
    return frozenset(key[0] for key, value in above.items() if value is not None and key[1] == key[2] == "*")


@given(seed=st.integers(0, 2**32 - 1), people=st.integers(150, 600), leave=st.sampled_from([0.02, 0.1, 0.3]), come=st.sampled_from([2, 30, 150]))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_group_and_no_change_of_few_is_computed(seed, people, leave, come):
    assert smaller(history(seed, people, leave, come)) == []


def smaller(out: list[Date]) -> list[str]:
    """Groups and changes of fewer than eleven that both tables give and the counts of the month do not; numbers that are not true."""
    found = []
    for one in out:
        leaves = sorted(one.cells)
        values = one.counted(leaves)
        for code, value in (one.low or {}).items():
            true = sum(PLACES[row[4]][0] == code for row in one.rows)
            found += [f"{code}: {value} of {true}"] if value is not None and not value == true >= RULES.patients else []
        alone, both = (smallest([one.lines(leaves, both=both)], values, values) for both in (False, True))
        found += [f"a group of {both}, of {alone} without"] if both < min(RULES.patients, alone) else []
    for then, now in ((a, b) for n, a in enumerate(out) for b in out[n + 1 :]):
        leaves = sorted(then.cells | now.cells)
        gone = {row[5] for row in then.rows} ^ {row[5] for row in now.rows}
        thick = sum(
            np.array([sum((row[4], row[1]) == leaf and row[5] in gone for row in one.rows) for leaf in leaves], dtype=float) for one in (then, now)
        )
        net = now.counted(leaves) - then.counted(leaves)
        alone, both = (smallest([one.lines(leaves, both=both) for one in (then, now)], thick, net) for both in (False, True))
        found += [f"a change of {both}, of {alone} without"] if both < min(RULES.patients, alone) else []
    return found


def test_the_random_worlds_are_not_silent():
    told = [value for seed in range(3) for one in history(seed, 500, 0.3, 150) for value in (one.low or {}).values() if value is not None]
    assert len(told) > 4


def table(sizes: list[int], *, first: int = 0) -> list[Row]:
    return [
        (PLACES[place][1], "1", "F", f"o{place}", place, first + place * 1_000 + rank, True, False)
        for place in range(10)
        for rank in range(sizes[place])
    ]


def test_the_rest_of_a_department_is_eleven():
    """Houses of 75: F0, F3, F6, F9; of 76: F1, F4, F7; of 92: F2, F5, F8."""
    rows = table([60, 60, 60, 5, 60, 60, 20, 7, 60, 30])
    above = protected(table_of(rows), [], RULES, ABOVE)
    low = by_establishment(table_of(rows), above, [], RULES, ABOVE, PLACES)
    assert (low["F3"], low["F6"]) == (None, None) and (low["F0"], low["F9"]) == (60, 30), "five and the smallest of the others"
    assert low["F7"] is None and [low["F1"], low["F4"]].count(None) == 1
    assert all(low[code] == 60 for code in ("F2", "F5", "F8")) == (above["92", "*", "*"] is not None), (
        "a department whose houses are all told is told"
    )


def test_a_house_is_told_again_once_eleven_came_or_left():
    rows = table([60] * 10)
    above = protected(table_of(rows), [], RULES, ABOVE)
    low = by_establishment(table_of(rows), above, [], RULES, ABOVE, PLACES)
    assert set(low.values()) == {60}
    before = [Before("avant", low, departments(above), table_of(rows))]
    came = table([1] + [15] * 9, first=500_000)
    again = by_establishment(table_of([*rows, *came]), above, before, RULES, ABOVE, PLACES)
    assert again["F0"] is None, "one who came is nobody's to know"
    assert [again[f"F{number}"] for number in (3, 6, 9)].count(None) == 1, "nor by what is left of its department"
    assert [again[f"F{number}"] for number in (1, 2, 4, 5, 7, 8)] == [75] * 6
    same = by_establishment(table_of(rows), above, before, RULES, ABOVE, PLACES)
    assert set(same.values()) == {None}, "that nobody moved is not said either"
    masked = [Before("avant", dict.fromkeys(low), departments(above), table_of(rows))]
    assert set(by_establishment(table_of([*rows, *came]), above, masked, RULES, ABOVE, PLACES).values()) == {None}, "masks only grow"
    assert replace(before[0], departments=frozenset()).departments == frozenset()
    untold = [replace(before[0], departments=frozenset())]
    later_on = by_establishment(table_of([*rows, *table([0] + [15] * 9, first=500_000)]), above, untold, RULES, ABOVE, PLACES)
    assert [later_on[f"F{number}"] for number in (1, 4, 7)].count(None) == 1, "all of a department told says the department"
