"""The lattice of the observatory's releases: territories, products, periods, persons, payers, modes.

Which cubes are declared is data (`cubes.yaml`). Codes are those of the nomenclatures; every total is a
declared cell, so that whatever the portal adds up was protected jointly.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import yaml

from belvedere.engine.nomenclature.products import MODES, UNKNOWN_FAMILY, families, products
from belvedere.engine.nomenclature.territories import FRANCE, departments
from belvedere.engine.secrecy.lattice import Cube, Dimension, Hierarchy, Lattice, build
from belvedere.engine.warehouse.engine import AGE_BANDS, PAYERS, UNKNOWN_AGE, UNKNOWN_DEPARTMENT, UNKNOWN_REGION

ALL = "*"
DIMENSIONS = ("territory", "product", "period", "age", "sex", "payer", "mode")
# Dimensions whose codes split persons: a person has one sex, but may change fund, so department, within a year.
PARTITION = ("sex",)
# level name -> column of the `facts` view that holds its code (None: the total).
COLUMNS = {
    "france": None, "region": "region", "department": "department",
    "all_products": None, "family": "family", "lpp": "lpp_code",
    "year": "year12", "month": "month",
    "all_ages": None, "age": "age_band", "all_sexes": None, "sex": "sex_code",
    "all_payers": None, "payer": "payer", "all_modes": None, "mode": "mode",
}  # fmt: skip


def _tree(name: str, rows: Sequence[tuple[str, str | None, str]]) -> Dimension:
    return Dimension(name, {c: p for c, p, _ in rows}, {c: level for c, _, level in rows})


def years(months: Sequence[str]) -> dict[str, str]:
    """Month (AAAA-MM) to its twelve-month period, counted back from the last month: "12m-2026-10"."""
    ordered = sorted(months)
    last = len(ordered) - 1
    return {month: f"12m-{ordered[last - (last - rank) // 12 * 12]}" for rank, month in enumerate(ordered)}


def windows(months: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Twelve-month periods of a release and their months."""
    found: dict[str, tuple[str, ...]] = {}
    for month, window in years(months).items():
        found[window] = (*found.get(window, ()), month)
    return found


def dimensions(periods: dict[str, tuple[str, ...]]) -> list[Dimension]:
    """The seven dimensions for twelve-month periods that may overlap, each with its months."""
    territory: list[tuple[str, str | None, str]] = [(FRANCE, None, "france")]
    regions = dict.fromkeys([item.region for item in departments()]) | {UNKNOWN_REGION: None}
    territory += [(code, FRANCE, "region") for code in regions]
    territory += [(item.code, item.region, "department") for item in departments()]
    territory += [(UNKNOWN_DEPARTMENT, UNKNOWN_REGION, "department")]
    product: list[tuple[str, str | None, str]] = [(ALL, None, "all_products")]
    product += [(code, ALL, "family") for code in families()]
    product += [(str(item.lpp), item.family, "lpp") for item in products().values() if item.family != UNKNOWN_FAMILY]
    level = dict.fromkeys(periods, "year") | dict.fromkeys(sorted({month for months in periods.values() for month in months}), "month")
    sums = tuple(Hierarchy(window, {window: months}) for window, months in periods.items())
    return [
        _tree("territory", territory),
        _tree("product", product),
        Dimension("period", dict.fromkeys(level), level, sums),
        _tree("age", [(ALL, None, "all_ages"), *((code, ALL, "age") for code in (*AGE_BANDS, UNKNOWN_AGE))]),
        _tree("sex", [(ALL, None, "all_sexes"), *((code, ALL, "sex") for code in ("1", "2", "0"))]),
        _tree("payer", [(ALL, None, "all_payers"), *((code, ALL, "payer") for code in PAYERS)]),
        _tree("mode", [(ALL, None, "all_modes"), *((code, ALL, "mode") for code in MODES)]),
    ]


@cache
def cubes() -> tuple[Cube, ...]:
    """The declared cubes of a release; each names its periods."""
    content = yaml.safe_load((files(__package__) / "cubes.yaml").read_text(encoding="utf-8"))
    return tuple(Cube(name, levels) for name, levels in content.items())


def release_lattice(months: Sequence[str]) -> Lattice:
    """Every cell that a release over these months may speak of."""
    return build(dimensions(windows(months)), cubes())


@dataclass(frozen=True)
class Linked:
    """A release among those published before it: one lattice over all their periods. `mine` are the cells that
    this release declares; the others link it to what was already told. `periods`: twelve months -> months."""

    lattice: Lattice
    mine: np.ndarray
    periods: dict[str, tuple[str, ...]]


def linked_lattice(months: Sequence[str], earlier: Iterable[Sequence[str]]) -> Linked:
    """The lattice of a release and of the earlier ones that share months with it. Where periods overlap, months are
    cells of every cube, so that the difference of two twelve-month totals is seen for what it tells (attack A11)."""
    periods = windows(months)
    own = set(periods) | set(months)
    for others in earlier:
        periods |= {window: ms for window, ms in windows(others).items() if set(ms) & set(months)}
    if set(periods) == set(windows(months)):
        lattice = release_lattice(months)
        return Linked(lattice, np.ones(len(lattice), dtype=bool), periods)
    wide = [Cube(cube.name, {**cube.levels, "period": ["year", "month"]}) for cube in cubes()]
    lattice = build(dimensions(periods), wide)
    declared = set(release_lattice(months).keys)
    return Linked(lattice, np.array([key in declared and key[2] in own for key in lattice.keys]), periods)


@cache
def _above(dimension: str) -> dict[str, str | None]:
    return dict(next(d for d in dimensions({}) if d.name == dimension).parent)


def overlapping(dimension: str, codes: Sequence[str]) -> bool:
    """Whether some code of a dimension is given twice or lies under another."""
    parent, chosen = _above(dimension), set(codes)
    for code in codes:
        above = parent.get(code)
        while above is not None:
            if above in chosen:
                return True
            above = parent.get(above)
    return len(chosen) < len(codes)
