"""Protection on random worlds, judged by slow exact algebra; and attacks that must find nothing."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belvedere.engine.secrecy import audit, rules, suppression
from belvedere.engine.secrecy.derived import Sums
from belvedere.engine.secrecy.field import draw_prime
from belvedere.engine.secrecy.protect import protect
from belvedere.engine.secrecy.rules import Parameters
from belvedere.engine.secrecy.table import Table
from tests.worlds import determined_slowly, fill, small_lattice

LONG = bool(os.environ.get("BELVEDERE_LONG"))
worlds = st.tuples(
    st.lists(st.integers(1, 3), min_size=2, max_size=3), st.lists(st.integers(1, 3), min_size=1, max_size=3), st.booleans(), st.integers(0, 10**6)
)
PARAMETERS = Parameters()
PARTITION = np.array([True, False])
few = settings(max_examples=400 if LONG else 40, deadline=None)


def protected(world, sticky=None):
    first, second, linked, seed = world
    lattice = small_lattice(first, second, linked)
    rng = np.random.default_rng(seed)
    given_ = fill(lattice, rng, holdings=int(rng.integers(3, 9)), density=float(rng.uniform(0.2, 0.9)))
    value = np.bincount(given_.cell, weights=given_.amount, minlength=len(lattice))
    table = Table.of(lattice, given_, value=value, partition=PARTITION)
    done = protect(table, PARAMETERS, seed=seed, sticky=sticky)
    return lattice, given_, done


@few
@given(worlds)
def test_protection_leaves_no_leak(world):
    lattice, given_, done = protected(world)
    assert done.leaks == ()
    assert not (done.primary & ~done.mask).any()
    if done.mask.sum() <= 30:
        assert not determined_slowly(lattice, done.mask) & set(np.flatnonzero(done.primary).tolist())
    assert len(Sums(lattice, given_, PARAMETERS, PARTITION).violations(done.mask)) == 0


@few
@given(worlds)
def test_audit_agrees_with_exact_algebra(world):
    lattice, _, _ = protected(world)
    rng = np.random.default_rng(world[3])
    unknown = rng.random(len(lattice)) < 0.45
    if unknown.sum() > 28:
        unknown[np.flatnonzero(unknown)[28:]] = False
    found = set(np.flatnonzero(audit.determined(audit.System.of(lattice), unknown, seed=5)).tolist())
    assert found == determined_slowly(lattice, unknown)


@few
@given(worlds)
def test_same_input_same_mask_and_prime_does_not_matter(world):
    lattice, given_, done = protected(world)
    assert (protected(world)[2].mask == done.mask).all()
    columns = suppression.columns(lattice)
    value = np.bincount(given_.cell, weights=given_.amount, minlength=len(lattice))
    known = value == 0
    masks = [
        suppression.secondary(columns, sensitive=done.primary, known=known & ~done.primary, value=value, prime=draw_prime(seed))[0] for seed in (1, 2)
    ]
    assert (masks[0] == masks[1]).all()


@few
@given(worlds)
def test_unmasking_a_cell_is_told_as_exact_algebra_tells_it(world):
    lattice, _, done = protected(world)
    for cell in np.flatnonzero(done.mask)[:6]:
        mask = done.mask.copy()
        mask[cell] = False
        if mask.sum() <= 18:
            assert set(np.flatnonzero(audit.determined(audit.System.of(lattice), mask, seed=3)).tolist()) == determined_slowly(lattice, mask)


@few
@given(worlds)
def test_merging_holdings_never_clears_a_primary(world):
    lattice, given_, _ = protected(world)
    merged = np.where(given_.holding == 1, 0, given_.holding)
    key = given_.cell * 1000 + merged
    unique, place = np.unique(key, return_inverse=True)
    amount = np.bincount(place, weights=given_.amount)
    again = rules.Contributions(unique // 1000, unique % 1000, amount, given_.patients)
    assert not (rules.primary(lattice, given_, PARAMETERS) & ~rules.primary(lattice, again, PARAMETERS)).any()


@few
@given(worlds)
def test_sticky_cells_stay_masked(world):
    lattice, _, _ = protected(world)
    sticky = np.zeros(len(lattice), dtype=bool)
    sticky[0] = True
    assert protected(world, sticky)[2].mask[0]


@pytest.mark.parametrize("shares, unsafe", [([50, 30, 20], False), ([90, 5, 5], True), ([50, 50], True), ([50, 46, 4], True), ([40, 30, 30], False)])
def test_primary_rules_on_textbook_cells(shares, unsafe):
    cell = np.zeros(len(shares), dtype=np.int64)
    assert rules.unsafe(np.array([100]), cell, np.array(shares, dtype=float), PARAMETERS).tolist() == [unsafe]


def test_ten_patients_are_too_few_and_eleven_are_not():
    cell, amount = np.zeros(3, dtype=np.int64), np.array([4.0, 3.0, 3.0])
    assert rules.unsafe(np.array([10]), cell, amount, PARAMETERS)[0]
    assert not rules.unsafe(np.array([11]), cell, amount, PARAMETERS)[0]
