"""Audits of a mask: the same ones when it is made, when a dossier is replayed, when it was made elsewhere."""

from collections.abc import Iterator

import numpy as np

from belvedere.engine.secrecy import attackers, audit, certificate, intervals
from belvedere.engine.secrecy.attackers import Insiders
from belvedere.engine.secrecy.certificate import Certificate
from belvedere.engine.secrecy.derived import Sums
from belvedere.engine.secrecy.intervals import Demand, System
from belvedere.engine.secrecy.rules import Parameters
from belvedere.engine.secrecy.table import Table, readers, room_of


def replay(table: Table, mask: np.ndarray, sensitive: np.ndarray, parameters: Parameters, *, seed: int, proof: Certificate | None) -> list[str]:
    """All that leaks in a mask: to the public, to each insider, by derived sums, by intervals when a proof is given."""
    who = readers(table, sensitive, federations=parameters.federations_attack)
    sums = Sums(table.lattice, table.given, parameters, table.partition, table.settled)
    found = audit_mask(table, mask, sensitive, seed=seed, who=who, sums=sums)
    if proof is not None:
        for asked, _, system in interval_questions(table, mask, sensitive, parameters, who):
            wrong = certificate.unmet(proof.of(asked.reader, "amount"), system, asked)
            found += [f"intervalle sans preuve pour {asked.reader or 'le public'} : {table.lattice.name(int(cell))}" for cell in wrong]
    return found


def federations_learn(table: Table, mask: np.ndarray, sensitive: np.ndarray, *, seed: int) -> dict[int, int]:
    """Federation -> sensitive cells it would learn exactly if it held all its members' lines; only those that learn."""
    only = readers(table, sensitive, federations=True).without_holdings()
    found = attackers.disclosed(audit.System.of(table.lattice), mask, sensitive, only, seed=seed)
    return {number: len(cells) for _, _, number, cells in found}


def audit_mask(
    table: Table,
    mask: np.ndarray,
    sensitive: np.ndarray,
    *,
    seed: int,
    who: Insiders,
    sums: Sums | None,
) -> list[str]:
    """Leaks of a mask to the public and to every insider, as sentences that name codes and never values."""
    lattice, system = table.lattice, audit.System.of(table.lattice)
    leaks = [f"primaire publiée : {lattice.name(int(cell))}" for cell in np.flatnonzero(sensitive & ~mask & ~table.told)]
    found = audit.determined(system, mask, seed=seed)
    leaks += [f"déduite par différence : {lattice.name(int(cell))}" for cell in np.flatnonzero(found & sensitive)]
    for label, _, _, cells in attackers.disclosed(system, mask, sensitive, who, seed=seed, runs=2):
        leaks += [f"déduite par {label} : {lattice.name(int(cell))}" for cell in cells if not found[cell]]
    if sums is not None:
        leaks += [f"somme déductible sous {lattice.name(int(cell))}" for cell in sums.violations(mask & ~found)]
    return leaks


def interval_questions(
    table: Table, mask: np.ndarray, sensitive: np.ndarray, parameters: Parameters, who: Insiders, only: set[str] | None = None
) -> Iterator[tuple[Demand, np.ndarray, System]]:
    """(demands, cells the reader knows by itself, moves possible to it) of the public, then of each holding; of the
    readers named in `only` when given."""
    hidden, lattice = mask & sensitive, table.lattice
    if only is None or certificate.PUBLIC in only:
        room = room_of(table, certificate.PUBLIC, who)
        asked = intervals.demands(table.given, hidden, parameters.p_percent, room)
        yield asked, np.zeros(len(mask), dtype=bool), intervals.amounts_system(lattice, mask, room)
    for asked, number in intervals.insider_demands(table.given, lattice, hidden, parameters.p_percent, who):
        if only is not None and asked.reader not in only:
            continue
        ignored = who.ignores(mask, 0, number)
        keep = ignored[asked.cell]
        if keep.any():
            asked = Demand(asked.reader, asked.cell[keep], asked.sign[keep], asked.level[keep])
            yield asked, who.learned(0, number), intervals.amounts_system(lattice, ignored, room_of(table, asked.reader, who))
