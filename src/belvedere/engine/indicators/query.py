"""The query: a frozen choice of one cell of a release, the same in an address, the API and the portal.

`to_params` leaves defaults out and keeps a stable order, so that one query has one address.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from belvedere.engine.indicators.lattice import ALL, DIMENSIONS
from belvedere.engine.nomenclature.territories import FRANCE

# French, human-readable names of the dimensions in addresses.
PARAMETERS = {
    "zone": "territory", "produit": "product", "periode": "period", "age": "age", "sexe": "sex", "regime": "payer", "mode": "mode",
}  # fmt: skip
# Measures of a cell; persons and invoices may stand in several cells, so theirs do not add up.
ADDITIVE = ("lines", "units", "amount_amo", "amount_amc", "amount_billed")
MEASURES = ("patients", "invoices", *ADDITIVE)


class QueryError(ValueError):
    """An address that is no query; says which parameter."""


@dataclass(frozen=True)
class Query:
    """One cell by its codes; `period` empty means the release's latest twelve months."""

    territory: str = FRANCE
    product: str = ALL
    period: str = ""
    age: str = ALL
    sex: str = ALL
    payer: str = ALL
    mode: str = ALL

    def to_params(self) -> dict[str, str]:
        """Parameters of the canonical address."""
        defaults = {field.name: field.default for field in fields(self)}
        return {name: getattr(self, key) for name, key in PARAMETERS.items() if getattr(self, key) != defaults[key]}

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> "Query":
        """The query of an address; QueryError for a parameter that does not exist or is empty."""
        unknown = [name for name in params if name not in PARAMETERS]
        if unknown:
            raise QueryError(f"Paramètre inconnu : {unknown[0]} (au choix : {', '.join(PARAMETERS)}).")
        if empty := [name for name, value in params.items() if not value]:
            raise QueryError(f"Paramètre vide : {empty[0]}.")
        return cls(**{PARAMETERS[name]: value for name, value in params.items()})

    def codes(self, latest: str) -> dict[str, str]:
        """Codes by dimension, `latest` standing for an absent period."""
        return {name: getattr(self, name) or latest for name in DIMENSIONS}
