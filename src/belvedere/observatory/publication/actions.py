"""Compute a release, let the federations decide, publish it. No display ever bypasses this road."""

import datetime as dt

import numpy as np
from django.db import transaction
from django.utils import timezone

from belvedere.engine.indicators import cells
from belvedere.engine.indicators.lattice import DIMENSIONS, PARTITION, release_lattice
from belvedere.engine.secrecy.protect import Table, protect
from belvedere.engine.secrecy.rules import Parameters
from belvedere.engine.warehouse import engine
from belvedere.observatory import environment
from belvedere.observatory.accounts.models import User
from belvedere.observatory.collect.models import DataFile
from belvedere.observatory.collect.vault import facts_path
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members.models import Federation, Member
from belvedere.observatory.objections.models import Objection
from belvedere.observatory.publication import frozen
from belvedere.observatory.publication.models import Approval, Release, ReleaseState


class GateClosed(Exception):
    """Why a release may not go out, in a French sentence."""


def parameters() -> Parameters:
    """The secrecy parameters in force, from the environment; concentration ones are never shown."""
    return Parameters(dominance_share=float(environment.read("BELVEDERE_DOMINANCE")), p_percent=float(environment.read("BELVEDERE_P_PERCENT")))


def months_before(last: dt.date, count: int = 24) -> list[str]:
    """`count` months (AAAA-MM) that end with the month of `last`."""
    rank = last.year * 12 + last.month - 1
    return [f"{month // 12}-{month % 12 + 1:02d}" for month in range(rank - count + 1, rank + 1)]


def compute_release(*, label: str, months: list[str], by: str, seed: int) -> Release:
    """Compute, protect, audit and freeze the market's figures of these months, as a draft for the federations."""
    if Release.objects.filter(label=label).exists():
        raise GateClosed(f"La publication {label} existe déjà : une publication figée ne se recalcule pas.")
    connection = engine.connect(
        [facts_path(name) for name in DataFile.objects.filter(retired_at=None).order_by("pk").values_list("name", flat=True)],
        groups=dict(Member.objects.values_list("pk", "group_id")),
        objections=np.array(list(Objection.objects.values_list("pseudonym", flat=True)), dtype=np.int64),
        materialise=True,
    )
    lattice = release_lattice(months)
    table = cells.compute(connection, lattice, months)
    row = connection.sql("SELECT count(*), count(DISTINCT grp), count(DISTINCT patient) FROM window_facts").fetchall()[0]
    connection.close()
    partition = np.array([name in PARTITION for name in DIMENSIONS])
    given = Table.of(lattice, table.contributions, value=table.measures["amount_billed"].astype(float), partition=partition)
    protection = protect(given, parameters(), seed=seed, sticky=_sticky(lattice.index, len(lattice)))
    name, digest = frozen.freeze(lattice.keys, protection.mask, table.measures, label)
    with transaction.atomic():
        release = Release.objects.create(
            label=label, months=months, created_at=timezone.now(), file_name=name, digest=digest, lines=row[0], groups=row[1], patients=row[2],
            released_cells=int((~protection.mask).sum()), masked_cells=int(protection.mask.sum()), leaks=list(protection.leaks),
        )  # fmt: skip
        record(by=by, action="publication.calculee", subject=f"publication:{label}", digest=digest, cells=len(lattice), leaks=len(protection.leaks))
    return release


def _sticky(index: dict[tuple[str, ...], int], count: int) -> np.ndarray:
    """Cells that an earlier release masked: they stay masked (secrecy brief §6.2)."""
    mask = np.zeros(count, dtype=bool)
    for release in Release.objects.filter(state=ReleaseState.PUBLISHED):
        hidden = [index[key] for key, cell in frozen.opened(release).cells.items() if cell is None and key in index]
        mask[hidden] = True
    return mask


def gate_reasons(release: Release) -> list[str]:
    """What keeps a release from going out, besides the federations' words."""
    reasons = []
    groups, lines = int(environment.read("BELVEDERE_GATE_GROUPS")), int(environment.read("BELVEDERE_GATE_LINES"))
    if release.leaks:
        reasons.append(f"L’audit relève {len(release.leaks)} fuites.")
    if release.groups < groups:
        reasons.append(f"{release.groups} groupes présents, {groups} au moins sont nécessaires.")
    if release.lines < lines:
        reasons.append(f"{release.lines} lignes présentes, {lines} au moins sont nécessaires.")
    return reasons


@transaction.atomic
def approve(*, release: Release, federation: Federation, by: User | None) -> Release:
    """A federation's approval; the last one publishes the release if the thresholds hold. GateClosed otherwise."""
    release = Release.objects.select_for_update(of=("self",)).get(pk=release.pk)
    if release.state != ReleaseState.DRAFT:
        raise GateClosed("Cette publication n’attend plus de validation.")
    if reasons := gate_reasons(release):
        raise GateClosed(" ".join(reasons))
    Approval.objects.get_or_create(release=release, federation=federation, defaults={"by": by, "at": timezone.now()})
    actor = by.email if by else "démonstration"
    record(by=actor, action="publication.validee", subject=f"publication:{release.label}", federation=federation.name)
    if release.approvals.count() == Federation.objects.count():
        release.state, release.published_at = ReleaseState.PUBLISHED, timezone.now()
        release.save(update_fields=["state", "published_at"])
        record(by="verrou", action="publication.publiee", subject=f"publication:{release.label}", digest=release.digest)
    return release
