"""The queue is the flows' own rows: a lease says who treats one, the number of tries whose result counts."""

import datetime as dt
import os
import socket
import time

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from belvedere.observatory.collect.models import Flow, State

LEASE = dt.timedelta(seconds=30)
HEARTBEAT_SECONDS = 5.0
MAX_TRIES = 8


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


def release(pid: int) -> int:
    """Give back the flows of a worker that is known to be dead; returns how many."""
    mine = Flow.objects.filter(state=State.RUNNING, worker=worker_name(pid))
    return mine.update(lease_until=timezone.now() - dt.timedelta(seconds=1))


class Heartbeat:
    """Renews the lease of a flow while it is treated; LeaseLost when it is no longer ours."""

    def __init__(self, flow: Flow) -> None:
        self._mine = Flow.objects.filter(pk=flow.pk, state=State.RUNNING, tries=flow.tries)
        self._last = time.monotonic()

    def beat(self) -> None:
        if time.monotonic() - self._last < HEARTBEAT_SECONDS:
            return
        self._last = time.monotonic()
        if not self._mine.update(lease_until=timezone.now() + LEASE):
            raise LeaseLost
