"""What an indicator may be asked by: zones, products, periods and groupings, with their French names."""

from collections.abc import Sequence
from dataclasses import dataclass

from belvedere.engine.indicators import grouping
from belvedere.engine.indicators.definitions import Definition
from belvedere.engine.indicators.formulas import Source
from belvedere.engine.indicators.lattice import ALL
from belvedere.engine.indicators.query import View
from belvedere.engine.nomenclature.products import UNKNOWN_FAMILY, families, products
from belvedere.engine.nomenclature.territories import FRANCE, departments, names
from belvedere.engine.nomenclature.vocabulary import parts_of
from belvedere.observatory.desk.models import Basket
from belvedere.portal import numbers
from belvedere.portal.market import sort_key

LABELS = {
    "region": "par région", "departement": "par département", "famille": "par famille", "code": "par code LPP", "mois": "par mois", "age": "par âge",
    "sexe": "par sexe", "regime": "par régime", "mode": "par mode de délivrance",
}  # fmt: skip


@dataclass(frozen=True)
class Choices:
    """Options of the form: (code, label) lists, with what is chosen."""

    zones: tuple[tuple[str, list[tuple[str, str]]], ...]
    products: tuple[tuple[str, list[tuple[str, str]]], ...]
    periods: list[tuple[str, str]]
    groupings: list[tuple[str, str]]


def of(definition: Definition, view: View, source: Source, baskets: Sequence[Basket] = ()) -> Choices:
    """The options that make sense for an indicator, the reader's baskets among them; a dimension it has not is left out."""
    own = {kind: [(item.codes, item.name) for item in baskets if item.kind == kind] for kind in ("territory", "product")}
    for kind, chosen in (("territory", view.query.territory), ("product", view.query.product)):
        if "," in chosen and chosen not in dict(own[kind]):
            own[kind].append((chosen, "Votre panier"))
    regions = {item.region: item.region_name for item in departments()}
    zones = (
        ("", [(FRANCE, "France entière")]),
        *((("Mes paniers", own["territory"]),) if own["territory"] else ()),
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
    if "period" in definition.dimensions and definition.kind in grouping.MONTHLY:
        periods += [(month, numbers.month(month)) for month in reversed(source.months)]
    return Choices(
        zones if "territory" in definition.dimensions else (),
        (
            *((("", [(ALL, "Toutes familles")]),) if not definition.first_product else ()),
            *((("Mes paniers", own["product"]),) if own["product"] else ()),
            ("Familles", goods),
            *((("Codes LPP", codes),) if codes else ()),
        )
        if "product" in definition.dimensions
        else (),
        periods if "period" in definition.dimensions else [],
        [(name, LABELS[name]) for name in grouping.groupings(definition, view)],
    )


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
