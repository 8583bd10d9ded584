"""LPP codes, therapy families and dated tariffs.

Tariffs are a dated table, never a column on the code; each row names its source. The shipped rows are
either published values (CNAM nomenclature) or plausible ones that say so: fit for a demonstration, not
for money.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

UNKNOWN_FAMILY = "AUTRE"
EVER, FOREVER = "0001-01-01", "9999-12-31"
SUPPLY_MODES = {"L": "location", "A": "achat"}  # everything else counts as "service"
MODES = {"location": "Location", "achat": "Achat", "service": "Service et livraison"}


@dataclass(frozen=True)
class Product:
    """One LPP code: 7 digits, family, French label, supply type (A, E, L, P, R, S, V), billed unit, B2 act code, and the ISO
    day from which the list no longer holds it ("": still open). A closed code keeps its family: late invoices and credits name it."""

    lpp: int
    family: str
    label: str
    supply_type: str
    unit: str
    act_code: str
    closed_on: str = ""


@dataclass(frozen=True)
class Belonging:
    """A code's family for care dated from `since` (included) to `until` (excluded), and the node of the product tree that
    carries these lines: the code itself under its family of today, `code@family` under one that it has left."""

    lpp: int
    family: str
    since: str
    until: str
    node: str


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
    closed = {int(row["lpp"]): row["closed_on"] for row in _rows("lpp_closed.csv")}
    return {
        int(r["lpp"]): Product(int(r["lpp"]), r["family"], r["label"], r["supply_type"], r["unit"], r["act_code"], closed.get(int(r["lpp"]), ""))
        for r in _rows("lpp.csv")
    }


@cache
def moves() -> dict[int, tuple[tuple[str, str], ...]]:
    """LPP code to its (ISO day of the move, family it left), ascending; the family it ends in is the product's."""
    found: dict[int, list[tuple[str, str]]] = {}
    for row in _rows("lpp_moves.csv"):
        found.setdefault(int(row["lpp"]), []).append((row["moved_on"], row["family_left"]))
    return {code: tuple(sorted(steps)) for code, steps in found.items()}


def belongings() -> list[Belonging]:
    """The dated mapping of codes to families: one row a code, more for one that moved. Days of a code never overlap."""
    found = []
    for product in products().values():
        since = EVER
        for day, family in moves().get(product.lpp, ()):
            found.append(Belonging(product.lpp, family, since, day, f"{product.lpp}@{family}"))
            since = day
        found.append(Belonging(product.lpp, product.family, since, FOREVER, str(product.lpp)))
    return found


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
