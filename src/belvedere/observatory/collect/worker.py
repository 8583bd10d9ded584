"""The worker: claims flows from the queue and settles them; takes in the watched folder, tells the senders."""

import contextlib
import datetime as dt
import errno
import logging
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial

from django.core.cache import cache
from django.db import DatabaseError, OperationalError, close_old_connections
from django.db.models import F
from django.utils import timezone

from belvedere.engine.privacy.pseudonyms import PseudonymKeys
from belvedere.engine.sector.billing import make_sector, month_file
from belvedere.engine.warehouse.intake import examine
from belvedere.observatory.collect import committing, compaction, inbox, queue, receipts, settlement, sweeping, webhooks
from belvedere.observatory.collect.committing import Treated
from belvedere.observatory.collect.models import Flow, State
from belvedere.observatory.collect.past import Conflict
from belvedere.observatory.collect.queue import worker_name
from belvedere.observatory.exchange import chores
from belvedere.observatory.journal import sealing
from belvedere.observatory.members import enrolment, invoicing
from belvedere.observatory.notices import actions as notices
from belvedere.observatory.objections import purge
from belvedere.observatory.services import facade

logger = logging.getLogger(__name__)
SWEEP_SECONDS = 300.0
# A full or failing disk, however often it is met, says nothing about the flow being treated.
NO_FAULT_OF_THE_FLOW = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
ATTEMPTS = 4  # comparisons with a past that keeps changing before the flow is put back in the queue


def settle(flow: Flow) -> Flow | None:
    """Settle a leased flow, again when the past changed meanwhile; None when another worker has it."""
    for _ in range(ATTEMPTS):
        try:
            return settlement.settle(flow)
        except Conflict:
            fresh = Flow.objects.select_related("group", "sender", "member").get(pk=flow.pk)
            if fresh.tries != flow.tries or fresh.settled_at:
                return fresh if fresh.settled_at else None
            flow = fresh
        except queue.LeaseLost:
            return None
    queue.put_back({flow.pk: flow.tries})
    return None


def drain(stop: Callable[[], bool] = lambda: False) -> int:
    """Settle every waiting flow; returns how many."""
    done = 0
    while not stop() and (flows := queue.claim_some()):
        tries = {flow.pk: flow.tries for flow in flows}
        try:
            for flow in _together(flows) if len(flows) > 1 else flows:
                _alone(flow)
        except Exception as error:  # whatever it is, the flows go back; what is the machine's is for whoever calls
            queue.put_back(tries)
            if isinstance(error, (OSError, OperationalError)):
                raise
            logger.error("%s flux ensemble : traitement interrompu (%s)", len(flows), type(error).__name__)
        done += len(flows)
    return done


def _together(flows: list[Flow]) -> list[Flow]:
    """Settle small flows of different groups in one transaction; returns those that must go alone. What goes wrong with one of
    them happens again there, and is told then."""
    treated: list[Treated] = []
    with queue.Heartbeat(*flows) as heartbeat:
        for flow in flows:
            try:
                treated.append(settlement.treat(flow, partial(heartbeat.check, flow)))
            except OperationalError:
                raise
            except Exception as error:  # it happens again when the flow goes alone, and is told then
                logger.info("flux %s : sera traité seul (%s)", flow.pk, type(error).__name__)
        again = committing.commit(treated) if treated else []
    done = {one.flow.pk for one in treated if one not in again}
    for flow in flows:
        if flow.pk in done and not flow.handed_back:
            with contextlib.suppress(OSError):  # one receipt that cannot be written holds nobody; the sweeper writes it later
                receipts.hand_back(flow)
    return queue.held({flow.pk: flow.tries for flow in flows if flow.pk not in done})


def _alone(flow: Flow) -> None:
    try:
        settled = settle(flow) if flow.deaths <= queue.MAX_DEATHS else settlement.give_up(flow)
        if settled is not None and not settled.handed_back:
            receipts.hand_back(settled)
    except Exception as error:  # whatever one flow does, the worker goes on and the flow says why it failed
        if isinstance(error, OperationalError) or (isinstance(error, OSError) and error.errno in NO_FAULT_OF_THE_FLOW):
            raise
        _failed(flow, error)


def _failed(flow: Flow, error: Exception) -> None:
    """Note a failure by the flow's own fault: it rests, then is tried again, then is given up with a receipt. Its
    content must not reach the log."""
    logger.error("flux %s : traitement interrompu (essai %s, %s)", flow.pk, flow.tries, type(error).__name__)
    if not Flow.objects.filter(pk=flow.pk, state=State.RUNNING, tries=flow.tries).update(failures=F("failures") + 1):
        return  # another worker has it: neither its lease nor its end is ours to say
    flow.refresh_from_db(fields=["failures"])
    if flow.failures >= queue.MAX_TRIES:
        settlement.give_up(flow)
    else:
        queue.put_back({flow.pk: flow.tries})


def warm_up() -> None:
    """Load the libraries and the compiled loops before a sender waits for them: a tiny flow is examined and forgotten."""
    keys = PseudonymKeys(secrets.token_bytes(32), secrets.token_bytes(32))
    sector = make_sector(seed=1, first=dt.date(2025, 1, 1), providers=3, groups=2, months=1, patients=60, establishments=1)
    for provider in sector.providers:
        examine([month_file(sector, provider.rank, 0)], keys=keys, reference=settlement.reference())


def run(*, pause: float = 0.2, stop: Callable[[], bool] = lambda: False) -> None:
    """Work until told to stop."""
    with contextlib.suppress(OSError, DatabaseError):  # what the worker before this one may have died before destroying; else the sweeper will
        sweeping.destroy_settled()
    warm_up()
    for chore in (
        webhooks.deliver_due,
        chores.tell,
        chores.make,
        chores.watch,
        facade.run_waiting,
        _letters,
        notices.deliver_due,
        _journal,
        _purge,
        _daily,
        _warm,
        _measure,
    ):
        threading.Thread(target=_repeat, args=(chore, stop), daemon=True).start()
    swept = time.monotonic() - SWEEP_SECONDS + 10
    while not stop():
        try:
            inbox.take()
            done = drain(stop)
            sweeping.hand_back_receipts()
            if time.monotonic() - swept > SWEEP_SECONDS:
                sweeping.sweep()
                swept = time.monotonic()
        except (OSError, DatabaseError) as error:  # a full disk, a database that restarts: wait and go on
            logger.error("traitement suspendu : %s", type(error).__name__)
            close_old_connections()
            time.sleep(2)
            continue
        if not done:
            close_old_connections()
            time.sleep(pause)


def _journal() -> None:
    """Sign the journal's head when one is due, and ask for the time-stamps that are missing."""
    if sealing.due():
        sealing.seal()
        sealing.stamp()


def _purge() -> None:
    """Erase from the files what persons objected to."""
    if purge.due():
        purge.run()


_day: dt.date | None = None


def _letters() -> int:
    from belvedere.observatory.digests import actions

    return actions.post_due()


def _warm() -> None:
    from belvedere.observatory.members import warming

    warming.run()


def _measure() -> None:
    """Tell a collector the state of the house, once a minute for all workers."""
    from belvedere.observatory import telemetry

    if telemetry.due():
        telemetry.push()


def _daily() -> None:
    """Once a day: remind signatories, bill the year that begins, let go of lines that are too old."""
    global _day
    today = timezone.localdate()
    if _day == today:
        return
    _day = today
    for chore in (
        enrolment.chase,
        lambda: invoicing.bill_all(today),
        lambda: purge.expire(today),
        chores.daily,
        lambda: _once(today, compaction.run),
        sweeping.statistics,
    ):
        try:
            chore()
        except Exception as error:  # each has its own fault; tomorrow tries again
            logger.error("tâche du jour : %s", type(error).__name__)


def _once(day: dt.date, chore: Callable[[], object]) -> None:
    """Do a day's chore in one worker of all."""
    if cache.add(f"once:{day}", worker_name(), 86_400):
        chore()


def _repeat(chore: Callable[[], object], stop: Callable[[], bool]) -> None:
    """Do a chore over and over in a thread of its own: however slow it is, flows go on."""
    while not stop():
        try:
            chore()
        except Exception as error:  # one chore's fault must not stop the others: the next turn tries again
            logger.error("%s suspendu : %s", chore.__name__, type(error).__name__)
        close_old_connections()
        time.sleep(0.5)
