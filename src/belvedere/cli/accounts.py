"""`belvedere account`, `federation` and `entity`: the first people of an observatory, before anybody can sign in, and entities that change hands."""

import argparse
import datetime as dt
import sys

from belvedere.cli.french import EXIT_OK, EXIT_REFUSED, Parser

BY = "exploitation"


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("account", help="ouvre et ferme les comptes de l’observatoire et des fédérations")
    tools = top.add_subparsers(title="outils", required=True, metavar="OUTIL", parser_class=Parser)
    listing = tools.add_parser("list", help="liste les comptes, leur rôle et leur second facteur")
    listing.set_defaults(run=_list)
    add = tools.add_parser("add", help="ouvre un compte et montre le lien par lequel la personne choisit son mot de passe")
    add.add_argument("email", metavar="ADRESSE")
    add.add_argument("--role", required=True, choices=["operator", "auditor", "analyst", "validator", "statistician"], help="rôle")
    add.add_argument("--federation", default=None, metavar="NOM", help="fédération d’un analyste, valideur ou statisticien")
    add.set_defaults(run=_add)
    close = tools.add_parser("close", help="ferme un compte")
    close.add_argument("email", metavar="ADRESSE")
    close.set_defaults(run=_close)
    federation = commands.add_parser("federation", help="inscrit une fédération, qui prend en charge la cotisation de ses membres")
    federation.add_argument("name", metavar="NOM")
    federation.set_defaults(run=_federation)
    entity = commands.add_parser("entity", help="fait passer une entité d’un groupe à un autre : cession, fusion")
    entity.add_argument("finess", metavar="FINESS", type=int)
    entity.add_argument("--to", required=True, metavar="GROUPE", help="nom du groupe qui la reprend")
    entity.add_argument("--day", required=True, metavar="AAAA-MM-JJ", type=dt.date.fromisoformat, help="jour de la reprise")
    entity.set_defaults(run=_move)
    for tool in (listing, add, close, federation, entity):
        tool.add_argument("--data", default=None, help="dossier des données")


def _start(options: argparse.Namespace) -> None:
    from belvedere.cli import use_data
    from belvedere.cli.serve import prepare

    use_data(options.data)
    prepare()


def _move(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.observatory.members import moving
    from belvedere.observatory.members.models import Group, Member

    member, group = Member.objects.filter(finess=options.finess).first(), Group.objects.filter(name=options.to).first()
    if member is None or group is None:
        print("Entité inconnue." if member is None else "Groupe inconnu.", file=sys.stderr)
        return EXIT_REFUSED
    try:
        moving.move_entity(member=member, to=group, day=options.day, by=BY)
    except moving.MoveRefused as refusal:
        print(refusal, file=sys.stderr)
        return EXIT_REFUSED
    print(f"{member.name} est du groupe {group.name} à partir du {options.day:%d/%m/%Y}, avec son passé.")
    return EXIT_OK


def _list(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.observatory.accounts.models import User

    for user in User.objects.select_related("group", "federation").order_by("role", "email"):
        state = "fermé" if not user.is_active else "second facteur" if user.authenticator_set.exists() else "sans second facteur"
        print(f"{user.email:<40} {user.get_role_display():<32} {user.house:<32} {state}")
    return EXIT_OK


def _add(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.observatory.accounts import people
    from belvedere.observatory.accounts.models import OF_FEDERATIONS, Role
    from belvedere.observatory.environment import read
    from belvedere.observatory.members.models import Federation
    from belvedere.observatory.notices import actions as notices
    from belvedere.observatory.notices.models import Purpose

    role = Role(options.role)
    federation = Federation.objects.filter(name=options.federation).first() if options.federation else None
    if (role in OF_FEDERATIONS) != (federation is not None):
        print("Une fédération connue est attendue pour ce rôle, et pour lui seul : voyez « belvedere federation ».", file=sys.stderr)
        return EXIT_REFUSED
    try:
        user = people.open_account(email=options.email, role=role, federation=federation, by=BY)
    except people.AccountRefused as refusal:
        print(refusal, file=sys.stderr)
        return EXIT_REFUSED
    print(read("BELVEDERE_PUBLIC_URL") + notices.make_link(Purpose.INVITE, user.pk))
    return EXIT_OK


def _close(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.observatory.accounts.models import User
    from belvedere.observatory.accounts.people import end

    user = User.objects.filter(email__iexact=options.email, is_active=True).first()
    if user is None:
        print("Aucun compte ouvert à cette adresse.", file=sys.stderr)
        return EXIT_REFUSED
    end(user=user, by=BY)
    print(f"{user.email} n’entre plus.")
    return EXIT_OK


def _federation(options: argparse.Namespace) -> int:
    _start(options)
    from django.utils import timezone

    from belvedere.observatory.members import fees
    from belvedere.observatory.members.actions import name_federation

    try:
        federation = name_federation(name=options.name, by=BY)
    except ValueError:
        print("Cette fédération est déjà inscrite.", file=sys.stderr)
        return EXIT_REFUSED
    fees.set_bearing(federation=federation, day=timezone.localdate(), bears=True, by=BY)
    print(f"{federation} est inscrite et prend en charge la cotisation de ses membres.")
    return EXIT_OK
