"""LPP codes, therapy families and dated tariffs.

Tariffs are a dated table, never a column on the code; each row names its source. The shipped rows are
either published values (CNAM nomenclature) or plausible ones that say so: fit for a demonstration, not
for money.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

UNKNOWN_FAMILY = "AUTRE"
SUPPLY_MODES = {"L": "location", "A": "achat"}  # everything else counts as "service"
MODES = {"location": "Location", "achat": "Achat", "service": "Service et livraison"}


@dataclass(frozen=True)
class Product:
    """One LPP code: 7 digits, family, French label, supply type (A, E, L, P, R, S, V), billed unit, B2 act code."""

    lpp: int
    family: str
    label: str
    supply_type: str
    unit: str
    act_code: str


def _rows(name: str) -> list[dict[str, str]]:
    with (files(__package__) / name).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@cache
def families() -> dict[str, str]:
    """Family code to French label, in display order; the last one gathers codes that no family claims."""
    return {row["family"]: row["label"] for row in _rows("families.csv")} | {UNKNOWN_FAMILY: "Autres codes"}


@cache
def products() -> dict[int, Product]:
    """Every known product by LPP code."""
    return {int(r["lpp"]): Product(int(r["lpp"]), r["family"], r["label"], r["supply_type"], r["unit"], r["act_code"]) for r in _rows("lpp.csv")}


@cache
def tariffs() -> dict[int, tuple[tuple[str, int], ...]]:
    """LPP code to its (ISO date of effect, tariff in cents TTC), ascending."""
    found: dict[int, list[tuple[str, int]]] = {}
    for row in _rows("lpp_tariffs.csv"):
        found.setdefault(int(row["lpp"]), []).append((row["valid_from"], int(row["tariff_cents"])))
    return {code: tuple(sorted(steps)) for code, steps in found.items()}


def tariff(lpp: int, day: str) -> int | None:
    """Tariff in cents in force on an ISO day; None before the first date or for an unknown code."""
    found = None
    for start, cents in tariffs().get(lpp, ()):
        if start <= day:
            found = cents
    return found


def family_ranks(lpp: np.ndarray) -> np.ndarray:
    """Rank in `families()` of each LPP code of an int column; unknown codes get the last rank."""
    known = np.array(sorted(products()), dtype=np.int64)
    order = list(families())
    rank = np.array([order.index(products()[code].family) for code in known], dtype=np.int8)
    at = np.clip(np.searchsorted(known, lpp), 0, len(known) - 1)
    return np.where(known[at] == lpp, rank[at], len(order) - 1).astype(np.int8)
