"""`belvedere demo`: a synthetic sector sent through the real reception, then the portal on it."""

import argparse
import datetime as dt
import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path

from belvedere.cli.b2 import first_month
from belvedere.cli.french import EXIT_OK, EXIT_REFUSED

SIGN_INS = "demo.json"
SEED, PROVIDERS, GROUPS, MONTHS, PATIENTS = 1, 80, 60, 24, 40_000
STORY_PATIENTS, LAST_RETURNS = 200, 2


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("demo", help="engendre un secteur synthétique, l’envoie et ouvre le portail")
    top.add_argument("--data", default=None, help="dossier des données (défaut : BELVEDERE_DATA, sinon ./data/demo)")
    top.add_argument("--no-serve", action="store_true", help="prépare les données et s’arrête sur un résumé")
    top.add_argument("--json", action="store_true", help="résumé en JSON (une ligne)")
    top.add_argument("--codes", action="store_true", help="donne les codes du moment des comptes d’une démonstration en place, et s’arrête")
    top.add_argument("--port", type=int, default=8000, help="port du portail")
    top.add_argument("--seed", type=int, default=SEED, help="graine du secteur")
    top.add_argument("--providers", type=int, default=PROVIDERS, help="nombre de prestataires")
    top.add_argument("--groups", type=int, default=GROUPS, help="nombre de groupes")
    top.add_argument("--months", type=int, default=MONTHS, choices=[12, 24, 36, 48], help="nombre de mois")
    top.add_argument("--patients", type=int, default=PATIENTS, help="nombre de patients")
    top.set_defaults(run=run)


def _progress(quiet: bool) -> Callable[[str, float], None]:
    last = [-1]
    live = sys.stderr.isatty()

    def tell(step: str, share: float) -> None:
        percent = int(share * 100)
        if quiet or (not live and percent // 20 == last[0] and percent < 100):
            return
        last[0] = percent // 20
        print(f"\r{step:<52} {percent:>3} %" + ("" if live and percent < 100 else "\n"), end="", file=sys.stderr, flush=True)

    return tell


def run(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data
    from belvedere.cli.serve import prepare, serve

    use_data(options.data or os.environ.get("BELVEDERE_DATA") or "data/demo")
    started = time.perf_counter()
    from belvedere.observatory.environment import data_dir

    path = data_dir() / SIGN_INS
    if options.codes:
        return _codes(path)
    if path.exists():
        summary = json.loads(path.read_text())
        summary["summary"]["reused"] = True
    else:
        prepare()
        summary = build(options, _progress(options.json), started)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump(summary, stream, ensure_ascii=False, indent=1)
    figures = summary["summary"]
    if options.json:
        print(json.dumps(figures, ensure_ascii=False), flush=True)
    else:
        _tell(summary, options, path)
    if not options.no_serve:
        serve("127.0.0.1", options.port, with_worker=True)
    return EXIT_OK if figures["audit"] == "clean" else EXIT_REFUSED


def _codes(path: Path) -> int:
    """Print the authenticator codes of now: what a telephone would show."""
    from belvedere.observatory.accounts import factors

    if not path.exists():
        print("Aucune démonstration n’est en place ici : lancez « belvedere demo ».", file=sys.stderr)
        return EXIT_REFUSED
    kept = json.loads(path.read_text())
    for label, secret in kept["factors"].items():
        print(f"{factors.code(secret)}  {label:<14} {kept['sign_ins'][label]}")
    return EXIT_OK


def _tell(summary: dict, options: argparse.Namespace, path: Path) -> None:
    figures = summary["summary"]
    thousands = lambda number: f"{number:,}".replace(",", "\u202f")  # noqa: E731
    print(
        f"\n{thousands(figures['lines'])} lignes de {figures['members']} prestataires, {thousands(figures['patients'])} patients"
        f" ; {thousands(figures['released_cells'])} cellules publiées, {thousands(figures['masked_cells'])} masquées"
        f" ; audit : {'sans fuite' if figures['audit'] == 'clean' else figures['audit']} ; {figures['seconds']} s.\n"
    )
    print(f"  Portail      http://localhost:{options.port}\n  Mot de passe {summary['password']}")
    for label, email in summary["sign_ins"].items():
        print(f"  {label:<12} {email}")
    print("  Le second facteur : « belvedere demo --codes » donne les six chiffres du moment.")
    print(f"  Jeton d’émetteur du premier adhérent : dans {path.name}, pour « belvedere push ».\n", flush=True)


def build(options: argparse.Namespace, tell: Callable[[str, float], None], started: float) -> dict:
    """Fill an empty data folder; returns what the demo prints and keeps."""
    from django.contrib.auth.hashers import make_password

    from belvedere.cli.serve import start_worker, stop_worker
    from belvedere.engine.b2.envelope import seal
    from belvedere.engine.sector.billing import make_sector, month_file, software_of
    from belvedere.observatory.accounts.models import User
    from belvedere.observatory.collect import inbox, keyring, reception, worker
    from belvedere.observatory.collect.models import COUNTED, Flow
    from belvedere.observatory.exchange import showing
    from belvedere.observatory.members.models import Federation, Member
    from belvedere.observatory.publication import actions as publication
    from belvedere.observatory.publication import gate
    from belvedere.observatory.services import story
    from belvedere.observatory.study import showing as study

    sector = make_sector(
        seed=options.seed, first=first_month(dt.date.today(), options.months), providers=options.providers, groups=options.groups,
        months=options.months, patients=options.patients,
    )  # fmt: skip
    groups, token = _enrol(sector)
    password = secrets.token_urlsafe(9)
    sign_ins, factors = _people(groups, sector)
    parties = showing.build("démonstration")
    _exchange_people(parties, sign_ins, factors)
    # One password for all, hashed once: a hash is slow on purpose.
    User.objects.filter(email__in=sign_ins.values()).update(password=make_password(password))
    helper = start_worker()
    try:
        certificate = keyring.certificate()
        total = options.months * options.providers
        for month in range(options.months):
            for rank in range(options.providers):
                # One provider joined in the second year: the study says what explains the market's evolution.
                clear = b"" if rank == 21 and month < options.months - 12 else month_file(sector, rank, month)
                if clear:
                    name = f"{sector.providers[rank].finess}-{sector.month(month):%Y-%m}.b2"
                    software = software_of(sector.providers[rank], month)
                    reception.receive(
                        group=groups[sector.providers[rank].group], sealed=seal(clear, certificate), channel="folder", file_name=name, crypto=study.crypto_of(software)
                    )  # fmt: skip
            tell("Envoi des flux chiffrés", (month + 1) * options.providers / total)
        _send_returns(sector, groups, certificate)
        waiting = Flow.objects.filter(settled_at=None).count()
        while left := Flow.objects.filter(settled_at=None).count():
            tell("Contrôle, pseudonymes, faits", 1 - left / max(waiting, 1))
            stop_at = time.monotonic() + 0.5
            worker.drain(lambda until=stop_at: time.monotonic() > until) or time.sleep(0.05)
        tell("Contrôle, pseudonymes, faits", 1.0)
    finally:
        stop_worker(helper)
    inbox.take()
    tell("Calcul et protection du marché", 0.1)
    last = sector.month(options.months - 1)
    release = publication.compute_release(
        label=f"{last:%Y-%m}", months=publication.months_before(last, options.months), by="démonstration", seed=options.seed
    )
    tell("Calcul et protection du marché", 1.0)
    if not gate.reasons(release):
        for federation in Federation.objects.all():
            release = gate.decide(release=release, federation=federation, by=None)
    tell("Étude de marché et services simulés", 0.1)
    study.build(sector, "démonstration")
    story.play(STORY_PATIENTS)
    tell("Étude de marché et services simulés", 1.0)
    summary = {
        "members": Member.objects.count(),
        "flows": Flow.objects.filter(state__in=COUNTED).count(),
        "lines": release.lines,
        "patients": release.patients,
        "released_cells": release.released_cells,
        "masked_cells": release.masked_cells,
        "audit": release.leaks or "clean",
        "seconds": round(time.perf_counter() - started, 1),
    }
    return {
        "summary": summary,
        "password": password,
        "sign_ins": sign_ins,
        "factors": factors,
        "token": token,
        "seed": options.seed,
        "first": sector.first.isoformat(),
    }


def _send_returns(sector, groups: dict, certificate: object) -> None:
    """The returns of a simulated insurance that would have come by today: all of them to the group whose sign-in is printed, the last ones to the others."""
    from belvedere.engine.b2.envelope import seal
    from belvedere.engine.sector.returns import month_return
    from belvedere.observatory.collect import reception
    from belvedere.observatory.services.showing import caisse, front_return

    number, office = shown_group(sector), caisse(sector)
    for provider in sector.providers:
        first = 0 if provider.group == number else max(sector.months - 1 - LAST_RETURNS, 0)
        for month in range(first, sector.months - 1):
            # The last one comes from the simulated front-end, which took the very flow and judged it against a register of rights.
            last = provider.group == number and month == sector.months - 2
            if clear := front_return(sector, provider.rank, month, office) if last else month_return(sector, provider.rank, month):
                name = f"noemie-{provider.finess}-{sector.month(month):%Y-%m}.txt"
                reception.receive(group=groups[provider.group], sealed=seal(clear, certificate), channel="folder", file_name=name)


def _enrol(sector) -> tuple[dict, str]:
    from belvedere.engine.sector.providers import FEDERATIONS
    from belvedere.observatory.members import actions, fees
    from belvedere.observatory.members.models import Federation

    federations = {name: Federation.objects.create(name=name) for name in FEDERATIONS}
    for federation in federations.values():
        fees.set_bearing(federation=federation, day=dt.date.today(), bears=True, by="démonstration")
    groups, token = {}, ""
    for number in sorted({p.group for p in sector.providers}):
        own = [p for p in sector.providers if p.group == number]
        groups[number] = actions.enrol_group(
            name=own[0].group_name,
            federation=federations.get(own[0].federation or ""),
            members=[{"name": p.name, "siren": p.siren, "finess": p.finess, "department": p.home, "norm": p.norm} for p in own],
            by="démonstration",
        )
    token = actions.issue_sender_key(group=groups[shown_group(sector)], label="Démonstration", by="démonstration")
    return groups, token


def shown_group(sector) -> int:
    """The group whose sign-in the demo prints: a regional one, neither the largest nor the smallest."""
    ranks = sorted({p.group for p in sector.providers})
    return ranks[min(len(ranks) // 5, len(ranks) - 1)]


def _people(groups: dict, sector) -> tuple[dict[str, str], dict[str, str]]:
    """Accounts of the demonstration: (address by role, authenticator secret by role). One validator for each federation."""
    from belvedere.observatory.accounts import factors, people
    from belvedere.observatory.accounts.models import Role
    from belvedere.observatory.members.models import Federation

    shown = groups[shown_group(sector)]
    first, *others = Federation.objects.order_by("pk")
    accounts = {
        "Adhérent": ("adherent", {"role": Role.MEMBER_ADMIN, "group": shown, "whole_group": True}),
        "Lecteur": ("lecteur", {"role": Role.MEMBER_READER, "group": shown, "entities": list(shown.members.all()[:1])}),
        "Fédération": ("federation", {"role": Role.VALIDATOR, "federation": first}),
        **{f"Fédération {rank}": (f"federation{rank}", {"role": Role.VALIDATOR, "federation": other}) for rank, other in enumerate(others, 2)},
        "Analyste": ("analyste", {"role": Role.ANALYST, "federation": first}),
        "Statisticien": ("statisticien", {"role": Role.STATISTICIAN, "federation": first}),
        "Opérateur": ("operateur", {"role": Role.OPERATOR}),
        "Auditeur": ("auditeur", {"role": Role.AUDITOR}),
    }  # fmt: skip
    sign_ins, secrets_of = {}, {}
    for label, (name, fields) in accounts.items():
        user = people.open_account(email=f"{name}@demo.belvedere.test", by="démonstration", **fields)
        secrets_of[label] = factors.new_secret()
        factors.give(user, secrets_of[label])
        sign_ins[label] = user.email
    return sign_ins, secrets_of


def _exchange_people(parties: dict, sign_ins: dict[str, str], secrets_of: dict[str, str]) -> None:
    """One person of a service that deposits, one of an institution that receives."""
    from belvedere.observatory.accounts import factors, people
    from belvedere.observatory.accounts.models import Role

    for label, name, role, party in (
        ("Établissement", "etablissement", Role.ESTABLISHMENT, parties["SSIAD du Canal"]), ("Institution", "institution", Role.INSTITUTION, parties["ARS Île-de-France"]),
    ):  # fmt: skip
        user = people.open_account(email=f"{name}@demo.belvedere.test", by="démonstration", role=role, party=party)
        secrets_of[label] = factors.new_secret()
        factors.give(user, secrets_of[label])
        sign_ins[label] = user.email
