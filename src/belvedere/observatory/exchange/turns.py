"""Deposits take turns on SQLite, which writes one transaction at a time.

Its own waiting sleeps up to a tenth of a second between tries, and two deposits of one process fight for the interpreter while one of them holds the
database: in turn, the same deposits go a fifth faster (`benchmarks/exchange.py`). PostgreSQL writes side by side, and needs none of this. A turn is a
courtesy: who waits too long goes without, and SQLite's lock decides.
"""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator

from django.db import connection

from belvedere.observatory.environment import data_dir

SECONDS, PAUSE = 20.0, 0.001
_one = threading.RLock()


def _alone() -> bool:
    return connection.vendor == "sqlite" and not connection.in_atomic_block


@contextlib.contextmanager
def of_process() -> Iterator[None]:
    """One deposit at a time in this process, from its rules to its answer."""
    if not _alone():
        yield
        return
    held = _one.acquire(timeout=SECONDS)
    try:
        yield
    finally:
        if held:
            _one.release()


@contextlib.contextmanager
def of_machine() -> Iterator[None]:
    """One deposit at a time is written on this machine; the next takes over within a millisecond. A process that dies lets go."""
    if not _alone():
        yield
        return
    try:
        held = os.open(data_dir() / "deposits.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:  # another account's file: SQLite's own waiting is enough to be right
        yield
        return
    try:
        _wait(held)
        yield
    finally:
        fcntl.flock(held, fcntl.LOCK_UN)
        os.close(held)


def _wait(held: int) -> None:
    """Take the file, or go without it once a holder that is stopped has kept it too long."""
    given_up = time.monotonic() + SECONDS
    while time.monotonic() < given_up:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(PAUSE)
