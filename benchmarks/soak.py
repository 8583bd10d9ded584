"""Half an hour of everything at once: flows that keep coming, readers, an epoch every ten minutes, persons who object and are purged.

Printed: memory of each process and its slope, latency minute by minute, lines lost or counted twice, whether the journal verifies. One JSON object.

    python benchmarks/soak.py [--minutes 30] [--lines 1000000] [--seed 1] [--json]

The seed draws the sector, the numbers and persons of the flows, the order in which senders send and pages are read, and who objects: two runs differ only by how
fast the machine goes.
"""

import argparse
import http.client
import json
import os
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]

import numpy as np
import pages
from machine import described
from stream import Stream

READERS, THINK, SAMPLE = 4, 0.5, 5.0
PATHS = ("/ma-position/", "/ma-position/familles/", "/marche/?zone=FR&famille=*", "/marche/?zone=R84&famille=PPC", "/ma-position/territoires/")


def processes(parent: int) -> dict[int, int]:
    """Resident memory (kB) of a process and all its descendants."""
    children: dict[int, list[int]] = {}
    memory: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                memory[int(entry.name)] = int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // 1024
                children.setdefault(int(fields[1]), []).append(int(entry.name))
            except (OSError, IndexError):
                continue
    found, waiting = {}, [parent]
    while waiting:
        pid = waiting.pop()
        if pid in memory:
            found[pid] = memory[pid]
        waiting += children.get(pid, [])
    return found


def name_of(pid: int) -> str:
    """What a process of the house does."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return "?"
    return next((word for word in ("worker", "gate", "serve") if word in words), "pages")


class Readers:
    """People who read pages drawn by a seed, with a pause between two; (second of the soak, seconds of the answer) of each reading."""

    def __init__(self, port: int, cookies: list[str], start: float, seed: int) -> None:
        self.times: list[tuple[float, float]] = []
        self.failures = 0
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(port, cookie, random.Random(f"{seed}-{rank}"), start), daemon=True)
            for rank, cookie in enumerate(cookies)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, port: int, cookie: str, rng: random.Random, start: float) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while not self._stop.wait(THINK):
            try:
                self.times.append((time.monotonic() - start, pages.read(port, rng.choice(PATHS), cookie, connection)))
            except (OSError, http.client.HTTPException, SystemExit):
                self.failures += 1
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)

    def by_minute(self) -> list[float]:
        """The 95th percentile (ms) of each whole minute."""
        rows = np.array(self.times)
        minutes = (rows[:, 0] // 60).astype(int)
        return [
            round(float(np.percentile(rows[minutes == minute, 1], 95)) * 1000, 1)
            for minute in range(int(minutes.max()) + 1)
            if (minutes == minute).sum() > 20
        ]


def objection(rng: random.Random, flows: list[int]) -> bool:
    """A person drawn from a flow that was sent objects; the treatment erases what there is."""
    import pyarrow.parquet as pq

    from belvedere.observatory.collect.models import DataFile
    from belvedere.observatory.collect.vault import facts_path
    from belvedere.observatory.objections.models import Objection

    row = DataFile.objects.filter(retired_at=None, flow=rng.choice(flows)).first() if flows else None
    if row is None:  # melted into another file, or not settled yet
        return False
    people = pq.read_table(facts_path(row.name), columns=["patient"])["patient"]
    return Objection.objects.get_or_create(pseudonym=people[rng.randrange(len(people))].as_py())[1]


def verdict(stream: Stream, before: int) -> dict[str, object]:
    """What became of everything that was sent: flows by state, lines accepted, standing, erased; lost or double."""
    import pyarrow.parquet as pq
    from django.db.models import Sum

    from belvedere.observatory.collect.models import DataFile, Flow
    from belvedere.observatory.collect.vault import facts_path
    from belvedere.observatory.journal.actions import broken_at
    from belvedere.observatory.journal.models import Entry
    from belvedere.observatory.objections import register

    states = stream.settled()
    flows = set(stream.sent)
    accepted = Flow.objects.filter(pk__in=flows).aggregate(lines=Sum("lines"))["lines"] or 0
    seen, double, hidden = 0, 0, 0
    objected = register.standing()
    for row in DataFile.objects.filter(retired_at=None).order_by("pk").iterator():
        table = pq.read_table(facts_path(row.name), columns=["flow_id", "record", "patient", "act_date"])
        mine = np.isin(table["flow_id"].to_numpy(), list(flows))
        keys = table["flow_id"].to_numpy()[mine] * 10_000_000 + table["record"].to_numpy()[mine]
        seen += len(keys)
        double += len(keys) - len(np.unique(keys))
        hidden += int(objected.hidden(table).sum())
    standing = DataFile.objects.filter(retired_at=None).aggregate(rows=Sum("rows"))["rows"] or 0
    # What was kept of each flow when it came: lines of persons who had objected already are counted for the receipt and kept nowhere. What the journal says that
    # later objections took away; anything else that is missing is lost.
    came = {row.pk: row.rows for row in DataFile.objects.filter(flow__in=flows) if re.fullmatch(r"\d+/\d+-\d+\.parquet", row.name)}
    kept = sum(came.values())
    erased = sum(int(entry.detail.get("lines", 0)) for entry in Entry.objects.filter(action="opposition.purgee"))
    return {
        "flows": dict(states), "refused_at_the_door": dict(stream.refused), "lines_sent_accepted": accepted, "lines_of_them_standing": seen, "lines_double": double,
        "lines_standing_of_objectors": hidden, "lines_standing": standing, "lines_erased": erased, "lines_of_objectors_never_kept": accepted - kept, "lines_lost": before + kept - standing - erased, "journal_broken_at": broken_at(),
    }  # fmt: skip


def slope(samples: list[tuple[float, int]]) -> float:
    """MB an hour that memory grows by, over the second half."""
    half = [(at, kb) for at, kb in samples if at > samples[-1][0] / 2]
    if len(half) < 3:
        return 0.0
    at, kb = np.array(half, dtype=float).T
    return round(float(np.polyfit(at, kb, 1)[0]) * 3600 / 1024, 1)


def every_two_minutes(samples: list[tuple[float, int]]) -> list[int]:
    """The most MB of each two minutes: a leak goes on, what fills up to its bound does not."""
    return [max(kb for at, kb in samples if start <= at < start + 120) // 1024 for start in range(0, int(samples[-1][0]) - 110, 120)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--pace", type=float, default=3.0, help="seconds between two one-megabyte flows")
    parser.add_argument("--epoch", type=float, default=10.0, help="minutes between two epochs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--port", type=int, default=8571)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ["BELVEDERE_PURGE_MINUTES"] = "2"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = pages.build(folder, options.lines, seed=options.seed)
        cookies, tokens = pages.sessions(READERS), pages.senders()
        from belvedere.observatory.collect import keyring
        from belvedere.observatory.publication import computing
        from belvedere.observatory.publication.models import Release

        months = Release.objects.get().months
        memory: dict[int, list[tuple[float, int]]] = {}
        names: dict[int, str] = {}
        epochs: list[float] = []
        objections = 0
        with pages.served(folder, options.port) as server:
            for cookie in cookies:
                pages.first_reading(options.port, cookie)
            start = time.monotonic()
            rng = random.Random(options.seed)
            readers = Readers(options.port, cookies, start, options.seed)
            with Stream(f"http://127.0.0.1:{options.port}", tokens, keyring.certificate(), options.pace, seed=options.seed) as stream:
                next_epoch, next_objection = options.epoch * 60, 120.0
                while (now := time.monotonic() - start) < options.minutes * 60:
                    for pid, kb in processes(server.pid).items():
                        memory.setdefault(pid, []).append((now, kb))
                        names.setdefault(pid, name_of(pid))
                    if now > next_epoch:
                        begun = time.monotonic()
                        computing.draft(months, seed=options.seed)
                        epochs.append(round(time.monotonic() - begun, 1))
                        next_epoch += options.epoch * 60
                    if now > next_objection:
                        objections += objection(rng, sorted(stream.sent))
                        next_objection += 120
                    time.sleep(SAMPLE)
            readers.stop()
            states = stream.settled()
            time.sleep(150)  # a purge of what came last
            found = verdict(stream, int(built["lines"]))
        latency = readers.by_minute()
        third = max(1, len(latency) // 3)
    print(json.dumps({
        "minutes": options.minutes, "seed": options.seed, "lines_before": built["lines"], "flows_sent": len(stream.sent), "flow_pace_s": options.pace, "sender_late_s": round(stream.late, 1), "epochs_s": epochs,
        "objections": objections, "readings": len(readers.times), "reading_failures": readers.failures, "p95_ms_by_minute": latency,
        "p95_first_third_ms": round(statistics.median(latency[:third]), 1), "p95_last_third_ms": round(statistics.median(latency[-third:]), 1),
        "memory_mb": {f"{names[pid]} {pid}": {"peak": max(kb for _, kb in rows) // 1024, "last": rows[-1][1] // 1024, "slope_mb_hour": slope(rows), "every_two_minutes": every_two_minutes(rows)}
                      for pid, rows in memory.items() if rows[-1][0] > options.minutes * 30},
        **found, "settled": dict(states), **described(),
    }, ensure_ascii=False))  # fmt: skip


if __name__ == "__main__":
    main()
