"""`belvedere sender`: the credentials with which a group's software deposits its flows."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from belvedere.cli.french import EXIT_OK, EXIT_REFUSED, Parser

if TYPE_CHECKING:
    from belvedere.observatory.members.models import SenderKey

BY = "exploitation"  # who the journal names for what is done from the command line


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("sender", help="émetteurs : jetons, adresses de dépôt, clés SFTP")
    tools = top.add_subparsers(title="outils", required=True, metavar="OUTIL", parser_class=Parser)
    listing = tools.add_parser("list", help="liste les émetteurs")
    listing.set_defaults(run=_list)
    add = tools.add_parser("add", help="crée un émetteur et montre son jeton, une seule fois")
    add.add_argument("group", metavar="GROUPE", help="nom du groupe, ou FINESS d’une de ses entités")
    add.add_argument("--label", default="Logiciel de facturation", help="libellé")
    add.set_defaults(run=_add)
    mail = tools.add_parser("mail", help="ouvre l’adresse de dépôt d’un émetteur et la montre, une seule fois")
    mail.add_argument("sender", metavar="EMETTEUR", help="identifiant (emetteur-12)")
    mail.set_defaults(run=_mail)
    sftp = tools.add_parser("sftp", help="autorise une clé publique SSH pour un émetteur")
    sftp.add_argument("sender", metavar="EMETTEUR", help="identifiant (emetteur-12)")
    sftp.add_argument("key", type=Path, metavar="CLE.pub", help="clé publique OpenSSH")
    sftp.set_defaults(run=_sftp)
    revoke = tools.add_parser("revoke", help="révoque un émetteur, par toutes les voies")
    revoke.add_argument("sender", metavar="EMETTEUR", help="identifiant (emetteur-12)")
    revoke.set_defaults(run=_revoke)
    for tool in (listing, add, mail, sftp, revoke):
        tool.add_argument("--data", default=None, help="dossier des données")


def _start(options: argparse.Namespace) -> None:
    from belvedere.cli import use_data
    from belvedere.cli.serve import prepare

    use_data(options.data)
    prepare()


def _unknown(what: str) -> int:
    print(f"{what} inconnu.", file=sys.stderr)
    return EXIT_REFUSED


def _list(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.observatory.members.models import SenderKey

    for sender in SenderKey.objects.select_related("group").order_by("pk"):
        ways = ["api", *(["mail"] if sender.mail_hash else []), *(["sftp"] if sender.public_key else [])]
        state = "révoqué" if sender.revoked_at else ", ".join(ways)
        print(f"{sender.client_id:<14} {sender.group.name:<40} {sender.label:<30} {state}")
    return EXIT_OK


def _add(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.observatory.members import actions
    from belvedere.observatory.members.models import Group, Member, SenderKey
    from belvedere.observatory.tokens import digest

    group = Group.objects.filter(name=options.group).first()
    if group is None and options.group.isdecimal():
        member = Member.objects.select_related("group").filter(finess=int(options.group)).first()
        group = member.group if member else None
    if group is None:
        return _unknown("Groupe")
    token = actions.issue_sender_key(group=group, label=options.label, by=BY)
    sender = SenderKey.objects.get(token_hash=digest(token))
    print(f"{sender.client_id}\n{token}")
    return EXIT_OK


def _for_sender(options: argparse.Namespace, act: Callable[["SenderKey"], str]) -> int:
    """Do something with the sender that the command names, and print what comes of it."""
    _start(options)
    from belvedere.observatory.members import actions

    sender = actions.sender_by_id(options.sender)
    if sender is None:
        return _unknown("Émetteur")
    print(act(sender))
    return EXIT_OK


def _mail(options: argparse.Namespace) -> int:
    def open_mailbox(sender: "SenderKey") -> str:
        from belvedere.observatory.environment import read
        from belvedere.observatory.members import actions

        return f"{actions.open_mailbox(sender=sender, by=BY)}@{read('BELVEDERE_MAIL_DOMAIN')}"

    return _for_sender(options, open_mailbox)


def _sftp(options: argparse.Namespace) -> int:
    text = options.key.read_text()

    def allow(sender: "SenderKey") -> str:
        from belvedere.observatory.members import actions

        actions.allow_sftp(sender=sender, public_key=text, by=BY)
        return f"{sender.client_id} peut déposer par SFTP."

    try:
        return _for_sender(options, allow)
    except ValueError:
        print("Ce fichier n’est pas une clé publique OpenSSH.", file=sys.stderr)
        return EXIT_REFUSED


def _revoke(options: argparse.Namespace) -> int:
    def revoke(sender: "SenderKey") -> str:
        from belvedere.observatory.members import actions

        actions.revoke(sender=sender, by=BY)
        return f"{sender.client_id} est révoqué."

    return _for_sender(options, revoke)
