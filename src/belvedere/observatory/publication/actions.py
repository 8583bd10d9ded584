"""Compute a release as a draft for the federations. No display ever bypasses this road."""

import datetime as dt

from django.db import transaction
from django.utils import timezone

from belvedere.engine.secrecy.replay import federations_learn
from belvedere.observatory.journal.actions import record
from belvedere.observatory.publication import computing, frozen, gate, quality, sealed
from belvedere.observatory.publication.computing import GateClosed
from belvedere.observatory.publication.models import Release

MONTHLY = "mensuelle"


def months_before(last: dt.date, count: int = 24) -> list[str]:
    """`count` months (AAAA-MM) that end with the month of `last`."""
    rank = last.year * 12 + last.month - 1
    return [f"{month // 12}-{month % 12 + 1:02d}" for month in range(rank - count + 1, rank + 1)]


def compute_release(*, label: str, months: list[str], by: str, seed: int, series: str = MONTHLY) -> Release:
    """Compute, protect, audit and freeze the market's figures of these months, as a draft for the federations. Those that
    approved the whole series beforehand have spoken already."""
    if Release.objects.filter(label=label).exists():
        raise GateClosed(f"La publication {label} existe déjà : une publication figée ne se recalcule pas.")
    draft = computing.draft(months, seed=seed)
    done, counts = draft.protection, draft.counts
    name, digest = frozen.freeze(draft.lattice.keys, done.mask, draft.figures.measures, label, draft.supplement)
    seals = sealed.write(draft.table, done, draft.sensitive, draft.figures.ledger, draft.figures.counts)
    with transaction.atomic():
        gate.hold()  # before the journal, as whoever decides does
        release = Release.objects.create(
            label=label, months=months, periods=draft.periods, created_at=timezone.now(), file_name=name, digest=digest, lines=counts["lines"],
            groups=counts["groups"], patients=counts["patients"], fresh_groups=counts["fresh_groups"], released_cells=int((~done.mask).sum()),
            masked_cells=int(done.mask.sum()), leaks=list(done.leaks), basis=draft.basis,
            sealed=seals, report=_report(draft) | {"quality": quality.report(months)}, members=counts["members"], biggest=counts["biggest"],
            series=series,
        )  # fmt: skip
        record(
            by=by, action="publication.calculee", subject=f"publication:{label}", digest=digest, proof=seals["proof"], cells=len(draft.lattice),
            leaks=len(done.leaks), vanished=draft.vanished,
        )  # fmt: skip
        gate.speak_for_standing(release)
    return Release.objects.get(pk=release.pk)


def _report(draft: computing.Draft) -> dict[str, object]:
    """What was tried on a release and what it took, without a value."""
    table, done = draft.table, draft.protection
    filled = table.given.counted() > 0
    return {
        "federations_closed": computing.parameters().federations_attack, "cells": len(table.lattice), "relations": table.lattice.relations,
        "sensitive": int((draft.sensitive & filled).sum()), "secondary": int((done.mask & ~draft.sensitive).sum()),
        "holdings": table.given.holdings, "federations": table.affiliated.federations, "figures": done.figures,
        "vanished": draft.vanished, "last_flow": draft.last_flow, "federation_leaks": sum(federations_learn(table, done.mask, draft.sensitive, seed=5).values()),
    }  # fmt: skip
