"""What the rows of an answer may be: the groupings that make sense for an indicator, and their members."""

from collections.abc import Mapping

from belvedere.engine.indicators.definitions import Definition
from belvedere.engine.indicators.formulas import Source
from belvedere.engine.indicators.formulas.mixes import SEXES
from belvedere.engine.indicators.lattice import ALL
from belvedere.engine.indicators.query import GROUPINGS, View
from belvedere.engine.nomenclature.products import MODES, UNKNOWN_FAMILY, families, products
from belvedere.engine.nomenclature.territories import FRANCE, departments, region_of
from belvedere.engine.nomenclature.vocabulary import parts_of
from belvedere.engine.warehouse.engine import AGE_BANDS, PAYERS

MONTHLY = ("measure", "difference", "ratio", "part", "share")


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
        return {month: month for month in source.months}
    if by == "age":
        return {band: "75 ans et plus" if band == "75+" else f"{band.replace('-', ' à ')} ans" for band in AGE_BANDS}
    return {"sexe": {code: label for code, label in SEXES.items() if code != "0"}, "regime": PAYERS, "mode": MODES}[by]
