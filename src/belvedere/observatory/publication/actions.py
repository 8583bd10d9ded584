"""Compute a release, let the federations decide, publish it. No display ever bypasses this road."""

import datetime as dt

from django.db import transaction
from django.utils import timezone

from belvedere.engine.secrecy.replay import federations_learn
from belvedere.observatory import environment
from belvedere.observatory.accounts.models import User
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members.models import Federation
from belvedere.observatory.publication import computing, frozen, sealed
from belvedere.observatory.publication.computing import GateClosed
from belvedere.observatory.publication.models import Approval, Release, ReleaseState


def months_before(last: dt.date, count: int = 24) -> list[str]:
    """`count` months (AAAA-MM) that end with the month of `last`."""
    rank = last.year * 12 + last.month - 1
    return [f"{month // 12}-{month % 12 + 1:02d}" for month in range(rank - count + 1, rank + 1)]


def compute_release(*, label: str, months: list[str], by: str, seed: int) -> Release:
    """Compute, protect, audit and freeze the market's figures of these months, as a draft for the federations."""
    if Release.objects.filter(label=label).exists():
        raise GateClosed(f"La publication {label} existe déjà : une publication figée ne se recalcule pas.")
    draft = computing.draft(months, seed=seed)
    done, counts = draft.protection, draft.counts
    name, digest = frozen.freeze(draft.lattice.keys, done.mask, draft.figures.measures, label)
    seals = sealed.write(draft.table, done, draft.sensitive, draft.figures.ledger)
    with transaction.atomic():
        release = Release.objects.create(
            label=label, months=months, periods=draft.periods, created_at=timezone.now(), file_name=name, digest=digest, lines=counts["lines"],
            groups=counts["groups"], patients=counts["patients"], fresh_groups=counts["fresh_groups"], released_cells=int((~done.mask).sum()),
            masked_cells=int(done.mask.sum()), leaks=list(done.leaks), basis=[earlier.label for earlier in computing.published()],
            sealed=seals, report=_report(draft),
        )  # fmt: skip
        record(
            by=by, action="publication.calculee", subject=f"publication:{label}", digest=digest, proof=seals["proof"], cells=len(draft.lattice),
            leaks=len(done.leaks),
        )  # fmt: skip
    return release


def _report(draft: computing.Draft) -> dict[str, object]:
    """What was tried on a release and what it took, without a value."""
    table, done = draft.table, draft.protection
    filled = table.given.counted() > 0
    return {
        "federations_closed": computing.parameters().federations_attack, "cells": len(table.lattice), "relations": table.lattice.relations,
        "sensitive": int((draft.sensitive & filled).sum()), "secondary": int((done.mask & ~draft.sensitive).sum()),
        "holdings": table.given.holdings, "federations": table.affiliated.federations, "figures": done.figures,
        "federation_leaks": sum(federations_learn(table, done.mask, draft.sensitive, seed=5).values()),
    }  # fmt: skip


def gate_reasons(release: Release) -> list[str]:
    """What keeps a release from going out, besides the federations' words."""
    reasons = []
    groups, lines = int(environment.read("BELVEDERE_GATE_GROUPS")), int(environment.read("BELVEDERE_GATE_LINES"))
    if release.leaks:
        reasons.append(f"L’audit relève {len(release.leaks)} fuites.")
    if release.basis != [earlier.label for earlier in computing.published() if earlier.pk != release.pk] and release.state == ReleaseState.DRAFT:
        reasons.append("Une autre publication est parue depuis : celle-ci doit être recalculée à sa suite.")
    if release.fresh_groups < computing.parameters().holdings:
        reasons.append(f"Les mois nouveaux réunissent {release.fresh_groups} groupes, il en faut {computing.parameters().holdings}.")
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
