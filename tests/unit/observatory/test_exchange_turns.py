"""Deposits take turns on SQLite: one at a time, across threads and processes; whoever dies lets go."""

import subprocess
import sys
import threading
import time

import pytest
from django.db import connection, transaction

from belvedere.observatory.environment import data_dir
from belvedere.observatory.exchange import turns

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL écrit de front : les dépôts n’y prennent pas de tour"),
]
HOLDER = """
import fcntl, os, sys, time
held = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR, 0o600)
fcntl.flock(held, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


def test_one_thread_at_a_time():
    inside, most = [], []

    def deposit() -> None:
        with turns.of_process():
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()
        connection.close()

    threads = [threading.Thread(target=deposit) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert most == [1] * 6


def test_another_process_is_waited_for_and_its_death_lets_go():
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(data_dir() / "deposits.lock")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    took = threading.Event()

    def deposit() -> None:
        with turns.of_machine():
            took.set()
        connection.close()

    waiting = threading.Thread(target=deposit)
    waiting.start()
    assert not took.wait(0.3), "the other process writes"
    holder.kill()
    holder.wait()
    assert took.wait(10)
    waiting.join()
    holder.stdout.close()


def test_a_holder_that_is_stopped_is_waited_for_no_longer_than_a_turn(monkeypatch):
    monkeypatch.setattr(turns, "SECONDS", 0.2)
    path = data_dir() / "deposits.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with turns.of_machine():
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    monkeypatch.setattr(turns.os, "open", lambda *given: (_ for _ in ()).throw(PermissionError()))
    with turns.of_machine():
        pass


def test_whoever_holds_a_transaction_waits_for_nobody():
    """It holds the database already: waiting for a turn that waits for the database would never end."""
    with turns.of_machine(), transaction.atomic(), turns.of_machine(), turns.of_process():
        assert connection.in_atomic_block
