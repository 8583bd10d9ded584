"""`belvedere nomenclature` and `belvedere receipt`: import the official LPP, verify a signed receipt."""

import argparse
import json
import sys
from pathlib import Path

from belvedere.cli.french import EXIT_OK, EXIT_REFUSED, Parser


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("nomenclature", help="nomenclature LPP des contrôles")
    tools = top.add_subparsers(title="outils", required=True, metavar="OUTIL", parser_class=Parser)
    bring = tools.add_parser("import", help="importe le fichier officiel LPPTOT au format NX")
    bring.add_argument("file", type=Path, metavar="FICHIER")
    bring.set_defaults(run=_import)
    show = tools.add_parser("show", help="dit quelle nomenclature sert aux contrôles")
    show.set_defaults(run=_show)
    receipt = commands.add_parser("receipt", help="vérifie la signature d’un accusé")
    receipt.add_argument("file", type=Path, metavar="ACCUSE", help="accusé téléchargé (.jws) ou rangé par push (.json)")
    receipt.add_argument("--keys", type=Path, default=None, metavar="JWKS", help="clés publiques (défaut : celles du dossier des données)")
    receipt.set_defaults(run=_receipt)
    for tool in (bring, show, receipt):
        tool.add_argument("--data", default=None, help="dossier des données")


def _import(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    from belvedere.engine.nomenclature import lpp_reference
    from belvedere.observatory.environment import data_dir

    try:
        found = lpp_reference.read_nx(options.file.read_bytes())
    except (lpp_reference.NomenclatureError, ValueError) as error:
        print(f"Import impossible : {error}", file=sys.stderr)
        return EXIT_REFUSED
    lpp_reference.save(found, data_dir() / "nomenclature" / "lpp.parquet")
    print(f"{len(set((found.key >> 16).tolist()))} codes LPP, {len(found)} tarifs datés, {len(found.apart)} incompatibilités importés.")
    return EXIT_OK


def _show(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    import numpy as np

    from belvedere.observatory.collect.settlement import reference

    found = reference()
    newest = np.datetime64(int((found.key & 65_535).max()), "D") if len(found) else None
    kind = "importée (LPPTOT)" if found.complete else "livrée avec l’observatoire : codes connus seulement"
    print(f"Nomenclature {kind} ; {len(set((found.key >> 16).tolist()))} codes, tarif le plus récent du {newest}.")
    return EXIT_OK


def _receipt(options: argparse.Namespace) -> int:
    import jwt

    text = options.file.read_text().strip()
    if text.startswith("{"):
        text = json.loads(text).get("signed", "")
    try:
        if options.keys:
            found = {key.key_id: key for key in jwt.PyJWKSet.from_dict(json.loads(options.keys.read_text())).keys}
            key = found[jwt.get_unverified_header(text)["kid"]].key
        else:
            from belvedere.cli import use_data

            use_data(options.data)
            from belvedere.observatory.collect import receipts

            key = receipts.public_key()
        claims = jwt.decode(text, key, algorithms=["EdDSA"], options={"verify_exp": False})
    except (jwt.InvalidTokenError, KeyError):
        print("Signature fausse : cet accusé n’a pas été émis tel quel par l’observatoire.", file=sys.stderr)
        return EXIT_REFUSED
    place = claims["journal"]
    print(f"Accusé n° {claims['receipt']} authentique : {claims['state_label']}, {claims['lines']} lignes, entrée {place['position']} du journal.")
    return EXIT_OK
