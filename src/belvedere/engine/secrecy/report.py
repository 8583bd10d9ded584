"""The report of a protection: figures for machines, the same in French for readers. No value of a hidden cell."""

import resource
import time
from collections.abc import Mapping
from typing import Any

from belvedere.engine.secrecy.contributions import Filled
from belvedere.engine.secrecy.protect import Protection
from belvedere.engine.secrecy.replay import federations_learn
from belvedere.engine.secrecy.specification import Specification


def figures(specification: Specification, filled: Filled, protection: Protection, seconds: float) -> dict[str, Any]:
    """Counts, value suppressed, readers tried, seconds and memory. Concentration parameters stay out of it."""
    table = filled.table
    full = table.given.counted() > 0
    secondary = protection.mask & ~protection.primary
    learnt = federations_learn(table, protection.mask, protection.primary, seed=5)
    measured = {name: learnt.get(number, 0) for number, name in enumerate(filled.federations)}
    return {
        "title": specification.title, "cells": int(full.sum()), "grid": len(table.lattice), "relations": table.lattice.relations,
        "published": int((~protection.mask).sum()), "primaries": int((protection.primary & full).sum()), "secondaries": int(secondary.sum()),
        "hidden_zeros": int((protection.mask & ~full).sum()), "secondary_value_share": round(float(table.value[secondary].sum()) / max(float(table.value.sum()), 1e-9), 4),
        "readers": {"public": 1, "holdings": len(filled.holdings), "federations": len(filled.federations)},
        "federations_close": specification.parameters.federations_attack, "federation_leaks": measured,
        "rules": {"patients": specification.parameters.patients, "holdings": specification.parameters.holdings},
        "leaks": list(protection.leaks), "steps": protection.figures, "seconds": round(seconds, 2),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "seed": specification.seed,
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }  # fmt: skip


def words(report: Mapping[str, Any]) -> str:
    """The report in French, as Markdown."""
    n = {key: f"{value:,}".replace(",", "\u202f") if isinstance(value, int) else value for key, value in report.items()}
    readers_, steps = report["readers"], report["steps"]
    leaks, federations = report["leaks"], report["federation_leaks"]
    share = f"{float(str(report['secondary_value_share'])):.2%}".replace(".", ",").replace("%", " %")
    lines = [
        f"# {report['title']} : protection du secret statistique\n",
        f"- Cellules non vides : {n['cells']} (grille de {n['grid']}), liées par {n['relations']} relations.",
        f"- Publiées, zéros compris : {n['published']}.",
        f"- Masquées par elles-mêmes : {n['primaries']} ; masquées pour les protéger : {n['secondaries']} ; zéros tus : {n['hidden_zeros']}.",
        f"- Part de la valeur ainsi masquée pour protéger d’autres cellules, tous niveaux confondus : {share}.",
        f"- Lecteurs essayés : le public, {readers_['holdings']} groupes pris un à un avec ce que chacun sait de lui-même"
        + (f", {readers_['federations']} fédérations." if report["federations_close"] else "."),
        f"- Sommes déductibles closes ; {steps.get('certificates', 0)} certificats prouvent les intervalles "
        f"({steps.get('counts_unproven', 0)} effectifs sur {steps.get('counts_asked', 0)} ont un intervalle plus étroit que de 1 à 10).",
        f"- {str(report['seconds']).replace('.', ',')} s, {report['peak_rss_mb']} Mo au plus.\n",
    ]
    if federations and not report["federations_close"]:
        told = ", ".join(f"{name} {count}" for name, count in federations.items())
        lines.append(f"Mesuré sans être fermé : cellules qu’apprendrait une fédération qui détiendrait toutes les lignes de ses membres : {told}.\n")
    lines.append("## Fuites\n\n" + ("Aucune.\n" if not leaks else "\n".join(f"- {leak}" for leak in leaks) + "\n"))
    lines.append("Rejouer tous les audits à partir de ce dossier : `belvedere secrecy audit DOSSIER`.\n")
    return "\n".join(lines)
