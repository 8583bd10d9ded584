"""The exchange hub: bundles deposited end to end over HTTP, access decisions beside Cedar, signed deliveries to a server, journal entries; and a
deliverer killed again and again, after which every event was taken. One JSON object."""

import argparse
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
BUNDLES, CALLERS = 240, 4
DECISIONS = 1_000_000
SUBSCRIPTIONS, EVENTS = 8, 4_000


def start(folder: Path) -> None:
    os.environ.update({
        "BELVEDERE_DATA": str(folder), "BELVEDERE_DATABASE_URL": "", "DJANGO_SETTINGS_MODULE": "belvedere.observatory.settings", "BELVEDERE_WEBHOOK_PRIVATE": "1",
    })  # fmt: skip
    import django

    django.setup()
    from belvedere.cli.serve import prepare

    prepare()


def bundle(finess: str, rank: int) -> bytes:
    """A deposit of 30 entries: two shared, 28 of three persons' stays less what exceeds."""
    from belvedere.engine.exchange import sample

    rows = [
        row
        for person in range(3)
        for row in sample.stay_of(sample.resident(rank * 3 + person), finess, seed=rank * 3 + person, start=dt.date(2026, 9, 1))
    ]
    return json.dumps(sample.transaction(finess, "Service", f"b{rank}", rows[:28])).encode()


def deposits(folder: Path, port: int) -> dict[str, float]:
    """Bundles a second through the real server, four callers at once."""
    from belvedere.engine.exchange.identifiers import finess_valid
    from belvedere.observatory.exchange import parties

    finess = next(f"75000001{digit}" for digit in range(10) if finess_valid(f"75000001{digit}"))
    _, token = parties.admit(actor="ESMS_PRODUCTEUR", name="Service", finess=finess, kind="354", by="bench", level=2)
    bodies = [bundle(finess, rank) for rank in range(BUNDLES + 20)]
    log = (folder / "serve.log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "belvedere", "serve", "--data", str(folder), "--port", str(port), "--smtp", str(port + 1), "--sftp", str(port + 2), "--no-worker"],
        stdout=log, stderr=log,
    )  # fmt: skip
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}

    def send(body: bytes) -> int:
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/fhir", body, headers), timeout=60) as answer:
            return answer.status

    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/sante/", timeout=2)
                break
            except OSError:
                time.sleep(0.2)
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(send, bodies[BUNDLES:]))
            begun = time.perf_counter()
            assert set(pool.map(send, bodies[:BUNDLES])) == {200}
            spent = time.perf_counter() - begun
    finally:
        server.terminate()
        server.wait(timeout=30)
    return {"bundles_s": round(BUNDLES / spent, 1), "resources_s": round(BUNDLES * 30 / spent)}


def decisions() -> dict[str, float]:
    """Decisions a second, and those of Cedar on the same rows."""
    import random

    import cedarpy
    from tests.generative.test_access import JUDGE, NOW, a_question, cedar_policies

    draw = random.Random(3)
    asked = [a_question(draw) for _ in range(20_000)]
    begun = time.perf_counter()
    for _ in range(DECISIONS // len(asked)):
        for party, purpose, category, grain, thing, _said in asked:
            JUDGE.decide(party, purpose, category, grain, thing, NOW)
    ours = DECISIONS / (time.perf_counter() - begun)
    policies = cedar_policies()
    request = {
        "principal": 'Acteur::"ARS"', "action": 'Action::"lire"', "resource": 'Donnee::"SANTE"',
        "context": {
            "purpose": "PILOTAGE", "grain": "AGREGE", "active": True, "level": 2, "opposed": False, "agreed": False, "named": False,
            "party": {"region": "R11", "department": "75", "finess": "", "person": ""},
            "thing": {"region": "R11", "department": "75", "finess": "", "person": "", "kind": "354", "funded": True, "aided": False, "decision": False, "archivable": False, "age": 1},
        },
    }  # fmt: skip
    begun = time.perf_counter()
    cedarpy.is_authorized_batch([request] * 5_000, policies, [])
    cedar = 5_000 / (time.perf_counter() - begun)
    return {"decisions_s": round(ours), "cedar_decisions_s": round(cedar), "decisions_to_cedar": round(ours / cedar, 1)}


class Taker:
    """A consumer that counts the numbers that it takes, by subscription."""

    def __init__(self) -> None:
        self.seen: dict[str, list[int]] = {}
        lock, outer = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["content-length"])))
                parts = content["entry"][0]["resource"]["parameter"]
                name = parts[0]["valueReference"]["reference"]
                numbers = [int(part["part"][0]["valueString"]) for part in parts if part["name"] == "notification-event"]
                with lock:
                    outer.seen.setdefault(name, []).extend(numbers)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


def _happen(count: int, party) -> None:
    """Events of packages of a party, as many as asked, for each of its subscriptions."""
    from django.utils import timezone

    from belvedere.observatory.exchange.models import Event

    Event.objects.bulk_create([Event(topic="jeu-publie", establishment=party, at=timezone.now(), focus=f"jeux/x/{rank}") for rank in range(count)])


def deliveries() -> dict[str, float]:
    """Events a second to eight subscriptions of one server, numbered, signed, acknowledged and journaled; journal entries in group commit."""
    from django.db import transaction

    from belvedere.observatory.exchange import parties, subscribing, telling
    from belvedere.observatory.exchange.models import Subscription
    from belvedere.observatory.journal.actions import Fact, append

    taker = Taker()
    party, _ = parties.admit(actor="DREES", name="Destinataire", by="bench")
    for _ in range(SUBSCRIPTIONS):
        subscribing.subscribe(party=party, topic="jeu-publie", purpose="STATISTIQUE", endpoint=taker.url, filters={}, level=2)
    while Subscription.objects.filter(state="requested").exists():
        telling.deliver()
    _happen(EVENTS // SUBSCRIPTIONS, party)
    begun, taken = time.perf_counter(), 0
    while taken < EVENTS:
        taken += telling.deliver()
    spent = time.perf_counter() - begun
    assert all(numbers == list(range(1, EVENTS // SUBSCRIPTIONS + 1)) for numbers in taker.seen.values())
    taker.server.shutdown()
    facts = [Fact("acteur-1", "echange.lecture", f"usager:{rank}", {"purpose": "PILOTAGE", "rules": ["R031"]}) for rank in range(1_000)]
    begun = time.perf_counter()
    for _ in range(20):
        with transaction.atomic():
            append(facts)
    entries = 20_000 / (time.perf_counter() - begun)
    Subscription.objects.update(state="off")
    return {"deliveries_s": round(taken / spent), "journal_entries_s": round(entries)}


def kills(count: int) -> dict[str, int]:
    """A deliverer of its own process, killed `count` times at random moments while events arrive: which numbers were never taken."""
    import random

    from belvedere.observatory.exchange import parties, subscribing, telling
    from belvedere.observatory.exchange.models import Subscription

    taker, draw = Taker(), random.Random(9)
    party, _ = parties.admit(actor="DNS_MATURIN", name="Témoin", by="bench")
    made, _ = subscribing.subscribe(party=party, topic="jeu-publie", purpose="MATURITE", endpoint=taker.url, filters={}, level=2)
    telling.deliver()
    code = "import os, django; django.setup()\nfrom belvedere.observatory.exchange import telling\nwhile True: telling.deliver()"
    total = 0
    for _ in range(count):
        worker = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        for _ in range(3):
            _happen(20, party)
            total += 20
            time.sleep(draw.uniform(0.1, 0.5))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        Subscription.objects.filter(pk=made.pk).update(leased_until=None)  # a killed worker's lease, ended by hand
    limit = time.monotonic() + 120
    seen: set[int] = set()
    while len(seen) < total and time.monotonic() < limit:
        telling.deliver()
        Subscription.objects.filter(pk=made.pk).update(leased_until=None)
        seen = set(next(iter(taker.seen.values()), []))
    taker.server.shutdown()
    return {"kills": count, "events": total, "lost": total - len(seen & set(range(1, total + 1)))}


def main() -> None:
    from machine import described

    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--port", type=int, default=8491)
    parser.add_argument("--kills", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start(folder)
        found: dict[str, object] = {
            **described(),
            **decisions(),
            **deposits(folder, options.port),
            **deliveries(),
            **kills(options.kills),
        }
    print(json.dumps(found) if options.json else "\n".join(f"{key} : {value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
