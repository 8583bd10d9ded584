"""Intake: from an encrypted gzip file to committed facts, and the reader beside its peers.

python benchmarks/intake.py [--json] [--megabytes N] [--growth]     (also: belvedere bench intake)

One core (the process is pinned). Peers run in the same process on the same file and give the same columns:
18 columns a line, header fields of the invoice carried down to it.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent))

HEADS = {"invoice_no": (26, 35), "invoice_date": (39, 45), "regime": (48, 50), "caisse": (50, 53), "birth_date": (95, 101), "birth_rank": (101, 102),
         "prescriber_no": (58, 67), "prescriber_specialty": (112, 114), "nature": (76, 78)}  # fmt: skip
BASES = {"act_date": (67, 73), "amount_base": (95, 102), "amount_amo": (105, 112), "amount_billed": (112, 119), "amount_amc": (121, 128)}
ITEMS = {"lpp": (42, 49), "units": (95, 97)}
SLOW = 20  # slow peers read a twentieth of the file


def timed(call: Callable[[], object], repeat: int = 3) -> float:
    """Best wall time of a few runs, in seconds."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def ours(content: bytes) -> int:
    """The observatory's reader: every column of every line, amounts shared among details; sum of the codes."""
    from belvedere.engine.b2.framing import Framer
    from belvedere.engine.b2.lines import read_lines

    return sum(int(read_lines(batch).columns["lpp"].sum()) for batch in Framer().batches([content]))


def peers(content: bytes, folder: Path) -> dict[str, tuple[Callable[[], int], int]]:
    """(call, part of the file it reads as 1/n) of each peer; each call makes the same columns and returns the sum
    of the LPP codes, which must agree."""
    import pyarrow as pa
    import pyarrow.compute as pc

    pa.set_cpu_count(1)
    count = len(content) // 128
    text = b"\n".join(content[at : at + 128] for at in range(0, len(content), 128))
    path, small = folder / "lines.txt", folder / "small.txt"
    path.write_bytes(text)
    fewer = content[: count // SLOW * 128]
    small.write_bytes(text[: len(fewer) // 128 * 129])

    def with_numpy() -> int:
        view = np.frombuffer(content, dtype=np.uint8).reshape(-1, 128)
        base = view[:, 35] == 32
        twos, fours = np.flatnonzero((view[:, 0] == 50) & base), np.flatnonzero((view[:, 0] == 52) & base)
        details = np.flatnonzero((view[:, 0] == 52) & (view[:, 35] == 70))
        head, line = np.searchsorted(twos, details) - 1, np.searchsorted(fours, details) - 1

        def number(rows: np.ndarray, zone: tuple[int, int]) -> np.ndarray:
            digit = view[rows, zone[0] : zone[1]] - np.uint8(48)
            bad = (digit > 9).any(axis=1)  # the other peers' casts refuse what is no number: so does this one
            return np.where(bad, 0, digit.astype(np.int64) @ (10 ** np.arange(zone[1] - zone[0] - 1, -1, -1)))

        made = {name: number(twos, zone)[head] for name, zone in HEADS.items()} | {name: number(fours, zone)[line] for name, zone in BASES.items()}
        made |= {name: number(details, zone) for name, zone in ITEMS.items()}
        made["nir"], made["supply_type"] = view[twos, 11:24][head], view[details, 55]
        return int(made["lpp"].sum())

    def with_arrow() -> int:
        column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(128), count, [None, pa.py_buffer(content)]).cast(pa.binary())
        first, letter = pc.binary_slice(column, 0, 1), pc.binary_slice(column, 35, 36)
        where = lambda kind, sub: pc.indices_nonzero(pc.and_(pc.equal(first, kind), pc.equal(letter, sub)))  # noqa: E731
        twos, fours, details = where(b"2", b" "), where(b"4", b" "), where(b"4", b"F")
        at = details.to_numpy()
        head = pa.array(np.searchsorted(twos.to_numpy(), at) - 1)
        line = pa.array(np.searchsorted(fours.to_numpy(), at) - 1)

        def number(rows: pa.Array, zone: tuple[int, int]) -> pa.Array:
            return pc.binary_slice(rows, *zone).cast(pa.string()).cast(pa.int64())

        heads, bases, items = column.take(twos), column.take(fours), column.take(details)
        made = {name: number(heads, zone).take(head) for name, zone in HEADS.items()} | {
            name: number(bases, zone).take(line) for name, zone in BASES.items()
        }
        made |= {name: number(items, zone) for name, zone in ITEMS.items()}
        made["nir"], made["supply_type"] = pc.binary_slice(heads, 11, 24).take(head), pc.binary_slice(items, 55, 56)
        return pc.sum(made["lpp"]).as_py()

    found: dict[str, tuple[Callable[[], int], int]] = {"pyarrow": (with_arrow, 1), "NumPy": (with_numpy, 1)}
    found["boucle Python"] = (lambda: python_loop(fewer), SLOW)
    for name, make, target, part in (
        ("polars", polars_peer, path, 1),
        ("DuckDB", duckdb_peer, path, 1),
        ("pandas read_fwf", pandas_peer, small, SLOW),
    ):
        try:
            found[name] = (make(target), part)
        except ImportError:
            print(f"{name} n’est pas installé : non mesuré", file=sys.stderr)
    return found


def python_loop(content: bytes) -> int:
    head: list = []
    line: list = []
    rows = []
    for at in range(0, len(content), 128):
        record = content[at : at + 128]
        kind, sub = record[0], record[35]
        if kind == 50 and sub == 32:
            head = [record[11:24], *(int(record[a:b]) for a, b in HEADS.values())]
        elif kind == 52 and sub == 32:
            line = [int(record[a:b]) for a, b in BASES.values()]
        elif kind == 52 and sub == 70:
            rows.append((*head, *line, *(int(record[a:b]) for a, b in ITEMS.values()), record[55]))
    return sum(row[-3] for row in rows)


def polars_peer(path: Path) -> Callable[[], int]:
    import polars as pl

    def call() -> int:
        r = pl.col("r")
        two, four, detail = (((r.str.slice(0, 1) == a) & (r.str.slice(35, 1) == b)) for a, b in (("2", " "), ("4", " "), ("4", "F")))
        frame = pl.scan_csv(path, has_header=False, separator="\x01", new_columns=["r"], quote_char=None)
        frame = frame.with_columns(h=pl.when(two).then(r).forward_fill(), b=pl.when(four).then(r).forward_fill()).filter(detail)
        zone = lambda column, name, ab: pl.col(column).str.slice(ab[0], ab[1] - ab[0]).cast(pl.Int64).alias(name)  # noqa: E731
        made = frame.select(
            pl.col("h").str.slice(11, 13).alias("nir"),
            r.str.slice(55, 1).alias("supply_type"),
            *(zone("h", n, z) for n, z in HEADS.items()),
            *(zone("b", n, z) for n, z in BASES.items()),
            *(zone("r", n, z) for n, z in ITEMS.items()),
        ).collect()
        return int(made["lpp"].sum())

    return call


def duckdb_peer(path: Path) -> Callable[[], int]:
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    cut = lambda column, ab, name: f"CAST(substr({column}, {ab[0] + 1}, {ab[1] - ab[0]}) AS BIGINT) AS {name}"  # noqa: E731
    columns = ["substr(h, 12, 13) AS nir", *(cut("h", z, n) for n, z in HEADS.items()), *(cut("b", z, n) for n, z in BASES.items())]
    columns += [*(cut("r", z, n) for n, z in ITEMS.items()), "substr(r, 56, 1) AS supply_type"]
    query = f"""
        WITH raw AS (SELECT r, row_number() OVER () AS n FROM read_csv('{path}', header=false, delim='\x01', quote='', columns={{'r': 'VARCHAR'}}, parallel=false)),
        carried AS (SELECT r, last_value(CASE WHEN r[1]='2' AND r[36]=' ' THEN r END IGNORE NULLS) OVER w AS h,
                           last_value(CASE WHEN r[1]='4' AND r[36]=' ' THEN r END IGNORE NULLS) OVER w AS b
                    FROM raw WINDOW w AS (ORDER BY n ROWS UNBOUNDED PRECEDING))
        SELECT {", ".join(columns)} FROM carried WHERE r[1]='4' AND r[36]='F'"""
    return lambda: int(np.sum(connection.sql(query).fetchnumpy()["lpp"]))


def pandas_peer(path: Path) -> Callable[[], int]:
    import pandas as pd

    def call() -> int:
        names = ["kind", "sub", "nir", "supply_type", *(f"h_{n}" for n in HEADS), *(f"b_{n}" for n in BASES), *(f"i_{n}" for n in ITEMS)]
        zones = [(0, 1), (35, 36), (11, 24), (55, 56), *HEADS.values(), *BASES.values(), *ITEMS.values()]
        table = pd.read_fwf(path, colspecs=zones, names=names, header=None, dtype=str, delimiter="\x01")
        two, four = (
            (table["kind"] == "2") & (table["sub"].isna() | (table["sub"] == " ")),
            (table["kind"] == "4") & (table["sub"].isna() | (table["sub"] == " ")),
        )
        carried = [c for c in names if c.startswith("h_")] + ["nir"]
        table.loc[~two, carried] = None
        table.loc[~four, [c for c in names if c.startswith("b_")]] = None
        table[[*carried, *(c for c in names if c.startswith("b_"))]] = table[[*carried, *(c for c in names if c.startswith("b_"))]].ffill()
        table = table[(table["kind"] == "4") & (table["sub"] == "F")]
        return int(pd.to_numeric(table["i_lpp"]).sum())

    return call


def readers(megabytes: int) -> dict:
    """Our reader and its peers on one file: MB/s of the file."""
    from benchmarks.files import ordinary

    content = ordinary(megabytes)
    size = len(content) / 1e6
    folder = Path(tempfile.mkdtemp(prefix="belvedere-bench-"))
    try:
        expected = ours(content)
        found = {}
        for name, (call, part) in peers(content, folder).items():
            assert part > 1 or call() == expected, name
            found[name] = round(size / part / timed(call, 2 if part == 1 else 1), 1)
        found["copie mémoire"] = round(size / timed(lambda: bytearray(content)), 1)
        return {"file_mb": round(size, 1), "reader_mb_s": round(size / timed(lambda: ours(content), 5), 1), "peers": found}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def one_flow(megabytes: int, kind: str) -> dict:
    """Seal a file, receive it, settle it, in this process; MB/s from the sealed file to committed facts."""
    from benchmarks import files

    folder = Path(tempfile.mkdtemp(prefix="belvedere-bench-"))
    os.environ |= {"BELVEDERE_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "belvedere.observatory.settings", "BELVEDERE_DATABASE_URL": ""}
    import django

    django.setup()
    from belvedere.cli.serve import prepare
    from belvedere.engine.b2.envelope import seal_stream
    from belvedere.observatory.collect import keyring, reception, worker
    from belvedere.observatory.collect.models import Flow
    from belvedere.observatory.members.actions import enrol_group

    try:
        prepare()
        content = [files.ordinary(megabytes)] if kind == "ordinary" else None
        finess = int(content[0][129:138]) if content else 752600015
        member = {"name": "Mesure", "siren": "000000000", "finess": finess, "department": "75", "norm": "FR"}
        group = enrol_group(name="Mesure", federation=None, members=[member], by="mesure")
        size = 0

        def clear():
            nonlocal size
            for piece in content or files.large(megabytes, finess):
                size += len(piece)
                yield piece

        warm = b"".join(files.large(5, finess))  # compiled loops are loaded once for all flows
        reception.receive(group=group, sealed=b"".join(seal_stream([warm], keyring.certificate())), channel="api", test=True)
        worker.drain()
        rounds, best = (3 if kind == "ordinary" else 1), float("inf")
        for number in range(rounds):
            size = 0
            sealed = folder / "sealed.p7m"
            with sealed.open("wb") as stream:
                stream.writelines(seal_stream(clear(), keyring.certificate()))
            flow = reception.receive(
                group=group, sealed=iter([sealed.read_bytes()]) if size < 3e8 else _pieces(sealed), channel="api", test=number < rounds - 1
            )
            start = time.perf_counter()
            worker.drain()
            best = min(best, time.perf_counter() - start)
            flow = Flow.objects.get(pk=flow.pk)
            assert flow.state == "accepted", flow.findings
        return {
            "file_mb": round(size / 1e6, 1), "sealed_mb": round(flow.sealed_size / 1e6, 1), "seconds": round(best, 2),
            "sealed_to_facts_mb_s": round(size / 1e6 / best, 1), "lines": flow.lines,
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pieces(path: Path):
    with path.open("rb") as stream:
        while piece := stream.read(1024 * 1024):
            yield piece


def apart(*arguments: str) -> dict:
    """Run one measurement in a process of its own, so that memory is its own."""
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Mesure de la réception, sur un cœur.")
    parser.add_argument("--json", action="store_true", help="un objet JSON")
    parser.add_argument("--megabytes", type=int, default=22, help="taille du fichier, en Mo")
    parser.add_argument("--growth", action="store_true", help="aussi 10 Mo, 100 Mo, 1 Go et 5 Go, et le lecteur de 2 à 200 Mo")
    parser.add_argument("--one", choices=["ordinary", "large", "readers"], help=argparse.SUPPRESS)
    from machine import described

    options = parser.parse_args(arguments)
    os.environ |= {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
    if options.one:
        print(json.dumps(readers(options.megabytes) if options.one == "readers" else one_flow(options.megabytes, options.one)))
        return 0
    found = described(cores=1)
    flow = apart("--one", "ordinary", "--megabytes", str(options.megabytes))
    found |= apart("--one", "readers", "--megabytes", str(options.megabytes))
    found |= {name: flow[name] for name in ("sealed_to_facts_mb_s", "peak_rss_mb", "lines", "sealed_mb")}
    if options.growth:
        found["readers"] = [apart("--one", "readers", "--megabytes", str(size)) for size in (2, 22, 200)]
        found["growth"] = [apart("--one", "large", "--megabytes", str(size)) for size in (10, 100, 1000, 5000)]
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    for name, value in found.items():
        print(f"{name:<24} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
