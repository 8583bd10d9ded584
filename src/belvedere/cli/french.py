"""An argument parser that speaks French: argparse takes its sentences from `gettext`, whose catalogue this is."""

import argparse
from typing import Any, NoReturn

_SENTENCES = {
    "usage: ": "utilisation : ",
    "options": "options",
    "positional arguments": "arguments",
    "show this help message and exit": "affiche cette aide",
    "the following arguments are required: %s": "il manque : %s",
    "unrecognized arguments: %s": "arguments inconnus : %s",
    "invalid %(type)s value: %(value)r": "valeur %(value)r invalide",
    "invalid choice: %(value)r (choose from %(choices)s)": "choix %(value)r inconnu (au choix : %(choices)s)",
    "expected one argument": "une valeur est attendue",
    "expected at least one argument": "au moins une valeur est attendue",
    "argument %(argument_name)s: %(message)s": "argument %(argument_name)s : %(message)s",
    "%(prog)s: error: %(message)s\n": "%(prog)s : erreur : %(message)s\n",
}

argparse._ = lambda text: _SENTENCES.get(text, text)  # type: ignore[attr-defined]

EXIT_OK, EXIT_REMARKS, EXIT_REFUSED, EXIT_USAGE, EXIT_FAILURE = 0, 1, 2, 64, 70
EXIT_CODES = {
    EXIT_OK: "réussi",
    EXIT_REMARKS: "accepté avec remarques, ou déjà reçu",
    EXIT_REFUSED: "refusé",
    EXIT_USAGE: "commande mal écrite",
    EXIT_FAILURE: "échec technique",
}


class Parser(argparse.ArgumentParser):
    """A parser with French help and a stable exit code for misuse."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        super().__init__(*args, **options)

    def error(self, message: str) -> NoReturn:
        self.print_usage()
        self.exit(EXIT_USAGE, f"{self.prog} : erreur : {message}\n")
