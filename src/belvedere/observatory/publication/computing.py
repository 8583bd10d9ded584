"""A release computed, linked to those before it, and protected: from the facts to a draft for the federations."""

import contextlib
import logging
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from belvedere.engine.indicators import cells, supplement
from belvedere.engine.indicators.lattice import ALL, DIMENSIONS, PARTITION, lattice_of, release_periods
from belvedere.engine.nomenclature.territories import FRANCE
from belvedere.engine.secrecy import rules
from belvedere.engine.secrecy.errors import SecrecyError
from belvedere.engine.secrecy.lattice import Lattice
from belvedere.engine.secrecy.protect import Protection, protect
from belvedere.engine.secrecy.rules import Affiliations, Parameters
from belvedere.engine.secrecy.table import Table, without_implied_zeros
from belvedere.engine.warehouse import engine
from belvedere.observatory import environment
from belvedere.observatory.collect.models import DataFile
from belvedere.observatory.collect.vault import facts_path
from belvedere.observatory.members.models import Group, Member
from belvedere.observatory.objections import register
from belvedere.observatory.publication import frozen, sealed
from belvedere.observatory.publication.models import Release, ReleaseState

logger = logging.getLogger(__name__)


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
    """Releases that went out, oldest first: one that was withdrawn since has been read, and still counts."""
    return list(Release.objects.filter(state__in=(ReleaseState.PUBLISHED, ReleaseState.WITHDRAWN)).order_by("published_at", "pk"))


def connection_to_facts():
    """DuckDB over the live facts of verified groups, less those of persons who objected: who could invent groups could thin the
    rules that count them (attack A24)."""
    rows = list(DataFile.objects.filter(retired_at=None, member__group__verified_at__isnull=False).order_by("pk").values_list("name", flat=True))
    return engine.connect(
        [facts_path(name) for name in rows],
        groups=dict(Member.objects.values_list("pk", "group_id")),
        objected=register.standing(),
        materialise=True,
        **environment.compute(),
    )


@dataclass(frozen=True)
class Draft:
    """A computed release: its lattice and periods, its figures, what was protected and how."""

    lattice: Lattice
    periods: dict[str, tuple[str, ...]]
    figures: cells.CellTable
    table: Table
    sensitive: np.ndarray
    protection: Protection
    counts: dict[str, float]
    basis: list[str]
    supplement: supplement.Told
    vanished: list[str]
    last_flow: int


TRIES = 3  # a purge or a correction may destroy a file that a long computation still reads


def draft(months: list[str], *, seed: int) -> Draft:
    """A release over these months, protected together with all that was published before. Begun again on the files of the moment when one of those it read is
    destroyed meanwhile: an objection does not wait for it.

    GateClosed when what was already published would give a cell away, or when files never stay long enough."""
    for turn in range(TRIES):
        try:
            return _drafted(months, seed)
        except engine.FilesGone as error:
            logger.warning("publication recommencée (%s) : %s", turn + 1, error)
    raise GateClosed("Les fichiers changent plus vite que la publication ne se calcule : recommencez à un moment plus calme.")


def _drafted(months: list[str], seed: int) -> Draft:
    earlier = published()
    periods = release_periods(months, [release.periods for release in earlier])
    lattice = lattice_of(periods, months)
    with engine.files_gone(), contextlib.closing(connection_to_facts()) as connection:
        return _read(connection, months, periods, lattice, earlier, seed)


def _read(connection, months: list[str], periods: dict[str, tuple[str, ...]], lattice: Lattice, earlier: list[Release], seed: int) -> Draft:
    # One ledger a month: the release that published it first closed it.
    figures = cells.compute(
        connection,
        lattice,
        periods,
        months=months,
        closed=[sealed.ledger(release) for release in earlier],
        counted=sealed.counts(earlier),
        cutoffs=_cutoffs(earlier),
    )
    held = f"facts WHERE period BETWEEN DATE '{min(months)}-01' AND DATE '{max(months)}-01'"
    row = connection.sql(f"SELECT count(*), count(DISTINCT grp), count(DISTINCT patient), count(DISTINCT member_id) FROM {held}").fetchall()[0]
    shares = connection.sql(f"SELECT max(total) / greatest(sum(total), 1) FROM (SELECT sum(amount_billed) AS total FROM {held} GROUP BY grp)")
    biggest = float(shares.fetchall()[0][0] or 0)
    fresh = connection.sql("SELECT count(DISTINCT grp) FROM window_facts ANTI JOIN raw_closed USING (month)").fetchall()[0][0]
    told, masked = _said_before(earlier, lattice)
    table = _table(lattice, figures, told)
    rule = parameters()
    primary = rules.primary(lattice, table.given, rule, table.affiliated) | _sensitive_before(earlier, lattice)
    primary = without_implied_zeros(table, primary & ~told, seed=seed)
    try:
        done = protect(table, rule, seed=seed, primary=primary, sticky=masked, rounds=1)
    except SecrecyError as error:
        raise GateClosed(f"Ce qui a déjà paru empêche de protéger cette publication : {error}") from None
    for release in earlier:
        _keep_values(frozen.opened(release), lattice, told, figures)
    vanished = _vanished(connection, months)
    last_flow = int(connection.sql("SELECT coalesce(max(flow_id), 0) FROM facts").fetchall()[0][0])
    beside = _beside(connection, earlier, lattice, periods, done.mask, figures.measures["patients"], rule)
    counts = {"lines": row[0], "groups": row[1], "patients": row[2], "members": row[3], "fresh_groups": fresh, "biggest": biggest}
    return Draft(lattice, periods, figures, table, primary, done, counts, [release.label for release in earlier], beside, vanished, last_flow)


def _cutoffs(earlier: list[Release]) -> dict[str, int]:
    """The last flow that was counted in each month when it was closed."""
    found: dict[str, int] = {}
    for release in earlier:
        if last := release.report.get("last_flow"):
            for month in release.months:
                found.setdefault(month, int(last))
    return found


def _vanished(connection, months: list[str]) -> list[str]:
    """Families that were billed in these months and no longer are in the last: a nomenclature that changed, most often."""
    within = f"period BETWEEN DATE '{min(months)}-01' AND DATE '{max(months)}-01'"
    rows = connection.sql(f"SELECT family FROM facts WHERE {within} GROUP BY family HAVING max(month) < ? ORDER BY 1", params=[max(months)])
    return [str(family) for (family,) in rows.fetchall()]


def _beside(
    connection, earlier: list[Release], lattice: Lattice, periods: dict[str, tuple[str, ...]], mask: np.ndarray, persons: np.ndarray, rule: Parameters
) -> supplement.Told:
    """Supplement of the windows that are new; those that went out keep theirs: computed later, it would tell what came in between."""
    new = {window: months for window, months in periods.items() if not any(window in release.periods for release in earlier)}

    def published(family: str, period: str) -> int | None:
        rank = lattice.index.get((FRANCE, family, period, ALL, ALL, ALL, ALL))
        return int(persons[rank]) if rank is not None and not mask[rank] else None

    federations = {group: federation for group, federation in Group.objects.values_list("pk", "federation_id") if federation}
    made = supplement.compute(connection, new, published, rule, sealed=_sealed_amounts(earlier), federations=federations)
    return supplement.kept(made, [frozen.opened(release).supplement for release in earlier], periods)


def _sealed_amounts(earlier: list[Release]) -> dict[tuple[str, str], dict[int, int]]:
    """(family, month) -> group -> cents reimbursed in France, as the months that were published were closed."""
    found: dict[tuple[str, str], dict[int, int]] = {}
    for release in earlier:
        rows = sealed.ledger(release)
        whole = rows.filter(pc.and_kleene(pc.equal(rows["territory"], FRANCE), pc.not_equal(rows["product"], ALL)))
        for name in DIMENSIONS:
            if name not in ("territory", "product", "period"):
                whole = whole.filter(pc.equal(whole[name], ALL))
        for product, month, group, amount in zip(*(whole[name].to_pylist() for name in ("product", "month", "grp", "amount_amo")), strict=True):
            if not product.isdecimal():
                found.setdefault((product, month), {})[group] = amount
    return found


def _table(lattice: Lattice, figures: cells.CellTable, told: np.ndarray) -> Table:
    federation_of = {group: federation for group, federation in Group.objects.values_list("pk", "federation_id") if federation}
    number = {pk: rank for rank, pk in enumerate(sorted(set(federation_of.values())))}
    federation = np.array([number.get(federation_of.get(int(group), -1), -1) for group in figures.groups], dtype=np.int64)
    partition = np.array([name in PARTITION for name in DIMENSIONS])
    given = figures.contributions
    # What is worth publishing is told by powers of two: the mask then hangs less on the values that it hides.
    value = np.exp2(np.floor(np.log2(figures.measures["amount_billed"].clip(0) + 1.0)))
    value[given.counted() == 0] = 0.0
    return Table(lattice, given, value, partition, Affiliations.of(given, federation), told, told)


def _said_before(earlier: list[Release], lattice: Lattice) -> tuple[np.ndarray, np.ndarray]:
    """(told, masked): cells that earlier releases published, and those that they hid, which stay hidden."""
    told, masked = np.zeros(len(lattice), dtype=bool), np.zeros(len(lattice), dtype=bool)
    for release in earlier:
        for key, cell in frozen.opened(release).cells.items():
            rank = lattice.index.get(key)
            if rank is not None:
                (masked if cell is None else told)[rank] = True
    return told, masked & ~told


def _sensitive_before(earlier: list[Release], lattice: Lattice) -> np.ndarray:
    """Cells that earlier releases had to protect: they are protected again, whatever the rules say now."""
    found = np.zeros(len(lattice), dtype=bool)
    for release in earlier:
        before = lattice_of_release(release)
        for cell in np.flatnonzero(sealed.proof(release, before).sensitive):
            rank = lattice.index.get(before.keys[cell])
            if rank is not None:
                found[rank] = True
    return found


def lattice_of_release(release: Release) -> Lattice:
    """The lattice that a release was protected in."""
    return lattice_of({window: tuple(months) for window, months in release.periods.items()}, release.months)


def _keep_values(before: frozen.Frozen, lattice: Lattice, told: np.ndarray, figures: cells.CellTable) -> None:
    """A cell that was published keeps its published figures."""
    for key, cell in before.cells.items():
        rank = lattice.index.get(key)
        if rank is not None and cell is not None and told[rank]:
            for name, value in cell.items():
                if value is not None:
                    figures.measures[name][rank] = value
