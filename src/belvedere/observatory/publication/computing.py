"""A release computed, linked to those before it, and protected: from the facts to a draft for the federations."""

import numpy as np

from belvedere.engine.indicators import cells
from belvedere.engine.indicators.lattice import DIMENSIONS, PARTITION, Linked, linked_lattice, windows
from belvedere.engine.secrecy import rules
from belvedere.engine.secrecy.errors import SecrecyError
from belvedere.engine.secrecy.protect import Protection, Table, protect, without_implied_zeros
from belvedere.engine.secrecy.rules import Affiliations, Contributions, Parameters
from belvedere.engine.warehouse import engine
from belvedere.observatory import environment
from belvedere.observatory.collect.models import DataFile
from belvedere.observatory.collect.vault import facts_path
from belvedere.observatory.members.models import Group, Member
from belvedere.observatory.objections.models import Objection
from belvedere.observatory.publication import frozen, sealed
from belvedere.observatory.publication.models import Release, ReleaseState

PERIOD = DIMENSIONS.index("period")


class GateClosed(Exception):
    """Why a release may not go out, in a French sentence."""


def parameters() -> Parameters:
    """The secrecy parameters in force, from the environment; concentration ones are never shown."""
    remainder = environment.read("BELVEDERE_FEDERATION_PERCENT")
    return Parameters(
        dominance_share=float(environment.read("BELVEDERE_DOMINANCE")), p_percent=float(environment.read("BELVEDERE_P_PERCENT")),
        federation_percent=float(remainder) if remainder else None, federations_attack=environment.read("BELVEDERE_FEDERATIONS_ATTACK") == "1",
    )  # fmt: skip


def published() -> list[Release]:
    """Releases that went out, oldest first."""
    return list(Release.objects.filter(state=ReleaseState.PUBLISHED).order_by("published_at", "pk"))


def connection_to_facts():
    """DuckDB over the live facts, less those of persons who objected."""
    return engine.connect(
        [facts_path(name) for name in DataFile.objects.filter(retired_at=None).order_by("pk").values_list("name", flat=True)],
        groups=dict(Member.objects.values_list("pk", "group_id")),
        objections=np.array(list(Objection.objects.values_list("pseudonym", flat=True)), dtype=np.int64),
        materialise=True,
    )


def draft(months: list[str], *, seed: int) -> tuple[Linked, cells.CellTable, Table, np.ndarray, Protection, dict[str, int]]:
    """(lattice, figures, table, sensitive cells, protection, counts) of a release over these months.

    GateClosed when what was already published would give a cell away."""
    earlier = published()
    linked = linked_lattice(months, [release.months for release in earlier])
    connection = connection_to_facts()
    # One ledger a month: the release that published it first closed it.
    figures = cells.compute(connection, linked.lattice, linked.periods, closed=[sealed.ledger(release) for release in earlier])
    mine = f"month IN ({', '.join(repr(month) for month in months)})"
    row = connection.sql(f"SELECT count(*), count(DISTINCT grp), count(DISTINCT patient) FROM window_facts WHERE {mine}").fetchall()[0]
    fresh = connection.sql(f"SELECT count(DISTINCT grp) FROM window_facts ANTI JOIN raw_closed USING (month) WHERE {mine}").fetchall()[0][0]
    connection.close()
    told, masked = _said_before(earlier, linked)
    table = _table(linked, figures, told)
    rule = parameters()
    primary = rules.primary(linked.lattice, table.given, rule, table.affiliated) | _sensitive_before(earlier, linked)
    primary |= _unsafe_steps(linked, figures.contributions, told, rule)
    primary = without_implied_zeros(table, primary & ~told, seed=seed)
    try:
        done = protect(table, rule, seed=seed, primary=primary, sticky=masked, rounds=1)
    except SecrecyError as error:
        raise GateClosed(f"Ce qui a déjà paru empêche de protéger cette publication : {error}") from None
    for release in earlier:
        _keep_values(frozen.opened(release), linked, told, figures)
    counts = {"lines": row[0], "groups": row[1], "patients": row[2], "fresh_groups": fresh}
    return linked, figures, table, primary, done, counts


def _table(linked: Linked, figures: cells.CellTable, told: np.ndarray) -> Table:
    federation_of = {group: federation for group, federation in Group.objects.values_list("pk", "federation_id") if federation}
    number = {pk: rank for rank, pk in enumerate(sorted(set(federation_of.values())))}
    federation = np.array([number.get(federation_of.get(int(group), -1), -1) for group in figures.groups], dtype=np.int64)
    partition = np.array([name in PARTITION for name in DIMENSIONS])
    given = figures.contributions
    # What is worth publishing is told by powers of two: the mask then hangs less on the values that it hides.
    value = np.exp2(np.floor(np.log2(figures.measures["amount_billed"].clip(0) + 1.0)))
    value[given.counted() == 0] = 0.0
    return Table(linked.lattice, given, value, partition, Affiliations.of(given, federation), told, ~linked.mine & ~told)


def _said_before(earlier: list[Release], linked: Linked) -> tuple[np.ndarray, np.ndarray]:
    """(told, masked): cells that earlier releases published, and those that they hid, which stay hidden."""
    told, masked = np.zeros(len(linked.lattice), dtype=bool), np.zeros(len(linked.lattice), dtype=bool)
    for release in earlier:
        for key, cell in frozen.opened(release).cells.items():
            rank = linked.lattice.index.get(key)
            if rank is not None:
                (masked if cell is None else told)[rank] = True
    return told, masked & ~told


def _sensitive_before(earlier: list[Release], linked: Linked) -> np.ndarray:
    """Cells that earlier releases had to protect: they are protected again, whatever the rules say now."""
    found = np.zeros(len(linked.lattice), dtype=bool)
    for release in earlier:
        lattice = lattice_of(release).lattice
        for cell in np.flatnonzero(sealed.proof(release, lattice).sensitive):
            rank = linked.lattice.index.get(lattice.keys[cell])
            if rank is not None:
                found[rank] = True
    return found


def lattice_of(release: Release) -> Linked:
    """The lattice that a release was protected in, with the releases that had gone out before it."""
    before = Release.objects.filter(label__in=release.basis).order_by("published_at", "pk")
    return linked_lattice(release.months, [other.months for other in before])


def _keep_values(before: frozen.Frozen, linked: Linked, told: np.ndarray, figures: cells.CellTable) -> None:
    """A cell that was published keeps its published figures."""
    for key, cell in before.cells.items():
        rank = linked.lattice.index.get(key)
        if rank is not None and cell is not None and told[rank]:
            for name, value in cell.items():
                figures.measures[name][rank] = value


def _unsafe_steps(linked: Linked, given: Contributions, told: np.ndarray, rule: Parameters) -> np.ndarray:
    """Twelve-month cells whose step from a published, overlapping twelve months is the doing of too few groups."""
    lattice, found = linked.lattice, np.zeros(len(linked.lattice), dtype=bool)
    after = np.split(np.arange(len(given.cell)), np.flatnonzero(np.diff(given.cell)) + 1)
    rows = {int(given.cell[rows[0]]): rows for rows in after if len(rows)}
    overlapping = {
        window: [other for other, months in linked.periods.items() if other != window and set(months) & set(linked.periods[window])]
        for window in linked.periods
    }
    cell, holding, amount = [], [], []
    nothing = np.zeros(0, dtype=np.int64)
    for rank in np.flatnonzero(linked.mine & ~told):
        key = lattice.keys[rank]
        for other in overlapping.get(key[PERIOD], ()):
            before = lattice.index.get((*key[:PERIOD], other, *key[PERIOD + 1 :]))
            if before is None or not told[before]:
                continue
            new, old = rows.get(int(rank), nothing), rows.get(before, nothing)
            groups, place = np.unique(np.concatenate([given.holding[new], given.holding[old]]), return_inverse=True)
            step = np.bincount(place, weights=np.concatenate([given.amount[new], -given.amount[old]]), minlength=len(groups))
            moved = step != 0
            cell += [rank] * int(moved.sum())
            holding += groups[moved].tolist()
            amount += np.abs(step[moved]).tolist()
    many = np.full(len(lattice), rule.patients)
    return found | rules.unsafe(many, np.array(cell, np.int64), np.array(amount, float), rule)


__all__ = ["GateClosed", "connection_to_facts", "draft", "parameters", "published", "windows"]
