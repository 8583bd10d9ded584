"""What an indicator may be asked by: zones, products, periods and groupings, with their French names."""

from collections.abc import Mapping
from dataclasses import dataclass

from belvedere.engine.indicators.definitions import Definition
from belvedere.engine.indicators.formulas import Source
from belvedere.engine.indicators.formulas.mixes import SEXES
from belvedere.engine.indicators.query import GROUPINGS, View
from belvedere.engine.nomenclature.products import MODES, UNKNOWN_FAMILY, families, products
from belvedere.engine.nomenclature.territories import FRANCE, departments, names, region_of
from belvedere.engine.nomenclature.vocabulary import parts_of
from belvedere.engine.warehouse.engine import AGE_BANDS, PAYERS
from belvedere.portal import numbers
from belvedere.portal.market import sort_key

MONTHLY = ("measure", "difference", "ratio", "part", "share")
LABELS = {
    "region": "par région", "departement": "par département", "famille": "par famille", "code": "par code LPP", "mois": "par mois", "age": "par âge",
    "sexe": "par sexe", "regime": "par régime", "mode": "par mode de délivrance",
}  # fmt: skip
ALL = "*"


@dataclass(frozen=True)
class Choices:
    """Options of the form: (code, label) lists, with what is chosen."""

    zones: tuple[tuple[str, list[tuple[str, str]]], ...]
    products: tuple[tuple[str, list[tuple[str, str]]], ...]
    periods: list[tuple[str, str]]
    groupings: list[tuple[str, str]]


def of(definition: Definition, view: View, source: Source) -> Choices:
    """The options that make sense for an indicator; a dimension it has not is left out."""
    regions = {item.region: item.region_name for item in departments()}
    zones = (
        ("", [(FRANCE, "France entière")]),
        ("Régions", sorted(regions.items(), key=lambda pair: sort_key(pair[1]))),
        ("Départements", [(item.code, f"{item.code} {item.name}") for item in departments()]),
    )
    goods = [(code, label) for code, label in families().items() if code != UNKNOWN_FAMILY]
    codes = (
        [(code, f"{code} {products()[int(code)].label}") for _, listed in parts_of(view.query.product).values() for code in listed]
        if view.query.product in families()
        else []
    )
    if view.query.product.isdecimal() and (found := products().get(int(view.query.product))):
        codes = [(str(found.lpp), f"{found.lpp} {found.label}")]
    periods = [(code, period_name(code)) for code in reversed(source.years)]
    if "period" in definition.dimensions and definition.kind in MONTHLY:
        periods += [(month, numbers.month(month)) for month in reversed(source.months)]
    return Choices(
        zones if "territory" in definition.dimensions else (),
        (
            *((("", [(ALL, "Toutes familles")]),) if not definition.first_product else ()),
            ("Familles", goods),
            *((("Codes LPP", codes),) if codes else ()),
        )
        if "product" in definition.dimensions
        else (),
        periods if "period" in definition.dimensions else [],
        [(name, LABELS[name]) for name in groupings(definition, view)],
    )


def groupings(definition: Definition, view: View) -> list[str]:
    """The groupings that an indicator may be read by, from where the view stands."""
    if definition.kind in ("mix", "contribution", "place", "migration", "survival", "seasonality", "specialties", "concentration"):
        return []
    found = [name for name, dimension in GROUPINGS.items() if dimension in definition.dimensions]
    if "," in view.query.territory or view.query.territory in region_of():
        found = [name for name in found if name not in ("region", "departement")]
    if view.query.territory != FRANCE:
        found = [name for name in found if name not in ("region", "age", "sexe")]
    if definition.kind not in MONTHLY:
        found = [name for name in found if name not in ("mois", "age", "sexe", "regime", "mode")]
    if definition.kind in ("course", "initiation", "prescribers", "flaw"):
        found = [name for name in found if name in ("famille",)]
    if definition.kind in ("effect", "index", "growth", "penetration", "part", "per_month"):
        found = [name for name in found if name in ("region", "departement", "famille", "mois")]
    if definition.kind in ("part", "effect"):
        found = [name for name in found if name != "departement"]
    if definition.kind in ("per_month", "index"):
        found = [name for name in found if name not in ("departement", "mois")]
    if view.query.product.isdecimal():
        found = [name for name in found if name in ("region", "mois")]
    elif view.query.product != ALL:
        found = [name for name in found if name != "famille"]
    if not view.query.period.startswith("12m-") and view.query.period:
        found = [name for name in found if name in ("region", "famille", "mois")]
    return found


def members(by: str, view: View, source: Source) -> Mapping[str, str]:
    """Codes and labels of the rows of a grouping."""
    if by == "region":
        return {item.region: item.region_name for item in departments()}
    if by == "departement":
        zone = view.query.territory
        return {item.code: item.name for item in departments() if zone in (FRANCE, item.region)}
    if by == "famille":
        return {code: label for code, label in families().items() if code != UNKNOWN_FAMILY}
    if by == "code":
        chosen = [view.query.product] if view.query.product in families() else [code for code in families() if code != UNKNOWN_FAMILY]
        return {code: products()[int(code)].label for family in chosen for _, codes in parts_of(family).values() for code in codes}
    if by == "mois":
        return {month: numbers.month(month) for month in source.months}
    if by == "age":
        return {band: "75 ans et plus" if band == "75+" else f"{band.replace('-', ' à ')} ans" for band in AGE_BANDS}
    return {"sexe": {code: label for code, label in SEXES.items() if code != "0"}, "regime": PAYERS, "mode": MODES}[by]


def period_name(code: str) -> str:
    """\"12 mois, oct. 2026\" or a month."""
    return f"12 mois, {numbers.month(code[4:])}" if code.startswith("12m-") else numbers.month(code)


def zone_name(code: str) -> str:
    """French name of a zone, or of several."""
    return ", ".join(names().get(one, one) for one in code.split(","))


def product_name(code: str) -> str:
    """French name of a product: all families, a family, a code, or several."""
    return ", ".join(
        "toutes familles"
        if one == ALL
        else families().get(one) or (products()[int(one)].label if one.isdecimal() and int(one) in products() else one)
        for one in code.split(",")
    )
