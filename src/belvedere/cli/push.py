"""`belvedere push`: encrypts files for the observatory, sends them, and waits for their receipts."""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from cryptography import x509

from belvedere.cli.french import EXIT_FAILURE, EXIT_OK, EXIT_REFUSED, EXIT_REMARKS
from belvedere.engine.b2.envelope import seal

ATTEMPTS = 6


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("push", help="chiffre et envoie des fichiers B2, attend leurs accusés")
    top.add_argument("files", nargs="+", type=Path, metavar="FICHIER")
    top.add_argument("--server", default="http://localhost:8000", help="adresse de l’observatoire")
    top.add_argument("--token", default=os.environ.get("BELVEDERE_TOKEN"), help="jeton d’émetteur (défaut : BELVEDERE_TOKEN)")
    top.add_argument("--timeout", type=float, default=60.0, help="attente maximale d’un accusé, en secondes")
    top.add_argument("--json", action="store_true", help="un accusé JSON par ligne")
    top.add_argument("--data", default=None, help="dossier des données (sans objet ici, accepté partout)")
    top.set_defaults(run=run)


def _call(url: str, token: str, body: bytes | None = None, name: str = "") -> bytes:
    headers = {"Authorization": f"Bearer {token}"}
    if body is not None:
        headers |= {"Content-Type": "application/pkcs7-mime", "X-File-Name": name}
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 (the address is the user's)
    for attempt in range(ATTEMPTS):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.read()
        except urllib.error.HTTPError as error:
            if error.code not in (429, 502, 503) or attempt == ATTEMPTS - 1:
                raise
        except urllib.error.URLError:
            if attempt == ATTEMPTS - 1:
                raise
        time.sleep(0.2 * 2**attempt)
    raise AssertionError("unreachable")


def run(options: argparse.Namespace) -> int:
    if not options.token:
        print("Jeton d’émetteur manquant : --token ou BELVEDERE_TOKEN.", file=sys.stderr)
        return EXIT_FAILURE
    api = options.server.rstrip("/") + "/api/v1"
    worst = EXIT_OK
    try:
        certificate = x509.load_pem_x509_certificate(_call(f"{api}/certificate", options.token))
        for path in options.files:
            answer = json.loads(_call(f"{api}/flows", options.token, seal(path.read_bytes(), certificate), path.name))
            deadline = time.monotonic() + options.timeout
            while answer["state"] in ("received", "running") and time.monotonic() < deadline:
                time.sleep(0.1)
                answer = json.loads(_call(f"{api}/flows/{answer['receipt']}", options.token))
            worst = max(worst, _tell(path, answer, options.json))
    except urllib.error.HTTPError as error:
        reasons = {401: "jeton inconnu ou révoqué", 413: "fichier trop gros"}
        print(f"Le serveur refuse l’envoi : {reasons.get(error.code, error.code)}.", file=sys.stderr)
        return EXIT_FAILURE
    except urllib.error.URLError as error:
        print(f"Serveur injoignable ({options.server}) : {error.reason}.", file=sys.stderr)
        return EXIT_FAILURE
    return worst


def _tell(path: Path, answer: dict, as_json: bool) -> int:
    if as_json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        print(f"{path.name} · accusé {answer['receipt']} · {answer['state_label']} · {answer['lines']} lignes, {answer['invoices']} factures")
        if answer["duplicate_of"]:
            print(f"  Déjà reçu sous l’accusé {answer['duplicate_of']} : rien n’a été recompté.")
        for item in answer["findings"]:
            where = f"enregistrement {item['record']}" if item["record"] else "fichier"
            print(f"  {item['code']} {where} : {item['message']} → {item['remedy']}")
    return {"accepted": EXIT_OK, "remarks": EXIT_REMARKS, "duplicate": EXIT_REMARKS, "refused": EXIT_REFUSED}.get(answer["state"], EXIT_FAILURE)
