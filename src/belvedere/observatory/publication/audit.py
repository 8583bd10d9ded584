"""Replay the audits of a frozen release: from the published file alone, then from the sealed dossier."""

import numpy as np

from belvedere.engine.secrecy import audit as exact
from belvedere.engine.secrecy import replay as audits
from belvedere.observatory.publication import frozen, sealed
from belvedere.observatory.publication.computing import lattice_of_release, parameters
from belvedere.observatory.publication.models import Release


def replay(release: Release, *, unmasked: tuple[tuple[str, ...], ...] = (), seed: int = 7) -> list[str]:
    """Masked cells that the published ones give away exactly; `unmasked` cells are taken as published (to
    see the audit fail). Needs neither the facts nor the rules: anyone who holds the file can run it."""
    cells = frozen.opened(release).cells
    lattice = lattice_of_release(release)
    mask = np.array([cells.get(key) is None and key not in unmasked for key in lattice.keys])
    found = exact.determined(exact.System.of(lattice), mask, seed=seed)
    return [f"déduite par différence : {lattice.name(int(cell))}" for cell in np.flatnonzero(found)]


def replay_sealed(release: Release, *, unmasked: tuple[tuple[str, ...], ...] = (), seed: int = 7) -> list[str]:
    """What leaks in a release and all those before it taken as one: to the public, to each group, by derived sums,
    by intervals without a valid certificate. Needs the sealed dossier. BrokenSeal when it was touched."""
    lattice = lattice_of_release(release)
    proof = sealed.proof(release, lattice)
    mask = proof.mask.copy()
    mask[[lattice.index[key] for key in unmasked]] = False
    found = audits.replay(proof.table, mask, proof.sensitive, parameters(), seed=seed, proof=proof.certificate)
    file = frozen.opened(release).cells
    for rank in np.flatnonzero(proof.mask):
        if file.get(lattice.keys[rank]) is not None:
            found.append(f"publiée bien que masquée dans la preuve : {lattice.name(int(rank))}")
    return found
