"""Reference pages about who comes in and how: rights, security requirements, command line, HTTP API. Django is set up by whoever imports."""

from tables import table


def rights() -> str:
    from belvedere.api.auth import API_RULES
    from belvedere.observatory.accounts.models import Role
    from belvedere.observatory.accounts.permissions import ALLOWED, LABELS, Action
    from belvedere.portal.access import READ_AND_TOLD, RULES

    said = {
        "public": "tout le monde",
        "account": "une personne connectée, pour son propre compte",
        "signed_in": "une personne connectée avec son second facteur",
    }
    callers = {
        "anyone": "tout le monde",
        "sender": "un émetteur",
        "sender_or_market": "un émetteur, ou une personne qui lit le marché",
        "party": "un acteur des échanges",
    }
    parts = [
        "# Droits\n\nCe qui n’est pas dans ces tables est refusé. Un second facteur est exigé hors du public et de son propre compte.\n\n## Qui peut quoi\n\n"
    ]
    parts.append(
        table(
            ["Acte", *(role.label for role in Role)],
            [[LABELS[action], *("●" if role in ALLOWED[action] else "" for role in Role)] for action in Action],
        )
    )
    parts.append("\nLes personnes d’un adhérent ne voient que leurs entités, ou tout leur groupe quand cela leur a été donné.\n\n## Pages\n\n")
    rows = [
        [f"`{name}`", LABELS[rule] if isinstance(rule, Action) else said[rule], "oui" if name in READ_AND_TOLD else ""]
        for name, rule in sorted(RULES.items())
    ]
    parts.append(table(["Page", "Ouverte à qui peut", "Lecture au journal"], rows))
    parts.append(
        "\n## API\n\n" + table(["Appel", "Ouvert à"], [[f"`{method} {path}`", callers[rule]] for (method, path), rule in sorted(API_RULES.items())])
    )
    return "".join(parts)


def asvs() -> str:
    import csv
    from importlib.resources import files

    rows = csv.DictReader((files("belvedere.portal") / "asvs.csv").read_text(encoding="utf-8").splitlines())
    text = "# OWASP ASVS 4.0, niveau 2\n\nLes exigences qui s’appliquent, comment elles sont tenues, et le test qui le montre. Un test vérifie que chacun de ceux-ci existe.\n\n"
    return text + table(
        ["Chapitre", "Exigence", "Comment", "Test"], [[row["id"], row["requirement"], row["how"], f"`{row['test']}`"] for row in rows]
    )


def command_line() -> str:
    import argparse

    from belvedere.cli import parser
    from belvedere.cli.french import EXIT_CODES

    parts = ["# Ligne de commande\n"]

    def describe(found: argparse.ArgumentParser, depth: int) -> None:
        children = [action for action in found._actions if isinstance(action, argparse._SubParsersAction)]
        rows = [
            [", ".join(f"`{option}`" for option in action.option_strings) or f"`{action.metavar or action.dest}`", action.help or ""]
            for action in found._actions
            if not isinstance(action, argparse._SubParsersAction | argparse._HelpAction)
        ]
        if depth or rows:
            parts.append(f"\n## `{found.prog}`\n\n")
            parts.append(table(["Option", "Rôle"], rows) if rows else "")
        for action in children:
            for child in action.choices.values():
                describe(child, depth + 1)

    describe(parser(), 0)
    parts.append("""
## Réponse JSON de `belvedere b2 check --json`

| Champ | Sens |
| --- | --- |
| `accepted` | vrai si le fichier ne serait pas refusé |
| `counts` | nombre d’enregistrements par type |
| `findings` | liste de `code`, `severity` (`error` ou `warning`), `record` (premier concerné, 0 : le fichier), `position`, `message`, `remedy`, `count`, `examples` |
| `invoices`, `lines`, `amount_billed`, `amount_amo` | ce qui serait compté, montants en centimes |
| `refused_invoices` | numéros des factures refusées |

La commande sort avec 0 (accepté sans anomalie), 1 (accepté avec anomalies) ou 2 (refusé).
""")
    parts.append("\n## Codes de retour\n\n" + table(["Code", "Sens"], [[code, text] for code, text in EXIT_CODES.items()]))
    return "".join(parts)


def http_api() -> str:
    import json

    from belvedere.api.routes import api

    paths = json.loads(json.dumps(api.get_openapi_schema(path_prefix="/api/v1/")))["paths"]
    rows = [
        [f"`{method.upper()} {path}`", call.get("summary", ""), "oui" if call.get("security") else "non", ", ".join(sorted(call["responses"]))]
        for path, calls in paths.items()
        for method, call in calls.items()
    ]
    return "# API HTTP\n\nLe contrat complet (OpenAPI) est servi sur `/api/v1/openapi.json`, sa lecture sur `/api/v1/docs`.\n\n" + table(
        ["Appel", "Rôle", "Jeton", "Réponses"], rows
    )
