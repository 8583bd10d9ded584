"""The queue is the flows' own rows: a lease says who treats one, the number of tries whose result counts."""

import contextlib
import datetime as dt
import os
import socket
import threading

from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from belvedere.observatory.collect.models import Flow, State

LEASE = dt.timedelta(seconds=30)
HEARTBEAT_SECONDS = 5.0
MAX_TRIES = 8  # failures by the flow's own fault
MAX_CLAIMS = 60  # a flow that kills whoever treats it is given up in the end
BACK_OFF = dt.timedelta(seconds=3)


class LeaseLost(Exception):
    """Another worker has the flow now: what was done for it is void."""


def worker_name(pid: int | None = None) -> str:
    """Who treats: host and process."""
    return f"{socket.gethostname()[:40]}:{pid or os.getpid()}"


@transaction.atomic
def claim() -> Flow | None:
    """Lease the oldest waiting flow, or one whose worker died; None when there is nothing to do."""
    now = timezone.now()
    waiting = Flow.objects.filter(Q(state=State.RECEIVED) | Q(state=State.RUNNING, lease_until__lt=now))
    flow = waiting.order_by("id").select_for_update(skip_locked=True, of=("self",)).first()
    if flow is None:
        return None
    flow.state, flow.lease_until, flow.tries, flow.worker = State.RUNNING, now + LEASE, flow.tries + 1, worker_name()
    flow.save(update_fields=["state", "lease_until", "tries", "worker"])
    return flow


def put_back(flow: Flow) -> None:
    """Let a flow rest before anybody takes it again, so that the others go first."""
    Flow.objects.filter(pk=flow.pk, state=State.RUNNING, tries=flow.tries).update(lease_until=timezone.now() + BACK_OFF)


def release(pid: int) -> int:
    """Give back the flows of a worker that is known to be dead; returns how many."""
    mine = Flow.objects.filter(state=State.RUNNING, worker=worker_name(pid))
    return mine.update(lease_until=timezone.now() - dt.timedelta(seconds=1))


class Heartbeat:
    """Renews the lease of a flow while it is treated, from a thread: long steps do not lose it. `check` raises
    LeaseLost once another worker has it."""

    def __init__(self, flow: Flow) -> None:
        self._pk, self._tries = flow.pk, flow.tries
        self._over, self._lost = threading.Event(), False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS):
            mine = Flow.objects.filter(pk=self._pk, state=State.RUNNING, tries=self._tries)
            with contextlib.suppress(DatabaseError):
                self._lost = not mine.update(lease_until=timezone.now() + LEASE)
            connection.close()
            if self._lost:
                return

    def start(self) -> None:
        self._thread.start()

    def check(self) -> None:
        if self._lost:
            raise LeaseLost

    def stop(self) -> None:
        self._over.set()
        self._thread.join(timeout=HEARTBEAT_SECONDS)
