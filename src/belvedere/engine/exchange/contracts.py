"""Contracts of quality: what a consumer may count on, and what a dataset is worth against it (orchestrator reference §4.7)."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from belvedere.engine.exchange.categories import categories
from belvedere.engine.exchange.vocabulary import Actor, Category, Grain, Purpose

SOUND, REMARKS, BROKEN = "sound", "remarks", "broken"
DROP = 0.02  # points of completeness that a dataset may lose before it is told
Z = 1.6449  # one-sided 95 %
VOLUME_SIGMAS = 3.0
FEW = 30  # persons below which an establishment is pooled with its like
Row = Mapping[str, str]


@dataclass(frozen=True)
class Item:
    """One item of a dataset: where it comes from, what it must be, how often it must be there."""

    name: str
    label: str
    source: str
    category: Category
    required: bool = False
    completeness: float = 0.0
    codes: tuple[str, ...] = ()
    pattern: str = ""

    @property
    def least(self) -> float:
        return 1.0 if self.required else self.completeness

    def valid(self, value: str) -> bool:
        return value in self.codes if self.codes else re.fullmatch(self.pattern, value) is not None if self.pattern else True


@dataclass(frozen=True)
class Contract:
    """A dataset for its consumer: by which right, from which establishments, at which cadence, keyed by what."""

    code: str
    title: str
    version: str
    actor: Actor
    purpose: Purpose
    grain: Grain
    kinds: tuple[str, ...]
    note: str
    cadence_days: int
    key: tuple[str, ...]
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Finding:
    """One remark of the quality gate: which of the seven checks, how grave, what, and who answers for it."""

    check: str
    level: str
    text: str
    establishments: tuple[str, ...] = ()


@cache
def contracts() -> dict[str, Contract]:
    """Every dataset by code."""
    found = {}
    for path in sorted((files(__package__) / "datasets").iterdir(), key=lambda item: item.name):
        row = yaml.safe_load(path.read_text(encoding="utf-8"))
        items = tuple(
            Item(name, given["label"], given["source"], Category(given["category"]), given.get("required", False), given.get("completeness", 0.0), tuple(given.get("codes", ())), given.get("pattern", ""))
            for name, given in row["items"].items()
        )  # fmt: skip
        code = path.name.removesuffix(".yaml")
        found[code] = Contract(
            code, row["title"], row["contract"], Actor(row["actor"]), Purpose(row["purpose"]), Grain(row["grain"]), tuple(row["kinds"]), row["note"], row["cadence_days"],
            tuple(row["key"]), items,
        )  # fmt: skip
    return found


def percent(share: float, digits: int = 1) -> str:
    """A share as French writes it."""
    return f"{100 * share:.{digits}f}".replace(".", ",") + "\u202f%"


def _wilson(part: int, whole: int) -> tuple[float, float]:
    if not whole:
        return 0.0, 1.0
    p, z2 = part / whole, Z * Z
    middle, spread = (p + z2 / (2 * whole)) / (1 + z2 / whole), Z * math.sqrt(p * (1 - p) / whole + z2 / (4 * whole * whole)) / (1 + z2 / whole)
    return middle - spread, middle + spread


def drop_bound(before: tuple[int, int], now: tuple[int, int]) -> float:
    """Lower bound (95 %, one-sided, Newcombe) of the loss of a proportion between two (part, whole)."""
    (low, _), (_, high) = _wilson(*before), _wilson(*now)
    p, q = before[0] / max(before[1], 1), now[0] / max(now[1], 1)
    return (p - q) - math.sqrt((p - low) ** 2 + (high - q) ** 2)


def _share(item: Item, rows: Sequence[Row]) -> float:
    return sum(1 for row in rows if row.get(item.name)) / len(rows) if rows else 1.0


def by_category(rows: Sequence[Row], kinds: Mapping[str, str]) -> dict[str, list[Row]]:
    """Rows by FINESS category of their establishment (`kinds`: of each FINESS); categories of fewer than `FEW` rows are pooled under ""."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(kinds.get(row["finess"], ""), []).append(row)
    small = [kind for kind, held in found.items() if kind and len(held) < FEW]
    for kind in small:
        found.setdefault("", []).extend(found.pop(kind))
    return found


def completeness(
    contract: Contract, rows: Sequence[Row], reference: Mapping[str, Sequence[int]], kinds: Mapping[str, str] | None = None
) -> list[Finding]:
    """Items too seldom there: below the contract's threshold, in all or in one category of establishments, or fallen against the reference (name to
    [filled, rows] of versions accepted before)."""
    found = []
    groups = by_category(rows, kinds or {})
    for item in contract.items:
        filled = sum(1 for row in rows if row.get(item.name))
        share = filled / len(rows) if rows else 1.0
        missing = Counter(row["finess"] for row in rows if not row.get(item.name))
        worst = tuple(name for name, _ in missing.most_common())
        fallen = item.name in reference and drop_bound((reference[item.name][0], reference[item.name][1]), (filled, len(rows))) > DROP
        if share < item.least:
            grave = BROKEN if item.required or fallen else REMARKS
            found.append(Finding("completude", grave, f"{item.label} : {percent(share)} rempli, {percent(item.least, 0)} attendu.", worst))
        elif not fallen and len(groups) > 1 and (low := [kind for kind, held in groups.items() if _share(item, held) < item.least]):
            told = ", ".join(f"{categories().get(kind, kind) or 'les autres'} {percent(_share(item, groups[kind]))}" for kind in sorted(low))
            found.append(Finding("completude", REMARKS, f"{item.label} : {percent(item.least, 0)} attendu dans chaque catégorie ; {told}.", worst))
        elif fallen:
            found.append(
                Finding(
                    "completude",
                    BROKEN,
                    f"{item.label} : {percent(share)} rempli, en baisse sûre de plus de {percent(DROP, 0)} depuis les versions précédentes.",
                    worst,
                )
            )
    return found


def validity(contract: Contract, rows: Sequence[Row]) -> list[Finding]:
    """Values that are not what the contract says; the values themselves are told only when they are codes."""
    found = []
    for item in contract.items:
        wrong = [row for row in rows if row.get(item.name) and not item.valid(row[item.name])]
        if wrong:
            codes = sorted({row[item.name] for row in wrong})[:5] if item.codes else []
            named = f" ({', '.join(codes)})" if codes else ""
            grave = BROKEN if len(wrong) > 0.01 * len(rows) or item.required else REMARKS
            found.append(
                Finding(
                    "validite",
                    grave,
                    f"{item.label} : {len(wrong)} valeurs hors nomenclature{named}.",
                    tuple(sorted({row["finess"] for row in wrong})),
                )
            )
    return found


def integrity(contract: Contract, rows: Sequence[Row], sources: int, exclusions: Mapping[str, int], untrue: Collection[str] = ()) -> list[Finding]:
    """Every source is a row or a listed exclusion, each key comes once, and every value is what was deposited (`untrue`: whose values are not)."""
    found = []
    if untrue:
        names = tuple(sorted(untrue))
        found.append(Finding("integrite", BROKEN, f"Des valeurs diffèrent de ce qui fut déposé, chez {len(names)} établissement(s).", names))
    if sources != len(rows) + sum(exclusions.values()):
        found.append(
            Finding("integrite", BROKEN, f"{sources} séjours lus, {len(rows)} livrés, {sum(exclusions.values())} exclus : le compte n’y est pas.")
        )
    keys = Counter(tuple(row.get(name, "") for name in contract.key) for row in rows)
    twice = [key for key, count in keys.items() if count > 1]
    if twice:
        found.append(Finding("integrite", BROKEN, f"{len(twice)} clés en double.", tuple(sorted({key[0] for key in twice}))))
    return found


def freshness(contract: Contract, ages: Mapping[str, int]) -> list[Finding]:
    """Establishments (FINESS to days since their last deposit) that have gone silent."""
    silent = tuple(sorted(name for name, days in ages.items() if days > contract.cadence_days))
    grave = BROKEN if silent and len(silent) > 0.5 * len(ages) else REMARKS
    return (
        [Finding("fraicheur", grave, f"{len(silent)} établissements sans dépôt depuis plus de {contract.cadence_days} jours.", silent)]
        if silent
        else []
    )


def volume(rows: Sequence[Row], before: Mapping[str, float]) -> list[Finding]:
    """Establishments whose number of rows leaves the limits of Poisson around their mean before; small ones are pooled."""
    now = Counter(row["finess"] for row in rows)
    out = tuple(sorted(name for name, mean in before.items() if mean >= FEW and abs(now[name] - mean) > VOLUME_SIGMAS * math.sqrt(mean)))
    small, expected = sum(now[name] for name, mean in before.items() if mean < FEW), sum(mean for mean in before.values() if mean < FEW)
    found = [Finding("volume", REMARKS, f"{len(out)} établissements hors de leurs limites habituelles.", out)] if out else []
    if expected and abs(small - expected) > VOLUME_SIGMAS * math.sqrt(expected):
        found.append(Finding("volume", REMARKS, f"Petits établissements : {small} lignes, {expected:.0f} attendues."))
    return found


def verdict(findings: Iterable[Finding]) -> str:
    """Sound, with remarks, or broken: a broken contract blocks the dataset."""
    levels = {finding.level for finding in findings}
    return BROKEN if BROKEN in levels else REMARKS if levels else SOUND


def non_regression(contract: Contract, weighed: Mapping[str, Mapping[str, Any]], excluded: int) -> list[Finding]:
    """Items that are worse than in the file received today (`compare`); a required one breaks the contract, by more rows than rights and oppositions
    `excluded`."""
    found = []
    for item in contract.items:
        told = weighed.get(item.name, {})
        if told.get("status") == "moins bien":
            grave = BROKEN if item.required and told["lost"] + told["differ"] > excluded else REMARKS
            text = f"{item.label} : moins bien que le fichier reçu aujourd’hui ({told['lost']} perdues, {told['differ']} autres)."
            found.append(Finding("non-regression", grave, text))
    return found


def compare(contract: Contract, ours: Sequence[Row], theirs: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Our rows against the file that the consumer receives today, item by item: equivalent, better, worse. A row that one side alone has is gained or lost
    in each item that it fills."""
    keyed = [{tuple(row.get(name, "") for name in contract.key): row for row in rows} for rows in (ours, theirs)]
    both = keyed[0].keys() & keyed[1].keys()
    found: dict[str, dict[str, Any]] = {}
    for item in contract.items:
        pairs = [(keyed[0][key].get(item.name, ""), keyed[1][key].get(item.name, "")) for key in both]
        alone = [sum(1 for key in keyed[side].keys() - both if keyed[side][key].get(item.name)) for side in (0, 1)]
        gained = alone[0] + sum(1 for mine, other in pairs if mine and not other)
        lost = alone[1] + sum(1 for mine, other in pairs if other and not mine)
        differ = sum(1 for mine, other in pairs if mine and other and mine != other)
        status = "moins bien" if lost + differ > gained else "mieux" if gained > lost + differ else "equivalent"
        found[item.name] = {"status": status, "compared": len(pairs), "gained": gained, "lost": lost, "differ": differ}
    return found
