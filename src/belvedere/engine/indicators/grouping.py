"""What the rows of an answer may be: the groupings that make sense for an indicator, and their members."""

from collections.abc import Mapping

from belvedere.engine.indicators.definitions import Definition
from belvedere.engine.indicators.formulas import Source
from belvedere.engine.indicators.formulas.mixes import AGES, SEXES
from belvedere.engine.indicators.lattice import ALL
from belvedere.engine.indicators.query import GROUPINGS, View
from belvedere.engine.nomenclature.products import MODES, UNKNOWN_FAMILY, families, products
from belvedere.engine.nomenclature.territories import FRANCE, departments
from belvedere.engine.nomenclature.vocabulary import parts_of
from belvedere.engine.warehouse.engine import PAYERS

MONTHLY = ("measure", "difference", "ratio", "part", "share")
EVERY = tuple(GROUPINGS)
# Kind of indicator -> groupings that its formula can be asked by; none for those that split by themselves.
BY_KIND: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("measure", "difference", "ratio", "share"), EVERY), "part": ("region", "famille", "mois"), "effect": ("region", "famille"),
    "growth": ("region", "departement", "famille"), "penetration": ("region", "departement", "famille"), "index": ("region", "famille"),
    "per_month": ("region", "famille"), **dict.fromkeys(("course", "prescribers"), ("famille",)),
}  # fmt: skip
# Where a view stands -> groupings that a release declares there (cubes.yaml).
IN_A_REGION = ("departement", "famille", "code", "mois", "regime", "mode")
IN_PLACES = ("famille", "code", "mois", "regime", "mode")
OF_A_CODE = ("region", "mois")
OF_A_MONTH = ("region", "famille", "mois")


def groupings(definition: Definition, view: View) -> list[str]:
    """The groupings that an indicator may be read by, from where the view stands."""
    query, allowed = view.query, set(BY_KIND.get(definition.kind, ()))
    if query.territory != FRANCE:
        regions = {item.region for item in departments()}
        allowed &= set(IN_A_REGION if query.territory in regions else IN_PLACES)
    if query.product.isdecimal():
        allowed &= set(OF_A_CODE)
    elif query.product != ALL:
        allowed.discard("famille")
    if query.period and not query.period.startswith("12m-"):
        allowed &= set(OF_A_MONTH)
    return [name for name, dimension in GROUPINGS.items() if name in allowed and dimension in definition.dimensions]


def members(by: str, view: View, source: Source) -> Mapping[str, str]:
    """Codes and labels of the rows of a grouping."""
    chosen = [view.query.product] if view.query.product in families() else [code for code in families() if code != UNKNOWN_FAMILY]
    if by == "departement":
        return {item.code: item.name for item in departments() if view.query.territory in (FRANCE, item.region)}
    if by == "code":
        return {code: products()[int(code)].label for family in chosen for _, codes in parts_of(family).values() for code in codes}
    return {
        "region": {item.region: item.region_name for item in departments()},
        "famille": {code: label for code, label in families().items() if code != UNKNOWN_FAMILY},
        "mois": {month: month for month in source.months}, "age": AGES, "sexe": SEXES, "regime": PAYERS, "mode": MODES,
    }[by]  # fmt: skip
