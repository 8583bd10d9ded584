"""`belvedere backup`: copy the observatory, check a copy, give it back."""

import argparse
import sys
from pathlib import Path

from belvedere.cli.french import EXIT_OK, EXIT_REFUSED, Parser


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("backup", help="sauvegarde l’observatoire, vérifie une sauvegarde, la restaure")
    tools = top.add_subparsers(title="outils", required=True, metavar="OUTIL", parser_class=Parser)
    make = tools.add_parser("make", help="copie la base, les faits, les publications et les conventions ; jamais les clés")
    make.add_argument("folder", type=Path, metavar="DOSSIER", help="où ranger la sauvegarde")
    make.set_defaults(run=_make)
    check = tools.add_parser("check", help="compare une sauvegarde à son manifeste")
    check.add_argument("folder", type=Path, metavar="SAUVEGARDE")
    check.set_defaults(run=_check)
    back = tools.add_parser("restore", help="restaure dans un dossier des données neuf, puis rejoue les oppositions venues depuis")
    back.add_argument("folder", type=Path, metavar="SAUVEGARDE")
    back.add_argument(
        "--register", type=Path, default=None, metavar="REGISTRE", help="registre des oppositions à rejouer (défaut : BELVEDERE_REGISTER)"
    )
    back.add_argument("--no-register", action="store_true", help="restaure sans registre : les oppositions venues depuis la sauvegarde sont perdues")
    back.set_defaults(run=_restore)
    for tool in (make, check, back):
        tool.add_argument("--data", default=None, help="dossier des données")


def _start(options: argparse.Namespace) -> None:
    from belvedere.cli import use_data

    use_data(options.data)


def _make(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.observatory import backup

    try:
        made = backup.make(options.folder)
    except backup.BackupRefused as refusal:
        print(refusal, file=sys.stderr)
        return EXIT_REFUSED
    print(f"{made} : {backup.check(made)} fichiers. Sauvegardez keys/ à part.")
    return EXIT_OK


def _check(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.observatory import backup

    try:
        print(f"Sauvegarde entière : {backup.check(options.folder)} fichiers.")
    except backup.BackupRefused as refusal:
        print(refusal, file=sys.stderr)
        return EXIT_REFUSED
    return EXIT_OK


def _restore(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.cli.serve import prepare
    from belvedere.observatory import backup
    from belvedere.observatory.objections import purge, register

    known = options.register or register.path()
    if not options.no_register and not known.exists():
        print(
            f"Le registre des oppositions {known} manque : donnez --register, ou --no-register si aucune opposition n’est venue depuis.",
            file=sys.stderr,
        )
        return EXIT_REFUSED
    try:
        count = backup.give_back(options.folder)
    except backup.BackupRefused as refusal:
        print(refusal, file=sys.stderr)
        return EXIT_REFUSED
    prepare()
    replayed = 0 if options.no_register else register.replay(known)
    purge.run(grace=0)
    print(f"{count} fichiers restaurés, {replayed} oppositions rejouées et purgées. Remettez keys/ en place s’il manque.")
    return EXIT_OK
