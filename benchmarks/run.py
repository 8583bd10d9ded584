"""Figures of the generator, of the pseudonyms and of the portal; intake has its own (benchmarks/intake.py, load.py).

python benchmarks/run.py            all, as text
python benchmarks/run.py --json     one JSON object
"""

import datetime as dt
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

os.environ.setdefault("BELVEDERE_DATA", tempfile.mkdtemp(prefix="belvedere-bench-"))

from belvedere.engine.privacy import pseudonyms
from belvedere.engine.sector.billing import make_sector, month_file


def timed(call, repeat: int = 3) -> float:
    """Best wall time of a few runs, in seconds."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def page_latency() -> dict[str, float]:
    """Median milliseconds of the portal's pages on the demonstration's data, where it lies in data/demo."""
    folder = Path("data/demo")
    if not (folder / "demo.json").exists():
        return {}
    os.environ["BELVEDERE_DATA"] = str(folder.resolve())
    os.environ["DJANGO_SETTINGS_MODULE"] = "belvedere.observatory.settings"
    import django

    django.setup()
    from django.test import Client

    from belvedere.cli.serve import prepare

    prepare()  # a demonstration made by an earlier version

    from belvedere.observatory.accounts.models import User

    found = {}
    for name, role, path in (("public", None, "/"), ("ma_position", "member_admin", "/ma-position/"), ("marche", "validator", "/marche/")):
        client = Client(SERVER_NAME="localhost")
        if role:
            client.force_login(User.objects.filter(role=role).first(), backend="allauth.account.auth_backends.AuthenticationBackend")
        client.get(path)
        times = []
        for _ in range(15):
            start = time.perf_counter()
            assert client.get(path).status_code == 200
            times.append((time.perf_counter() - start) * 1000)
        found[name] = round(statistics.median(times), 1)
    return found


def main() -> None:
    start = time.perf_counter()
    sector = make_sector(seed=2, first=dt.date(2025, 1, 1), providers=10, groups=8, months=6, patients=60_000)
    lines = sum(content.count(b"F01") for rank in range(10) for month in range(6) if (content := month_file(sector, rank, month)))
    generator = lines / (time.perf_counter() - start)
    keys = pseudonyms.create_keys(Path(tempfile.mkdtemp(prefix="belvedere-bench-")) / "keys.json")
    nir = np.full((1_000_000, 13), 49, dtype=np.uint8)
    zeros = np.arange(1_000_000) % 10**6
    from machine import described

    result = {
        **described(),
        "generator_lines_s": round(generator),
        "pseudonyms_s": round(1_000_000 / timed(lambda: pseudonyms.patients(nir, zeros, zeros % 7, keys))),
        "page_median_ms": page_latency(),
    }
    if "--json" in sys.argv:
        print(json.dumps(result, ensure_ascii=False))
        return
    for name, value in result.items():
        print(f"{name:<28} {value}")


if __name__ == "__main__":
    main()
