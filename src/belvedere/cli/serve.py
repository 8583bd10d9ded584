"""`belvedere serve`, `worker`, `gate` and `keys`: the portal, the API, the ways in and the treatment of flows."""

import argparse
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from belvedere.cli.french import EXIT_OK
from belvedere.observatory.parentage import PARENT, orphaned

PAGES = max(2, min(os.cpu_count() or 2, 4))  # a page is Python: one process would keep the readers of the others waiting

GRACE = 20  # seconds left to a process to end what it is doing


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("serve", help="sert le portail et l’API, avec un traitement des flux")
    top.add_argument("--data", default=None, help="dossier des données (défaut : BELVEDERE_DATA, sinon ./data)")
    top.add_argument("--host", default="127.0.0.1", help="adresse d’écoute")
    top.add_argument("--port", type=int, default=8000, help="port d’écoute")
    top.add_argument("--smtp", type=int, default=0, nargs="?", const=2525, metavar="PORT", help="reçoit aussi par messagerie (défaut : 2525)")
    top.add_argument("--sftp", type=int, default=0, nargs="?", const=2222, metavar="PORT", help="reçoit aussi par SFTP (défaut : 2222)")
    top.add_argument("--workers", type=int, default=1, help="processus de traitement")
    top.add_argument("--pages", type=int, default=PAGES, help="processus qui servent les pages")
    top.add_argument("--no-worker", action="store_true", help="ne démarre pas de traitement des flux")
    top.set_defaults(run=_serve)
    worker = commands.add_parser("worker", help="traite les flux reçus (autant de processus que voulu)")
    worker.add_argument("--data", default=None, help="dossier des données")
    worker.set_defaults(run=_worker)
    gate = commands.add_parser("gate", help="reçoit par messagerie et par SFTP (« serve --smtp --sftp » le démarre)")
    gate.add_argument("--data", default=None, help="dossier des données")
    gate.add_argument("--host", default="127.0.0.1", help="adresse d’écoute")
    gate.add_argument("--smtp", type=int, default=0, metavar="PORT", help="port de la messagerie (0 : aucun)")
    gate.add_argument("--sftp", type=int, default=0, metavar="PORT", help="port SFTP (0 : aucun)")
    gate.set_defaults(run=_gate)
    keys = commands.add_parser("keys", help="crée les clés manquantes (pseudonymes, réception, accusés)")
    keys.add_argument("--data", default=None, help="dossier des données")
    keys.add_argument("--test-ca", type=Path, default=None, metavar="DOSSIER", help="crée une autorité de certification de test et ses certificats")
    keys.set_defaults(run=_keys)


def prepare() -> None:
    """Bring the database and the keys of the data folder up to date (Django being started)."""
    from django.core.management import call_command

    from belvedere.observatory import stamping
    from belvedere.observatory.collect import keyring
    from belvedere.observatory.collect.models import Flow
    from belvedere.observatory.environment import data_dir
    from belvedere.observatory.journal import sealing

    (data_dir() / "static").mkdir(parents=True, exist_ok=True)
    (data_dir() / "mail").mkdir(exist_ok=True, mode=0o700)
    call_command("migrate", verbosity=0, interactive=False)
    call_command("createcachetable", verbosity=0)
    keyring.create_keys(new=not Flow.objects.exists())
    stamping.create_keys()
    sealing.create_key()


def start_worker() -> subprocess.Popen:
    """A worker process on the same data folder."""
    from belvedere.observatory.environment import data_dir

    return subprocess.Popen([sys.executable, "-m", "belvedere", "worker", "--data", str(data_dir())])


def stop_worker(process: subprocess.Popen | None) -> None:
    """End a worker, after the flow it is treating."""
    if process is None:
        return
    process.terminate()
    try:
        process.wait(timeout=GRACE)
    except subprocess.TimeoutExpired:
        process.kill()


def serve(host: str, port: int, *, with_worker: bool, workers: int = 1, pages: int = PAGES, smtp: int = 0, sftp: int = 0) -> None:
    """Serve until stopped; helpers that die are started again. `pages` processes answer the browsers."""
    from granian import Granian
    from granian.constants import Interfaces

    from belvedere.observatory.environment import data_dir

    # A copy of this process would take with it the locks its other threads hold at that instant: SQLite's would stay taken for ever in the copy, and
    # a copy does not hear it is asked to end before it listens. A page process starts from nothing.
    multiprocessing.set_start_method("spawn", force=True)
    os.environ[PARENT] = str(os.getpid())
    os.environ["BELVEDERE_HOSTS"] = os.environ.get("BELVEDERE_HOSTS", "localhost,127.0.0.1")
    os.environ.setdefault("BELVEDERE_PROBE_URL", f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}")  # noqa: S104 (compared, not bound)
    data = ["--data", str(data_dir())]
    commands = [["worker", *data]] * (workers if with_worker else 0)
    if smtp or sftp:
        commands.append(["gate", *data, "--host", host, "--smtp", str(smtp), "--sftp", str(sftp)])
    helpers = Helpers(commands)
    try:
        while True:
            server = Granian(
                "belvedere.observatory.wsgi:application", address=host, port=port, interface=Interfaces.WSGI, workers=pages,
                blocking_threads=2, log_level="warning", log_access=False, respawn_failed_workers=True, workers_kill_timeout=GRACE,
            )  # fmt: skip
            with contextlib.suppress(SystemExit):  # it gives up when a process dies twice within seconds; the house does not
                server.serve()
            if server.interrupt_signal:
                break
            print("belvedere : le serveur de pages s’est arrêté, redémarrage", file=sys.stderr, flush=True)
            time.sleep(0.5)
            if server.interrupt_signal:
                break
    finally:
        helpers.stop()


class Helpers:
    """The processes beside the web server. One that dies gives its flows back and is started again."""

    def __init__(self, commands: list[list[str]]) -> None:
        self._commands, self._stopping = commands, threading.Event()
        self._running = [self._start(command) for command in commands]
        self._thread = threading.Thread(target=self._watch, daemon=True)
        if commands:
            self._thread.start()

    @staticmethod
    def _start(command: list[str]) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-m", "belvedere", *command])

    def _watch(self) -> None:
        from django.db import DatabaseError, connection

        from belvedere.observatory.collect import queue

        while not self._stopping.wait(0.3):
            for rank, process in enumerate(self._running):
                if process.poll() is None or self._stopping.is_set():
                    continue
                print(f"belvedere : {self._commands[rank][0]} s’est arrêté ({process.returncode}), redémarrage", file=sys.stderr, flush=True)
                with contextlib.suppress(DatabaseError):
                    queue.release(process.pid)
                connection.close()
                time.sleep(0.2)
                self._running[rank] = self._start(self._commands[rank])

    def stop(self) -> None:
        """End them all, workers after the flow they are treating."""
        self._stopping.set()
        for process in self._running:
            stop_worker(process)


def _serve(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    no_core_dumps()
    prepare()
    name = "localhost" if options.host == "127.0.0.1" else options.host
    print(f"Belvédère est servi sur http://{name}:{options.port} (Ctrl+C pour arrêter)", flush=True)
    for label, port in (("Messagerie", options.smtp), ("SFTP", options.sftp)):
        if port:
            print(f"{label} : {name}:{port}", flush=True)
    serve(
        options.host,
        options.port,
        with_worker=not options.no_worker,
        workers=options.workers,
        pages=options.pages,
        smtp=options.smtp,
        sftp=options.sftp,
    )
    return EXIT_OK


def no_core_dumps() -> None:
    """A dump of memory would hold clear flows: none is ever made of this process or of its children."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _stopping() -> threading.Event:
    event = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: event.set())
    return event


def _worker(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    no_core_dumps()
    from belvedere.observatory.collect import worker

    stopping, alone = _stopping(), orphaned()
    worker.run(stop=lambda: stopping.is_set() or alone())
    return EXIT_OK


def _gate(options: argparse.Namespace) -> int:
    import asyncio

    from belvedere.cli import use_data

    use_data(options.data)
    no_core_dumps()
    from belvedere.observatory.collect import mail, sftp

    stopping, alone = _stopping(), orphaned()

    async def run() -> None:
        listener = await sftp.listen(options.host, options.sftp) if options.sftp else None
        controller = mail.server(options.host, options.smtp) if options.smtp else None
        if controller:
            controller.start()
        ticks = 0
        while not stopping.is_set() and not alone():
            await asyncio.sleep(0.3)
            ticks += 1
            if listener and ticks % 10 == 0:
                await asyncio.to_thread(sftp.take_left_overs)
        if controller:
            controller.stop()
        if listener:
            listener.close()

    asyncio.run(run())
    return EXIT_OK


def _keys(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    from belvedere.observatory import keyfiles
    from belvedere.observatory.collect import keyring

    if options.test_ca:
        for path in keyring.create_test_authority(options.test_ca):
            print(path)
        print("Autorité de TEST : ne l’utilisez pour aucun flux réel.")
        return EXIT_OK
    keyring.create_keys()
    print(f"Clés en place dans {keyfiles.keys_dir()} ; certificat public : reception.crt")
    return EXIT_OK
