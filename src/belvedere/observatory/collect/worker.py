"""The worker: claims flows from the queue and settles them; also takes in the watched folder."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from django.db import close_old_connections

from belvedere.observatory.collect import actions, vault
from belvedere.observatory.members.models import Member

logger = logging.getLogger(__name__)
SETTLE_AGE = 2.0  # seconds a dropped file must rest before it is taken, so that half a copy is not


def _take(path: Path) -> int:
    """Receive one dropped file; 1 if it was taken."""
    number = path.parent.name
    resting = path.is_file() and not path.name.startswith(".") and time.time() - path.stat().st_mtime >= SETTLE_AGE
    if not resting or not number.isdecimal():
        return 0
    member = Member.objects.select_related("group").filter(finess=int(number)).first()
    if member is None:
        return 0
    actions.receive(group=member.group, sealed=path.read_bytes(), channel="folder", file_name=path.name)
    path.unlink(missing_ok=True)
    return 1


def take_inbox() -> int:
    """Receive the sealed files dropped in the watched folder; returns how many were taken."""
    taken = 0
    if not vault.inbox().is_dir():
        return 0
    for path in sorted(vault.inbox().glob("*/*")):
        try:
            taken += _take(path)
        except OSError as error:  # another worker took it, or it cannot be read: the others go on
            logger.warning("dossier surveillé : %s", error.strerror)
    return taken


def drain(stop: Callable[[], bool] = lambda: False) -> int:
    """Settle every waiting flow; returns how many."""
    done = 0
    while not stop() and (flow := actions.claim()) is not None:
        try:
            actions.settle(flow)
        except Exception:
            # The lease will run out and the flow be tried again; its content must not reach the log.
            logger.error("flux %s : traitement interrompu (essai %s)", flow.pk, flow.tries)
            if flow.tries >= actions.MAX_TRIES:
                actions.give_up(flow)
        done += 1
    return done


def run(*, pause: float = 0.3, stop: Callable[[], bool] = lambda: False) -> None:
    """Work until told to stop."""
    while not stop():
        take_inbox()
        if not drain(stop):
            close_old_connections()
            time.sleep(pause)
