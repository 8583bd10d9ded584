"""A page process that dies again and again does not take the house with it."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.functional.conftest import clean_environment, free_ports


def test_pages_outlive_a_crash_loop(tmp_path):
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "belvedere", "serve", "--data", str(tmp_path), "--port", str(port), "--no-worker"]
    process = subprocess.Popen(command, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        for _ in range(200):
            try:
                return urllib.request.urlopen(f"http://localhost:{port}/sante/", timeout=2).status == 200
            except OSError:
                time.sleep(0.2)
        return False

    try:
        assert answers()
        for _ in range(4):
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            if children:
                os.kill(int(children[-1]), signal.SIGKILL)
            time.sleep(0.7)
        assert answers() and process.poll() is None
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
