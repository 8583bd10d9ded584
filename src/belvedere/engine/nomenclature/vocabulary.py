"""What each family calls its own parts: PPC tiers, oxygen sources, infusion modes; by LPP code.

Source: the headings of the LPP (title 1), in the trade's own words. A code without a part stands for itself.
"""

import csv
from functools import cache
from importlib.resources import files

from belvedere.engine.nomenclature.products import products

# Heading of each family's split, as its page says it.
TITLES = {
    "OXY": "Sources d’oxygène", "PPC": "Paliers d’observance", "RESP_ASSO": "Traitements associés", "VENT": "Durée de ventilation",
    "AERO": "Durée de location", "RESP_AUTRE": "Ancienneté de l’aspirateur", "PERF": "Modes de perfusion", "NUTE": "Modes d’administration",
    "NPAD": "Ancienneté du traitement", "INSU": "Types de pompe", "DIAB": "Dispositifs", "LIT": "Types de lit", "ESC": "Types de support",
    "AIDE_MOB": "Aides", "VPH_LOC": "Ancienneté de la location", "VPH": "Types de fauteuil",
}  # fmt: skip
TELEMONITORED = ("TL1", "TL2", "TL3")


@cache
def parts() -> dict[int, tuple[str, str]]:
    """LPP code to its (part, French label), in display order."""
    with (files(__package__) / "vocabulary.csv").open(encoding="utf-8") as stream:
        return {int(row["lpp"]): (row["part"], row["label"]) for row in csv.DictReader(stream)}


@cache
def parts_of(family: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Parts of a family: part to (label, its LPP codes as text); codes without a part stand alone."""
    found: dict[str, tuple[str, list[str]]] = {}
    for code, product in products().items():
        if product.family == family:
            part, label = parts().get(code, (str(code), product.label))
            found.setdefault(part, (label, []))[1].append(str(code))
    order = list(dict.fromkeys(part for part, _ in parts().values()))
    ranked = sorted(found, key=lambda part: order.index(part) if part in order else len(order))
    return {part: (found[part][0], tuple(found[part][1])) for part in ranked}


def part_title(family: str) -> str:
    """Heading of a family's split."""
    return TITLES.get(family, "Codes")
