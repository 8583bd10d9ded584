"""Whole random worlds: nothing follows from a release, or from twelve, for anyone; judged by `tests.oracle`."""

import os
from dataclasses import dataclass, replace

import numpy as np
import pytest

from belvedere.engine.secrecy.epochs import Increment, Series
from belvedere.engine.secrecy.lattice import Lattice
from belvedere.engine.secrecy.protect import protect
from belvedere.engine.secrecy.rules import Contributions, Parameters
from belvedere.engine.secrecy.table import Table
from tests.oracle import breaks, reader
from tests.worlds import below, small_lattice

WORLDS = range(200) if os.environ.get("BELVEDERE_LONG") else range(20)
RULE = Parameters(federations_attack=True)
SPLIT = np.array([True, True])


@dataclass
class World:
    """A lattice, and by finest cell the persons of each holding and the price that each asks."""

    seed: int
    lattice: Lattice
    leaves: list[tuple[str, str]]
    persons: np.ndarray  # leaves x holdings
    price: np.ndarray
    federation: np.ndarray

    def shares(self, cell: int, persons: np.ndarray | None = None) -> dict[int, float]:
        """Amount of each holding in a cell, added up the long way."""
        persons = self.persons if persons is None else persons
        found: dict[int, float] = {}
        for leaf in self.under(cell):
            for holding in np.flatnonzero(persons[leaf]):
                found[int(holding)] = found.get(int(holding), 0.0) + float(persons[leaf, holding] * self.price[holding])
        return found

    def under(self, cell: int) -> list[int]:
        first, second = self.lattice.dimensions
        a, b = self.lattice.keys[cell]
        wanted = {(x, y) for x in below(first, a) for y in below(second, b)}
        return [rank for rank, leaf in enumerate(self.leaves) if leaf in wanted]

    def contributions(self, persons: np.ndarray) -> Contributions:
        cell, holding, amount, counts = [], [], [], np.zeros(len(self.lattice), dtype=np.int64)
        for rank in range(len(self.lattice)):
            for who, what in sorted(self.shares(rank, persons).items()):
                cell.append(rank)
                holding.append(who)
                amount.append(what)
            counts[rank] = persons[self.under(rank)].sum()
        return Contributions(np.array(cell, np.int64), np.array(holding, np.int64), np.array(amount, float), counts)

    def relations(self) -> list[tuple[int, list[int]]]:
        return [(int(self.lattice.parents[r]), self.lattice.members(r).tolist()) for r in range(self.lattice.relations)]

    def table(self, persons: np.ndarray) -> Table:
        given = self.contributions(persons)
        value = np.bincount(given.cell, weights=given.amount, minlength=len(self.lattice))
        table = Table.of(self.lattice, given, value=value, partition=SPLIT, federation=self.federation[: given.holdings])
        return table


def draw(seed: int) -> World:
    rng = np.random.default_rng([4, seed])
    lattice = small_lattice(rng.integers(1, 4, rng.integers(2, 4)).tolist(), rng.integers(1, 4, rng.integers(1, 3)).tolist(), bool(rng.integers(2)))
    first, second = lattice.dimensions
    leaves = [(a, b) for a in below(first, "T") for b in below(second, "T")]
    holdings = int(rng.integers(6, 15))
    persons = rng.poisson(7, (len(leaves), holdings)) * (rng.random((len(leaves), holdings)) < rng.uniform(0.2, 0.7))
    return World(seed, lattice, leaves, persons, rng.integers(1, 9, holdings).astype(float), rng.integers(0, 3, holdings))


def sensitive_cells(world: World) -> list[int]:
    found = []
    for cell in range(len(world.lattice)):
        shares = world.shares(cell)
        if shares and breaks(shares.values(), int(world.persons[world.under(cell)].sum())):
            found.append(cell)
    return found


def assert_nobody_learns(world: World, mask: np.ndarray) -> None:
    sensitive, relations = sensitive_cells(world), world.relations()
    told = set(np.flatnonzero(~mask).tolist())
    assert not told & set(sensitive), f"world {world.seed}: a sensitive cell is published"
    public = reader(relations, told)
    assert not [cell for cell in sensitive if public.tell({cell: 1})], f"world {world.seed}: the public learns"
    insiders = [{holding} for holding in range(len(world.price))]
    insiders += [set(np.flatnonzero(world.federation == number).tolist()) for number in range(3)]
    for inside in insiders:
        own = {cell for cell in range(len(world.lattice)) if (shares := world.shares(cell)) and set(shares) <= inside}
        facts = reader(relations, told | own)
        learned = [cell for cell in sensitive if cell not in own and facts.tell({cell: 1})]
        assert not learned, f"world {world.seed}: holdings {sorted(inside)} learn {[world.lattice.name(cell) for cell in learned]}"
    for total, parts in relations:
        hidden = [cell for cell in parts if mask[cell] and not public.tell({cell: 1})]
        if hidden and public.tell(dict.fromkeys(hidden, 1)):
            shares: dict[int, float] = {}
            for cell in hidden:
                for who, what in world.shares(cell).items():
                    shares[who] = shares.get(who, 0.0) + what
            persons = sum(int(world.persons[world.under(cell)].sum()) for cell in hidden)
            name = world.lattice.name(total)
            assert not shares or not breaks(shares.values(), persons), f"world {world.seed}: the sum hidden under {name} breaks a rule"


@pytest.mark.parametrize("seed", WORLDS)
def test_nobody_learns_from_a_release(seed):
    world = draw(seed)
    done = protect(world.table(world.persons), RULE, seed=seed)
    assert done.leaks == ()
    assert_nobody_learns(world, done.mask)


@pytest.mark.parametrize("seed", WORLDS)
def test_nobody_learns_from_twelve_epochs_together(seed):
    world = draw(seed)
    rng = np.random.default_rng([5, seed])
    series, arrivals = Series(RULE), []
    for epoch in range(12):
        if epoch == 0:
            persons = world.persons
        else:
            touched = rng.random(world.persons.shape) < rng.choice([0.02, 0.1, 0.4])
            few = rng.random(len(world.price)) < rng.choice([0.2, 1.0])
            persons = rng.poisson(9, world.persons.shape) * touched * few[None, :]
        given = world.contributions(persons)
        arrivals.append(persons)
        series = series.receive(Increment(given.cell, given.holding, given.amount, given.patients))
        if series.postponed():
            continue
        series = series.publish(world.table(persons), seed=seed)
    assert len(series.told) >= 2
    assert_union_tells_nothing(world, series)


def assert_union_tells_nothing(world: World, series: Series) -> None:
    """All that was ever shown, stacked: a total by epoch and cell, equal to the one before plus an increment."""
    relations = world.relations()
    known, still = set(), np.ones(len(world.lattice), dtype=bool)
    for epoch, told in enumerate(series.told):
        still &= told
        known |= {(epoch, int(cell)) for cell in np.flatnonzero(still)}
    stacked = [((epoch, total), [(epoch, part) for part in parts]) for epoch in range(len(series.told)) for total, parts in relations]
    facts = reader(stacked, known)
    for epoch, increment in enumerate(series.increments):
        shares: dict[int, dict[int, float]] = {}
        for cell, who, net in zip(increment.cell.tolist(), increment.holding.tolist(), increment.net.tolist(), strict=True):
            if net:
                shares.setdefault(cell, {})[who] = net
        for cell, given in shares.items():
            if not breaks(given.values(), int(increment.patients[cell])):
                continue
            change = {(epoch, cell): 1} | ({(epoch - 1, cell): -1} if epoch else {})
            row = {place: sign for place, sign in change.items() if place not in known}
            assert row, f"world {world.seed}: an unsafe increment of epoch {epoch} is shown at {world.lattice.name(cell)}"
            assert not facts.tell(row), f"world {world.seed}: epochs together tell {world.lattice.name(cell)} of epoch {epoch}"


def caught(judge, *given) -> bool:
    try:
        judge(*given)
    except AssertionError:
        return True
    return False


def test_the_oracle_sees_unprotected_worlds():
    seen = 0
    for seed in range(12):
        world = draw(seed)
        mask = np.zeros(len(world.lattice), dtype=bool)
        mask[sensitive_cells(world)] = True
        seen += caught(assert_nobody_learns, world, mask)
    assert seen >= 6


def test_the_oracle_sees_epochs_whose_mask_does_not_stick():
    """One holding's late lines, published wherever the first epoch was (secrecy brief §6.2)."""
    seen = 0
    for seed in range(12):
        world = draw(seed)
        given = world.contributions(world.persons)
        series = (
            Series(RULE).receive(Increment(given.cell, given.holding, given.amount, given.patients)).publish(world.table(world.persons), seed=seed)
        )
        late = world.contributions(np.eye(*world.persons.shape, dtype=np.int64) * 5 * (np.arange(len(world.price)) == 0))
        after = Increment(late.cell, late.holding, late.amount, late.patients)
        loose = replace(series, told=(series.told[0], np.ones_like(series.told[0])), increments=(*series.increments, after))
        seen += caught(assert_union_tells_nothing, world, loose)
    assert seen >= 6
