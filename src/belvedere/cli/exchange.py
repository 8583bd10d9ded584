"""`belvedere exchange`: parties of the exchange hub, nomenclatures, datasets, counts; a portable package checked without a server."""

import argparse
import datetime as dt
import sys
from pathlib import Path

from belvedere.cli.french import EXIT_OK, EXIT_REFUSED, Parser

BY = "exploitation"


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("exchange", help="échanges médico-sociaux : acteurs, nomenclatures, jeux de données, paquets")
    tools = top.add_subparsers(title="outils", required=True, metavar="OUTIL", parser_class=Parser)
    party = tools.add_parser("party", help="admet un acteur et montre son jeton, une seule fois")
    party.add_argument("actor", metavar="ACTEUR", help="ESMS_PRODUCTEUR, CNSA_SIDOBA, ARS…")
    party.add_argument("name", metavar="NOM")
    party.add_argument("--finess", default="", help="FINESS géographique d’un établissement")
    party.add_argument("--entity", default="", help="FINESS juridique de qui tient l’établissement")
    party.add_argument("--kind", default="", help="catégorie FINESS (354 : SSIAD)")
    party.add_argument("--department", default="", help="département")
    party.add_argument("--region", default="", help="région (R11…) d’une institution")
    party.add_argument("--software", default="", help="logiciel de l’établissement")
    party.add_argument("--contact", default="", help="adresse du contact technique")
    party.add_argument(
        "--level",
        type=int,
        default=1,
        choices=(1, 2),
        help="1 (par défaut) : jeton seul ; 2 : certificat de structure vérifié (dépôts, données de santé)",
    )
    party.set_defaults(run=_party)
    load = tools.add_parser(
        "nomenclatures", help="importe des fichiers officiels : jeux de valeurs, SERAFIN-PH, FINESS, annuaire des professionnels (RPPS), offres (ROR)"
    )
    load.add_argument("files", nargs="+", type=Path, metavar="FICHIER")
    load.add_argument(
        "--day",
        type=dt.date.fromisoformat,
        default=None,
        metavar="AAAA-MM-JJ",
        help="jour d’une extraction FINESS, s’il n’est pas dans le nom du fichier",
    )
    load.set_defaults(run=_load)
    dataset = tools.add_parser("dataset", help="produit un jeu de données sous son contrat de qualité")
    dataset.add_argument("code", metavar="JEU", help="ssiad-sidoba, resid-esms")
    dataset.add_argument("period", metavar="AAAA-MM")
    dataset.set_defaults(run=_dataset)
    compare = tools.add_parser(
        "compare",
        help="garde le fichier que le destinataire reçoit aujourd’hui, y compare le jeu produit, donnée par donnée, puis chaque version suivante",
    )
    compare.add_argument("code", metavar="JEU", help="ssiad-sidoba, resid-esms")
    compare.add_argument("period", metavar="AAAA-MM")
    compare.add_argument(
        "file", type=Path, metavar="FICHIER.csv", help="le fichier d’aujourd’hui, séparé par des points-virgules, aux noms de colonnes du contrat"
    )
    compare.set_defaults(run=_compare)
    counts = tools.add_parser(
        "counts",
        help="fige les comptes du mois, les mêmes pour toutes les institutions, passés par le moteur du secret ; les trois fédérations en décident",
    )
    counts.add_argument("--places", action="store_true", help="aussi établissement par établissement, une fois l’an, pour qui la matrice l’ouvre")
    counts.set_defaults(run=_counts)
    retention = tools.add_parser("retention", help="dit ce qu’un département demande des dossiers clos, à partir d’un jour")
    retention.add_argument("department", metavar="DÉPARTEMENT")
    retention.add_argument("months", type=int, metavar="MOIS", help="durée d’utilité administrative après la clôture")
    retention.add_argument("--fate", default="conserver", choices=("conserver", "trier", "detruire"), help="sort final")
    retention.add_argument(
        "--format",
        action="append",
        default=[],
        metavar="FORMAT",
        help="format que ses archives prennent (json, pdf, xml, csv, zip) ; répétable ; tous, si rien n’est dit",
    )
    retention.add_argument(
        "--container", default="seda", choices=("seda", "bagit"), help="paquet SEDA 2.3, ou sac BagIt pour un service sans système"
    )
    retention.add_argument("--unit", default="piece", choices=("piece", "dossier"), help="une unité d’archives par pièce, ou par dossier")
    retention.add_argument("--access", default="ACC-DUI", metavar="RÈGLE", help="code de la règle d’accès, écrit dans le versement")
    retention.add_argument("--since", type=dt.date.fromisoformat, default=None, metavar="AAAA-MM-JJ", help="premier jour (aujourd’hui)")
    retention.set_defaults(run=_retention)
    tokens = tools.add_parser("tokens", help="montre les jetons d’un acteur, en ferme un, ou met fin à l’admission de l’acteur")
    tokens.add_argument("name", metavar="NOM", help="nom de l’acteur")
    tokens.add_argument("--close", type=int, default=None, metavar="NUMÉRO", help="ferme ce jeton, aussitôt")
    tokens.add_argument("--end", default="", metavar="MOTIF", help="met fin à l’admission : jetons et abonnements se ferment")
    tokens.set_defaults(run=_tokens)
    explain = tools.add_parser(
        "explain", help="réexplique une lecture passée du journal : sa matrice, ses règles, et ce qu’elles rendraient de ce qui se savait alors"
    )
    explain.add_argument("number", type=int, metavar="ENTRÉE", help="numéro de l’entrée du journal")
    explain.set_defaults(run=_explain)
    check = tools.add_parser("check", help="vérifie sans serveur un export de portabilité, un paquet SEDA ou un sac BagIt")
    check.add_argument("file", type=Path, metavar="PAQUET.zip")
    check.set_defaults(run=_check)
    certificate = tools.add_parser("certificate", help="lie un certificat de structure à un acteur, ou lui ouvre un jeton qui n’ouvre qu’avec lui")
    certificate.add_argument("name", metavar="NOM", help="nom de l’acteur")
    certificate.add_argument("file", type=Path, metavar="CERTIFICAT.pem")
    certificate.add_argument("--token", action="store_true", help="ouvre aussi un jeton lié à ce certificat")
    certificate.add_argument("--revoke", action="store_true", help="révoque ce certificat : il n’ouvre plus rien, ni les jetons qui lui sont liés")
    certificate.set_defaults(run=_certificate)
    rotate = tools.add_parser(
        "rotate", help="renouvelle les clés des échanges et scelle de nouveau ce qu’elles protègent ; --finish détruit les anciennes"
    )
    rotate.add_argument("--finish", action="store_true", help="détruit les anciennes clés, une heure au moins après le renouvellement")
    rotate.set_defaults(run=_rotate)
    psc = tools.add_parser("psc", help="démarre un simulateur de Pro Santé Connect sur cette machine : personnes inventées")
    psc.add_argument("--port", type=int, default=8095, help="port HTTP")
    psc.add_argument("--place", action="append", default=[], metavar="FINESS", help="établissement où exercent les personnes inventées")
    psc.set_defaults(run=_psc)
    for tool in (party, load, dataset, compare, counts, retention, tokens, explain, check, certificate, rotate, psc):
        tool.add_argument("--data", default=None, help="dossier des données")


def _start(options: argparse.Namespace) -> None:
    from belvedere.cli import use_data
    from belvedere.cli.serve import prepare

    use_data(options.data)
    prepare()


def _refused(error: Exception) -> int:
    print(error, file=sys.stderr)
    return EXIT_REFUSED


def _party(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.engine.exchange.access import STRUCTURE
    from belvedere.observatory.exchange import parties

    try:
        made, token = parties.admit(
            actor=options.actor, name=options.name, finess=options.finess, kind=options.kind, department=options.department, region=options.region, software=options.software,
            contact=options.contact, level=options.level, entity=options.entity, by=BY,
        )  # fmt: skip
    except parties.PartyRefused as error:
        return _refused(error)
    print(f"{made.name} est admis ({made.code}). Son jeton, montré une seule fois :\n{token}")
    if options.level < STRUCTURE:
        print(
            f'Il est de niveau 1 : il ne dépose pas et ne lit pas de données de santé. Liez-le à un certificat : belvedere exchange certificate "{made.name}" CERTIFICAT.pem --token'
        )
    return EXIT_OK


def _load(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.observatory.exchange import referentials

    for path in options.files:
        try:
            done = referentials.load(path, by=BY, day=options.day)
        except referentials.ImportRefused as error:
            return _refused(error)
        print(f"{done.name} : {done.rows} lignes.")
    return EXIT_OK


def _dataset(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.observatory.exchange import datasets

    try:
        made = datasets.publish(code=options.code, period=options.period, by=BY)
    except datasets.DatasetRefused as error:
        return _refused(error)
    print(f"{made.code} {made.period} version {made.version} : {made.get_state_display().lower()}, {made.rows} lignes.")
    for finding in made.report["findings"]:
        print(f"  {finding['check']} : {finding['text']}")
    return EXIT_OK if made.state != "broken" else EXIT_REFUSED


def _compare(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.observatory.exchange import datasets, doubles

    try:
        doubles.keep(code=options.code, period=options.period, raw=options.file.read_bytes(), by=BY)
        found = datasets.compared(code=options.code, period=options.period, by=BY)
    except (datasets.DatasetRefused, doubles.BaselineRefused, OSError) as error:
        return _refused(error)
    print(f"{'donnée':<16}{'verdict':<14}{'comparées':>10}{'gagnées':>9}{'perdues':>9}{'autres':>8}")
    for name, told in found.items():
        print(f"{name:<16}{told['status']:<14}{told['compared']:>10}{told['gained']:>9}{told['lost']:>9}{told['differ']:>8}")
    return EXIT_REFUSED if any(told["status"] == "moins bien" for told in found.values()) else EXIT_OK


def _counts(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.observatory.exchange import aggregates, gating

    try:
        made = aggregates.propose(by=BY, finely=options.places)
    except aggregates.AggregateRefused as error:
        return _refused(error)
    print(f"{made.rows} cellules figées, protégées (version {made.version}). Les trois fédérations en décident : Publications.")
    for why in gating.reasons(made):
        print(f"  {why}")
    return EXIT_OK


def _retention(options: argparse.Namespace) -> int:
    _start(options)
    from django.utils import timezone

    from belvedere.observatory.exchange import archives

    try:
        made = archives.set_rule(
            department=options.department,
            months=options.months,
            fate=options.fate,
            since=options.since or timezone.localdate(),
            by=BY,
            formats=options.format,
            grain=options.unit,
            access=options.access,
            container=options.container,
        )
    except archives.TransferRefused as error:
        return _refused(error)
    print(
        f"Département {made.department} : {made.months} mois, puis {made.get_fate_display()}, {made.get_grain_display()}, à partir du {made.since:%d/%m/%Y}."
    )
    return EXIT_OK


def _tokens(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.observatory.exchange import keys, parties
    from belvedere.observatory.exchange.models import PartyKey

    try:
        found = parties.named(options.name)
        if options.end:
            parties.end(found, by=BY, why=options.end)
            print(f"{found.name} n’est plus admis : ses jetons et ses abonnements sont fermés.")
            return EXIT_OK
        held = PartyKey.objects.filter(party=found).order_by("pk")
        if options.close is not None:
            key = held.filter(pk=options.close, revoked_at=None).first()
            if key is None:
                raise parties.PartyRefused(f"{found.name} n’a pas de jeton ouvert {options.close}.")
            keys.revoke(key=key, by=BY)
    except parties.PartyRefused as error:
        return _refused(error)
    for key in held:
        state = f"fermé le {key.revoked_at:%d/%m/%Y}" if key.revoked_at else "ouvert"
        print(f"{key.pk:>6}  niveau {key.level}  {state:<22}{key.label}{', lié à un certificat' if key.thumbprint else ''}")
    return EXIT_OK


def _certificate(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.engine.exchange.credentials import CredentialRefused
    from belvedere.observatory.exchange import credentials, keys, parties

    try:
        found, raw = parties.named(options.name), options.file.read_bytes()
        if options.revoke:
            gone = credentials.let_go(party=found, raw=raw, by=BY)
            print(f"Certificat {gone.thumbprint} de {found.name} révoqué : il n’ouvre plus rien, ni les jetons qui lui sont liés.")
            return EXIT_OK
        held = credentials.hold(party=found, raw=raw, by=BY)
    except (CredentialRefused, parties.PartyRefused, OSError) as error:
        return _refused(error)
    print(f"Certificat {held.thumbprint} lié à {found.name}, valable jusqu’au {held.until:%d/%m/%Y}.")
    if options.token:
        token = keys.issue(party=found, label="Jeton lié à un certificat", by=BY, thumbprint=held.thumbprint)
        print(f"Son jeton, montré une seule fois, n’ouvre qu’avec ce certificat :\n{token}")
    return EXIT_OK


def _rotate(options: argparse.Namespace) -> int:
    _start(options)
    import time

    from belvedere.observatory.exchange import rotating

    if options.finish:
        try:
            gone = rotating.finish(now=time.time(), by=BY)
        except rotating.RotationRefused as error:
            return _refused(error)
        print(
            f"{gone} ancienne{'s' * (gone > 1)} clé{'s' * (gone > 1)} détruite{'s' * (gone > 1)}. Une sauvegarde plus ancienne ne s’ouvre qu’avec elles."
        )
        return EXIT_OK
    number = rotating.begin(by=BY)
    print(f"La clé {number} scelle désormais tout ce qui arrive.")
    done: dict[str, int] = {}
    lost: list[str] = []
    for name, count in rotating.seal_anew(lost):
        done[name] = count
        print(f"\r{name} : {count}", end="", flush=True)
    if lost:
        print(f"\r{len(lost)} contenus ne s’ouvrent sous aucune clé : {', '.join(lost[:5])}.", file=sys.stderr)
    print(f"\r{sum(done.values())} contenus scellés de nouveau. Dans une heure : belvedere exchange rotate --finish.")
    return EXIT_OK


def _psc(options: argparse.Namespace) -> int:
    import signal
    import threading

    from belvedere.engine.exchange.identifiers import finess_valid
    from belvedere.observatory.exchange.prosante_simulator import BANNER, Provider, professionals
    from belvedere.observatory.loopback import listening

    wrong = [place for place in options.place if not finess_valid(place)]
    if wrong:
        return _refused(ValueError(f"{wrong[0]} n’est pas un numéro FINESS."))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with listening(Provider(professionals(options.place)).application, options.port) as base:
        print(f"{BANNER}\nBELVEDERE_PSC_URL={base}\nBELVEDERE_PSC_CLIENTS=<client_id de votre logiciel>\nCtrl-C pour arrêter.", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return EXIT_OK
    return EXIT_OK


def _explain(options: argparse.Namespace) -> int:
    _start(options)
    from belvedere.observatory.exchange import reading
    from belvedere.observatory.journal.models import Entry

    entry = Entry.objects.filter(pk=options.number, action="echange.lecture", subject__startswith="usager:").first()
    if entry is None:
        return _refused(LookupError(f"L’entrée {options.number} n’est pas la lecture des données d’une personne."))
    told = entry.detail
    print(f"{entry.at:%d/%m/%Y %H:%M} {entry.actor}, {told['purpose']}, {told['grain']}, niveau {told['level']}, matrice {told['matrix']}")
    print(f"règles écrites : {', '.join(told['rules']) or 'aucune'}")
    try:
        found = sorted(reading.explained(entry))
    except LookupError:
        return _refused(LookupError(f"La matrice {told['matrix']} n’est pas de celles que tient cette plateforme."))
    print(f"règles rendues aujourd’hui : {', '.join(found) or 'aucune (données effacées depuis ?)'}")
    return EXIT_OK if found == sorted(told["rules"]) else EXIT_REFUSED


def _check(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data
    from belvedere.engine.exchange import bag, seda

    use_data(options.data)
    from belvedere.observatory.exchange import portability

    raw = options.file.read_bytes()
    try:
        if bag.is_bag(list(seda.members(raw))):
            print(f"Sac BagIt {bag.read(raw).identifier} : {len(bag.read(raw).pieces)} fichiers, empreintes conformes.")
        elif "manifest.xml" in seda.members(raw):
            print(f"Paquet SEDA {seda.read(raw).identifier} : {len(seda.read(raw).pieces)} fichiers, empreintes conformes.")
        else:
            print(f"Export : {len(portability.lots(raw))} lots à redéposer, empreintes conformes.")
    except seda.PackageRefused as error:
        return _refused(error)
    return EXIT_OK
