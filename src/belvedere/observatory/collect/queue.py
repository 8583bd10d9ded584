"""The queue is the flows' own rows: a lease says who treats one, the number of tries whose result counts."""

import contextlib
import datetime as dt
import os
import socket
import threading
from collections.abc import Mapping

from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from belvedere.observatory.collect.models import Flow, State

LEASE = dt.timedelta(seconds=30)
HEARTBEAT_SECONDS = 5.0
MAX_TRIES = 8  # failures by the flow's own fault
MAX_DEATHS = 60  # a flow that kills whoever treats it is given up in the end
MOST_REST = 60  # seconds
BACK_OFF = dt.timedelta(seconds=3)
TOGETHER = 8  # small flows that share one transaction
AHEAD = 8  # how many times as many are looked at to find them
SMALL_BYTES = 262_144  # sealed


class LeaseLost(Exception):
    """Another worker has the flow now: what was done for it is void."""


def worker_name(pid: int | None = None) -> str:
    """Who treats: host and process."""
    return f"{socket.gethostname()[-40:]}:{pid or os.getpid()}"


def claim() -> Flow | None:
    """Lease the oldest waiting flow, or one whose worker died; None when there is nothing to do."""
    return next(iter(claim_some(1)), None)


@transaction.atomic
def claim_some(most: int = TOGETHER) -> list[Flow]:
    """Lease the oldest waiting flow and, when it is small, up to `most` of the next ones that are small too, each of another group: flows of
    one group are compared with each other. A flow that was tried before goes alone: whatever became of its worker happens to it only."""
    now = timezone.now()
    free = Q(state=State.RECEIVED, lease_until=None) | Q(state__in=(State.RECEIVED, State.RUNNING), lease_until__lt=now)
    waiting = Flow.objects.select_related("group", "sender", "member").filter(free)
    first = waiting.order_by("id").select_for_update(skip_locked=True, of=("self",)).first()
    if first is None:
        return []
    claimed = [first]
    if most > 1 and _small(first):
        ahead = Flow.objects.filter(state=State.RECEIVED, pk__gt=first.pk).order_by("id")[: AHEAD * most]
        groups, others = {first.group_id}, []
        for flow in ahead:
            if flow.group_id not in groups and _small(flow) and len(others) < most - 1:
                others.append(flow.pk)
            groups.add(flow.group_id)
        claimed += waiting.filter(pk__in=others, tries=0).order_by("id").select_for_update(skip_locked=True, of=("self",))
    Flow.objects.filter(pk__in=[flow.pk for flow in claimed]).update(
        state=State.RUNNING, lease_until=now + LEASE, tries=F("tries") + 1, worker=worker_name()
    )
    if first.state == State.RUNNING:  # its lease ran out: whoever had it is dead, or as good as dead
        Flow.objects.filter(pk=first.pk).update(deaths=F("deaths") + 1)
        first.deaths += 1
    for flow in claimed:
        flow.state, flow.lease_until, flow.tries, flow.worker = State.RUNNING, now + LEASE, flow.tries + 1, worker_name()
    return claimed


def _small(flow: Flow) -> bool:
    return not flow.tries and flow.sealed_size <= SMALL_BYTES


def held(tries: Mapping[int, int]) -> list[Flow]:
    """Flows that are still this worker's, as they stand now; it had them at these tries."""
    rows = Flow.objects.select_related("group", "sender", "member").filter(pk__in=tries, state=State.RUNNING).order_by("id")
    return [flow for flow in rows if flow.tries == tries[flow.pk]]


def put_back(tries: Mapping[int, int]) -> None:
    """Let flows rest before anybody takes them again, so that the others go first. One that is settled, or that another worker has since,
    is left alone."""
    for pk, count in tries.items():
        Flow.objects.filter(pk=pk, state=State.RUNNING, tries=count).update(state=State.RECEIVED, lease_until=timezone.now() + BACK_OFF)


def release(pid: int) -> int:
    """Give back the flows of a worker that is known to be dead; returns how many. One that has seen others die rests, the longer the more of them, so
    that those behind it are treated."""
    now, given = timezone.now(), 0
    for pk, deaths in Flow.objects.filter(state=State.RUNNING, worker=worker_name(pid)).values_list("pk", "deaths"):
        rest = min(deaths * BACK_OFF.total_seconds(), MOST_REST) if deaths else -1
        given += Flow.objects.filter(pk=pk, state=State.RUNNING, worker=worker_name(pid)).update(lease_until=now + dt.timedelta(seconds=rest))
    return given


class Heartbeat:
    """Renews the leases of flows while they are treated, from a thread: long steps do not lose them. `check` raises
    LeaseLost once another worker has the flow."""

    def __init__(self, *flows: Flow) -> None:
        self._tries = {flow.pk: flow.tries for flow in flows}
        self._over, self._lost = threading.Event(), set[int]()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS):
            for pk, tries in self._tries.items():
                mine = Flow.objects.filter(pk=pk, state=State.RUNNING, tries=tries)
                with contextlib.suppress(DatabaseError):
                    if not mine.update(lease_until=timezone.now() + LEASE):
                        self._lost.add(pk)
            connection.close()
            if len(self._lost) == len(self._tries):
                return

    def check(self, flow: Flow) -> None:
        if flow.pk in self._lost:
            raise LeaseLost

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=HEARTBEAT_SECONDS)
