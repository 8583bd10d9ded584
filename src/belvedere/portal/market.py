"""Market tables built from a frozen release alone: sums of published cells, nothing computed from facts."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from belvedere.engine.indicators.formulas.ask import Value, growth, ratio
from belvedere.engine.nomenclature.products import UNKNOWN_FAMILY, families
from belvedere.engine.nomenclature.territories import departments, names
from belvedere.engine.warehouse.engine import UNKNOWN_REGION
from belvedere.observatory.publication.frozen import Frozen


def sort_key(text: str) -> str:
    """Alphabetical order that forgives accents: Île-de-France stands with the I."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()


@dataclass(frozen=True)
class MarketRow:
    """One line of a market table."""

    code: str
    label: str
    patients: Value
    amount: Value
    growth: Value
    average: Value
    per_10k: Value = None


def _row(release: Frozen, label: str, code: str, population: int | None = None, **codes: str) -> MarketRow:
    last = release.years[-1]
    previous = release.years[-2] if len(release.years) > 1 else None
    patients, amount = (release.measure(name, period=last, **codes) for name in ("patients", "amount_amo"))
    before = release.measure("amount_amo", period=previous, **codes) if previous else None
    return MarketRow(
        code, label, patients, amount, growth(amount, before), ratio(amount, patients),
        ratio(patients, population, 10_000) if population else None,
    )  # fmt: skip


def by_family(release: Frozen, territory: str = "FR") -> list[MarketRow]:
    """Families of a territory over the last twelve months."""
    rows = [_row(release, label, code, territory=territory, product=code) for code, label in families().items()]
    return [row for row in rows if row.code != UNKNOWN_FAMILY or row.patients]


def by_region(release: Frozen, product: str = "*") -> list[MarketRow]:
    """Regions over the last twelve months, with patients per 10 000 inhabitants."""
    people: dict[str, int] = {}
    for item in departments():
        people[item.region] = people.get(item.region, 0) + item.population
    rows = [_row(release, names()[code], code, count, territory=code, product=product) for code, count in people.items()]
    unknown = _row(release, "Zone inconnue", UNKNOWN_REGION, territory=UNKNOWN_REGION, product=product)
    rows.sort(key=lambda row: sort_key(row.label))
    return rows + ([unknown] if unknown.patients else [])


def by_department(release: Frozen, product: str = "*") -> list[MarketRow]:
    """Departments over the last twelve months, with patients per 10 000 inhabitants."""
    return [_row(release, item.name, item.code, item.population, territory=item.code, product=product) for item in departments()]


def series(release: Frozen, measure: str, months: Sequence[str], **codes: str) -> list[tuple[str, float]]:
    """Published months of a measure; masked months are left out."""
    points = [(month, release.measure(measure, period=month, **codes)) for month in months]
    return [(month, float(value)) for month, value in points if isinstance(value, int)]


def index_100(points: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """The same series with 100 at its first point."""
    if not points or not points[0][1]:
        return []
    return [(month, value / points[0][1] * 100) for month, value in points]


def totals(release: Frozen, **codes: str) -> Mapping[str, Value]:
    """Headline figures of a territory and product over the last twelve months, and their changes."""
    last, previous = release.years[-1], release.years[-2] if len(release.years) > 1 else None
    found: dict[str, Value] = {}
    for name in ("patients", "lines", "amount_amo", "amount_billed"):
        found[name] = release.measure(name, period=last, **codes)
        found[f"{name}_growth"] = growth(found[name], release.measure(name, period=previous, **codes)) if previous else None
    found["average"] = ratio(found["amount_amo"], found["patients"])
    return found
