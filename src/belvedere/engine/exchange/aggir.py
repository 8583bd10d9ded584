"""The AGGIR grid: from eight variables (A does alone, B partly, C does not) to a rank and a GIR (CASF annexe 2-2).

Its use for profit may need an authorisation (décret 97-427, annexe II): a deposit's GIR is taken as declared unless the operator asks for the comparison.
"""

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

VARIABLES = ("coherence", "orientation", "toilette", "habillage", "alimentation", "elimination", "transfert", "deplacement_interieur")
LAST_RANK = 13
GIR_OF_RANK = (0, 1, 2, 2, 2, 2, 2, 2, 3, 3, 4, 4, 5, 6)
# Lines of the TDDUI questionnaire that make each variable. How several lines combine is not in the decree: the worst one is kept.
LINES = {
    "coherence": ("fonction-pensee",), "orientation": ("fonction-orientation",), "toilette": ("se-laver", "prendre-soin"), "habillage": ("mettre-vetement", "mettre-chaussure"),
    "alimentation": ("manger", "passage-aliment"), "elimination": ("assurer-regulation-miction", "assurer-regulation-defecation"), "transfert": ("pos-corps",),
    "deplacement_interieur": ("deplacer-maison",),
}  # fmt: skip
ADVERBS = ("spont", "tot", "correct", "habit")


@cache
def _groups() -> list[tuple[dict[str, tuple[int, ...]], list[tuple[int, int]]]]:
    """Groups A to H: weights of each answer by variable, then (threshold, rank) in order."""
    found: dict[str, tuple[dict[str, tuple[int, ...]], list[tuple[int, int]]]] = {}
    with (files(__package__) / "aggir.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            steps = [(int(low), int(rank)) for low, rank in (part.split(":") for part in row["thresholds"].split())]
            weights, _ = found.setdefault(row["group"], ({"A": (0,) * len(VARIABLES)}, steps))
            weights[row["answer"]] = tuple(int(row[name]) for name in VARIABLES)
    return list(found.values())


def rank(answers: Mapping[str, str]) -> int:
    """Rank 1 to 13 of the answers (variable to A, B or C): the first threshold reached, groups in order. KeyError without all eight."""
    given = [answers[name] for name in VARIABLES]
    for weights, steps in _groups():
        total = sum(weights[answer][place] for place, answer in enumerate(given))
        for low, reached in steps:
            if total >= low:
                return reached
    return LAST_RANK


def gir(answers: Mapping[str, str]) -> int:
    """GIR 1 to 6."""
    return GIR_OF_RANK[rank(answers)]


def answer(adverbs: Mapping[str, bool]) -> str:
    """A when all four adverbs hold, C when none does, else B."""
    held = sum(adverbs[name] for name in ADVERBS)
    return "A" if held == len(ADVERBS) else "C" if held == 0 else "B"


def answers_of(lines: Mapping[str, bool]) -> dict[str, str] | None:
    """The eight answers of a TDDUI questionnaire, from its booleans by linkId; None when one is missing."""
    found = {}
    for name, parts in LINES.items():
        told = []
        for part in parts:
            adverbs = {adverb: lines.get(f"{part}-{adverb}") for adverb in ADVERBS}
            if None in adverbs.values():
                return None
            told.append(answer({key: bool(value) for key, value in adverbs.items()}))
        found[name] = max(told)
    return found
