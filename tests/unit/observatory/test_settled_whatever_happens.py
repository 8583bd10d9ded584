"""Full disks, clocks that jump, leases that run out, receipts that cannot be written: no flow is refused, lost or held up for what is not its fault."""

import datetime as dt
import errno
import os

import pyarrow.parquet as pq
import pytest
from django.db import IntegrityError
from django.utils import timezone

from belvedere.engine.b2.envelope import seal
from belvedere.engine.warehouse import files
from belvedere.observatory.collect import committing, keyring, queue, receipts, reception, settlement, sweeping, vault, worker
from belvedere.observatory.collect.models import DataFile, Flow, State
from belvedere.observatory.objections import purge
from belvedere.observatory.objections.models import Objection
from tests.flows import a_file, patched, sector
from tests.unit.observatory.test_counted_once import corrected, counted


def deposit(group, clear) -> Flow:
    return reception.receive(group=group, sealed=seal(clear, keyring.certificate()), channel="api", file_name="f.b2")


def of(group) -> bytes:
    return a_file(next(one.rank for one in sector().providers if group.members.filter(finess=one.finess).exists() and a_file(one.rank)))


def lapse() -> None:
    Flow.objects.exclude(lease_until=None).update(lease_until=timezone.now() - dt.timedelta(seconds=1))


def kept() -> set[str]:
    return {str(path.relative_to(vault.facts_path(""))) for path in vault.facts_path("").rglob("*.parquet")}


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def drained() -> None:
    try:
        worker.drain()
    except OSError:
        lapse()


def test_a_disk_full_for_long_refuses_nobody(groups, monkeypatch):
    flow = deposit(groups[0], a_file())
    with monkeypatch.context() as full:
        full.setattr(files.Writer, "close", no_room)
        for _ in range(queue.MAX_DEATHS + 5):
            drained()
            lapse()
    flow.refresh_from_db()
    assert flow.state == State.RECEIVED and flow.deaths == flow.failures == 0 and vault.sealed_path(flow.sealed_name).exists()
    worker.drain()
    assert Flow.objects.get().state == State.ACCEPTED


def test_a_try_that_fails_leaves_no_file(groups, monkeypatch):
    """What a correction rewrites does not fit: the flow's own file, written before, goes too."""
    deposit(groups[0], a_file())
    worker.drain()
    before = kept()
    deposit(groups[0], corrected(a_file()))
    with monkeypatch.context() as full:
        full.setattr(files, "write", no_room)
        for _ in range(3):
            drained()
            lapse()
    assert kept() == before
    worker.drain()
    assert Flow.objects.last().state in (State.ACCEPTED, State.REMARKS)


def taken_over(mine) -> None:
    lapse()
    assert queue.claim().tries == mine.tries + 1


@pytest.mark.parametrize("failures", [0, queue.MAX_TRIES - 1])
def test_a_worker_that_lost_its_lease_says_nothing_of_the_flow(groups, monkeypatch, failures):
    flow = deposit(groups[0], a_file())
    Flow.objects.update(failures=failures)

    def stalled(mine, beat):
        taken_over(mine)
        raise RuntimeError("fails after another took the flow")

    with monkeypatch.context() as slow:
        slow.setattr(settlement, "treat", stalled)
        worker.drain()
    flow.refresh_from_db()
    assert (flow.state, flow.tries, flow.failures) == (State.RUNNING, 2, failures)
    assert flow.lease_until - timezone.now() > dt.timedelta(seconds=10), "the other's lease is whole"


def test_a_sweeper_whose_clock_runs_ahead_takes_nothing_that_is_being_written(groups, monkeypatch):
    flow, original, now = deposit(groups[0], a_file()), committing.commit, sweeping.time.time

    def meanwhile(treated):
        with monkeypatch.context() as ahead:
            ahead.setattr(sweeping.time, "time", lambda: now() + 7_200)
            sweeping.sweep()
        return original(treated)

    with monkeypatch.context() as swept:
        swept.setattr(committing, "commit", meanwhile)
        worker.drain()
    flow.refresh_from_db()
    assert flow.state == State.ACCEPTED and vault.facts_path(DataFile.objects.get().name).exists()


def test_an_orphan_goes_at_the_second_look(groups, monkeypatch):
    orphan = vault.facts_path("000000/9-9.parquet")
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"x")
    os.utime(orphan, (0, 0))
    sweeping._seen.clear()
    sweeping.sweep()
    assert orphan.exists()
    later = sweeping.time.monotonic() + sweeping.SEEN_SECONDS
    monkeypatch.setattr(sweeping.time, "monotonic", lambda: later + 1)
    assert sweeping.sweep() >= 1 and not orphan.exists()


def test_a_file_that_is_no_longer_there_is_not_listed(groups, monkeypatch):
    """Whoever took it: the flow is treated again, its sealed bytes are still there."""
    flow, original = deposit(groups[0], a_file()), committing._write

    def taken_first(one):
        if one.flow.tries == 1:
            vault.facts_path(one.made.name).unlink(missing_ok=True)
        return original(one)

    monkeypatch.setattr(committing, "_write", taken_first)
    worker.drain()
    flow.refresh_from_db()
    assert flow.state == State.RECEIVED and not DataFile.objects.exists() and vault.sealed_path(flow.sealed_name).exists()
    lapse()
    worker.drain()
    assert Flow.objects.get().state == State.ACCEPTED and vault.facts_path(DataFile.objects.get().name).exists()


def test_one_clear_file_refused_at_the_door_blocks_no_purge(groups):
    deposit(groups[0], a_file())
    worker.drain()
    assert reception.receive(group=groups[0], sealed=a_file(), channel="api", file_name="clair.b2").sealed_name == ""
    row = DataFile.objects.get(retired_at=None)
    Objection.objects.create(pseudonym=pq.read_table(vault.facts_path(row.name))["patient"][0].as_py())
    purge.run(grace=0)
    assert Objection.objects.get().purged_at


def test_a_file_committed_late_under_a_lower_number_is_looked_at(groups):
    """PostgreSQL draws numbers before the commit: a transaction under way when the purge looks comes with one already passed."""
    deposit(groups[0], a_file())
    worker.drain()
    row = DataFile.objects.get()
    person = pq.read_table(vault.facts_path(row.name))["patient"][0].as_py()
    Objection.objects.create(pseudonym=person)
    copy = {field.attname: getattr(row, field.attname) for field in DataFile._meta.concrete_fields}
    row.delete()
    deposit(groups[1], of(groups[1]))
    worker.drain()
    purge.run(grace=0)
    assert Objection.objects.get().purged_at and not purge.due()
    DataFile.objects.create(**copy)  # its commit
    Objection.objects.update(checked_at=timezone.now() - dt.timedelta(hours=1))
    assert purge.due()
    purge.run(grace=0)
    assert not any(person in pq.read_table(path)["patient"].to_pylist() for path in vault.facts_path("").rglob("*.parquet"))
    for _ in range(2):  # the file that the purge wrote is looked at too, then nothing is due
        Objection.objects.update(checked_at=timezone.now() - dt.timedelta(hours=1))
        purge.run(grace=0)
    Objection.objects.update(checked_at=timezone.now() - dt.timedelta(hours=1))
    assert not purge.due()


def test_a_flow_that_kills_its_worker_lets_the_others_go_first(groups):
    first, second = deposit(groups[0], a_file()), deposit(groups[0], of(groups[0]) + b"")
    claimed = []
    for _ in range(4):
        found = queue.claim()
        claimed.append(found.pk)
        queue.release(os.getpid())
    assert claimed[:2] == [first.pk, first.pk] and second.pk in claimed
    assert Flow.objects.get(pk=first.pk).deaths >= 1


def test_a_receipt_that_cannot_be_written_holds_up_none_of_its_batch(groups, monkeypatch):
    made = [deposit(group, of(group)) for group in groups]
    original, given = receipts.hand_back, []

    def one_fails(flow):
        if flow.pk == made[0].pk:
            raise FileNotFoundError(2, "renamed by another worker")
        given.append(flow.pk)
        return original(flow)

    Flow.objects.update(handed_back=False)
    monkeypatch.setattr(receipts, "hand_back", one_fails)
    assert worker.drain() == len(made) and len(given) == len(made) - 1


def test_a_broken_constraint_that_is_no_race_is_told(groups, monkeypatch):
    flow = deposit(groups[0], a_file())

    def broken(one):
        raise IntegrityError("NOT NULL constraint failed: collect_flow.kind")

    monkeypatch.setattr(committing, "_write", broken)
    for _ in range(queue.MAX_TRIES - 1):
        worker.drain()
        lapse()
    flow.refresh_from_db()
    assert flow.failures == queue.MAX_TRIES - 1


def test_a_correction_whose_every_line_is_objected_to_takes_the_former_invoice_away(groups):
    deposit(groups[0], a_file())
    worker.drain()
    table = pq.read_table(vault.facts_path(DataFile.objects.get().name))
    for person in set(table["patient"].to_pylist()):
        Objection.objects.create(pseudonym=person)
    again = deposit(groups[0], corrected(a_file()))
    worker.drain()
    again.refresh_from_db()
    number = table["invoice_no"][0].as_py()
    assert again.replaced_invoices == 1 and number not in counted()


def test_what_repeats_a_version_that_another_replaces_meanwhile_is_compared_again(groups, monkeypatch):
    """Original, correction, original again: the last two at once. The last received stands."""

    def amount() -> int:
        live = DataFile.objects.filter(retired_at=None)
        return sum(sum(pq.read_table(vault.facts_path(row.name))["amount_billed"].to_pylist()) for row in live)

    deposit(groups[0], a_file())
    worker.drain()
    first = amount()
    deposit(groups[0], corrected(a_file()))
    third = deposit(groups[0], patched(a_file(), 1, 92, "AUTRE-VERSION"))
    one, two = queue.claim(), queue.claim()
    original, seen = committing.commit, []

    def interrupted(treated):
        if treated[0].flow.pk == third.pk and not seen:
            seen.append(True)
            worker.settle(one)
        return original(treated)

    monkeypatch.setattr(committing, "commit", interrupted)
    worker.settle(two)
    assert seen and amount() == first
