"""`belvedere objections`: purge now, and prove that what was objected to is nowhere."""

import argparse

from belvedere.cli.french import EXIT_OK, EXIT_REFUSED, Parser


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("objections", help="purge les oppositions, et prouve qu’il n’en reste rien")
    tools = top.add_subparsers(title="outils", required=True, metavar="OUTIL", parser_class=Parser)
    purge = tools.add_parser("purge", help="efface dès maintenant des fichiers ce qui est déjà hors des requêtes")
    purge.set_defaults(run=_purge)
    prove = tools.add_parser("prove", help="cherche le pseudonyme d’une demande dans les fichiers, la base, les journaux et les sauvegardes")
    prove.add_argument("reference", metavar="REF", help="référence de la demande (O-…)")
    prove.set_defaults(run=_prove)
    for tool in (purge, prove):
        tool.add_argument("--data", default=None, help="dossier des données")


def _purge(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    from belvedere.observatory.objections import purge

    counts = purge.run(grace=0)
    print(
        f"{counts['read']} fichiers lus, {counts['rewritten']} récrits, {counts['lines']} lignes effacées, {counts['destroyed']} anciennes versions détruites."
    )
    return EXIT_OK


def _prove(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    from belvedere.observatory.objections import proof
    from belvedere.observatory.objections.models import Request

    request = Request.objects.select_related("objection").filter(reference=options.reference.strip().upper()).first()
    if request is None:
        print("Aucune demande ne porte cette référence.")
        return EXIT_REFUSED
    found = proof.prove(request)
    print(
        f"Cherché dans {found.parquet} fichiers de faits et de publications ({found.rows} lignes), {found.others} autres fichiers, {found.tables} tables."
    )
    if found.places:
        print("Le pseudonyme se trouve encore :\n" + "\n".join(f"  {place}" for place in found.places))
        return EXIT_REFUSED
    print(f"Demande {request.reference} : le pseudonyme n’est nulle part, hors de la liste des oppositions elle-même.")
    return EXIT_OK
