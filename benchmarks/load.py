"""Load: senders on four channels at once against a served observatory, and how long a megabyte takes to show.

python benchmarks/load.py [--json] [--minutes N] [--senders N]

Each sender has a thread a channel (API, mail, SFTP, watched folder) that sends one-megabyte flows one after the
other, each of another month. "Shown" is the time from the last byte sent to the receipt standing settled, and
own figures are read again. A refusal is back-pressure (429, 451, "revenez") or an error.
"""

import argparse
import asyncio
import contextlib
import json
import os
import smtplib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import asyncssh
from cryptography import x509
from tests.surroundings import clean_environment, free_ports

from belvedere.engine.b2.envelope import seal
from benchmarks.files import large

SETUP = """
import json, sys
from belvedere.cli import use_data
use_data(sys.argv[1])
from belvedere.cli.serve import prepare
prepare()
from belvedere.observatory.members import actions
from belvedere.observatory.members.models import SenderKey
made = []
for number, (finess, key) in enumerate(json.load(sys.stdin)):
    member = {"name": f"Entité {number}", "siren": f"{number:09d}", "finess": finess, "department": "75", "norm": "FR"}
    group = actions.enrol_group(name=f"Groupe {number}", federation=None, members=[member], by="mesure")
    token = actions.issue_sender_key(group=group, label="mesure", by="mesure")
    sender = SenderKey.objects.get(group=group)
    actions.allow_sftp(sender=sender, public_key=key, by="mesure")
    made.append({"id": sender.client_id, "token": token, "mail": actions.open_mailbox(sender=sender, by="mesure"), "finess": finess})
print(json.dumps(made))
"""


def one_megabyte(finess: int, number: int) -> bytes:
    """A sound file of about a megabyte, with its own invoice numbers and persons."""
    import numpy as np

    from belvedere.engine.b2 import digits

    content = b"".join(large(1, finess))
    view = np.frombuffer(content, dtype=np.uint8).reshape(-1, 128).copy()
    # A fifth of the lot is enough: whole invoices up to a megabyte, then the totals again.
    invoices = 190
    per_invoice = 42
    body = view[2 : 2 + invoices * per_invoice]
    rank, _ = digits.read(body, slice(26, 35))
    digits.write(body, slice(26, 35), rank + number * 1000)
    twos = body[(body[:, 0] == ord("2"))]
    people = np.full(len(twos), number)
    digits.write(twos, slice(95, 101), (people * 997 + np.arange(len(twos))) % 1_000_000)
    body[body[:, 0] == ord("2")] = twos
    fives = body[body[:, 0] == ord("5")]
    six, end = view[-2].copy(), view[-1].copy()
    total = lambda a, b: int(digits.read(fives, slice(a, b))[0].sum())  # noqa: E731
    for zone, value in (((10, 13), invoices), ((13, 17), invoices * 10), ((17, 21), invoices), ((21, 24), invoices), ((24, 33), total(57, 65)),
                        ((33, 42), total(65, 73)), ((42, 51), 0), ((51, 54), 1)):  # fmt: skip
        digits.write(six.reshape(1, 128), slice(*zone), np.array([value]))
    digits.write(end.reshape(1, 128), slice(55, 63), np.array([len(body) + 4]))
    digits.write(end.reshape(1, 128), slice(82, 85), np.array([1]))
    return np.concatenate([view[:2], body, six.reshape(1, 128), end.reshape(1, 128)]).tobytes()


class Load:
    """The served observatory and what its senders saw."""

    def __init__(self, folder: Path, senders: int) -> None:
        self.folder, self.environment = folder, clean_environment()
        key = asyncssh.generate_private_key("ssh-ed25519")
        self.key = folder.parent / "id"
        key.write_private_key(str(self.key))
        from belvedere.engine.b2.keys import luhn_key

        numbers = [f"7526{number:04d}" for number in range(senders)]
        finess = [[int(text + str(luhn_key(text))), key.export_public_key().decode()] for text in numbers]
        done = subprocess.run(
            [sys.executable, "-c", SETUP, str(folder)], input=json.dumps(finess), env=self.environment, capture_output=True, text=True, check=True
        )
        self.senders = json.loads(done.stdout)
        self.port, self.smtp, self.sftp = free_ports(3)
        self.url = f"http://127.0.0.1:{self.port}"
        ports = ["--port", str(self.port), "--smtp", str(self.smtp), "--sftp", str(self.sftp)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "belvedere", "serve", "--data", str(folder), *ports], env=self.environment, stdout=subprocess.DEVNULL
        )
        for _ in range(200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(self.url + "/sante/", timeout=2)
                break
            time.sleep(0.1)
        for port in (self.smtp, self.sftp):
            for _ in range(100):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                time.sleep(0.1)
        self.certificate = x509.load_pem_x509_certificate(urllib.request.urlopen(self.url + "/api/v1/certificate").read())
        self.seconds: dict[str, list[float]] = {"api": [], "mail": [], "sftp": [], "folder": []}
        self.refusals: Counter = Counter()
        self.lock = threading.Lock()

    def call(self, path: str, token: str, body: bytes | None = None, **headers: str) -> dict:
        request = urllib.request.Request(self.url + path, data=body, headers={"Authorization": f"Bearer {token}", **headers})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def shown(self, sender: dict, number: int, started: float, channel: str) -> None:
        while not (answer := self.call(f"/api/v1/flows/{number}", sender["token"]))["settled"]:
            time.sleep(0.05)
        with self.lock:
            self.seconds[channel].append(time.monotonic() - started)
            if answer["state"] not in ("accepted", "remarks"):
                self.refusals[f"{channel} : {answer['state']} {[item['code'] for item in answer['findings']]}"] += 1

    def newest(self, sender: dict, channel: str, after: int) -> int:
        """The receipt number of the flow just sent by a way that does not answer it."""
        while True:
            for item in self.call(f"/api/v1/flows?after={after}", sender["token"]):
                if item["channel"] == channel:
                    return item["receipt"]
                after = max(after, item["receipt"]) if item["settled"] else after
            time.sleep(0.05)

    def by_api(self, sender: dict, sealed: bytes, number: int, last: int) -> int:
        answer = self.call("/api/v1/flows", sender["token"], sealed, **{"Idempotency-Key": f"api-{number}"})
        started = time.monotonic()
        self.shown(sender, answer["receipt"], started, "api")
        return answer["receipt"]

    def by_mail(self, sender: dict, sealed: bytes, number: int, last: int) -> int:
        message = EmailMessage()
        message["From"], message["To"] = "x@y.test", f"{sender['mail']}@belvedere.test"
        message["Subject"] = f"IR/{sender['finess']:014d}/{20260101000000000 + number}/00001"
        message.set_content(sealed, maintype="application", subtype="pkcs7-mime")
        with smtplib.SMTP("127.0.0.1", self.smtp, timeout=60) as client:
            client.sendmail("x@y.test", [f"{sender['mail']}@belvedere.test"], message.as_bytes(policy=SMTP))
        started = time.monotonic()
        found = self.newest(sender, "mail", last)
        self.shown(sender, found, started, "mail")
        return found

    def by_sftp(self, sender: dict, sealed: bytes, number: int, last: int) -> int:
        async def put() -> None:
            options = {"username": sender["id"], "client_keys": [str(self.key)], "known_hosts": None, "config": None}
            async with asyncssh.connect("127.0.0.1", self.sftp, **options) as connection, connection.start_sftp_client() as client:
                async with client.open(f"depot/{number}.p7m", "wb") as stream:
                    await stream.write(sealed)

        asyncio.run(put())
        started = time.monotonic()
        found = self.newest(sender, "sftp", last)
        self.shown(sender, found, started, "sftp")
        return found

    def by_folder(self, sender: dict, sealed: bytes, number: int, last: int) -> int:
        folder = self.folder / "inbox" / f"{sender['finess']:09d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f".{number}").write_bytes(sealed)
        (folder / f".{number}").rename(folder / f"{number}.p7m")
        os.utime(folder / f"{number}.p7m", (time.time() - 3, time.time() - 3))  # the rest of a dropped file is not the observatory's time
        started = time.monotonic()
        found = self.newest(sender, "folder", last)
        self.shown(sender, found, started, "folder")
        return found

    def run(self, sender: dict, channel: str, base: int, until: float, pause: float) -> None:
        send = {"api": self.by_api, "mail": self.by_mail, "sftp": self.by_sftp, "folder": self.by_folder}[channel]
        number, last = base, 0
        while time.monotonic() < until:
            began = time.monotonic()
            number += 1
            try:
                last = send(sender, seal(one_megabyte(sender["finess"], number), self.certificate), number, last)
            except urllib.error.HTTPError as error:
                self.refusals["contre-pression" if error.code == 429 else f"api {error.code}"] += 1
            except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
                code = getattr(error, "smtp_code", 0)
                self.refusals["contre-pression" if code in (450, 451, 452) else f"mail {code}"] += 1
            except (OSError, asyncssh.Error) as error:
                self.refusals[f"{channel} {type(error).__name__}"] += 1
            time.sleep(max(0.0, pause - (time.monotonic() - began)))


def main() -> int:
    parser = argparse.ArgumentParser(description="Charge : huit émetteurs par quatre voies.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--senders", type=int, default=8)
    parser.add_argument("--pause", type=float, default=8.0, help="secondes d’un envoi au suivant, par voie d’un émetteur")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="belvedere-load-") as place:
        load = Load(Path(place) / "data", options.senders)
        try:
            until = time.monotonic() + options.minutes * 60
            threads = [
                threading.Thread(target=load.run, args=(sender, channel, rank * 100_000 // 4 + 1, until, options.pause))
                for sender in load.senders
                for rank, channel in enumerate(load.seconds)
            ]
            for rank, each in enumerate(threads):
                each.start()
                time.sleep(options.pause / len(threads) if rank < len(threads) - 1 else 0)
            for each in threads:
                each.join()
        finally:
            load.process.terminate()
            load.process.wait(timeout=30)
    from machine import described

    every = sorted(value for values in load.seconds.values() for value in values)
    p95 = lambda values: round(sorted(values)[int(len(values) * 0.95)], 2) if values else None  # noqa: E731
    found = {
        **described(), "senders_on_the_same_machine": True, "minutes": options.minutes, "senders": options.senders,
        "flows": len(every), "refusals": dict(load.refusals), "median_s": round(statistics.median(every), 2), "p95_s": p95(every),
        "p95_by_channel_s": {name: p95(values) for name, values in load.seconds.items()},
    }  # fmt: skip
    print(json.dumps(found, ensure_ascii=False) if options.json else "\n".join(f"{name:<20} {value}" for name, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
