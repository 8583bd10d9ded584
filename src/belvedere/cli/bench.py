"""`belvedere bench`: the measurements of the project's `benchmarks` folder, run where the source is."""

import argparse
import subprocess
import sys
from pathlib import Path

from belvedere.cli.french import EXIT_FAILURE, Parser

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks"


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("bench", help="mesures publiées, à refaire chez vous")
    tools = top.add_subparsers(title="mesures", required=True, metavar="MESURE", parser_class=Parser)
    intake = tools.add_parser("intake", help="du fichier chiffré aux faits ; le lecteur et ses pairs")
    intake.add_argument("--json", action="store_true", help="un objet JSON")
    intake.add_argument("--megabytes", type=int, default=22, help="taille du fichier, en Mo")
    intake.add_argument("--growth", action="store_true", help="aussi de 10 Mo à 5 Go (plusieurs minutes, 3 Go de disque)")
    intake.add_argument("--data", default=None, help="dossier des données (sans objet ici, accepté partout)")
    intake.set_defaults(run=_intake)
    secrecy = tools.add_parser("secrecy", help="protection de tables de 1 000 à 146 000 cellules, à côté de τ-Argus")
    secrecy.add_argument("--json", action="store_true", help="un objet JSON")
    secrecy.add_argument("--long", action="store_true", help="aussi 146 000 cellules (une dizaine de minutes)")
    secrecy.set_defaults(run=_secrecy)
    journal = tools.add_parser("journal", help="le journal en écriture groupée, à côté de SQLite seul")
    journal.set_defaults(run=lambda options: _run("journal.py", []))
    scale = tools.add_parser("scale", help="cube, mois de plus, mémoire et disque à plusieurs volumes, à côté de pairs et de Spark")
    scale.add_argument("--json", action="store_true", help="un objet JSON")
    scale.add_argument("--volumes", default="2,20", help="millions de lignes, séparés par des virgules (20 : cinq minutes)")
    scale.add_argument("--peers", default="2", help="millions de lignes auxquels les pairs répondent")
    scale.add_argument("--spark", default="", help="millions de lignes auxquels une vraie grappe calcule (après make spark)")
    scale.add_argument(
        "--pages",
        default="",
        help="millions de lignes auxquelles les pages sont lues pendant que des flux arrivent (défaut : tous les volumes ; none : aucun)",
    )
    scale.add_argument(
        "--limit", type=float, default=1800.0, help="secondes au-delà desquelles une mesure sur la grappe n’est pas attendue (200 millions : 4000)"
    )
    scale.set_defaults(run=_scale)
    pages = tools.add_parser("pages", help="pages d’un adhérent et du marché, huit lecteurs, vingt millions de lignes")
    pages.add_argument("--json", action="store_true", help="un objet JSON")
    pages.add_argument("--lines", type=int, default=20_000_000, help="lignes de facture (vingt millions : une dizaine de minutes)")
    pages.add_argument("--pace", type=float, default=2.0, help="secondes entre deux flux d’un mégaoctet pendant la lecture (0 : aucun)")
    pages.set_defaults(run=lambda options: _run("pages.py", ["--json"] * options.json + ["--lines", str(options.lines), "--pace", str(options.pace)]))
    reception = tools.add_parser("reception", help="vingt millions de lignes de vrai B2 par toute la réception, comparées à ce qui fut facturé")
    reception.add_argument("--json", action="store_true", help="un objet JSON")
    reception.add_argument("--lines", type=int, default=20_000_000, help="lignes de facture")
    reception.set_defaults(run=lambda options: _run("reception.py", ["--json"] * options.json + ["--lines", str(options.lines)]))
    soak = tools.add_parser("soak", help="trente minutes de flux, de lecteurs, d’époques et de purges à la fois")
    soak.add_argument("--json", action="store_true", help="un objet JSON")
    soak.add_argument("--minutes", type=float, default=30, help="durée")
    soak.add_argument("--seed", type=int, default=1, help="tirage du secteur, des flux, des lectures et des oppositions")
    soak.set_defaults(
        run=lambda options: _run("soak.py", ["--json"] * options.json + ["--minutes", str(options.minutes), "--seed", str(options.seed)])
    )
    capacity = tools.add_parser("capacity", help="la France, dix fois, cent fois : file simulée, disque et durées par les courbes mesurées")
    capacity.add_argument("--json", action="store_true", help="un objet JSON")
    capacity.set_defaults(run=lambda options: _run("capacity.py", ["--json"] * options.json))
    exchange = tools.add_parser("exchange", help="échanges : dépôts, décisions, livraisons, à côté d’un moteur de droits")
    exchange.add_argument("--json", action="store_true", help="un objet JSON")
    exchange.add_argument("--kills", type=int, default=100, help="arrêts brutaux du livreur (aucun événement perdu)")
    exchange.set_defaults(run=lambda options: _run("exchange.py", ["--json"] * options.json + ["--kills", str(options.kills)]))
    study = tools.add_parser("study", help="étude de marché sur dix millions de lignes de métadonnées")
    study.add_argument("--json", action="store_true", help="un objet JSON")
    study.add_argument("--rows", type=int, default=10_000_000, help="lignes de flux")
    study.set_defaults(run=lambda options: _run("study.py", ["--json"] * options.json + ["--rows", str(options.rows)]))


def _intake(options: argparse.Namespace) -> int:
    return _run("intake.py", ["--json"] * options.json + ["--growth"] * options.growth + ["--megabytes", str(options.megabytes)])


def _scale(options: argparse.Namespace) -> int:
    return _run(
        "scale.py",
        ["--json"] * options.json
        + ["--volumes", options.volumes, "--peers", options.peers, "--spark", options.spark, "--limit", str(options.limit)]
        + ["--pages", options.pages] * bool(options.pages),
    )


def _secrecy(options: argparse.Namespace) -> int:
    return _run("secrecy.py", ["--json"] * options.json + ["--long"] * options.long)


def _run(name: str, flags: list[str]) -> int:
    script = FOLDER / name
    if not script.exists():
        print("Les mesures se lancent depuis le dossier source du projet.", file=sys.stderr)
        return EXIT_FAILURE
    return subprocess.run([sys.executable, str(script), *flags], check=False).returncode
