"""`belvedere b2`: a vendor's everyday tools, without server or account."""

import argparse
import datetime as dt
import json
import secrets
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from belvedere.cli import reading
from belvedere.cli.french import EXIT_OK, EXIT_REFUSED, EXIT_REMARKS, Parser
from belvedere.engine.b2.findings import B2Error, Finding
from belvedere.engine.b2.layouts import all_layouts, layout
from belvedere.engine.b2.unwrap import gunzipped
from belvedere.engine.nomenclature import lpp_reference
from belvedere.engine.privacy.pseudonyms import PseudonymKeys
from belvedere.engine.sector.billing import make_sector, month_file
from belvedere.engine.warehouse.intake import Examined, examine


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
    generate.set_defaults(run=_generate)
    check = tools.add_parser("check", help="contrôle un fichier B2")
    check.add_argument("file", type=Path, metavar="FICHIER")
    check.add_argument("--policy", choices=["whole", "invoice"], default="whole", help="ce que refuse une erreur dans une facture")
    check.add_argument("--json", action="store_true", help="réponse en JSON")
    check.set_defaults(run=_check)
    dessin = tools.add_parser("layout", help="dessin d’un type d’enregistrement, par exemple 4F")
    dessin.add_argument("record", metavar="TYPE")
    dessin.add_argument("--family", choices=["STD", "CP"], default="STD", help="famille de la norme")
    dessin.set_defaults(run=_layout)
    show = tools.add_parser("show", help="lit des enregistrements en toutes lettres")
    show.add_argument("file", type=Path, metavar="FICHIER")
    show.add_argument("--record", type=int, default=None, metavar="N", help="numéro d’enregistrement (défaut : les premiers)")
    show.add_argument("--count", type=int, default=8, metavar="N", help="nombre d’enregistrements")
    show.add_argument("--identities", action="store_true", help="montre aussi les zones d’identité (NIR, noms, naissance)")
    show.set_defaults(run=_show)
    turn = tools.add_parser("convert", help="écrit un tableau par type d’enregistrement")
    turn.add_argument("file", type=Path, metavar="FICHIER")
    turn.add_argument("--to", choices=["parquet", "csv"], default="parquet", help="format des tableaux")
    turn.add_argument("--out", type=Path, default=None, help="dossier de sortie (défaut : à côté du fichier)")
    turn.set_defaults(run=_convert)
    back = tools.add_parser("noemie", help="lit un retour NOEMIE et le rapproche des factures")
    back.add_argument("file", type=Path, metavar="RETOUR")
    back.add_argument("--b2", type=Path, nargs="*", default=[], metavar="FICHIER", help="fichiers B2 dont le retour parle")
    back.add_argument("--json", action="store_true", help="réponse en JSON")
    back.set_defaults(run=_noemie)
    for tool in (generate, check, dessin, show, turn, back):
        tool.add_argument("--data", default=None, help="dossier des données (sans objet ici, accepté partout)")


def first_month(today: dt.date, months: int) -> dt.date:
    """First day of a window of whole months that ends just before the month of `today`."""
    rank = today.year * 12 + today.month - 1 - months
    return dt.date(rank // 12, rank % 12 + 1, 1)


def _generate(options: argparse.Namespace) -> int:
    first = dt.date.fromisoformat(options.first + "-01") if options.first else first_month(dt.date.today(), options.months)
    sector = make_sector(
        seed=options.seed, first=first, providers=options.providers, groups=options.groups, months=options.months, patients=options.patients
    )
    options.out.mkdir(parents=True, exist_ok=True)
    providers = range(options.providers) if options.provider is None else [options.provider]
    months = range(options.months) if options.month is None else [options.month]
    count = size = 0
    for month in months:
        for rank in providers:
            content = month_file(sector, rank, month)
            if content:
                path = options.out / f"{sector.providers[rank].finess}-{sector.month(month):%Y-%m}.b2"
                path.write_bytes(content)
                count, size = count + 1, size + len(content)
    print(f"{count} fichiers, {size / 1e6:.1f} Mo dans {options.out}")
    return EXIT_OK


def pieces(path: Path) -> Iterator[bytes]:
    """A clear file, gzipped or not, by pieces."""

    def read() -> Iterator[bytes]:
        with path.open("rb") as stream:
            while piece := stream.read(1024 * 1024):
                yield piece

    return gunzipped(read())


def check_chunks(chunks: Iterable[bytes], policy: str = "whole", reference: lpp_reference.LppReference | None = None) -> Examined:
    """What the observatory would say of a clear file. Pseudonyms are made with keys that are forgotten at once."""
    keys = PseudonymKeys(secrets.token_bytes(32), secrets.token_bytes(32))
    return examine(chunks, keys=keys, policy=policy, reference=reference or lpp_reference.shipped())


def check_bytes(content: bytes) -> tuple[dict[str, int], list[Finding]]:
    """(number of records by type, findings) of a clear B2 file."""
    found = check_chunks([content])
    return dict(sorted(found.counts.items())), found.findings


def _check(options: argparse.Namespace) -> int:
    try:
        found = check_chunks(pieces(options.file), options.policy)
    except B2Error as error:
        found = Examined(findings=[error.finding], refused=True)
    if options.json:
        json.dump({
            "accepted": not found.refused, "counts": dict(sorted(found.counts.items())), "invoices": found.invoices, "lines": found.lines,
            "amount_billed": found.amount_billed, "amount_amo": found.amount_amo, "refused_invoices": found.refused_invoices,
            "findings": [item.as_dict() for item in found.findings],
        }, sys.stdout, ensure_ascii=False)  # fmt: skip
        print()
    else:
        for item in found.findings:
            where = f"enregistrement {item.record}" if item.record else "fichier"
            where += f", position {item.position}" if item.position else ""
            print(f"{item.code} [{'refus' if item.severity == 'error' else 'remarque'}] {where} : {item.message}\n      → {item.remedy}")
        print(("Refusé" if found.refused else "Accepté") + f", {found.records} enregistrements, {len(found.findings)} anomalie(s).")
    return EXIT_REFUSED if found.refused else EXIT_REMARKS if found.findings else EXIT_OK


def _layout(options: argparse.Namespace) -> int:
    key = (options.record.upper(), options.family)
    if key not in all_layouts():
        known = ", ".join(sorted({record for record, family in all_layouts() if family == options.family}))
        print(f"Type inconnu en famille {options.family}. Types connus : {known}.", file=sys.stderr)
        return EXIT_REFUSED
    for zone in layout(*key).zones:
        print(f"{zone.start:>3}-{zone.end:<3} {zone.type} {zone.presence} {zone.name:<22} {zone.constant or zone.note}")
    return EXIT_OK


def _show(options: argparse.Namespace) -> int:
    return reading.show(pieces(options.file), options.record or 1, 1 if options.record and options.count == 8 else options.count, options.identities)


def _convert(options: argparse.Namespace) -> int:
    return reading.convert(pieces(options.file), options.out or options.file.with_suffix(""), options.to)


def _noemie(options: argparse.Namespace) -> int:
    return reading.noemie(b"".join(pieces(options.file)), [b"".join(pieces(path)) for path in options.b2], options.json)
