"""The secrecy engine on seeded synthetic cubes, beside τ-Argus (`pytauargus`) in the same run. CPU seconds.

The cubes are those of the engineering brief: providers in holdings, departments x products x a third dimension.
`chain` is everything but interval certificates; certificates are timed apart.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SIZES = {  # departments of each region, products by level, third-dimension codes, patients
    "1k": ([4, 3, 3, 2], (3, 3), 4, 9_000),
    "10k": ([12, 8, 4, 6, 2, 10, 5, 8, 5, 12, 13, 5, 6], (5, 5), 2, 120_000),
    "42k": ([12, 8, 4, 6, 2, 10, 5, 8, 5, 12, 13, 5, 6], (5, 4, 3), 4, 250_000),
    "146k": ([12, 8, 4, 6, 2, 10, 5, 8, 5, 12, 13, 5, 6], (6, 5, 5), 9, 600_000),
}
PEER_SIZES = ("1k", "10k")
PEER_SECONDS = 900
PROVIDERS, HOLDINGS = 80, 40


def cube(size: str):
    """(lattice, contributions, rows): a seeded cube; `rows` are (dept, product, third, holding, patients, amount)."""
    from belvedere.engine.secrecy.lattice import Cube, Dimension, build
    from belvedere.engine.secrecy.rules import Contributions

    regions, fan, thirds, patients = SIZES[size]
    rng = np.random.default_rng(20261121)
    departments = [(f"R{r + 1:02d}", f"D{r + 1:02d}{j + 1:02d}") for r, k in enumerate(regions) for j in range(k)]
    population = rng.lognormal(0, 0.7, len(departments))
    population /= population.sum()
    levels = [["P"]]
    for width in fan:
        levels.append([code + "ABCDEFGHIJ"[k] for code in levels[-1] for k in range(width)])
    leaves = levels[-1]
    weight = rng.zipf(1.6, len(leaves)).clip(1, 60).astype(float)
    weight /= weight.sum()
    price, mix_of_third = rng.lognormal(4.2, 0.9, len(leaves)), rng.dirichlet(np.full(thirds, 2.0))
    holding = np.concatenate([np.arange(HOLDINGS), rng.integers(0, 18, PROVIDERS - HOLDINGS)])
    rng.integers(1, 4, PROVIDERS)
    kind = np.array(["nat"] * 5 + ["reg"] * 25 + ["loc"] * 50)
    scale = rng.lognormal(0, 0.8, PROVIDERS) * np.where(kind == "nat", 14, np.where(kind == "reg", 3, 1))
    region_of = np.array([region for region, _ in departments])
    unique, drawn = np.unique(region_of), []
    for p in range(PROVIDERS):
        if kind[p] == "nat":
            foot = np.arange(len(departments))
        elif kind[p] == "reg":
            foot = np.flatnonzero(np.isin(region_of, rng.choice(unique, min(len(unique), int(rng.integers(1, 4))), replace=False)))
        else:
            foot = rng.choice(len(departments), min(len(departments), int(rng.integers(1, 5))), replace=False)
        mix = rng.random(len(leaves)) < (0.8 if kind[p] == "nat" else 0.35)
        if not mix.any():
            mix[rng.integers(len(leaves))] = True
        drawn.append((p, foot, scale[p] * population[foot][:, None, None] * (weight * mix)[None, :, None] * mix_of_third[None, None, :]))
    total = sum(rate.sum() for _, _, rate in drawn)
    rows = []
    for p, foot, rate in drawn:
        count = rng.poisson(rate * patients / total)
        i, j, k = np.nonzero(count)
        amount = np.round(count[i, j, k] * price[j] * rng.gamma(8, 1 / 8, len(i)), 2)
        rows.append(np.stack([foot[i], j, k, np.full(len(i), holding[p]), count[i, j, k], amount], axis=1))
    table = np.concatenate(rows)
    geo = {"Total": None} | dict.fromkeys(dict.fromkeys(region_of.tolist()), "Total") | {d: r for r, d in departments}
    product = {"P": None} | {code: code[:-1] for level in levels[1:] for code in level}
    third = {"Total": None} | {f"T{k + 1}": "Total" for k in range(thirds)}
    trees = [Dimension(name, tree, dict.fromkeys(tree, "x")) for name, tree in (("geo", geo), ("product", product), ("third", third))]
    lattice = build(trees, [Cube("all", {"geo": ["x"], "product": ["x"], "third": ["x"]})])
    place, cells, holdings, amounts, people = {}, [], [], [], []
    for d, j, k, h, n, amount in table:
        key = int(d), int(j), int(k)
        if key not in place:
            region, department = departments[key[0]]
            codes = [leaves[key[1]][:length] for length in range(1, len(leaves[key[1]]) + 1)]
            place[key] = np.array([lattice.index[g, c, t] for g in ("Total", region, department) for c in codes for t in ("Total", f"T{key[2] + 1}")])
        cells.append(place[key])
        holdings.append(np.full(len(place[key]), int(h)))
        amounts.append(np.full(len(place[key]), amount))
        people.append(np.full(len(place[key]), n))
    cell, who, amount, count = (np.concatenate(column) for column in (cells, holdings, amounts, people))
    pair, at = np.unique(cell * HOLDINGS + who, return_inverse=True)
    persons = np.bincount(cell, weights=count, minlength=len(lattice)).astype(np.int64)
    named = [(departments[int(d)], leaves[int(j)], f"T{int(k) + 1}", int(h), int(n), float(a)) for d, j, k, h, n, a in table]
    return lattice, Contributions(pair // HOLDINGS, pair % HOLDINGS, np.bincount(at, weights=amount), persons), named


def ours(size: str) -> dict[str, object]:
    """One size, in this process: the full chain, then each audit alone, then (up to 10k) the certificates."""
    from belvedere.engine.secrecy import attackers, audit, certificate, rules
    from belvedere.engine.secrecy.protect import protect
    from belvedere.engine.secrecy.replay import interval_questions
    from belvedere.engine.secrecy.table import Table, readers

    warm, contributions, _ = cube("1k")
    value = np.bincount(contributions.cell, weights=contributions.amount, minlength=len(warm))
    partition, rule = np.ones(3, dtype=bool), rules.Parameters()
    protect(Table.of(warm, contributions, value=value, partition=partition), rule, seed=1)  # compiles the kernels
    lattice, given, _ = cube(size)
    value = np.bincount(given.cell, weights=given.amount, minlength=len(lattice))
    table = Table.of(lattice, given, value=value, partition=partition)
    start = time.process_time()
    done = protect(table, rule, seed=1, certified=False)
    chain = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    filled, system = given.counted() > 0, audit.System.of(lattice)
    start = time.process_time()
    audit.determined(system, done.mask, seed=3)
    alone = time.process_time() - start
    who = readers(table, done.primary, federations=False)
    start = time.process_time()
    list(attackers.disclosed(system, done.mask, done.primary, who, seed=3))
    insiders = time.process_time() - start
    found: dict[str, object] = {
        "cells": int(filled.sum()), "primaries": int((done.primary & filled).sum()), "secondaries": int((done.mask & ~done.primary).sum()),
        "cpu_s": round(chain, 2), "peak_rss_mb": peak, "audit_s": round(alone, 3), "coalitions_s": round(insiders, 2), "leaks": len(done.leaks),
    }  # fmt: skip
    if size in ("1k", "10k"):
        start = time.process_time()
        full = protect(table, rule, seed=1)
        found["with_certificates_cpu_s"] = round(time.process_time() - start, 2)
        start = time.process_time()
        wrong = sum(
            len(certificate.unmet(full.certificate.of(asked.reader, "amount"), moves, asked))
            for asked, _, moves in interval_questions(table, full.mask, full.primary, rule, who)
        )
        found |= {
            "verify_s": round(time.process_time() - start, 2),
            "unproven": wrong,
            "secondaries_with_certificates": int((full.mask & ~full.primary).sum()),
        }
    return found


def peer(size: str) -> dict[str, object]:
    """τ-Argus Modular (p 10 %, 3 contributors, holdings) on the same cube; the audits, ours, are of its mask."""
    import pytauargus

    from belvedere.engine.secrecy import attackers, audit, rules
    from belvedere.engine.secrecy.derived import Sums
    from belvedere.engine.secrecy.table import Table, readers

    lattice, given, rows = cube(size)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        with contextlib.chdir(folder):  # the library leaves its working files where it runs
            statuses = tauargus(pytauargus, Path(folder), lattice, rows)
        spent = time.process_time() - start
    mask = np.array([statuses.get(key, "S") in ("U", "M") for key in lattice.keys])
    primary = np.array([statuses.get(key, "S") == "U" for key in lattice.keys])
    table = Table.of(lattice, given, value=np.zeros(len(lattice)), partition=np.ones(3, dtype=bool))
    system, who = audit.System.of(lattice), readers(table, primary, federations=False)
    start = time.process_time()
    known = audit.determined(system, mask, seed=3) & primary
    alone = time.process_time() - start
    start = time.process_time()
    leaks = {int(c) for _, _, _, cells in attackers.disclosed(system, mask, primary, who, seed=3) for c in cells}
    insiders = time.process_time() - start
    leaks |= set(np.flatnonzero(known).tolist())
    return {
        "cells": int((given.counted() > 0).sum()), "primaries": int(primary.sum()), "secondaries": int((mask & ~primary).sum()), "cpu_s": round(spent, 2),
        "audit_s": round(alone, 3), "coalitions_s": round(insiders, 2),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "leaks": len(leaks),
        "derived_sums": len(Sums(lattice, given, rules.Parameters(), np.ones(3, dtype=bool)).violations(mask)),
    }  # fmt: skip


def tauargus(module, folder: Path, lattice, rows) -> dict[tuple[str, ...], str]:
    """Status letters by key of τ-Argus Modular on the rows: S safe, U unsafe, M secondary."""
    trees = {}
    for dimension, root in zip(lattice.dimensions[:2], ("Total", "P"), strict=True):
        children = dimension.children()
        lines: list[str] = []

        def walk(code: str, depth: int, children=children, lines=lines) -> None:
            for child in children.get(code, ()):
                lines.append("@" * depth + child)
                walk(child, depth + 1)

        walk(root, 0)
        trees[dimension.name] = str(folder / f"{dimension.name}.hrc")
        Path(trees[dimension.name]).write_text("\n".join(lines) + "\n")
    rows = sorted(rows, key=lambda row: row[3])  # the engine wants the records of a holding together
    micro = {
        "geo": [place[1] for place, *_ in rows], "product": [row[1] for row in rows], "third": [row[2] for row in rows],
        "holding": [f"H{row[3]:02d}" for row in rows], "amount": [row[5] for row in rows],
    }  # fmt: skip
    quiet, saved = os.open(os.devnull, os.O_WRONLY), os.dup(1)
    os.dup2(quiet, 1)  # the engine prints its progress
    try:
        done = module.protect(
            micro, ["geo", "product", "third"], "amount", safety_rules="P(10,1)|P(10,1)|FREQ(3,20)|FREQ(3,20)", suppress="MOD(1,30,1,1,1)", holding_var="holding",
            hrc=trees, decimals=2, workdir=str(folder),
        )  # fmt: skip
    finally:
        os.dup2(saved, 1)
    table = done.tables[0].dataframe()
    found: dict[tuple[str, ...], str] = {}
    for geo, product, third, status in zip(table["geo"], table["product"], table["third"], table["status"], strict=True):
        found[str(geo), "P" if product == "Total" else str(product), str(third)] = {"U": "U", "M": "M", "D": "M"}.get(str(status)[0], "S")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("WHO", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps({"ours": ours, "peer": peer}[options.one[0]](options.one[1])))
        return 0
    from machine import described

    found: dict[str, object] = described()
    for size in SIZES:
        if size == "146k" and not options.long:
            continue
        measured = _apart("ours", size)
        if size in PEER_SIZES:
            measured["pytauargus"] = theirs = _apart("peer", size)
            if "cpu_s" in theirs and "cpu_s" in measured:
                measured["ratio_cpu"] = round(theirs["cpu_s"] / measured["cpu_s"], 1)
        found[size] = measured
        if not options.json:
            print(size, json.dumps(measured, ensure_ascii=False), flush=True)
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    return 0


def _apart(who: str, size: str) -> dict[str, Any]:
    """A measure in a process of its own, so that memory is its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["src", os.environ.get("PYTHONPATH", "")])}
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--one", who, size], capture_output=True, text=True, env=environment, check=False,
            timeout=PEER_SECONDS if who == "peer" else None,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"failed": f"plus de {PEER_SECONDS} s"}
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"code {done.returncode}"}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


if __name__ == "__main__":
    sys.exit(main())
