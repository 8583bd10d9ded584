"""The lattice of the observatory's releases: territories, products, periods, persons, payers, modes.

Which cubes are declared is data (`cubes.yaml`). Codes are those of the nomenclatures; every total is a
declared cell, so that whatever the portal adds up was protected jointly.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import product

import yaml

from belvedere.engine.nomenclature.products import MODES, UNKNOWN_FAMILY, belongings, families
from belvedere.engine.nomenclature.territories import FRANCE, departments
from belvedere.engine.secrecy.lattice import Cube, Dimension, Hierarchy, Lattice, build
from belvedere.engine.warehouse.engine import AGE_BANDS, PAYERS, UNKNOWN_AGE, UNKNOWN_DEPARTMENT, UNKNOWN_REGION

ALL = "*"
DIMENSIONS = ("territory", "product", "period", "age", "sex", "payer", "mode")
PERIOD = DIMENSIONS.index("period")
TOTALS = (FRANCE, ALL, "", ALL, ALL, ALL, ALL)
Shape = tuple[str | None, ...]  # a choice of levels, one per dimension; None for the total
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


def dimensions(periods: dict[str, tuple[str, ...]], months: Iterable[str] = ()) -> list[Dimension]:
    """The seven dimensions for twelve-month periods, each with its months, and for months besides."""
    territory: list[tuple[str, str | None, str]] = [(FRANCE, None, "france")]
    regions = dict.fromkeys([item.region for item in departments()]) | {UNKNOWN_REGION: None}
    territory += [(code, FRANCE, "region") for code in regions]
    territory += [(item.code, item.region, "department") for item in departments()]
    territory += [(UNKNOWN_DEPARTMENT, UNKNOWN_REGION, "department")]
    goods: list[tuple[str, str | None, str]] = [(ALL, None, "all_products")]
    goods += [(code, ALL, "family") for code in families()]
    goods += [(item.node, item.family, "lpp") for item in belongings() if item.family != UNKNOWN_FAMILY]
    level = dict.fromkeys(periods, "year") | dict.fromkeys(sorted({month for some in (*periods.values(), months) for month in some}), "month")
    sums = (Hierarchy("years", dict(periods)),)
    return [
        _tree("territory", territory),
        _tree("product", goods),
        Dimension("period", dict.fromkeys(level), level, sums),
        _tree("age", [(ALL, None, "all_ages"), *((code, ALL, "age") for code in (*AGE_BANDS, UNKNOWN_AGE))]),
        _tree("sex", [(ALL, None, "all_sexes"), *((code, ALL, "sex") for code in ("1", "2", "0"))]),
        _tree("payer", [(ALL, None, "all_payers"), *((code, ALL, "payer") for code in PAYERS)]),
        _tree("mode", [(ALL, None, "all_modes"), *((code, ALL, "mode") for code in MODES)]),
    ]


@cache
def cubes(name: str = "cubes.yaml") -> tuple[Cube, ...]:
    """The declared cubes of a release, or of a provider's own figures; each names its periods."""
    content = yaml.safe_load((files(__package__) / name).read_text(encoding="utf-8"))
    return tuple(Cube(name, levels) for name, levels in content.items())


def shapes(declared: Iterable[Cube]) -> dict[Shape, set[str]]:
    """Every distinct choice of levels that some cube asks for (None: the total), period left out, and the period levels it asks for."""
    found: dict[Shape, set[str]] = {}
    for cube in declared:
        options = [
            [level if COLUMNS[level] else None for level in cube.levels[d]] if d in cube.levels and d != "period" else [None] for d in DIMENSIONS
        ]
        for choice in product(*options):
            found.setdefault(choice, set()).update(cube.levels["period"])
    return found


def release_lattice(months: Sequence[str]) -> Lattice:
    """Every cell that a first release over these months may speak of."""
    return lattice_of(windows(months), months)


def release_periods(months: Sequence[str], earlier: Iterable[Mapping[str, Sequence[str]]]) -> dict[str, tuple[str, ...]]:
    """Twelve-month periods of a release over these months, given those (code -> months) of earlier releases.

    Twelve-month periods never overlap: the first release sets where they end, and a new one is told once its
    twelve months are there; an earlier one stays, whole, as long as it shares a month. The difference of two rolling totals would give months that nobody declared and
    nobody protected (attack A11)."""
    before = {window: found for others in earlier for window, found in others.items()}
    if not before:
        return windows(months)
    periods = {window: tuple(found) for window, found in sorted(before.items()) if set(found) & set(months)}
    after = [month for month in sorted(months) if month > max(max(found) for found in before.values())]
    for start in range(0, len(after) - 11, 12):
        periods[f"12m-{after[start + 11]}"] = tuple(after[start : start + 12])
    return periods


def lattice_of(periods: dict[str, tuple[str, ...]], months: Sequence[str]) -> Lattice:
    """Every cell that a release over these periods and months may speak of."""
    return build(dimensions(periods, months), cubes())


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


@cache
def _levels(dimension: str) -> dict[str, str]:
    return dict(next(d for d in dimensions({}) if d.name == dimension).level)


def level_of(dimension: str, code: str) -> str | None:
    """Level of a code in its dimension; None for a total, "" for a code that does not exist."""
    found = _levels(dimension).get(code, "")
    return None if found and COLUMNS[found] is None else found
