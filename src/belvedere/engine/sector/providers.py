"""Synthetic providers: groups of very unequal size, federations, territories served.

Every name is invented. Sizes follow a heavy tail: a few national groups, regional ones, many local ones.
"""

from dataclasses import dataclass

import numpy as np

from belvedere.engine.b2 import keys
from belvedere.engine.nomenclature.territories import departments

FEDERATIONS = ("FédéPSAD", "UNPDM", "UPSADI")
_STEMS = [
    "Aéris",
    "Solvia",
    "Domélia",
    "Vitalys",
    "Orédia",
    "Nivéal",
    "Calidom",
    "Pulmeo",
    "Souffléa",
    "Hexadom",
    "Altéole",
    "Médivia",
    "Lysoria",
    "Corélia",
    "Respiralp",
    "Oxyrive",
    "Brévia",
    "Santélys",
    "Clairdom",
    "Ondéa",
    "Télésia",
    "Mirabel",
    "Arvéole",
    "Sérénia",
    "Domavie",
    "Verlune",
    "Hélidom",
    "Pérénia",
    "Galéos",
    "Isarvie",
]
MAX_SHARE = 0.06  # no entity weighs more than this before its territories are drawn
_TAILS = ("Santé", "Domicile", "Assistance")
VENDORS = ("LOGIDOM 4.2", "PSADNET 11", "MEDIFLUX 7.1", "ORTHOFACT 3", "DOMISOFT 9.0")


@dataclass(frozen=True)
class Provider:
    """One billing entity. `weight` is its share of the sector (arbitrary unit); `departments` the codes it serves."""

    rank: int
    finess: int
    siren: str
    name: str
    group: int
    group_name: str
    federation: str | None
    home: str
    departments: tuple[str, ...]
    weight: float
    vendor: str
    norm: str


def finess_of(department: str, serial: int) -> int:
    """A 9-digit FINESS with its Luhn key; Corsican numbers start with 2001/2002 as B2 writes them."""
    start = {"2A": "2001", "2B": "2002"}.get(department, department[:2] + "26")
    body = f"{start}{serial % 10_000:04d}"
    return int(body + str(keys.luhn_key(body)))


def make_providers(rng: np.random.Generator, providers: int, groups: int, establishments: int) -> list[Provider]:
    """`providers` entities in `groups` groups; the last `establishments` bill in norm CP."""
    codes = [item.code for item in departments()]
    people = np.array([item.population for item in departments()], dtype=float)
    by_region: dict[str, list[str]] = {}
    for item in departments():
        by_region.setdefault(item.region, []).append(item.code)
    extra = max(0, providers - groups)
    group_of = np.concatenate([np.arange(groups), rng.integers(0, max(1, groups // 5), extra)])[:providers]
    weights = np.sort(rng.pareto(1.5, providers) + 0.25)[::-1] * np.exp(rng.normal(0, 0.2, providers))
    weights = np.minimum(weights, MAX_SHARE * weights.sum())
    federation_of = rng.choice(4, groups, p=[0.38, 0.24, 0.24, 0.14])
    names = [f"{stem} {tail}" for tail in _TAILS for stem in _STEMS]
    while len(names) < groups:
        names.append(f"{_STEMS[len(names) % len(_STEMS)]} {_TAILS[len(names) % 3]} {len(names)}")
    entities_of = np.bincount(group_of, minlength=groups)
    made = []
    for rank in range(providers):
        group = int(group_of[rank])
        home = str(rng.choice(codes, p=people / people.sum()))
        region = next(item.region for item in departments() if item.code == home)
        if rank < max(3, providers // 16):
            served = tuple(codes)
        elif rank < providers // 2:
            regions = rng.permutation([r for r in by_region if r != region])[: int(rng.integers(0, 3))]
            served = tuple(code for r in (region, *regions) for code in by_region[r])
        else:
            near = [code for code in by_region[region] if code != home]
            served = (home, *map(str, rng.permutation(near)[: int(rng.integers(0, 4))]))
        body = f"{500_000_00 + rank * 7919 + 13:08d}"
        town = next(item.name for item in departments() if item.code == home)
        made.append(
            Provider(
                rank=rank,
                finess=finess_of(home, rank + 1),
                siren=body + str(keys.luhn_key(body)),
                name=names[group] if entities_of[group] == 1 else f"{names[group]} {town}",
                group=group,
                group_name=f"Groupe {names[group]}" if entities_of[group] > 1 else names[group],
                federation=FEDERATIONS[federation_of[group]] if federation_of[group] < 3 else None,
                home=home,
                departments=served,
                weight=float(weights[rank]),
                vendor=VENDORS[int(rng.integers(0, len(VENDORS)))],
                norm="CP" if rank >= providers - establishments else "FR",
            )
        )
    return made
