"""Synthetic patients, prescribers and episodes of care, as columns.

An episode is one patient treated in one therapy family by one provider from a start month to an end
month (fractions of months from the first of the window). Nothing here is a real person.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from belvedere.engine.b2 import keys
from belvedere.engine.nomenclature.products import families, products
from belvedere.engine.nomenclature.territories import departments
from belvedere.engine.sector.providers import Provider

# Mean months of treatment and yearly growth of entries, by family: orders of magnitude of the trade, invented.
DURATION: dict[str, float] = {
    "OXY": 18,
    "PPC": 70,
    "RESP_ASSO": 30,
    "VENT": 34,
    "AERO": 3,
    "RESP_AUTRE": 14,
    "PERF": 3,
    "NUTE": 7,
    "NPAD": 4,
    "INSU": 60,
    "DIAB": 60,
}
DURATION |= {"LIT": 16, "ESC": 12, "AIDE_MOB": 12, "VPH_LOC": 10, "VPH": 0.5, "TENS": 12, "STO_URO": 24, "DIVERS": 4}
GROWTH = {"PPC": 0.05, "DIAB": 0.22, "INSU": 0.08, "PERF": 0.07, "NPAD": 0.04, "AERO": -0.03, "VPH_LOC": -0.02, "OXY": 0.01}
SPECIALTIES = {"OXY": 13, "PPC": 13, "RESP_ASSO": 13, "VENT": 13, "INSU": 42, "DIAB": 42, "PERF": 1, "TENS": 1}
_SYLLABLES = [
    "BRA",
    "VOL",
    "ZEN",
    "QUI",
    "MAR",
    "TOL",
    "KER",
    "GUE",
    "LAN",
    "DRI",
    "POL",
    "FEZ",
    "RHU",
    "CAV",
    "SOU",
    "TRE",
    "VIL",
    "NOG",
    "BEL",
    "JAU",
]


@dataclass
class Population:
    """Columns of patients and of episodes. `nir` (n, 13) uint8; dates AAMMJJ; department ranks; LPP codes."""

    nir: np.ndarray
    nir_key: np.ndarray
    sex: np.ndarray
    birth_date: np.ndarray
    birth_year: np.ndarray
    department: np.ndarray
    caisse: np.ndarray
    regime: np.ndarray
    exempt: np.ndarray
    names: np.ndarray
    first_names: np.ndarray
    patient: np.ndarray
    provider: np.ndarray
    family: np.ndarray
    start: np.ndarray
    end: np.ndarray
    main: np.ndarray
    second: np.ndarray
    once: np.ndarray
    prescriber: np.ndarray
    specialty: np.ndarray


@cache
def _mix() -> dict[str, dict[bool, tuple[np.ndarray, np.ndarray]]]:
    """Family -> recurrent? -> (codes, probabilities)."""
    found: dict[str, dict[bool, list[tuple[int, float]]]] = {}
    with (files(__package__) / "mix.csv").open() as stream:
        for row in csv.DictReader(stream):
            family = products()[int(row["lpp"])].family
            found.setdefault(family, {True: [], False: []})[row["recurrent"] == "1"].append((int(row["lpp"]), float(row["weight"])))
    return {
        family: {
            kind: (np.array([c for c, _ in rows], dtype=np.int64), np.array([w for _, w in rows]) / sum(w for _, w in rows))
            for kind, rows in kinds.items()
            if rows
        }
        for family, kinds in found.items()
    }


@cache
def _family_table() -> tuple[list[str], np.ndarray, np.ndarray]:
    with (files(__package__) / "families.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    weight = np.array([float(r["patients_weight"]) for r in rows])
    return [r["family"] for r in rows], weight / weight.sum(), np.array([float(r["mean_age"]) for r in rows])


def growth_of(codes: list[str]) -> np.ndarray:
    """Yearly growth of entries of each family."""
    return np.array([GROWTH.get(code, 0.02) for code in codes])


def _nirs(rng: np.random.Generator, sex: np.ndarray, year: np.ndarray, month: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = len(sex)
    serial = rng.permutation(900_000)[:n] if n <= 900_000 else np.arange(n)
    text = np.empty((n, 13), dtype=np.uint8)
    born = rng.integers(1, 96, n)
    born[born == 20] = 99
    number = sex * 10**12 + (year % 100) * 10**10 + month * 10**8 + born * 10**6 + (serial // 999 + 1) % 1000 * 1000 + serial % 999 + 1
    for place in range(13):
        text[:, 12 - place] = 48 + number // 10**place % 10
    corsican = rng.random(n) < 0.004
    text[corsican, 5:7] = np.frombuffer(b"2A", dtype=np.uint8)
    return text, keys.nir_keys(text)[0]


def make_population(rng: np.random.Generator, providers: list[Provider], patients: int, months: int, first_year: int) -> Population:
    """`patients` persons treated at least once in a window of `months` that starts in `first_year`."""
    codes, weight, mean_age = _family_table()
    rank_of = [list(families()).index(code) for code in codes]
    family = rng.choice(len(codes), patients, p=weight)
    age = np.clip(rng.normal(mean_age[family], 13), 1, 97).astype(int)
    sex = 1 + (rng.random(patients) < 0.5).astype(np.int64)
    year, month, day = first_year - age, rng.integers(1, 13, patients), rng.integers(1, 29, patients)
    nir, nir_key = _nirs(rng, sex, year, month)
    people = np.array([item.population for item in departments()], dtype=float)
    weight_of_place = people * rng.lognormal(0, 0.3, len(people))  # some departments are treated at home more than others
    department = rng.choice(len(people), patients, p=weight_of_place / weight_of_place.sum())
    caisse = np.array([item.caisse for item in departments()])[department]
    regime = rng.choice([1, 2, 91], patients, p=[0.87, 0.08, 0.05])
    syllable = np.array(_SYLLABLES)
    picks = rng.integers(0, len(_SYLLABLES), (patients, 5))
    names = np.array(["".join(row) for row in syllable[picks[:, :3]]])
    first_names = np.array(["".join(row) for row in syllable[picks[:, 3:]]])

    patient = np.concatenate([np.arange(patients), rng.choice(patients, patients // 9, replace=False)])
    extra = rng.choice(len(codes), patients // 9, p=weight)
    family = np.concatenate([family, extra])
    n = len(patient)
    duration = np.array([DURATION[code] for code in codes])[family]
    stock = rng.random(n) < duration / (duration + months) * (1 - 1.6 * growth_of(codes)[family] - 0.03)
    growth = growth_of(codes)[family]
    entry = rng.random(n)
    entry = entry + growth * entry * (entry - 1) / 2 * -1.5  # more entries late in the window where a family grows
    winter = np.isin(family, [codes.index(code) for code in ("OXY", "AERO", "PERF", "RESP_AUTRE")])
    start = np.where(stock, -rng.exponential(duration), entry * months)
    start = np.where(winter & ~stock, start + 0.9 * np.sin(2 * np.pi * start / 12), start)
    end = np.maximum(start, 0) + rng.exponential(duration) + 0.05
    start = np.clip(start, None, months - 0.05)

    provider = _assign(rng, providers, department[patient])
    main = np.zeros(n, dtype=np.int64)
    second, once = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for rank, code in enumerate(codes):
        rows = np.flatnonzero(family == rank)
        mix = _mix()[code]
        if True in mix:
            main[rows] = rng.choice(mix[True][0], len(rows), p=mix[True][1])
            if code in ("PERF", "INSU"):
                other = rng.choice(mix[True][0], len(rows), p=mix[True][1])
                second[rows] = np.where(other != main[rows], other, 0)
        if False in mix:
            given = rng.choice(mix[False][0], len(rows), p=mix[False][1])
            once[rows] = np.where(rng.random(len(rows)) < (1 if code == "VPH" else 0.6), given, 0)
    specialty = np.array([SPECIALTIES.get(code, 1) for code in codes])[family]
    specialty = np.where(rng.random(n) < 0.3, 1, specialty)
    serial = department[patient] * 100 + rng.integers(0, np.maximum(5, people[department[patient]] // 40_000), n)
    known = {int(s): int(f"{int(s) // 100 % 95 + 1:02d}1{int(s):05d}") for s in np.unique(serial)}
    known = {s: number * 10 + keys.luhn_key(f"{number:08d}") for s, number in known.items()}
    prescriber = np.array([known[int(s)] for s in serial])
    order = np.lexsort((np.arange(n), provider))
    columns = {
        "patient": patient, "provider": provider, "family": np.array(rank_of)[family], "start": start, "end": end, "main": main, "second": second,
        "once": once, "prescriber": prescriber, "specialty": specialty,
    }  # fmt: skip
    return Population(
        nir, nir_key, sex, (year % 100) * 10_000 + month * 100 + day, year, department, caisse, regime,
        rng.random(patients) < 0.8, names, first_names, **{name: column[order] for name, column in columns.items()},
    )  # fmt: skip


def _assign(rng: np.random.Generator, providers: list[Provider], department: np.ndarray) -> np.ndarray:
    """A provider for each episode, among those that serve the department, by weight per department served."""
    codes = [item.code for item in departments()]
    chosen = np.zeros(len(department), dtype=np.int64)
    for rank, code in enumerate(codes):
        rows = np.flatnonzero(department == rank)
        serving = [p for p in providers if code in p.departments]
        weight = np.array([p.weight / len(p.departments) ** 0.7 for p in serving])
        chosen[rows] = np.array([p.rank for p in serving])[rng.choice(len(serving), len(rows), p=weight / weight.sum())]
    return chosen
