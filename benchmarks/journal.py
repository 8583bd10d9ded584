"""The journal in group commit: entries a second on SQLite (durable, synchronous=FULL), beside one entry a transaction and
beside the database's own speed for rows of the same shape. One JSON object."""

import json
import os
import sqlite3
import tempfile
import time
from pathlib import Path

BATCH, BATCHES, SINGLE = 1000, 50, 200


def ours(folder: Path) -> dict[str, float]:
    """Entries a second in batches, one by one, and the time of a head over all of them."""
    os.environ["BELVEDERE_DATA"] = str(folder)
    os.environ["BELVEDERE_DATABASE_URL"] = ""
    os.environ["DJANGO_SETTINGS_MODULE"] = "belvedere.observatory.settings"
    import django

    django.setup()
    from django.db import transaction

    from belvedere.cli.serve import prepare
    from belvedere.observatory.journal import sealing
    from belvedere.observatory.journal.actions import Fact, append, note

    prepare()
    facts = [Fact("personne:12", "flux.accepted", f"flux:{rank}", {"lines": rank, "test": False, "findings": []}) for rank in range(BATCH)]
    start = time.perf_counter()
    for _ in range(BATCHES):
        with transaction.atomic():
            append(facts)
    grouped = BATCH * BATCHES / (time.perf_counter() - start)
    start = time.perf_counter()
    for rank in range(SINGLE):
        note(by="personne:12", action="lu", subject=f"flux:{rank}")
    alone = SINGLE / (time.perf_counter() - start)
    start = time.perf_counter()
    head = sealing.seal()
    sealed = time.perf_counter() - start
    assert head is not None
    start = time.perf_counter()
    sealing.proof(BATCH * BATCHES // 3)
    return {
        "grouped_s": round(grouped), "one_by_one_s": round(alone), "head_entries": head.size, "head_s": round(sealed, 3),
        "proof_ms": round((time.perf_counter() - start) * 1000, 1),
    }  # fmt: skip


def peer(folder: Path) -> float:
    """Rows a second of the same width that SQLite takes in batches with the same durability, without any hash."""
    connection = sqlite3.connect(folder / "plain.sqlite3", isolation_level=None)
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c, d, e, f, g, h, i)")
    row = ("2026-11-22 12:00:00.000000", "personne:12", "flux.accepted", "flux:12", '{"lines": 12}', "0" * 32, "0" * 64, "0" * 64, "0" * 64)
    start = time.perf_counter()
    for _ in range(BATCHES):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO t (a, b, c, d, e, f, g, h, i) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [row] * BATCH)
        connection.execute("COMMIT")
    return BATCH * BATCHES / (time.perf_counter() - start)


def main() -> None:
    from machine import described

    with tempfile.TemporaryDirectory() as folder:
        found = ours(Path(folder))
        plain = peer(Path(folder))
    print(json.dumps({"bench": "journal", **described(), **found, "sqlite_rows_s": round(plain), "ratio": round(found["grouped_s"] / plain, 2)}))


if __name__ == "__main__":
    main()
