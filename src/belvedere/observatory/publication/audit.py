"""Replay the audits of a frozen release: from the published file alone, then from the sealed dossier."""

import numpy as np

from belvedere.engine.secrecy import audit as exact
from belvedere.engine.secrecy import certificate
from belvedere.engine.secrecy.derived import Sums
from belvedere.engine.secrecy.protect import audit_mask, interval_questions, readers
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
    rule = parameters()
    who = readers(proof.table, proof.sensitive, federations=rule.federations_attack)
    sums = Sums(lattice, proof.table.given, rule, proof.table.partition, proof.table.settled)
    found = audit_mask(proof.table, mask, proof.sensitive, rule, seed=seed, who=who, sums=sums)
    for asked, _, system in interval_questions(proof.table, mask, proof.sensitive, rule, who):
        wrong = certificate.unmet(proof.certificate.of(asked.reader, "amount"), system, asked)
        found += [f"intervalle sans preuve pour {asked.reader or 'le public'} : {lattice.name(int(cell))}" for cell in wrong]
    file = frozen.opened(release).cells
    for rank in np.flatnonzero(~proof.table.never & proof.mask):
        if file.get(lattice.keys[rank]) is not None:
            found.append(f"publiée bien que masquée dans la preuve : {lattice.name(int(rank))}")
    return found
