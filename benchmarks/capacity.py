"""Planning beyond what a machine here can hold: the reception queue simulated at 1, 10 and 100 times the national volume, the rest by the measured
growth curves. Every constant is a measurement of `docs/explications/mesures.md`; the rest is arithmetic that anybody can redo.

    python benchmarks/capacity.py [--json]
"""

import argparse
import heapq
import json
import math
from collections.abc import Callable

import numpy as np

NATIONAL_LINES_YEAR = 100_000_000  # home care's lines a year
PROVIDERS, YEARS, CUBE_YEARS = 600, 10, 3
# Measured on two cores: reception of a flow is a fixed part (open, control, settle, receipt) and a part by line.
FLOW_SECONDS, LINE_SECONDS = 0.12, 1 / 200_000
# Cube of 36 months: a line of the three measured volumes (2, 20, 200 million lines).
CUBE = ((1_972_900, 5.2), (19_729_000, 11.6), (197_290_000, 101.6))
# The same cube on a cluster of two executors of one core each, same machine (`scale.py --spark 2,20,200`): a fixed part, and a part by line shared by the executors.
SPARK, SPARK_EXECUTORS = ((1_972_900, 196.4), (19_729_000, 444.3), (197_290_000, 3_256.0)), 2
OWN_SECONDS_LINE, BIGGEST_SHARE = 47.0 / 27_887_400, 0.14
BYTES_LINE, SEALED_BYTES_LINE = 20, 100
# Memory (MB): a worker at its highest, a computation's bound before it spills to disk, a page process at its highest at two hundred million lines.
WORKER_MB, COMPUTE_MB, PAGES_MB = 431, 4_096, 4_000
SUPPLEMENT_SECONDS_LINE = 200 / 191_607_700  # what a release tells beside its cells
WEEK = 5 * 10 * 3600  # seconds of the five working days in which a month's flows are sent, ten hours a day
MONTHLY_SHARE = 0.6  # of a month's lines that come in those days


def arrivals(scale: float, flows_a_month: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """(seconds of arrival, lines) of the flows of the first five working days of a month; sizes are those of providers of very unequal size."""
    rng = np.random.default_rng(seed)
    lines = NATIONAL_LINES_YEAR * scale / 12 * MONTHLY_SHARE
    share = rng.lognormal(0, 1.5, PROVIDERS)
    share /= share.sum()
    count = max(1, round(flows_a_month * MONTHLY_SHARE))
    size = np.maximum(1, np.repeat(share * lines / count, count))
    # Nine and two o'clock are the hours at which software sends.
    hours = rng.choice(10, size=len(size), p=np.array([3, 2, 1, 1, 1, 3, 2, 1, 1, 1]) / 16)
    at = rng.integers(0, 5, len(size)) * 36_000 + hours * 3600 + rng.uniform(0, 3600, len(size))
    order = np.argsort(at)
    return at[order], size[order]


def queue(at: np.ndarray, lines: np.ndarray, workers: int) -> dict[str, float]:
    """Delays (s) of flows in one queue of several workers, first come first served."""
    free = [0.0] * workers
    waits = np.empty(len(at))
    service = FLOW_SECONDS + lines * LINE_SECONDS
    for rank, (moment, length) in enumerate(zip(at.tolist(), service.tolist(), strict=True)):
        begun = max(moment, heapq.heappop(free))
        heapq.heappush(free, begun + length)
        waits[rank] = begun + length - moment
    return {
        "p50_s": round(float(np.median(waits)), 2), "p95_s": round(float(np.percentile(waits, 95)), 2), "worst_s": round(float(waits.max()), 1),
        "busy": round(float(service.sum() / (workers * WEEK)), 3),
    }  # fmt: skip


def line_of(points: tuple[tuple[int, float], ...]) -> tuple[float, float]:
    """(seconds at no line, seconds a line) of the two largest measures: the growth that matters."""
    (low, first), (high, last) = points[-2:]
    slope = (last - first) / (high - low)
    return first - slope * low, slope


def executors(lines: float, hours: float = 1.0) -> int:
    """Executors of one core that compute the cube of so many lines in so many hours."""
    fixed, by_line = line_of(SPARK)
    return max(1, math.ceil(by_line * SPARK_EXECUTORS * lines / (hours * 3600 - fixed)))


def spark_pays(hours: float = 1.0) -> dict[str, float]:
    """Where a cluster pays: the cube's lines past which one machine takes more than so many hours, and the executors of one core that do as well there."""
    base, slope = line_of(CUBE)
    _, by_line = line_of(SPARK)
    lines = (hours * 3600 - base) / slope
    return {
        "hours": hours, "cube_lines": round(lines), "national_volumes": round(lines / NATIONAL_LINES_YEAR / CUBE_YEARS, 1),
        "executors": executors(lines, hours), "cost_of_a_core": round(by_line * SPARK_EXECUTORS / (slope * 2), 1),
    }  # fmt: skip


def plan(scale: float, flows_a_month: int = 22) -> dict[str, object]:
    """What a scale of the national volume asks for."""
    lines = NATIONAL_LINES_YEAR * scale
    base, slope = line_of(CUBE)
    at, size = arrivals(scale, flows_a_month)
    cube = base + slope * lines * CUBE_YEARS
    tried = {workers: queue(at, size, workers) for workers in (1, 2, 4, 8, 16, 32)}
    enough = next((workers for workers, told in tried.items() if told["p95_s"] < 60), max(tried))
    return {
        "scale": scale, "lines_year": int(lines), "lines_10_years": int(lines * YEARS), "flows_in_the_week": len(at), "largest_flow_lines": int(size.max()),
        "workers": enough, "queue": tried[enough], "one_worker": tried[1],
        "memory_workers_gb": round(enough * WORKER_MB / 1024, 1), "memory_compute_gb": round(COMPUTE_MB / 1024, 1), "memory_pages_gb": round(PAGES_MB / 1024, 1),
        "disk_facts_gb": round(lines * YEARS * BYTES_LINE / 1e9, 1), "disk_sealed_a_month_gb": round(lines / 12 * SEALED_BYTES_LINE / 1e9, 1),
        "cube_36_months_min": round(cube / 60, 1), "beside_min": round(lines * CUBE_YEARS * SUPPLEMENT_SECONDS_LINE / 60, 1),
        "largest_member_min": round(lines * YEARS * BIGGEST_SHARE * OWN_SECONDS_LINE / 60, 1),
        "spark_pays": bool(cube > 3600), "executors_for_an_hour": executors(lines * CUBE_YEARS),
    }  # fmt: skip


def _number(value: float, digits: int = 1) -> str:
    text = f"{value:.{digits}f}" if value < 10 else f"{value:.0f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace(".", ",")


def _lasting(minutes: float) -> str:
    return f"{_number(minutes, 0)} min" if minutes < 100 else f"{int(minutes) // 60} h {round(minutes % 60):02d}"


def _bytes(gigabytes: float) -> str:
    return f"{_number(gigabytes)} Go" if gigabytes < 1000 else f"{_number(gigabytes / 1000)} To"


def table(scales: tuple[int, ...] = (1, 10, 100)) -> list[list[str]]:
    """The planning table as the French page shows it: a label, then a figure a scale."""
    plans = [plan(scale) for scale in scales]
    rows: list[tuple[str, Callable[[dict], str]]] = [
        (f"lignes gardées ({YEARS} ans)", lambda p: f"{_number(p['lines_10_years'] / 1e9, 0)} milliard{'s' * (p['lines_10_years'] > 1e9)}"),
        ("traitements nécessaires", lambda p: f"{p['workers']} ({_number(100 * p['queue']['busy'])} % de son temps)"),
        ("du dépôt à l’accusé, 95e centile, semaine de pointe", lambda p: f"{_number(p['queue']['p95_s'], 2)} s"),
        ("mémoire des traitements ; d’un calcul, avant qu’il déborde sur le disque", lambda p: f"{_bytes(p['memory_workers_gb'])} ; {_bytes(p['memory_compute_gb'])}"),
        (f"disque des faits, {BYTES_LINE} octets par ligne", lambda p: _bytes(p["disk_facts_gb"])),
        ("fichiers scellés d’un mois, s’ils sont gardés", lambda p: _bytes(p["disk_sealed_a_month_gb"])),
        ("cube de 36 mois, deux cœurs", lambda p: _lasting(p["cube_36_months_min"])),
        ("ce qui se dit à côté du cube", lambda p: _lasting(p["beside_min"])),
        (f"chiffres du plus grand adhérent ({BIGGEST_SHARE:.0%} des lignes), en tâche de fond".replace("%", " %"), lambda p: _lasting(p["largest_member_min"])),
        ("exécuteurs Spark d’un cœur pour tenir le cube en une heure", lambda p: str(p["executors_for_an_hour"])),
    ]  # fmt: skip
    return [[label, *map(say, plans)] for label, say in rows]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.parse_args()
    print(json.dumps({"kind": "simulation", "plans": [plan(scale) for scale in (1, 10, 100)], "spark": spark_pays()}, ensure_ascii=False))


if __name__ == "__main__":
    main()
