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


# What the rows of an answer may be, in addresses: parameter value to dimension.
GROUPINGS = {
    "region": "territory", "departement": "territory", "famille": "product", "code": "product", "mois": "period", "age": "age", "sexe": "sex",
    "regime": "payer", "mode": "mode",
}  # fmt: skip


@dataclass(frozen=True)
class View:
    """What an address of the catalogue shows: a query, its grouping (`par`), and, when pinned, the release (`v`) and the version of
    the definition (`d`) that it was read with: opened later it gives the same number, or says what changed."""

    query: Query = Query()
    by: str = ""
    release: str = ""
    version: int = 0

    def to_params(self) -> dict[str, str]:
        """Parameters of the canonical address."""
        found = self.query.to_params()
        pinned = {"par": self.by, "v": self.release, "d": str(self.version or "")}
        return found | {name: value for name, value in pinned.items() if value}

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> "View":
        """The view of an address; QueryError for what it does not understand."""
        rest = dict(params)
        by, release, version = rest.pop("par", ""), rest.pop("v", ""), rest.pop("d", "0")
        if by and by not in GROUPINGS:
            raise QueryError(f"Regroupement inconnu : {by} (au choix : {', '.join(GROUPINGS)}).")
        if not (version.isascii() and version.isdecimal()) or len(version) > 4:
            raise QueryError("La version de la définition (d) est un nombre.")
        return cls(Query.from_params(rest), by, release, int(version))
