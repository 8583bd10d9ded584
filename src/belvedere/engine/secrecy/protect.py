"""The whole protection of a release: primary rules, secondary suppression, derived sums, exact audit.

What cannot be proven safe is not published: `Protection.leaks` must be empty, and `release` actions refuse
anything else. Same input and seed, same mask.
"""

from dataclasses import dataclass

import numpy as np

from belvedere.engine.secrecy import audit as exact
from belvedere.engine.secrecy import derived, rules, suppression
from belvedere.engine.secrecy.field import draw_prime
from belvedere.engine.secrecy.lattice import Lattice
from belvedere.engine.secrecy.rules import Contributions, Parameters

MAX_ROUNDS = 20


@dataclass(frozen=True)
class Protection:
    """A mask and its proof. `mask` and `primary` are bool over cells; `leaks` sentences, empty when clean."""

    mask: np.ndarray
    primary: np.ndarray
    rounds: int
    leaks: tuple[str, ...]


def protect(
    lattice: Lattice,
    given: Contributions,
    parameters: Parameters,
    *,
    value: np.ndarray,
    partition: np.ndarray,
    seed: int,
    sticky: np.ndarray | None = None,
) -> Protection:
    """Protect a lattice. `value` orders what is worth publishing; `sticky` cells were masked before and stay so."""
    primary = rules.primary(lattice, given, parameters)
    sensitive = primary | sticky if sticky is not None else primary.copy()
    empty = np.bincount(given.cell, minlength=len(lattice)) == 0
    x, linked = suppression.columns(lattice)
    mask, rounds = sensitive, 0
    for rounds in range(1, MAX_ROUNDS + 1):
        mask, _ = suppression.secondary(x, linked, sensitive=sensitive, known=empty, value=value, prime=draw_prime(seed, rounds))
        more = derived.close(lattice, mask, given, parameters, partition, value)
        if not more:
            break
        sensitive = sensitive.copy()
        sensitive[more] = True
    return Protection(mask, primary, rounds, tuple(audit(lattice, mask, primary, given, parameters, partition, seed=seed)))


def audit(
    lattice: Lattice,
    mask: np.ndarray,
    primary: np.ndarray,
    given: Contributions,
    parameters: Parameters,
    partition: np.ndarray,
    *,
    seed: int,
) -> list[str]:
    """Leaks of a mask, as sentences that name codes and never values; empty when it is clean."""
    leaks = [f"primaire publiée : {_name(lattice, int(cell))}" for cell in np.flatnonzero(primary & ~mask)]
    found = exact.determined(lattice, mask, seed=seed) & primary
    leaks += [f"déduite par différence : {_name(lattice, int(cell))}" for cell in np.flatnonzero(found)]
    broken = derived.violations(lattice, mask, given, parameters, partition)
    leaks += [f"somme déductible sous {_name(lattice, lattice.parents[r])}" for r in broken]
    return leaks


def _name(lattice: Lattice, cell: int) -> str:
    return " · ".join(lattice.keys[cell])
