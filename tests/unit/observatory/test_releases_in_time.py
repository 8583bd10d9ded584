"""Two publications a month apart: closed months, sticky masks, linked periods, and a gate on what is new."""

import datetime as dt
import os
from functools import cache

import numpy as np
import pytest

from belvedere.engine.indicators.lattice import release_periods, windows
from belvedere.engine.sector.billing import make_sector
from belvedere.engine.warehouse import engine
from belvedere.engine.warehouse.objected import Objected
from belvedere.observatory.collect import vault
from belvedere.observatory.collect.models import DataFile
from belvedere.observatory.publication import actions, audit, computing, frozen, gate, sealed
from belvedere.observatory.publication.models import ReleaseState
from tests.examples import facts
from tests.members import enrolled, send
from tests.sail import served

FIRST, MONTHS = dt.date(2025, 1, 1), ["2025-01", "2025-02", "2025-03", "2025-04"]


LAST = 11  # rank of the last provider


@cache
def a_sector():
    return make_sector(seed=3, first=FIRST, providers=12, groups=8, months=4, patients=2500, establishments=1)


@pytest.fixture
def sector():
    return a_sector()


@pytest.fixture
def groups(federations, data_folder):
    return enrolled(a_sector(), federations)


def publish(months, federations, label):
    release = actions.compute_release(label=label, months=months, by="test", seed=1)
    assert release.leaks == []
    for federation in federations:
        release = gate.decide(release=release, federation=federation, by=None)
    assert release.state == ReleaseState.PUBLISHED
    return release


@pytest.fixture
def low_thresholds(monkeypatch):
    monkeypatch.setenv("BELVEDERE_GATE_GROUPS", "3")
    monkeypatch.setenv("BELVEDERE_GATE_LINES", "100")
    monkeypatch.setenv("BELVEDERE_GATE_MEMBERS", "3")
    monkeypatch.setenv("BELVEDERE_GATE_PATIENTS", "50")


def test_late_lines_change_nothing_that_was_published(groups, federations, sector, low_thresholds):
    send(groups, sector, range(3), providers=range(LAST))
    first = publish(MONTHS[:3], federations, "2025-03")
    send(groups, sector, range(3), providers=[LAST])  # one provider's whole quarter, too late
    send(groups, sector, [3])
    second = publish(MONTHS, federations, "2025-04")
    old, new = frozen.opened(first).cells, frozen.opened(second).cells
    shared = old.keys() & new.keys()
    assert len(shared) > 100
    assert all(old[key] == new[key] for key in shared if old[key] is not None)
    assert all(new[key] is None for key in shared if old[key] is None)
    assert audit.replay_sealed(second) == []
    assert audit.replay_sealed(first) == []


def test_opening_a_cell_of_the_second_release_is_found(groups, federations, sector, low_thresholds):
    send(groups, sector, range(4))
    publish(MONTHS[:3], federations, "2025-03")
    second = publish(MONTHS, federations, "2025-04")
    lattice = computing.lattice_of_release(second)
    proof = sealed.proof(second, lattice)
    sensitive = np.flatnonzero(proof.sensitive & (proof.table.given.counted() > 0))
    assert audit.replay_sealed(second, unmasked=(lattice.keys[int(sensitive[0])],))


def test_a_draft_computed_before_another_went_out_is_computed_again(groups, federations, sector, low_thresholds):
    send(groups, sector, range(4))
    early = actions.compute_release(label="2025-03", months=MONTHS[:3], by="test", seed=1)
    late = actions.compute_release(label="2025-04", months=MONTHS, by="test", seed=1)
    for federation in federations:
        gate.decide(release=early, federation=federation, by=None)
    with pytest.raises(actions.GateClosed, match="recalculée"):
        gate.decide(release=late, federation=federations[0], by=None)


def test_new_months_of_too_few_groups_wait(groups, federations, sector, low_thresholds):
    send(groups, sector, range(3))
    publish(MONTHS[:3], federations, "2025-03")
    send(groups, sector, [3], providers=[0])
    alone = actions.compute_release(label="2025-04", months=MONTHS, by="test", seed=1)
    assert any("mois nouveaux" in reason for reason in gate.reasons(alone))


def test_a_touched_seal_is_told(groups, federations, sector, low_thresholds, data_folder):
    send(groups, sector, range(3))
    release = publish(MONTHS[:3], federations, "2025-03")
    path = next((data_folder / sealed.FOLDER).glob("*.npz"))
    assert path.stat().st_mode & 0o077 == 0
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(sealed.BrokenSeal, match="modifié"):
        audit.replay_sealed(release)


def test_twelve_month_periods_never_overlap():
    first = windows([f"2024-{m:02d}" for m in range(1, 13)] + [f"2025-{m:02d}" for m in range(1, 13)])
    monthly = release_periods([f"2024-{m:02d}" for m in range(2, 13)] + [f"2025-{m:02d}" for m in range(1, 13)] + ["2026-01"], [first])
    assert list(monthly) == ["12m-2024-12", "12m-2025-12"]  # both years, so that growth stays readable
    yearly = release_periods([f"2025-{m:02d}" for m in range(1, 13)] + [f"2026-{m:02d}" for m in range(1, 13)], [first, monthly])
    assert list(yearly) == ["12m-2025-12", "12m-2026-12"]
    assert all(not set(a) & set(b) for a in yearly.values() for b in yearly.values() if a != b)


def test_a_monthly_release_says_which_twelve_months_it_compares(groups, federations, sector, low_thresholds):
    send(groups, sector, range(4))
    publish(MONTHS[:3], federations, "2025-03")
    second = frozen.opened(publish(MONTHS, federations, "2025-04"))
    assert second.months[-1] == "2025-04"
    assert second.until == "2025-03"
    assert {key[2] for key in second.cells} == {"12m-2025-03", *MONTHS}


@pytest.mark.skipif(
    os.environ.get("BELVEDERE_TEST_DATABASE") == "postgresql", reason="l’égalité des moteurs ne dépend pas de la base : essayée sur SQLite"
)
def test_a_release_is_the_same_whatever_the_engine_that_computes_it(groups, sector, monkeypatch):
    """One setting moves the observatory to Spark Connect: same masks, same figures, same things told beside."""
    send(groups, sector, range(3))
    here = computing.draft(MONTHS[:3], seed=1)
    with served() as address:
        monkeypatch.setenv("BELVEDERE_ENGINE", address)
        there = computing.draft(MONTHS[:3], seed=1)
    np.testing.assert_array_equal(here.protection.mask, there.protection.mask)
    for name, values in here.figures.measures.items():
        np.testing.assert_array_equal(values, there.figures.measures[name], err_msg=name)
    assert (here.supplement, here.counts, here.vanished) == (there.supplement, there.counts, there.vanished)


def test_a_release_begins_again_when_a_purge_destroys_what_it_reads(groups, sector, monkeypatch):
    """Beyond what memory holds, files are read again and again: one that goes meanwhile does not end the computing, nor does the person who objected wait."""
    monkeypatch.setattr(engine, "IN_MEMORY", 10)
    send(groups, sector, range(3))
    whole, real, times = computing.draft(MONTHS[:3], seed=1), computing.cells.compute, []

    def purged(*arguments, **named):
        times.append(1)
        if len(times) == 1:
            row = DataFile.objects.filter(retired_at=None).order_by("pk").first()
            vault.facts_path(row.name).rename(vault.facts_path(row.name + ".new"))
            DataFile.objects.filter(pk=row.pk).update(name=row.name + ".new")
        return real(*arguments, **named)

    monkeypatch.setattr(computing.cells, "compute", purged)
    again = computing.draft(MONTHS[:3], seed=1)
    assert len(times) == 2 and again.counts == whole.counts
    np.testing.assert_array_equal(whole.protection.mask, again.protection.mask)

    def always(*arguments, **named):
        row = DataFile.objects.filter(retired_at=None).order_by("pk").first()
        vault.facts_path(row.name).rename(vault.facts_path(row.name + "x"))
        DataFile.objects.filter(pk=row.pk).update(name=row.name + "x")
        return real(*arguments, **named)

    monkeypatch.setattr(computing.cells, "compute", always)
    with pytest.raises(computing.GateClosed, match="plus vite"):
        computing.draft(MONTHS[:3], seed=1)


def test_late_persons_of_a_closed_month_are_in_no_count(groups, federations, sector, low_thresholds, monkeypatch):
    """A window that ends later counts the persons of its closed months among the lines that its amounts were made of: no cell tells persons
    that nobody's amounts brought."""
    send(groups, sector, range(3), providers=range(LAST))
    publish(MONTHS[:3], federations, "2025-03")
    send(groups, sector, range(3), providers=[LAST])
    made = computing.draft(MONTHS, seed=1)
    empty = made.table.given.counted() == 0
    assert not made.figures.measures["patients"][empty].any() and not made.figures.measures["invoices"][empty].any()
    late = {member.pk for group in groups for member in group.members.filter(finess=sector.providers[LAST].finess)}
    holder = next(group.pk for group in groups if group.members.filter(pk__in=late).exists())
    alone = [member.pk for group in groups if group.pk == holder for member in group.members.all()]
    assert len(alone) >= 1
    before = frozen.opened(computing.published()[0])
    rank = made.lattice.index[("FR", "*", "2025-02", "*", "*", "*", "*")]
    assert made.figures.measures["patients"][rank] == before.measure("patients", period="2025-02")


def test_a_family_that_is_no_longer_billed_is_told():
    """A nomenclature that changes (chairs in December 2025) empties a family all at once: whoever computes a release hears of it."""
    lines = [{"patient": "Anne", "mois": "2025-01..2025-02", "code": 1136581}, {"patient": "Basile", "mois": "2025-01", "code": 1187880}]
    table, holders = facts({"lines": lines})
    connection = engine.connect(table, groups=holders, objected=Objected())
    assert computing._vanished(connection, ["2025-01", "2025-02"]) == ["PPC"]
    assert computing._vanished(connection, ["2025-01"]) == []
