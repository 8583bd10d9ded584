"""`belvedere serve`, `worker` and `keys`: the portal, the API and the treatment of flows."""

import argparse
import os
import signal
import subprocess
import sys
import threading

from belvedere.cli.french import EXIT_OK


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("serve", help="sert le portail et l’API, avec un traitement des flux")
    top.add_argument("--data", default=None, help="dossier des données (défaut : BELVEDERE_DATA, sinon ./data)")
    top.add_argument("--host", default="127.0.0.1", help="adresse d’écoute")
    top.add_argument("--port", type=int, default=8000, help="port d’écoute")
    top.add_argument("--no-worker", action="store_true", help="ne démarre pas de traitement des flux")
    top.set_defaults(run=_serve)
    worker = commands.add_parser("worker", help="traite les flux reçus (autant de processus que voulu)")
    worker.add_argument("--data", default=None, help="dossier des données")
    worker.set_defaults(run=_worker)
    keys = commands.add_parser("keys", help="crée les clés manquantes (pseudonymes, réception)")
    keys.add_argument("--data", default=None, help="dossier des données")
    keys.set_defaults(run=_keys)


def prepare() -> None:
    """Bring the database and the keys of the data folder up to date (Django being started)."""
    from django.core.management import call_command

    from belvedere.observatory.collect import keyring
    from belvedere.observatory.environment import data_dir

    (data_dir() / "static").mkdir(parents=True, exist_ok=True)
    call_command("migrate", verbosity=0, interactive=False)
    keyring.create_keys()


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
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()


def serve(host: str, port: int, *, with_worker: bool) -> None:
    """Serve until stopped."""
    from granian import Granian
    from granian.constants import Interfaces

    os.environ["BELVEDERE_HOSTS"] = os.environ.get("BELVEDERE_HOSTS", "localhost,127.0.0.1")
    worker = start_worker() if with_worker else None
    try:
        Granian(
            "belvedere.observatory.wsgi:application", address=host, port=port, interface=Interfaces.WSGI, workers=1,
            blocking_threads=4, log_level="warning", log_access=False,
        ).serve()  # fmt: skip
    finally:
        stop_worker(worker)


def _serve(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    prepare()
    print(
        f"Belvédère est servi sur http://{'localhost' if options.host == '127.0.0.1' else options.host}:{options.port} (Ctrl+C pour arrêter)",
        flush=True,
    )
    serve(options.host, options.port, with_worker=not options.no_worker)
    return EXIT_OK


def _worker(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    from belvedere.observatory.collect import worker

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    worker.run(stop=stopping.is_set)
    return EXIT_OK


def _keys(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    from belvedere.observatory.collect import keyring

    keyring.create_keys()
    print(f"Clés en place dans {keyring.keys_dir()} ; certificat public : reception.crt")
    return EXIT_OK
