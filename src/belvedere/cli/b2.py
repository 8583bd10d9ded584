"""`belvedere b2`: a vendor's everyday tools, without server or account. What they do is in `b2tools`, loaded when one runs."""

import argparse
import datetime as dt
from collections.abc import Callable
from pathlib import Path

from belvedere.cli.french import Parser


def _later(name: str) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        from belvedere.cli import b2tools

        return getattr(b2tools, name)(options)

    return run


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("b2", help="outils de la norme B2, sans serveur")
    tools = top.add_subparsers(title="outils", required=True, metavar="OUTIL", parser_class=Parser)
    generate = tools.add_parser("generate", help="écrit les fichiers B2 d’un secteur synthétique")
    generate.add_argument("--seed", type=int, default=1, help="graine (même graine, mêmes octets)")
    generate.add_argument("--providers", type=int, default=80, help="nombre de prestataires")
    generate.add_argument("--groups", type=int, default=60, help="nombre de groupes")
    generate.add_argument("--months", type=int, default=24, help="nombre de mois")
    generate.add_argument("--patients", type=int, default=40_000, help="nombre de patients")
    generate.add_argument("--first", default=None, metavar="AAAA-MM", help="premier mois (défaut : 24 mois avant ce mois-ci)")
    generate.add_argument("--provider", type=int, default=None, help="un seul prestataire, par son rang")
    generate.add_argument("--month", type=int, default=None, help="un seul mois, par son rang (peut dépasser la fenêtre)")
    generate.add_argument("--out", type=Path, default=Path("b2"), help="dossier de sortie")
    generate.set_defaults(run=_later("generate"))
    check = tools.add_parser("check", help="contrôle un fichier B2")
    check.add_argument("file", type=Path, metavar="FICHIER")
    check.add_argument("--policy", choices=["whole", "invoice"], default="whole", help="ce que refuse une erreur dans une facture")
    check.add_argument("--json", action="store_true", help="réponse en JSON")
    check.set_defaults(run=_later("check"))
    dessin = tools.add_parser("layout", help="dessin d’un type d’enregistrement, par exemple 4F")
    dessin.add_argument("record", metavar="TYPE")
    dessin.add_argument("--family", choices=["STD", "CP"], default="STD", help="famille de la norme")
    dessin.set_defaults(run=_later("layout"))
    show = tools.add_parser("show", help="lit des enregistrements en toutes lettres")
    show.add_argument("file", type=Path, metavar="FICHIER")
    show.add_argument("--record", type=int, default=None, metavar="N", help="numéro d’enregistrement (défaut : les premiers)")
    show.add_argument("--count", type=int, default=8, metavar="N", help="nombre d’enregistrements")
    show.add_argument("--identities", action="store_true", help="montre aussi les zones d’identité (NIR, noms, naissance)")
    show.set_defaults(run=_later("show"))
    turn = tools.add_parser("convert", help="écrit un tableau par type d’enregistrement")
    turn.add_argument("file", type=Path, metavar="FICHIER")
    turn.add_argument("--to", choices=["parquet", "csv"], default="parquet", help="format des tableaux")
    turn.add_argument("--out", type=Path, default=None, help="dossier de sortie (défaut : à côté du fichier)")
    turn.set_defaults(run=_later("convert"))
    back = tools.add_parser("noemie", help="lit un retour NOEMIE et le rapproche des factures")
    back.add_argument("file", type=Path, metavar="RETOUR")
    back.add_argument("--b2", type=Path, nargs="*", default=[], metavar="FICHIER", help="fichiers B2 dont le retour parle")
    back.add_argument("--json", action="store_true", help="réponse en JSON")
    back.set_defaults(run=_later("noemie"))
    for tool in (generate, check, dessin, show, turn, back):
        tool.add_argument("--data", default=None, help="dossier des données (sans objet ici, accepté partout)")


def first_month(today: dt.date, months: int) -> dt.date:
    """First day of a window of whole months that ends just before the month of `today`."""
    rank = today.year * 12 + today.month - 1 - months
    return dt.date(rank // 12, rank % 12 + 1, 1)
