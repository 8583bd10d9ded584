"""The search of the catalogue: forgives accents, plurals and typing errors."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

from belvedere.engine.indicators.definitions import Definition
from belvedere.portal.market import sort_key

CLOSE = 0.8  # likeness of two words above which one is a misspelling of the other
# Words of the trade that definitions do not spell.
ALSO = {
    "hhi": "concentration",
    "cagr": "evolution",
    "churn": "arrets",
    "turnover": "montant",
    "ca": "facture",
    "amo": "rembourse",
    "file": "patients",
}


def words(text: str) -> list[str]:
    """Words without accents or final s, of two letters at least."""
    return [word.rstrip("s") if len(word) > 3 else word for word in re.findall(r"[a-z0-9]{2,}", sort_key(text))]


def score(query: str, definition: Definition) -> float:
    """How well a definition answers; 0 when a word of the query is found nowhere."""
    fields = (
        (definition.label, 3.0),
        (definition.title, 2.0),
        (definition.slug, 2.0),
        (definition.said + " " + definition.why + " " + definition.theme_fr, 1.0),
    )
    total = 0.0
    for word in words(query):
        best = max((weight * _likeness(ALSO.get(word, word), found) for text, weight in fields for found in words(text)), default=0.0)
        if not best:
            return 0.0
        total += best
    return total


def _likeness(asked: str, found: str) -> float:
    if asked == found:
        return 1.0
    if len(asked) >= 3 and found.startswith(asked):
        return 0.9
    likeness = SequenceMatcher(None, asked, found).ratio() if len(asked) >= 4 else 0.0
    return likeness * 0.8 if likeness >= CLOSE else 0.0


def find(query: str, definitions: Iterable[Definition]) -> list[Definition]:
    """Definitions that answer a query, the best first; all of them, in their order, for an empty one."""
    if not words(query):
        return list(definitions)
    scored = [(score(query, definition), definition) for definition in definitions]
    return [definition for points, definition in sorted(scored, key=lambda pair: (-pair[0], pair[1].label)) if points]
