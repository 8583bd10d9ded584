"""Departments, regions and the health-insurance funds that stand for them.

`territories.csv`: the 101 departments with their region (codes of the official geographic code), the
INSEE population of 2023 and the main CPAM. The department of an affiliation fund is the first two
digits of its code, with the Corsican (201, 202) and overseas (97x) exceptions (norm reference §5.1).
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

FRANCE = "FR"


@dataclass(frozen=True)
class Department:
    """One department; `region` is the region code prefixed by R so that it never equals a department."""

    code: str
    name: str
    region: str
    region_name: str
    population: int
    caisse: int


@cache
def departments() -> tuple[Department, ...]:
    """The 101 departments in official order."""
    with (files(__package__) / "territories.csv").open(encoding="utf-8") as stream:
        return tuple(
            Department(r["department"], r["name"], "R" + r["region"], r["region_name"], int(r["population"]), int(r["caisse"]))
            for r in csv.DictReader(stream)
        )


@cache
def names() -> dict[str, str]:
    """French name of every territory code: FR, regions (R84), departments (69)."""
    found = {FRANCE: "France entière"}
    for item in departments():
        found[item.region] = item.region_name
        found[item.code] = item.name
    return found


@cache
def region_of() -> dict[str, str]:
    """Department code to region code."""
    return {item.code: item.region for item in departments()}


def department_rank_of_caisse(caisses: np.ndarray) -> np.ndarray:
    """Rank in `departments()` of the department of each fund code (3 digits); the number of departments when unknown."""
    return _rank_table()[np.clip(caisses, 0, 999)]


@cache
def _rank_table() -> np.ndarray:
    table = np.full(1000, len(departments()), dtype=np.int32)
    ranks = {item.code: rank for rank, item in enumerate(departments())}
    for caisse in range(1000):
        text = f"{caisse:03d}"
        code = {"201": "2A", "202": "2B"}.get(text, text if text.startswith("97") else text[:2])
        table[caisse] = ranks.get(code, len(ranks))
    return table


@cache
def population_by_age() -> dict[str, dict[str, int]]:
    """Inhabitants of each department by age band of the facts (INSEE, 2023)."""
    with (files(__package__) / "population_ages.csv").open(encoding="utf-8") as stream:
        return {row.pop("department"): {band: int(count) for band, count in row.items()} for row in csv.DictReader(stream)}
