"""The market study on ten million metadata rows: seconds from the file to every table, and the peak of memory; beside a plain count of the same file.

The rows are drawn by DuckDB: 8,000 establishments, 60 vendors, 24 months, the columns that flows really have."""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from belvedere.engine.study import inputs, market, tiers

PERIOD = "2025-11..2026-10"
ROWS = """
SELECT lpad((hash(i) % 8000)::varchar, 9, '0') AS finess_geo, (date '2024-11-01' + to_months((hash(i * 3) % 24)::int))::varchar AS mois,
       CASE hash(hash(i) % 8000) % 4 WHEN 0 THEN 'EPS' WHEN 1 THEN 'ESPIC' ELSE 'CP' END AS categorie,
       CASE WHEN i % 50 = 0 THEN '' ELSE 'AG' || (hash(hash(i) % 8000, 7) % 60)::varchar END AS id_logiciel_fact, CASE WHEN i % 3 = 0 THEN 'EDITEUR ' || (hash(hash(i) % 8000, 7) % 60)::varchar ELSE '' END AS texte_editeur,
       'X' || (hash(hash(i) % 8000, 9) % 18)::varchar AS id_logiciel_chiff, CASE WHEN hash(i, 5) % 20 = 0 THEN '3DES' ELSE 'AES' END AS algo, (hash(i, 11) % 900 + 1)::varchar AS nb_factures,
       (hash(i, 12) % 9)::varchar AS nb_rejets, CASE hash(i, 13) % 3 WHEN 0 THEN 'FIDES_ACE' WHEN 1 THEN 'CP' ELSE 'AUTRE' END AS dispositif, CASE WHEN i % 200 = 0 THEN '0' ELSE '1' END AS reel
FROM range({rows}) t(i)
"""


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        flows, products = Path(folder) / "flux.parquet", Path(folder) / "produits.csv"
        with duckdb.connect() as session:
            session.execute(f"COPY ({ROWS.format(rows=given.rows)}) TO '{flows}' (FORMAT parquet)")
            started = time.perf_counter()
            session.execute(f"SELECT categorie, mois, sum(nb_factures::bigint) FROM '{flows}' GROUP BY ALL").fetchall()
            peer = time.perf_counter() - started
        products.write_text(
            "id,editeur,type\n"
            + "".join(f"AG{rank},EDITEUR {rank},GAP\n" for rank in range(60))
            + "".join(f"X{rank},EDITEUR {rank},CHIFFREMENT\n" for rank in range(18))
        )
        started = time.perf_counter()
        session = inputs.connect()
        counts = inputs.load(session, Path(folder))
        read = time.perf_counter() - started
        study = market.study(session, market.Period.of(PERIOD))
        made = time.perf_counter() - started
        told = tiers.tell(study, tiers.PUBLIC)
        seconds = time.perf_counter() - started
    from machine import described

    figures = {
        **described(),
        "flows": counts["flux"], "seconds": round(seconds, 1), "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "reading": round(read, 1),
        "tables": round(made - read, 1), "secrecy": round(seconds - made, 1), "count_alone": round(peer, 2), "ratio": round(seconds / peer, 1), "public_tables": len(told), "target_seconds": 20,
    }  # fmt: skip
    if given.json:
        print(json.dumps(figures))
    else:
        print(
            f"{figures['flows']:,} lignes : {seconds:.1f} s (lecture {read:.1f}, tables {made - read:.1f}, secret {seconds - made:.1f}) ; {figures['peak_rss_mb']} Mo"
        )
        print(f"Un seul compte par mois et catégorie du même fichier : {peer:.2f} s, rapport {figures['ratio']}. Cible : 20 s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
