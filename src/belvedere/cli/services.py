"""`belvedere services`: the simulators of the billing world, and the whole loop of a biller played against them."""

import argparse
import datetime as dt
import json

from belvedere.cli.french import EXIT_OK, EXIT_REFUSED, Parser


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("services", help="services de la facturation : simulateurs, histoire complète, contrôle de facture")
    tools = top.add_subparsers(title="outils", required=True, metavar="OUTIL", parser_class=Parser)
    story = tools.add_parser("story", help="joue la boucle entière : droits, factures, envoi, acquittement, pièces, paiements, rapprochement, ROC")
    story.add_argument("--patients", type=int, default=200, help="patients (200)")
    story.add_argument("--seed", type=int, default=3, help="graine du monde simulé")
    story.add_argument("--json", action="store_true", help="les étapes en JSON")
    story.set_defaults(run=_story)
    simulate = tools.add_parser("simulate", help="démarre les simulateurs (HTTP et messagerie) sur cette machine")
    simulate.add_argument("--port", type=int, default=8090, help="port HTTP")
    simulate.add_argument("--mail-port", type=int, default=8025, help="port de la messagerie")
    simulate.add_argument("--people", type=int, default=500, help="personnes du monde simulé")
    simulate.add_argument("--seed", type=int, default=3, help="graine")
    simulate.add_argument("--certificate", default="caisse-simulee.pem", help="où écrire le certificat de la caisse simulée")
    simulate.set_defaults(run=_simulate)
    for tool in (story, simulate):
        tool.add_argument("--data", default=None, help="dossier des données")


def _start(options: argparse.Namespace) -> None:
    from belvedere.cli import use_data
    from belvedere.cli.serve import prepare

    use_data(options.data)
    prepare()


def _story(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.engine.services import BANNER
    from belvedere.observatory.services import story

    if not 20 <= options.patients <= 1_000:
        print("Entre 20 et 1 000 patients.")
        return EXIT_REFUSED
    made = story.play(options.patients, seed=options.seed)
    if options.json:
        print(json.dumps(made.content, ensure_ascii=False))
        return EXIT_OK
    print(f"{made.patients} patients qui n’existent pas, face à des simulateurs ({BANNER}).\n")
    for rank, step in enumerate(made.content["steps"], 1):
        print(f"{rank}. {step['title']}\n   {step['told']}")
        widths = [max(map(len, column)) for column in zip(step["header"], *step["rows"], strict=True)]
        for row in (step["header"], *step["rows"]) if step["rows"] else ():
            print("   " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        print()
    return EXIT_OK


def _simulate(options: argparse.Namespace) -> int:
    from pathlib import Path
    from threading import Event

    from cryptography.hazmat.primitives import serialization

    _start(options)
    from belvedere.engine.services import BANNER
    from belvedere.engine.services.world import AGENT, make
    from belvedere.observatory.services.serving import running

    world = make(options.people, dt.date.today(), seed=options.seed)
    with running(world, now=lambda: dt.datetime.now(dt.UTC), port=options.port, mail_port=options.mail_port) as live:
        Path(options.certificate).write_bytes(live.office.certificate.public_bytes(serialization.Encoding.PEM))
        print(
            f"{BANNER[:1].upper()}{BANNER[1:]}.\nHTTP {live.base} · messagerie {live.mail[0]}:{live.mail[1]} · certificat {options.certificate} · agent {AGENT}",
            flush=True,
        )
        Event().wait()
    return EXIT_OK
