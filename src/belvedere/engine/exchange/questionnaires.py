"""The questionnaires of the TDDUI guide, with ours for PATHOS that it lacks, and the items that each may answer."""

import re
from collections.abc import Mapping

from belvedere.engine.exchange import pathos
from belvedere.engine.exchange.aggir import ADVERBS, LINES
from belvedere.engine.exchange.sample import QUESTIONNAIRE, SITUATIONS

RESULT = "resultat-eval"
_NAMED = re.compile(re.escape(QUESTIONNAIRE) + r"tddui-questionnaire-(aggir-pa|aggir-ph|situation|serafin)(-ssiad)?(\|[\w.\-]{1,20})?")
# Lines of the AGGIR grid that make no variable of the GIR are answered too.
_GRID = [*(line for lines in LINES.values() for line in lines), "deplacer-dehors", "appareil-communication"]
_AGGIR = frozenset({RESULT, *_GRID, *(f"{line}-{adverb}" for line in _GRID for adverb in ADVERBS)})
_ITEMS = {"aggir-pa": _AGGIR, "aggir-ph": _AGGIR, "situation": frozenset(SITUATIONS)}
# What makes the GIR, and the whole of the situation: a grid is filled in whole, or the GIR is told without it.
_ASKED = {"aggir-pa": tuple(f"{line}-{adverb}" for parts in LINES.values() for line in parts for adverb in ADVERBS), "situation": SITUATIONS}
_ASKED["aggir-ph"] = _ASKED["aggir-pa"]


ICF, _QUALIFIER = "http://hl7.org/fhir/sid/icf", re.compile(r"qf[0-489]")  # qualifiers of difficulty, none to complete


def answer_valid(canonical: object, link: str, answer: Mapping) -> bool:
    """Whether a coded answer to a line of the AGGIR grid is a qualifier of the ICF, one to PATHOS a profile of care; True for all that is left open."""
    if canonical == pathos.QUESTIONNAIRE:
        return pathos.answer_valid(answer)
    held = answer.get("valueCoding")
    if "aggir" not in str(canonical) or link == RESULT or held is None:
        return True
    return held.get("system") == ICF and bool(_QUALIFIER.fullmatch(str(held.get("code", ""))))


def grid_of(response: Mapping) -> str:
    """The questionnaire that a response answers, by its name, whatever version its canonical address gives."""
    return re.split("[/:]", str(response.get("questionnaire", "")).partition("|")[0])[-1]


def items_of(canonical: object) -> frozenset[str] | None:
    """The items of a questionnaire, by its canonical address; empty when the guide leaves them open; None for one that is not taken."""
    if canonical == pathos.QUESTIONNAIRE:
        return pathos.STATES
    named = _NAMED.fullmatch(canonical) if isinstance(canonical, str) else None
    return _ITEMS.get(named[1], frozenset()) if named else None


def unanswered(canonical: object, answers: Mapping[str, object]) -> list[str]:
    """The questions of a grid that stay without an answer once it is begun: every situation, and every adverb of the lines that make the GIR."""
    named = _NAMED.fullmatch(canonical) if isinstance(canonical, str) else None
    asked = _ASKED.get(named[1], ()) if named else ()
    left = [link for link in asked if link not in answers]
    return left if len(left) < len(asked) else []
