"""Flows that keep coming while something else is measured: one-megabyte B2 files, sealed, sent by the API at a steady pace."""

import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.x509 import Certificate


@dataclass
class Stream:
    """Senders (entity's FINESS, token) drawn by `seed`, one flow every `pace` seconds. `sent` are receipt numbers, `lines` those they hold, `refused`
    what came back instead of a receipt, `late` seconds by which the sender itself was behind its pace."""

    url: str
    senders: Sequence[tuple[int, str]]
    certificate: Certificate
    pace: float
    first: int = 0
    seed: int = 1
    sent: dict[int, str] = field(default_factory=dict)
    refused: Counter = field(default_factory=Counter)
    late: float = 0.0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Stream":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        from belvedere.engine.b2.envelope import seal
        from benchmarks.load import one_megabyte

        number, due, rng = self.first, time.monotonic(), random.Random(self.seed)
        while not self._stop.is_set():
            finess, token = rng.choice(self.senders)
            number += 1
            body = seal(one_megabyte(finess, number), self.certificate)
            try:
                self.sent[self.call("/api/v1/flows", token, body, **{"Idempotency-Key": f"courant-{number}"})["receipt"]] = token
            except urllib.error.HTTPError as error:
                self.refused[error.code] += 1
            due += self.pace
            self.late = max(self.late, time.monotonic() - due)
            self._stop.wait(max(0.0, due - time.monotonic()))

    def call(self, path: str, token: str, body: bytes | None = None, **headers: str) -> dict:
        """An answer of the API."""
        request = urllib.request.Request(self.url + path, data=body, headers={"Authorization": f"Bearer {token}", **headers})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())

    def settled(self, wait: float = 120.0) -> Counter:
        """States of everything sent, once settled or after `wait` seconds."""
        states: Counter = Counter()
        stop = time.monotonic() + wait
        for number, token in self.sent.items():
            while not (answer := self.call(f"/api/v1/flows/{number}", token))["settled"] and time.monotonic() < stop:
                time.sleep(0.2)
            states[answer["state"]] += 1
        return states
