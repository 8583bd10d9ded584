"""`belvedere push`: encrypts files for the observatory, sends them by resumable upload, waits for their receipts."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from belvedere.cli.french import EXIT_FAILURE, EXIT_OK, EXIT_REFUSED, EXIT_REMARKS, EXIT_USAGE
from belvedere.cli.sending import Sending, ServerRefuses, Unreachable, WatchedFolder


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("push", help="chiffre et envoie des fichiers B2, attend leurs accusés")
    top.add_argument("files", nargs="*", type=Path, metavar="FICHIER")
    top.add_argument("--watch", type=Path, default=None, metavar="DOSSIER", help="surveille un dossier et envoie ce qui y arrive, sans fin")
    top.add_argument("--once", action="store_true", help="avec --watch : envoie ce qui est là, puis s’arrête")
    top.add_argument("--server", default="http://localhost:8000", help="adresse de l’observatoire")
    top.add_argument("--token", default=os.environ.get("BELVEDERE_TOKEN"), help="jeton d’émetteur (défaut : BELVEDERE_TOKEN)")
    top.add_argument("--test", action="store_true", help="envoi d’essai : contrôlé, jamais compté")
    top.add_argument("--timeout", type=float, default=60.0, help="attente maximale d’un accusé, en secondes")
    top.add_argument("--receipts", type=Path, default=None, metavar="DOSSIER", help="y écrit les accusés signés")
    top.add_argument("--json", action="store_true", help="un accusé JSON par ligne")
    top.add_argument("--data", default=None, help="dossier des données (sans objet ici, accepté partout)")
    top.set_defaults(run=run)


def progress(name: str, quiet: bool):
    """A bar on the terminal; nothing when the output is read by a program."""
    live = sys.stderr.isatty() and not quiet

    def tell(sent: int, total: int) -> None:
        if live:
            share = sent / max(total, 1)
            end = "\n" if sent >= total else ""
            print(f"\r{name[:40]:<40} [{'█' * int(share * 24):<24}] {share:>4.0%} {total / 1e6:8.1f} Mo", end=end, file=sys.stderr, flush=True)

    return tell


def run(options: argparse.Namespace) -> int:
    if not options.files and not options.watch:
        print("belvedere push : rien à envoyer ; donnez des fichiers, ou --watch DOSSIER.", file=sys.stderr)
        return EXIT_USAGE
    if not options.token:
        print("Jeton d’émetteur manquant : --token ou BELVEDERE_TOKEN.", file=sys.stderr)
        return EXIT_FAILURE
    sending = Sending(options.server, options.token, test=options.test)
    try:
        if options.watch:
            return _watch(sending, options)
        worst = EXIT_OK
        for path in options.files:
            answer = sending.send(path, progress(path.name, options.json))
            answer = sending.wait(answer, options.timeout)
            worst = max(worst, _tell(path, answer, options))
        return worst
    except ServerRefuses as error:
        print(f"Le serveur refuse l’envoi : {error}", file=sys.stderr)
    except Unreachable as error:
        print(f"Serveur injoignable ({options.server}) : {error}", file=sys.stderr)
    return EXIT_FAILURE


def _watch(sending: Sending, options: argparse.Namespace) -> int:
    folder, worst = WatchedFolder(options.watch, sending), EXIT_OK
    if not options.json:
        print(f"Dossier surveillé : {options.watch} (Ctrl+C pour arrêter)", file=sys.stderr, flush=True)
    failures = 0
    while True:
        try:
            for path, answer in folder.settle(lambda name: progress(name, options.json), options.timeout):
                worst = max(worst, _tell(path, answer, options))
            failures = 0
            if options.once and not folder.pending():
                return worst
            time.sleep(0.5)
        except Unreachable as error:
            failures += 1
            pause = min(60.0, 0.5 * 2**failures)
            print(f"Serveur injoignable : {error} ; nouvel essai dans {pause:.0f} s.", file=sys.stderr, flush=True)
            time.sleep(pause)
        except ServerRefuses as error:
            print(f"Le serveur refuse l’envoi : {error} Nouvel essai dans 30 s.", file=sys.stderr, flush=True)
            if options.once:
                return EXIT_FAILURE
            time.sleep(30)


def _tell(path: Path, answer: dict, options: argparse.Namespace) -> int:
    if options.receipts:
        options.receipts.mkdir(parents=True, exist_ok=True)
        (options.receipts / f"{path.name}.{answer['receipt']}.accuse.json").write_text(json.dumps(answer, ensure_ascii=False, indent=1))
    if options.json:
        print(json.dumps(answer, ensure_ascii=False), flush=True)
    else:
        test = " · essai" if answer["test"] else ""
        print(f"{path.name} · accusé {answer['receipt']} · {answer['state_label']}{test} · {answer['lines']} lignes, {answer['invoices']} factures")
        if answer["duplicate_of"]:
            print(f"  Déjà reçu sous l’accusé {answer['duplicate_of']} : rien n’a été recompté.")
        for item in answer["findings"]:
            where = f"enregistrement {item['record']}" if item["record"] else "fichier"
            print(f"  {item['code']} {where} : {item['message']} → {item['remedy']}")
        sys.stdout.flush()
    states = {"accepted": EXIT_OK, "remarks": EXIT_REMARKS, "partial": EXIT_REMARKS, "duplicate": EXIT_REMARKS, "refused": EXIT_REFUSED}
    return states.get(answer["state"], EXIT_FAILURE)
