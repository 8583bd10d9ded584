"""Replay the audit of a frozen release: exact recovery from the mask alone, told from the file as it is."""

import numpy as np

from belvedere.engine.indicators.lattice import release_lattice
from belvedere.engine.secrecy import audit as exact
from belvedere.observatory.publication import frozen
from belvedere.observatory.publication.models import Release


def replay(release: Release, *, unmasked: tuple[tuple[str, ...], ...] = (), seed: int = 7) -> list[str]:
    """Masked cells that the published ones give away exactly; `unmasked` cells are taken as published (to
    see the audit fail). Needs neither the facts nor the rules: anyone who holds the file can run it."""
    cells = frozen.opened(release).cells
    lattice = release_lattice(release.months)
    mask = np.array([cells.get(key) is None and key not in unmasked for key in lattice.keys])
    found = exact.determined(exact.System.of(lattice), mask, seed=seed)
    return [f"déduite par différence : {' · '.join(lattice.keys[cell])}" for cell in np.flatnonzero(found)]
