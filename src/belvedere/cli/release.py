"""`belvedere release`: compute, audit and approve publications."""

import argparse
import datetime as dt
import json
import sys

from belvedere.cli.french import EXIT_OK, EXIT_REFUSED


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("release", help="calcule, audite et valide les publications du marché")
    tools = top.add_subparsers(title="actions", required=True, metavar="ACTION")
    compute = tools.add_parser("compute", help="calcule une publication et l’audite")
    compute.add_argument("--month", required=True, metavar="AAAA-MM", help="dernier mois couvert")
    compute.add_argument("--seed", type=int, default=1, help="graine des nombres premiers de l’audit")
    compute.add_argument("--data", default=None, help="dossier des données")
    compute.set_defaults(run=_compute)
    listing = tools.add_parser("list", help="liste les publications")
    listing.add_argument("--data", default=None, help="dossier des données")
    listing.add_argument("--json", action="store_true", help="réponse en JSON")
    listing.set_defaults(run=_list)
    audit = tools.add_parser("audit", help="rejoue tous les audits d’une publication : le fichier publié, puis le dossier scellé")
    audit.add_argument("label", metavar="MILLÉSIME")
    audit.add_argument("--data", default=None, help="dossier des données")
    audit.set_defaults(run=_audit)


def _compute(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    from belvedere.engine.nomenclature.products import families
    from belvedere.observatory.publication import actions, gate

    months = actions.months_before(dt.date.fromisoformat(options.month + "-01"))
    try:
        release = actions.compute_release(label=options.month, months=months, by="opérateur", seed=options.seed)
    except actions.GateClosed as reason:
        print(reason, file=sys.stderr)
        return EXIT_REFUSED
    print(f"Publication {release.label} : {release.released_cells} cellules publiées, {release.masked_cells} masquées.")
    for family in release.report.get("vanished", ()):
        print(f"Attention : plus aucune ligne de la famille {families()[family]} le dernier mois. Sa nomenclature a-t-elle changé ?", file=sys.stderr)
    reasons = gate.reasons(release)
    print("\n".join(reasons) if reasons else "Audit sans fuite ; en attente des trois fédérations.")
    return EXIT_REFUSED if reasons else EXIT_OK


def _list(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    from belvedere.observatory.publication.models import Release

    for release in Release.objects.all():
        row = {
            "label": release.label, "state": release.state, "released_cells": release.released_cells,
            "masked_cells": release.masked_cells, "digest": release.digest, "leaks": release.leaks,
        }  # fmt: skip
        if options.json:
            print(json.dumps(row, ensure_ascii=False))
        else:
            print(
                f"{release.label} · {release.get_state_display()} · {release.released_cells} publiées · {release.masked_cells} masquées · {release.digest[:12]}"
            )
    return EXIT_OK


def _audit(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    from belvedere.observatory.publication import audit, sealed
    from belvedere.observatory.publication.models import Release

    release = Release.objects.filter(label=options.label).first()
    if release is None:
        print(f"Publication inconnue : {options.label}", file=sys.stderr)
        return EXIT_REFUSED
    leaks = audit.replay(release)
    try:
        leaks += audit.replay_sealed(release)
    except sealed.BrokenSeal as broken:
        leaks.append(str(broken))
    print("\n".join(leaks) if leaks else f"Publication {release.label} : audit sans fuite.")
    return EXIT_REFUSED if leaks else EXIT_OK
