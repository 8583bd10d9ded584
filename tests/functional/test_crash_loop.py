"""A page process that dies again and again does not take the house with it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.surroundings import clean_environment, free_ports


@contextlib.contextmanager
def house(folder: Path) -> Iterator[tuple[subprocess.Popen, Callable[[], bool]]]:
    """A house that serves pages, and whether it answers."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "belvedere", "serve", "--data", str(folder), "--port", str(port), "--no-worker"]
    process = subprocess.Popen(command, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        for _ in range(200):
            try:
                return urllib.request.urlopen(f"http://localhost:{port}/sante/", timeout=2).status == 200
            except OSError:
                time.sleep(0.2)
        return False

    try:
        yield process, answers
    finally:
        process.kill()


def children(process: subprocess.Popen) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def test_pages_outlive_a_crash_loop(tmp_path):
    with house(tmp_path) as (process, answers):
        assert answers()
        for _ in range(4):
            if alive := children(process):
                os.kill(alive[-1], signal.SIGKILL)
            time.sleep(0.7)
        assert answers() and process.poll() is None
        ended_as_it_is_born(process)
        assert answers() and process.poll() is None
        process.terminate()
        assert process.wait(20) == 0


def born_again(process: subprocess.Popen) -> int:
    """The page process that takes over from one that is killed, as soon as it is born."""
    before = children(process)
    os.kill(before[-1], signal.SIGKILL)
    deadline = time.monotonic() + 20
    while not (born := [pid for pid in children(process) if pid not in before]):
        assert time.monotonic() < deadline, "nothing was started again"
    return born[0]


def ended_as_it_is_born(process: subprocess.Popen) -> None:
    """A page process asked to end while it starts ends: a copy of the server would not hear it, and whoever waits for its end would wait for ever."""
    born, deadline = born_again(process), time.monotonic() + 20
    os.kill(born, signal.SIGTERM)
    while born in children(process):
        assert time.monotonic() < deadline, "it did not end"
        time.sleep(0.05)


@pytest.mark.parametrize("seconds", [0, 0.3, 1, 3] if os.environ.get("BELVEDERE_LONG") == "1" else [0, 1])
def test_no_process_outlives_its_house(tmp_path, seconds):
    """However far the youngest page process is in its start when the house is killed."""
    with house(tmp_path) as (process, answers):
        assert answers()
        born_again(process)
        time.sleep(seconds)
        alive = children(process)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 20
        while left := [pid for pid in alive if Path(f"/proc/{pid}").exists()]:
            assert time.monotonic() < deadline, f"{left} outlived the house"
            time.sleep(0.05)
