"""The life of a flow: received, settled, counted once, refused with nothing kept, recovered."""

import datetime as dt

import pytest
from django.utils import timezone

from belvedere.engine.b2.envelope import seal
from belvedere.observatory.collect import inbox, keyring, queue, reception, settlement, sweeping, vault, worker
from belvedere.observatory.collect.models import COUNTED, SETTLED, TRANSITIONS, DataFile, Flow, State
from belvedere.observatory.journal.models import Entry
from tests.flows import a_file, assert_no_identity, first_of, patched, sector


def send(group, clear):
    flow = reception.receive(group=group, sealed=seal(clear, keyring.certificate()), channel="api", file_name="f.b2")
    leased = queue.claim()
    assert leased.pk == flow.pk
    return worker.settle(leased)


def test_an_accepted_flow_is_counted_with_its_receipt(groups, data_folder):
    flow = send(groups[0], a_file())
    assert flow.state == State.ACCEPTED
    assert flow.lines > 0 and flow.amount_billed > 0
    listed = DataFile.objects.get(flow=flow)
    assert listed.rows == flow.lines
    assert vault.facts_path(listed.name).stat().st_size == listed.size
    assert not vault.sealed_path(flow.sealed_name).exists()
    assert Entry.objects.filter(subject=f"flux:{flow.pk}").count() == 2


def test_the_same_content_again_changes_nothing_and_says_so(groups):
    first = send(groups[0], a_file())
    again = send(groups[0], a_file())
    assert again.state == State.DUPLICATE
    assert again.duplicate_of_id == first.pk
    assert again.lines == 0
    assert DataFile.objects.count() == 1


def test_the_same_records_with_other_line_ends_are_the_same_flow(groups):
    clear = a_file()
    first = send(groups[0], clear)
    text = b"\r\n".join(clear[at : at + 128] for at in range(0, len(clear), 128))
    again = send(groups[0], text)
    assert (again.state, again.duplicate_of_id) == (State.DUPLICATE, first.pk)


BAD = {
    "A504": lambda clear: patched(clear, first_of(clear, "5"), 58, "00000001"),
    "K201": lambda clear: patched(clear, first_of(clear, "2"), 25, "00"),
    "F001": lambda clear: clear[:-1],
    "F000": lambda clear: b"",
    "P601": lambda clear: a_file(next(p.rank for p in sector().providers if p.group != 0)),
}


@pytest.mark.parametrize("code", BAD)
def test_a_refused_flow_has_its_own_error_and_leaves_nothing(groups, data_folder, code):
    flow = send(groups[0], BAD[code](a_file()))
    assert flow.state == State.REFUSED
    assert code in [item["code"] for item in flow.findings]
    assert DataFile.objects.count() == 0
    assert not list((data_folder / "facts").rglob("*")) if (data_folder / "facts").exists() else True
    assert not vault.sealed_path(flow.sealed_name).exists()


def test_what_is_not_sealed_is_refused_and_never_written(groups, data_folder):
    reception.receive(group=groups[0], sealed=a_file(), channel="api", file_name="clair.b2")
    flow = Flow.objects.get()
    assert (flow.state, [item["code"] for item in flow.findings]) == (State.REFUSED, ["E703"])
    assert flow.receipt and not list((data_folder / "sealed").glob("*")) and not list((data_folder / "incoming").glob("*"))


def test_a_dead_worker_loses_nothing_and_counts_nothing_twice(groups):
    reception.receive(group=groups[0], sealed=seal(a_file(), keyring.certificate()), channel="api", file_name="f.b2")
    dead = queue.claim()
    assert queue.claim() is None
    Flow.objects.filter(pk=dead.pk).update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    second = queue.claim()
    assert (second.pk, second.tries) == (dead.pk, 2)
    assert worker.settle(second).state == State.ACCEPTED
    # The first worker wakes up and finishes: the constraint and the lease leave one count.
    worker.settle(dead)
    assert DataFile.objects.count() == 1
    assert Flow.objects.filter(state__in=COUNTED).count() == 1


def test_a_flow_that_always_fails_is_given_up_with_a_receipt(groups, monkeypatch):
    reception.receive(group=groups[0], sealed=seal(a_file(), keyring.certificate()), channel="api", file_name="f.b2")
    monkeypatch.setattr(settlement, "settle", lambda flow: 1 / 0)
    monkeypatch.setattr(worker.time, "sleep", lambda seconds: None)
    for _ in range(queue.MAX_TRIES):
        worker.drain()
        Flow.objects.filter(settled_at=None).update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    flow = Flow.objects.get()
    assert flow.state == State.REFUSED and flow.receipt
    assert [item["code"] for item in flow.findings] == ["X901"]


def test_the_watched_folder_takes_sealed_files_of_known_members(groups, data_folder, monkeypatch):
    monkeypatch.setattr(inbox, "SETTLE_AGE", 0.0)
    folder = data_folder / "inbox" / str(sector().providers[0].finess)
    folder.mkdir(parents=True)
    (folder / "janvier.p7m").write_bytes(seal(a_file(), keyring.certificate()))
    stranger = data_folder / "inbox" / "999999999"
    stranger.mkdir()
    (stranger / "x.p7m").write_bytes(b"x")
    assert inbox.take() == 1
    worker.drain()
    assert Flow.objects.get().state == State.ACCEPTED
    assert (stranger / "x.p7m").exists()


def test_no_identity_reaches_the_disk(groups, data_folder):
    establishment = next(p for p in sector().providers if p.norm == "CP")
    group = next(g for g in groups if g.members.filter(finess=establishment.finess).exists())
    send(groups[0], a_file())
    clear = next(a_file(establishment.rank, month) for month in range(3) if a_file(establishment.rank, month))
    send(group, clear)
    assert_no_identity(data_folder, sector().population)


def test_every_state_has_its_transitions():
    assert set(TRANSITIONS) == set(State.values)
    assert set(COUNTED) <= set(SETTLED)


def test_a_worker_that_dies_before_it_destroys_leaves_that_to_the_next(groups, monkeypatch):
    from pathlib import Path

    flow = reception.receive(group=groups[0], sealed=seal(a_file(), keyring.certificate()), channel="api")
    path = vault.sealed_path(flow.sealed_name)
    with monkeypatch.context() as dying:
        dying.setattr(Path, "unlink", lambda self, missing_ok=False: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            worker.settle(queue.claim())
    assert Flow.objects.get(pk=flow.pk).state == State.ACCEPTED and path.exists()
    assert sweeping.destroy_settled() == 1 and not path.exists()
    monkeypatch.setenv("BELVEDERE_KEEP_SEALED_HOURS", "24")
    path.write_bytes(b"x")
    assert sweeping.destroy_settled() == 0 and path.exists(), "kept as long as it was asked"
