"""`belvedere maintain`: what the worker does each night, at once: small files merged, orphans swept, statistics of the database brought up to date, and the state of the warehouse told."""

import argparse
import json

from belvedere.cli.french import EXIT_OK


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser(
        "maintain",
        help="fond les petits fichiers, balaie les orphelins, met à jour les statistiques de la base, et dit l’état de l’entrepôt ; ne gêne aucun lecteur",
    )
    top.add_argument("--data", default=None, help="dossier des données")
    top.add_argument("--json", action="store_true", help="réponse en JSON")
    top.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    from belvedere.observatory import state
    from belvedere.observatory.collect import compaction, sweeping

    done, swept = compaction.run(), sweeping.sweep()
    sweeping.statistics()
    found = state.figures()
    files, lines, size = (int(found[name]) for name in ("files", "lines", "bytes"))
    told = {
        "merged": done.merged, "made": done.made, "conflicts": done.conflicts, "swept": swept, "files": files, "lines": lines, "bytes": size,
        "bytes_per_line": round(size / lines, 2) if lines else 0.0,
    }  # fmt: skip
    if options.json:
        print(json.dumps(told))
    else:
        print(f"{done.merged} fichiers fondus en {done.made} ; {swept} fichiers orphelins balayés.")
        print(f"Entrepôt : {lines} lignes en {files} fichiers, {size / 2**20:.1f} Mio ({told['bytes_per_line']} octets par ligne).")
    return EXIT_OK
