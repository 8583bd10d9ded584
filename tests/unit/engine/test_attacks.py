"""Attacks that once worked on a mask the audit called clean, each with its smallest world."""

import numpy as np

from belvedere.engine.secrecy.lattice import Cube, Dimension, Lattice, build
from belvedere.engine.secrecy.protect import Protection, protect
from belvedere.engine.secrecy.rules import Parameters
from belvedere.engine.secrecy.table import Table
from tests.worlds import from_leaves


def protected(lattice: Lattice, leaves: dict[tuple[str, ...], dict[int, int]]) -> tuple[Protection, np.ndarray]:
    """The protection of a lattice whose finest cells hold these amounts by holding, and every cell's amount."""
    given = from_leaves(lattice, leaves)
    value = np.bincount(given.cell, weights=given.amount, minlength=len(lattice))
    partition = np.ones(len(lattice.dimensions), dtype=bool)
    return protect(Table.of(lattice, given, value=value, partition=partition), Parameters(), seed=1), value


def test_a_total_less_what_is_published_at_two_levels_does_not_isolate_a_holding():
    parent = {"G": None, "P1": "G", "P2": "G", "P3": "G"} | {f"c{p}{n}": f"P{p}" for p in (1, 2, 3) for n in (1, 2)}
    tree = Dimension("t", parent, {code: str(0 if code == "G" else 1 if code[0] == "P" else 2) for code in parent})
    lattice = build([tree], [Cube("x", {"t": ["0", "1", "2"]})])
    many = dict.fromkeys(range(1, 6), 9000)
    leaves = {
        ("c11",): dict.fromkeys(range(1, 5), 100), ("c12",): {0: 10_000}, ("c21",): dict.fromkeys(range(1, 6), 3000),
        ("c22",): {0: 2000}, ("c31",): many, ("c32",): many,
    }  # fmt: skip
    done, _ = protected(lattice, leaves)
    assert done.leaks == ()
    told = {code for (code,), hidden in zip(lattice.keys, done.mask, strict=True) if not hidden}
    # c12 + c22, both of holding 0 alone, is G less P3, c11 and c21.
    assert not {"G", "P3", "c11", "c21"} <= told


def test_hidden_zeros_are_not_given_away_by_an_empty_remainder():
    place = {"F": None, "a": "F", "b": "F", "c": "F", "d": "F"}
    thing = {"*": None, "p": "*", "q": "*", "r": "*"}
    levels = [{code: "0" if parent is None else "1" for code, parent in tree.items()} for tree in (place, thing)]
    lattice = build([Dimension("t", place, levels[0]), Dimension("p", thing, levels[1])], [Cube("x", {"t": ["0", "1"], "p": ["0", "1"]})])
    many = dict.fromkeys(range(1, 7), 1000)
    leaves = {(x, y): many for x in "cd" for y in "pqr"}
    leaves |= {(x, "q"): {0: 10, 1: 12} for x in "ab"} | {(x, "r"): {0: 5, 1: 5} for x in "ab"}
    done, _ = protected(lattice, leaves)
    assert done.leaks == ()
    told = {key for key, hidden in zip(lattice.keys, done.mask, strict=True) if not hidden}
    assert ("a", "p") not in told and ("b", "p") not in told
    # F·p less c·p and d·p would be nothing, hence a·p and b·p nothing each.
    assert not {("F", "p"), ("c", "p"), ("d", "p")} <= told
