"""Writes the reference pages of docs/reference from the code; with --check, says which are stale."""

import os
import sys
import tempfile
from pathlib import Path

_own = tempfile.TemporaryDirectory(prefix="belvedere-docs-")
os.environ.setdefault("BELVEDERE_DATA", _own.name)
os.environ["DJANGO_SETTINGS_MODULE"] = "belvedere.observatory.settings"
os.environ.pop("BELVEDERE_DATABASE_URL", None)

import django  # noqa: E402 (the environment above comes first)

django.setup()

from doors import asvs, command_line, http_api, rights  # noqa: E402
from tables import table  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"


def errors() -> str:
    from belvedere.api.schemas import PROBLEMS
    from belvedere.engine.b2.findings import rules

    effect = {
        ("error", "file"): "refus du flux",
        ("error", "invoice"): "refus de la facture",
        ("warning", "file"): "remarque",
        ("warning", "invoice"): "remarque",
    }
    rows = [
        [rule.code, effect[rule.severity, rule.scope], rule.message, rule.remedy, rule.zone, rule.rule, rule.source, rule.confidence]
        for rule in rules().values()
    ]
    text = "# Anomalies d’un flux\n\nCodes stables, avec ce qu’il faut faire. Un refus de facture refuse le flux entier ou la facture seule, selon le réglage "
    text += "du groupe. Confiance : V lu dans une spécification, C dans un logiciel en service, D calculé, I déduit, M de mémoire ; ce qui est "
    text += "déduit ou de mémoire ne fait qu’une remarque, sauf quand rien n’a pu être lu.\n\n"
    text += table(["Code", "Effet", "Constat", "Remède", "Zone", "Règle", "Source", "Confiance"], rows)
    text += "\n## Réponses de l’API\n\n" + table(["Code", "Constat", "Remède"], [[code, *said] for code, said in PROBLEMS.items()])
    return text


def noemie() -> str:
    from belvedere.engine.b2.noemie import entities

    kinds = {"A": "texte", "N": "nombre", "D": "date AAMMJJ", "P": "identité, jamais montrée"}
    parts = [
        "# Retours NOEMIE\n\nEntités lues et leurs zones ; les autres sont conservées et signalées (N002). Une entité finit par « @ », sauf 000 et 999.\n"
    ]
    for name, zones in entities().items():
        parts.append(f"\n## {name}\n\n" + table(["Positions", "Sens", "Type"], [[f"{z.start}-{z.end}", z.label, kinds[z.type]] for z in zones]))
    return "".join(parts)


def secrecy() -> str:
    import csv
    from importlib.resources import files

    from belvedere.engine.secrecy.errors import catalogue

    keys = [
        ["title", "titre du rapport"],
        [
            "dimensions",
            "pour chacune : `column` (colonne du code fin), `tree` (code : parent, ou fichier code,parent), `levels` (code : niveau ; sinon la profondeur), `also` (autres hiérarchies : `name`, `sums`, et `during` pour une hiérarchie datée)",
        ],
        ["calendar", "la dimension dont les codes datent les hiérarchies"],
        ["contributor, holding, federation", "colonnes ; le groupe vaut le contributeur s’il n’est pas donné, la fédération est facultative"],
        ["patients", "colonne d’effectif, ou {distinct: colonne d’une personne, splits: dimensions qui partagent les personnes}"],
        ["measures, lead", "mesures et celle des règles de concentration (la première)"],
        ["cubes", "croisements publiés : dimension : niveaux (tous par défaut)"],
        ["forced, external", "cellules à publier ; totaux connus de tous par ailleurs"],
        ["rules", "`patients`, `holdings`, `dominance`, `p`, `federation_remainder`, `federations_attack`"],
        ["seed", "graine des nombres premiers : même entrée, même graine, même masque"],
    ]
    rules = [
        ["effectif", "moins de 11 personnes", "ATIH, CASD"], ["groupes", "moins de 3 groupes", "Insee"],
        ["dominance (1, k)", "le premier groupe passe k du total (en valeur absolue)", "Insee, Handbook 4.2"],
        ["p %", "le reste après les deux premiers vaut moins de p fois le premier", "Handbook 4.2"],
        ["reste hors fédération", "le reste sans une fédération présente laisse approcher le plus grand des autres ; éteinte par défaut", "propre à Belvédère"],
        ["zéro tu", "cellule vide sous un total de moins de 3 groupes, sauf si d’autres zéros la disent", "attaque A9"],
        ["somme déductible", "la somme des cellules masquées d’un total publié suit les mêmes règles, jusqu’à deux relations plus bas", "attaque A8"],
        ["intervalle", "chaque lecteur doit croire possible un écart de p x1 − (X − x1 − x2), vers le haut et vers le bas", "Handbook 4.2"],
    ]  # fmt: skip
    attacks = csv.DictReader((files("belvedere.engine.secrecy") / "attacks.csv").read_text(encoding="utf-8").splitlines())
    state = {"closed": "fermée", "residual": "risque restant"}
    text = "# Secret statistique\n\n## Règles\n\n" + table(["Règle", "Une cellule est sensible quand", "Source"], rules)
    text += "\nLes seuils de concentration se règlent (`BELVEDERE_DOMINANCE`, `BELVEDERE_P_PERCENT`) et ne se publient pas.\n"
    text += "\n## Description d’une table\n\n" + table(["Clé", "Sens"], keys)
    text += "\n## Erreurs\n\n" + table(["Code", "Constat", "Remède"], [[code, *said] for code, said in catalogue().items()])
    rows = [[row["id"], row["attack"], row["control"], state[row["state"]], row["reason"]] for row in attacks]
    return text + "\n## Attaques essayées\n\n" + table(["N°", "Attaque", "Parade", "État", "Note"], rows)


def study() -> str:
    from belvedere.engine.study.definitions import definitions
    from belvedere.engine.study.errors import catalogue
    from belvedere.engine.study.inputs import tables

    kinds = {"text": "texte", "month": "mois", "date": "date", "integer": "entier", "boolean": "1 ou 0"}
    text = "# Étude de marché\n\n`belvedere study --period AAAA-MM..AAAA-MM [--from FICHIER|DOSSIER] [--out DOSSIER] [--tier public|gouvernance|ÉDITEUR]`\n\n## Tables\n\n"
    text += "Le public lit les colonnes dites ; un éditeur lit ses propres lignes et, sous dix autres éditeurs au moins, leurs quartiles ; la gouvernance lit tout.\n\n"
    rows = []
    for one in definitions():
        public = ", ".join(one.column(name).label.lower() for name in one.public) or "—"
        own = one.column(one.own).label.lower() if one.own else "—"
        rows.append([one.code, one.title, one.question, one.definition, one.population, one.source, public, own])
    text += table(["N°", "Titre", "Question", "Définition", "Population", "Source", "Public", "L’éditeur se lit par"], rows)
    text += "\n## Ce qui est lu\n\nUn fichier de flux, ou un dossier de tables CSV (« , » ou « ; ») ou Parquet ; seule `flux` est obligatoire.\n"
    for name, columns in tables().items():
        rows = [[f"`{one.column}`", kinds[one.kind], "oui" if one.required else "", one.otherwise, one.note] for one in columns]
        text += f"\n### {name}\n\n" + table(["Colonne", "Type", "Obligatoire", "Si vide", "Sens"], rows)
    return text + "\n## Erreurs\n\n" + table(["Code", "Constat", "Remède"], [[code, *said] for code, said in catalogue().items()])


def services() -> str:
    import csv
    from importlib.resources import files

    from belvedere.engine.services import BANNER, pieces
    from belvedere.engine.services.catalogue import services as every
    from belvedere.engine.services.invoice_check import checks
    from belvedere.engine.services.matching import cases
    from belvedere.engine.services.results import results
    from belvedere.engine.services.roc import moves

    text = f"# Services de la facturation\n\nL’extérieur est simulé : « {BANNER} ». Les codes sont les nôtres ; les listes officielles ne sont pas publiques.\n\n## Ce qui est réel\n\n"
    text += table(
        ["Service", "Réel", "Simulé", "Il faut", "Pour brancher"], [[one.name, one.real, one.simulated, one.needs, one.plug] for one in every()]
    )
    text += "\n## Réponses\n\n" + table(
        ["Service", "Code", "Réponse", "Que faire"], [[one.service, one.code, one.label, one.remedy] for one in results().values()]
    )
    text += "\n## Contrôle de facture\n\n" + table(
        ["Zone du type 2", "Écart", "Rejet probable", "Corrigeable"],
        [[f"`{one.zone}`" if one.zone else "", one.label, f"{one.cause} {one.cause_label}", "oui" if one.correctable else "non"] for one in checks()],
    )
    text += "\n## ROC\n\n" + table(["État", "Verbe", "Devient"], [[state, verb, then] for (state, verb), then in moves().items()])
    rows = csv.DictReader((files("belvedere.engine.services") / "guarantees.csv").read_text(encoding="utf-8").splitlines())
    text += "\nGaranties : " + " ; ".join(f"`{row['code']}` {row['label']} ({row['covers']})" for row in rows) + ".\n"
    text += "\n## Rapprochement\n\n" + table(["Cas", "Sens", "Que faire"], [[one.code, one.label, one.remedy] for one in cases().values()])
    text += "\n## Pièces justificatives\n\n" + table(["Code", "Constat", "Remède"], [[code, *said] for code, said in pieces.problems().items()])
    return text


def settings() -> str:
    from belvedere.observatory.environment import SETTINGS

    rows = [[f"`{item.name}`", f"`{item.default}`" if item.default else "", item.description] for item in SETTINGS]
    return "# Réglages\n\nVariables d’environnement lues par toutes les commandes.\n\n" + table(["Nom", "Défaut", "Rôle"], rows)


def indicators() -> str:
    from belvedere.engine.indicators.definitions import THEMES, catalogue
    from belvedere.engine.indicators.lattice import cubes
    from belvedere.engine.indicators.measures import MEASURES

    parts = [
        "# Indicateurs\n\nUn fichier par indicateur, dans `engine/indicators/definitions`, avec un exemple que les tests calculent. ",
        "Les montants sont en centimes dans les fichiers, en euros à l’écran.\n",
    ]
    for theme, label in THEMES.items():
        rows = [
            [f"`{d.slug}`", d.title, d.said or d.label, d.unit, d.tier_fr, d.needs or d.caution] for d in catalogue().values() if d.theme == theme
        ]
        if rows:
            parts.append(f"\n## {label}\n\n" + table(["Nom", "Question", "Calcul", "Unité", "Visible", "À savoir"], rows))
    parts.append("\n## Mesures\n\nCe que porte chaque cellule publiée.\n\n")
    parts.append(
        table(
            ["Nom", "Mesure", "Unité", "S’additionne"], [[f"`{m.name}`", m.label, m.unit, "oui" if m.additive else "non"] for m in MEASURES.values()]
        )
    )
    for name, what in (("cubes.yaml", "Les cubes d’une publication, protégés ensemble."), ("own_cubes.yaml", "Ce qu’un adhérent lit de lui-même.")):
        parts.append(f"\n## {'Cellules déclarées' if name == 'cubes.yaml' else 'Cellules de chaque adhérent'}\n\n{what}\n\n")
        parts.append(table(["Cube", "Niveaux"], [[c.name, " ; ".join(f"{k} : {', '.join(v)}" for k, v in c.levels.items())] for c in cubes(name)]))
    return "".join(parts)


def states() -> str:
    from belvedere.observatory.collect.models import TRANSITIONS, State
    from belvedere.observatory.members.models import EnrolmentState
    from belvedere.observatory.members.models.joining import ENROLMENT_TRANSITIONS
    from belvedere.observatory.publication.models import RELEASE_TRANSITIONS, ReleaseState

    def diagram(names, transitions) -> str:
        lines = [f"    {code} : {names(code).label}" for code in transitions]
        lines += [f"    {before} --> {after}" for before, following in transitions.items() for after in following]
        return "```mermaid\nstateDiagram-v2\n" + "\n".join(str(line) for line in lines) + "\n```\n"

    flow = diagram(State, {str(k): [str(x) for x in v] for k, v in TRANSITIONS.items()})
    release = diagram(ReleaseState, {str(k): [str(x) for x in v] for k, v in RELEASE_TRANSITIONS.items()})
    enrolment = diagram(EnrolmentState, {str(k): [str(x) for x in v] for k, v in ENROLMENT_TRANSITIONS.items()})
    return f"# États\n\n## Un flux\n\n{flow}\n## Une publication\n\n{release}\n## Une adhésion\n\n{enrolment}"


def facts() -> str:
    from belvedere.engine.warehouse.returns import RETURNS
    from belvedere.engine.warehouse.schema import documentation

    heads = ["Colonne", "Type", "Unité", "Zone de la norme"]
    rows = [[f"`{name}`", kind, unit, source] for name, kind, unit, source in documentation()]
    paid = [[f"`{name}`", kind, unit, source] for name, kind, unit, source in documentation(RETURNS)]
    return (
        "# Faits\n\nUne ligne par ligne de facture. Aucune identité : le NIR et la date de naissance n’y sont pas.\n\n" + table(heads, rows)
        + "\n## Retours de paiement\n\nUne ligne par facture d’un retour NOEMIE. Aucun assuré : ni numéro, ni nom, ni date de naissance.\n\n" + table(heads, paid)
    )  # fmt: skip


def profile_rows() -> list[list[object]]:
    from belvedere.engine.exchange.conformance import constraints

    return [
        [
            f"`{name}`", ".".join(one.steps) + (f" ({one.where[0]} {' ou '.join(sorted(one.where[1]))})" if one.where else ""),
            f"{one.least}..{'*' if one.most is None else one.most}", " ou ".join(sorted(one.values)) or "—", ", ".join(sorted(one.targets)) or "—",
        ]
        for name, rows in constraints().items() for one in rows
    ]  # fmt: skip


def exchanges() -> str:
    from belvedere.api.exchange.operations import OPERATIONS
    from belvedere.engine.exchange.contracts import contracts
    from belvedere.engine.exchange.matrix import proposed
    from belvedere.engine.exchange.rules import rules
    from belvedere.engine.exchange.topics import topics

    parts = ["# Échanges\n\n## Opérations FHIR\n\n"]
    parts.append(
        table(
            ["Appel", "Ce qu’il fait", "Jeton"],
            [[f"`{o.method} /fhir/{o.pattern}`".replace("/`", "`"), o.doc, "non" if o.open else "oui"] for o in OPERATIONS],
        )
    )
    parts.append("\n## Règles d’un dépôt\n\n")
    said = {"error": "erreur", "warning": "remarque"}
    parts.append(
        table(
            ["Règle", "Gravité", "Ce qui ne va pas", "Quoi faire"], [[f"`{r.rule}`", said[r.severity], r.message, r.remedy] for r in rules().values()]
        )
    )
    parts.append(
        "\n## Ce que les profils du guide TDDUI ajoutent à FHIR R4\n\nDit par `tddui-profile-01` (manque), `02` (trop), `03` (valeur), `04` (type désigné). Un élément intérieur est demandé là où celui qui le contient est présent.\n\n"
    )
    parts.append(table(["Profil", "Élément", "Présence", "Valeurs", "Désigne"], profile_rows()))
    parts.append("\n## Sujets d’abonnement\n\n")
    parts.append(table(["Sujet", "Libellé", "Catégorie"], [[f"`{t.code}`", t.label, t.category or "—"] for t in topics().values()]))
    parts.append("\n## Matrice livrée\n\nUne proposition, à valider juridiquement. Deux personnes la remplacent depuis *Changer la matrice*.\n\n")
    rows = [[r.rule, r.actor, r.purpose, r.category, r.grain, r.perimeter, r.consent, r.legal_basis, r.condition or "—"] for r in proposed().rows]
    parts.append(table(["Règle", "Acteur", "Finalité", "Catégorie", "Grain", "Périmètre", "Consentement", "Base légale", "Condition"], rows))
    for contract in contracts().values():
        parts.append(f"\n## Jeu `{contract.code}`, contrat {contract.version}\n\n{contract.title}. {contract.note}\n\n")
        items = [
            [f"`{i.name}`", i.label, i.source, i.category, "toujours" if i.required else f"{i.completeness:.0%}" if i.completeness else "—"]
            for i in contract.items
        ]
        parts.append(table(["Donnée", "Libellé", "Source", "Catégorie", "Remplie"], items))
    return "".join(parts)


def layouts() -> str:
    from belvedere.engine.b2.layouts import all_layouts

    parts = ["# Dessins d’enregistrement B2\n\nPositions de 1 à 128. N numérique, A alphabétique ; O obligatoire, F facultatif.\n"]
    for (record, family), spec in sorted(all_layouts().items()):
        rows = [[f"{z.start}-{z.end}", z.type, z.presence, f"`{z.name}`", z.constant] for z in spec.zones]
        parts.append(f"\n## {record} ({family})\n\n" + table(["Positions", "Type", "Présence", "Zone", "Valeur"], rows))
    return "".join(parts)


def capacity() -> str:
    """The page on capacity with its table as the simulation gives it today."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import capacity as simulation

    before, after = "<!-- tableau -->\n", "<!-- /tableau -->"
    text = (FOLDER / CAPACITY).read_text(encoding="utf-8")
    head, _, rest = text.partition(before)
    return head + before + table(["", "la France", "× 10", "× 100"], simulation.table()) + after + rest.partition(after)[2]


CAPACITY = "../explications/capacite.md"
PAGES = {
    "anomalies.md": errors, "reglages.md": settings, "indicateurs.md": indicators, "etats.md": states, "faits.md": facts, "echanges.md": exchanges, "etude.md": study, "services.md": services,
    "dessins-b2.md": layouts, "noemie.md": noemie, "ligne-de-commande.md": command_line, "secret.md": secrecy, "api.md": http_api,
    "droits.md": rights, "asvs.md": asvs, CAPACITY: capacity,
}  # fmt: skip


def main() -> int:
    stale = []
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        text = make()
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if "--check" in sys.argv and stale:
        print(f"Pages périmées : {', '.join(stale)} (make docs)")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
