"""`belvedere journal`: take the journal out with its heads and proofs, and verify it anywhere."""

import argparse
import json
import os
import sys
from pathlib import Path

from belvedere.cli.french import EXIT_OK, Parser

EXIT_BROKEN = 1


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("journal", help="exporte le journal, et le vérifie sans serveur")
    tools = top.add_subparsers(title="outils", required=True, metavar="OUTIL", parser_class=Parser)
    export = tools.add_parser("export", help="écrit le journal avec ses têtes signées et leurs horodatages")
    export.add_argument("--out", type=Path, required=True, metavar="FICHIER", help="fichier à écrire (JSON, une ligne par entrée)")
    export.add_argument("--data", default=None, help="dossier des données")
    export.set_defaults(run=_export)
    check = tools.add_parser(
        "verify", help="vérifie un journal exporté, la preuve d’une entrée, ou qu’une tête en prolonge une autre ; nomme la première entrée fautive"
    )
    check.add_argument("file", type=Path, metavar="FICHIER")
    check.add_argument(
        "--known",
        type=Path,
        default=None,
        metavar="TETES",
        help="têtes relevées auparavant (/api/v1/journal/heads) : un journal réécrit depuis est démasqué",
    )
    check.add_argument("--key", default=None, metavar="CLE", help="clé publique à laquelle vous vous fiez (base64), celle que publie l’observatoire")
    check.set_defaults(run=_verify)


def _export(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    from belvedere.cli.serve import prepare

    prepare()
    from belvedere.observatory.journal import sealing

    try:
        lines = sealing.export()
    except ValueError as error:
        print(error, file=sys.stderr)
        return EXIT_BROKEN
    partial = options.out.with_name(options.out.name + ".partial")
    count = 0
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        for line in lines:
            stream.write(line + "\n")
            count += line[:8] == '{"entry"'
    partial.replace(options.out)
    print(f"{count} entrées écrites dans {options.out}.")
    return EXIT_OK


def _verify(options: argparse.Namespace) -> int:
    from belvedere.engine.evidence import archive, chain

    key = chain.public_key(options.key) if options.key else None
    known = [chain.SignedHead(**item) for item in json.loads(options.known.read_text())["heads"]] if options.known else []
    with options.file.open(encoding="utf-8", errors="replace") as stream:
        first = stream.readline()
        stream.seek(0)
        if f'"{archive.CONSISTENCY}"' in first:
            found = archive.verify_consistency(json.load(stream), key)
        elif f'"{archive.PROOF}"' in first or first.strip() == "{":
            found = archive.verify_proof(json.load(stream), key)
        else:
            found = archive.verify(stream, known, key)
    if found.whole:
        told = f", {found.stamped} horodatée{'s' if found.stamped > 1 else ''}" if found.stamped else ""
        print(
            f"Journal intact : {found.entries} entrée{'s' if found.entries > 1 else ''}, {found.heads} tête{'s' if found.heads > 1 else ''} signée{'s' if found.heads > 1 else ''}{told}."
        )
        return EXIT_OK
    print(f"Journal altéré : {f'entrée {found.number}, ' if found.number else ''}{found.why}.")
    return EXIT_BROKEN
