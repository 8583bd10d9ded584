"""What may be answered from a release: sums, shares, ranks and bands of published cells, or a refusal.

A release is a closed world: an answer is a function of its published cells alone, so it tells nothing more
(secrecy brief §6.3, attacks A14 to A19). What is masked and what does not exist get the same refusal.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Measures = Mapping[str, int]
Lookup = Callable[[tuple[str, ...]], Measures | None]
SIDE = 3  # contributors that must stand on each side of a quantile
ENOUGH = 10  # contributors below which no quantile and no rank is told


@dataclass(frozen=True)
class Refused:
    """No answer, always in the same words whatever the data."""

    why: str = "Cette combinaison n’est pas dans la publication."


NOT_TOLD = Refused()
OVERLAP = Refused("Ces zones ou ces produits se recouvrent : leur somme compterait deux fois les mêmes lignes.")
NOT_ADDITIVE = Refused(
    "Les patients et les factures ne s’additionnent pas d’une zone ou d’un produit à l’autre : une même personne peut figurer dans plusieurs."
)


def summed(lookup: Lookup, keys: Sequence[tuple[str, ...]], measure: str, *, nested: bool, additive: bool) -> int | Refused:
    """The sum of published cells: a custom zone, a basket. Refused as soon as one of them is not published; the
    sum of the others would be read as the whole. `nested`: some cells hold others; `additive`: the measure adds up."""
    if nested or len(set(keys)) < len(keys):
        return OVERLAP
    if not additive and len(keys) > 1:
        return NOT_ADDITIVE
    found = [lookup(key) for key in keys]
    if not found or any(cell is None or cell.get(measure) is None for cell in found):
        return NOT_TOLD
    return sum(cell[measure] for cell in found if cell is not None)


def ratio(above: int | Refused, below: int | Refused) -> float | Refused:
    """A ratio of two published figures; refused when either is (a ratio gives its hidden term away), and when the
    lower one is zero."""
    if isinstance(above, Refused) or isinstance(below, Refused) or not below:
        return NOT_TOLD
    return above / below


def rate(part: int | Refused, whole: int | Refused, *, least: int) -> float | Refused:
    """A share of persons: its numerator is zero or at least `least`, its denominator too, and it is never 100 %:
    everybody would be known to be of the part (CASD's rule of non-inference)."""
    if isinstance(part, Refused) or isinstance(whole, Refused) or whole < least or 0 < part < least or part in (0, whole):
        return NOT_TOLD
    return part / whole


def own_share(own: int, market: int | Refused) -> float | Refused:
    """A member's share of a market cell: refused where the cell is not published, for own figure over share gives the cell."""
    return NOT_TOLD if isinstance(market, Refused) or not market else own / market


def quantile(values: np.ndarray, at: float) -> float | Refused:
    """A quantile over holdings, rounded to two significant digits: at least ten of them, three on each side. Never
    an extreme: it would be somebody's own figure."""
    count = len(values)
    if count < ENOUGH or not 0 < at < 1:
        return NOT_TOLD
    ordered = np.sort(values.astype(float))
    place = at * (count - 1)
    if place < SIDE or place > count - 1 - SIDE:
        return NOT_TOLD
    found = float(np.quantile(ordered, at))
    return float(f"{found:.1e}")


def quarter(own: float, values: np.ndarray) -> int | Refused:
    """The quarter (1 lowest to 4) where a holding stands among all of them, itself included; never its rank."""
    if len(values) < ENOUGH:
        return NOT_TOLD
    below = int((values < own).sum())
    return min(4, 1 + below * 4 // len(values))


def ranking(cells: Mapping[str, int | None]) -> list[str]:
    """Codes by decreasing published figure; those that are not published after them, by code."""
    told = sorted((code for code, value in cells.items() if value is not None), key=lambda code: (-int(cells[code] or 0), code))
    return told + sorted(code for code, value in cells.items() if value is None)


def band(value: int | None, limits: Sequence[int]) -> int | None:
    """The class of a figure between fixed limits (0 below the first); None where it is not published."""
    return None if value is None else int(np.searchsorted(np.asarray(limits), value, side="right"))


def extrapolated(published: int | Refused, coverage: float) -> float | Refused:
    """A market figure from a published one and a public coverage rate; nothing but published figures enters."""
    return NOT_TOLD if isinstance(published, Refused) or not 0 < coverage <= 1 else published / coverage
