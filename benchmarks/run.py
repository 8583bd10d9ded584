"""Every published figure, printed with the machine it was measured on. Peers run in the same process on the same file.

python benchmarks/run.py            all, as text
python benchmarks/run.py --json     one JSON object
"""

import datetime as dt
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

os.environ["POLARS_MAX_THREADS"] = "1"  # one core each, as our reader
os.environ.setdefault("BELVEDERE_DATA", tempfile.mkdtemp(prefix="belvedere-bench-"))

from belvedere.engine.b2.controls import control
from belvedere.engine.b2.framing import frame
from belvedere.engine.b2.lines import read_lines
from belvedere.engine.privacy import pseudonyms
from belvedere.engine.sector.billing import make_sector, month_file
from belvedere.engine.warehouse import facts, files

ZONES = {"act_date": (67, 73), "rate": (102, 105), "amount_amo": (105, 112), "amount_expense": (112, 119)}


def timed(call, repeat: int = 3) -> float:
    """Best wall time of a few runs, in seconds."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def a_large_file() -> bytes:
    sector = make_sector(seed=2, first=dt.date(2025, 1, 1), providers=4, groups=3, months=2, patients=60_000, establishments=0)
    return max((month_file(sector, rank, 1) for rank in range(4)), key=len)


def four_zones(content: bytes) -> int:
    """What the peers do: four numeric zones of the base lines, summed."""
    records = frame(content)
    return sum(int(records.number("4", zone).sum()) for zone in ZONES)


def all_columns(content: bytes) -> int:
    """What the observatory needs: every column of every line, invoice headers carried."""
    return len(read_lines(frame(content)))


def peers(content: bytes, folder: Path) -> dict[str, tuple[object, int]]:
    """The same four numeric zones of base lines, summed, by other means. Values: (call, share of the file used)."""
    import duckdb
    import pandas
    import polars
    import pyarrow as pa
    import pyarrow.compute as pc

    pa.set_cpu_count(1)
    duckdb.sql("SET threads = 1")
    path = folder / "lines.txt"
    count = len(content) // 128
    text = b"\n".join(content[n * 128 : n * 128 + 128] for n in range(count))
    path.write_bytes(text)
    small = folder / "small.txt"
    small.write_bytes(b"\n".join(text.split(b"\n")[: count // 20]))

    def loop() -> int:
        total = 0
        for number in range(count):
            at = number * 128
            if content[at] == 52 and content[at + 35] == 32:
                total += sum(int(content[at + a : at + b]) for a, b in ZONES.values())
        return total

    def with_polars() -> int:
        frame_ = polars.scan_csv(path, has_header=False, separator="\x01", new_columns=["r"], quote_char=None)
        frame_ = frame_.filter((polars.col("r").str.slice(0, 1) == "4") & (polars.col("r").str.slice(35, 1) == " "))
        return sum(
            frame_.select([polars.col("r").str.slice(a, b - a).cast(polars.Int64).sum().alias(n) for n, (a, b) in ZONES.items()]).collect().row(0)
        )

    def with_arrow() -> int:
        column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(128), count, [None, pa.py_buffer(content)]).cast(pa.binary())
        kept = column.filter(pc.and_(pc.equal(pc.binary_slice(column, 0, 1), b"4"), pc.equal(pc.binary_slice(column, 35, 36), b" ")))
        return sum(pc.sum(pc.binary_slice(kept, a, b).cast(pa.string()).cast(pa.int64())).as_py() for a, b in ZONES.values())

    def with_duckdb() -> int:
        sums = ", ".join(f"sum(CAST(substr(r, {a + 1}, {b - a}) AS BIGINT))" for a, b in ZONES.values())
        query = (
            f"SELECT {sums} FROM read_csv('{path}', header=false, delim='\x01', quote='', columns={{'r': 'VARCHAR'}}) WHERE r[1]='4' AND r[36]=' '"
        )
        return sum(duckdb.sql(query).fetchall()[0])

    def with_pandas() -> int:
        table = pandas.read_fwf(small, colspecs=[(0, 1), (35, 36), *ZONES.values()], header=None, dtype=str, delimiter="\x01")
        return len(table)

    found: dict[str, tuple[object, int]] = {
        "boucle Python": (loop, 1), "polars": (with_polars, 1), "pyarrow": (with_arrow, 1), "DuckDB": (with_duckdb, 1), "pandas read_fwf": (with_pandas, 20),
        "copie mémoire": (lambda: bytearray(content), 1),
    }  # fmt: skip
    assert four_zones(content) == loop() == with_polars() == with_arrow() == with_duckdb()
    return found


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

    from belvedere.observatory.accounts.models import User

    found = {}
    for name, role, path in (("public", None, "/"), ("ma_position", "member", "/ma-position/"), ("marche", "federation", "/marche/")):
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
    made = [content for rank in range(10) for month in range(6) if (content := month_file(sector, rank, month))]
    lines = sum(len(read_lines(frame(content))) for content in made[:1]) and sum(content.count(b"F01") for content in made)
    generator = lines / (time.perf_counter() - start)
    content = a_large_file()
    size = len(content) / 1e6
    folder = Path(tempfile.mkdtemp(prefix="belvedere-bench-"))
    reader = size / timed(lambda: four_zones(content))
    whole = size / timed(lambda: all_columns(content))
    checked = size / timed(lambda: control(frame(content)))
    keys = pseudonyms.create_keys(folder / "keys.json")

    def ingest() -> None:
        records = frame(content)
        control(records)
        files.write(facts.build(read_lines(records), keys=keys, member_id=1, flow_id=1), folder / "f.parquet")

    count = len(read_lines(frame(content)))
    nir = np.full((1_000_000, 13), 49, dtype=np.uint8)
    zeros = np.arange(1_000_000) % 10**6
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cœurs, Python {platform.python_version()}",
        "file_mb": round(size, 1),
        "reader_mb_s": round(reader),
        "reader_all_columns_mb_s": round(whole),
        "reader_with_controls_mb_s": round(checked),
        "peers_mb_s": {name: round(size / share / timed(call, 2), 1) for name, (call, share) in peers(content, folder).items()},
        "ingest_lines_s": round(count / timed(ingest)),
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
