"""Small flows of different groups settled in one transaction: what each would have had alone, whatever happens to its neighbours."""

import datetime as dt

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone

from belvedere.engine.b2.envelope import seal
from belvedere.observatory.collect import committing, keyring, queue, reception, settlement, vault, worker
from belvedere.observatory.collect.models import DataFile, Flow, State
from belvedere.observatory.journal.actions import broken_at
from tests.flows import a_file, first_of, patched, sector


@pytest.fixture
def flows(groups):
    """The January of the first entity of each group, waiting."""
    found = []
    for number, group in enumerate(groups):
        provider = next(
            one for one in sector().providers if one.group == sector().providers[number].group and group.members.filter(finess=one.finess).exists()
        )
        month = next(month for month in range(3) if a_file(provider.rank, month))
        found.append(deposit(group, a_file(provider.rank, month)))
    return found


def deposit(group, clear) -> Flow:
    return reception.receive(group=group, sealed=seal(clear, keyring.certificate()), channel="api", file_name="f.b2")


@pytest.fixture
def commits(monkeypatch):
    """How many flows each transaction settled."""
    sizes, original = [], committing.commit

    def told(treated):
        sizes.append(len(treated))
        return original(treated)

    monkeypatch.setattr(committing, "commit", told)
    return sizes


def states() -> dict[int, str]:
    return dict(Flow.objects.values_list("pk", "state"))


def kept() -> set[str]:
    return {str(path.relative_to(vault.facts_path(""))) for path in vault.facts_path("").rglob("*.parquet")}


def test_they_share_one_transaction_and_each_has_its_receipt(flows, commits):
    assert worker.drain() == len(flows)
    assert commits == [len(flows)] and len(flows) > 2
    settled = list(Flow.objects.order_by("pk"))
    assert {flow.state for flow in settled} == {State.ACCEPTED}
    assert [flow.tries for flow in settled] == [1] * len(flows)
    assert len({flow.journal["position"] for flow in settled}) == len(flows) and broken_at() is None
    assert DataFile.objects.filter(retired_at=None).count() == len(flows)
    assert not any(vault.sealed_path(flow.sealed_name).exists() for flow in settled)


def test_what_is_large_was_tried_or_is_of_the_same_group_goes_alone(groups, flows, commits, monkeypatch):
    Flow.objects.filter(pk=flows[1].pk).update(tries=1)
    Flow.objects.filter(pk=flows[2].pk).update(sealed_size=queue.SMALL_BYTES + 1)
    again = deposit(groups[0], patched(a_file(), first_of(a_file(), "5"), 58, "00000001"))
    worker.drain()
    assert sorted(commits) == [1, 1, 1, len(flows) - 2]
    assert states()[again.pk] == State.REFUSED
    assert list(states().values()).count(State.ACCEPTED) == len(flows)


def test_one_that_must_be_compared_again_takes_nothing_from_the_others(flows, commits, monkeypatch):
    original, missed = committing._write, []

    def past_changed(treated):
        original(treated)
        if treated.flow.pk == flows[1].pk and not missed:
            missed.append(True)
            raise committing.Conflict

    monkeypatch.setattr(committing, "_write", past_changed)
    worker.drain()
    assert commits == [len(flows), 1]
    assert set(states().values()) == {State.ACCEPTED}
    assert kept() == set(DataFile.objects.values_list("name", flat=True))
    positions = [flow.journal["position"] for flow in Flow.objects.all()]
    assert len(set(positions)) == len(flows) and broken_at() is None


def test_one_that_cannot_be_treated_is_told_and_the_others_are_settled(flows, monkeypatch):
    original = settlement.treat
    monkeypatch.setattr(settlement, "treat", lambda flow, beat: 1 / 0 if flow.pk == flows[0].pk else original(flow, beat))
    worker.drain()
    failed = Flow.objects.get(pk=flows[0].pk)
    assert (failed.state, failed.failures) == (State.RECEIVED, 1)
    assert {state for pk, state in states().items() if pk != failed.pk} == {State.ACCEPTED}


@pytest.mark.parametrize("error", [RuntimeError, OperationalError])
def test_a_transaction_that_fails_keeps_nothing_and_each_goes_alone(flows, commits, monkeypatch, error):
    original = committing._write

    def broken(treated):
        original(treated)
        if commits == [len(flows)]:
            raise error("the database went away")

    monkeypatch.setattr(committing, "_write", broken)
    if error is OperationalError:
        with pytest.raises(OperationalError):
            worker.drain()
    else:
        worker.drain()
    assert set(states().values()) == {State.RECEIVED} and not DataFile.objects.exists()
    Flow.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    worker.drain()
    assert commits == [len(flows), *[1] * len(flows)]
    assert set(states().values()) == {State.ACCEPTED}
    assert set(Flow.objects.values_list("tries", "failures")) == {(2, 0)}


def test_a_flow_that_another_worker_took_meanwhile_is_left_to_it(flows, monkeypatch):
    original = settlement.treat

    def slow(flow, beat):
        found = original(flow, beat)
        if flow.pk == flows[0].pk and flow.tries == 1:
            Flow.objects.filter(pk=flow.pk).update(tries=2, lease_until=timezone.now() + queue.LEASE, worker="other:1")
        return found

    monkeypatch.setattr(settlement, "treat", slow)
    worker.drain()
    assert states()[flows[0].pk] == State.RUNNING and Flow.objects.get(pk=flows[0].pk).tries == 2
    assert not DataFile.objects.filter(flow=flows[0].pk).exists()
    assert {state for pk, state in states().items() if pk != flows[0].pk} == {State.ACCEPTED}


def test_claims_never_share_a_flow(flows):
    with transaction.atomic():
        first, second = queue.claim_some(2), queue.claim_some(2)
    assert [len(first), len(second)] == [2, min(2, len(flows) - 2)]
    assert not {flow.pk for flow in first} & {flow.pk for flow in second}
