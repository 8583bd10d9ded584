"""The definitions of indicators: one YAML file each, read once, validated when read. Adding an indicator is adding a file."""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from belvedere.engine.indicators.formulas import FORMULAS

DIMENSIONS_FR = {
    "territory": "le territoire", "product": "le produit", "period": "la période", "payer": "le régime",
    "mode": "le mode", "age": "l’âge", "sex": "le sexe",
}  # fmt: skip
THEMES = {
    "activite": "Activité", "dynamique": "Dynamique", "fidelite": "Durée et fidélité", "marche": "Marché", "prescription": "Prescription",
    "qualite": "Qualité de facturation",
}  # fmt: skip
# public: of everybody; member: of those who may read the market; own: of a provider, about itself.
TIERS = {"public": "de tous", "member": "des adhérents et des fédérations", "own": "de chaque adhérent, pour lui-même"}
DISPLAYS = ("nombre", "decimal", "euros", "euros_cents", "pourcent", "variation", "points", "indice", "mois", "texte")


class DefinitionError(ValueError):
    """A definition file that does not say what it must; names the file and the field."""


@dataclass(frozen=True)
class Definition:
    """One indicator. `kind` and `formula` say how it is computed (`formulas`); `dimensions` what it may be asked by;
    `additive` the dimensions along which values add up; `display` how a value is written; `example` three fictitious
    patients and the value expected, run by the tests; `changes` what each version changed, for old links."""

    name: str
    label: str
    title: str
    why: str
    unit: str
    theme: str
    kind: str
    tier: str
    display: str
    formula: Mapping[str, Any]
    example: Mapping[str, Any]
    said: str = ""  # the formula in words
    dimensions: tuple[str, ...] = ("territory", "product", "period")
    additive: tuple[str, ...] = ()
    first_product: str = ""  # the family read first, for what is read one family at a time
    caution: str = ""
    alone: bool = False  # means nothing of one provider beside the market
    needs: str = ""  # data that must come before it can be computed
    better: str = ""  # "plus" or "moins" when a direction is better
    author: str = "Belvédère"
    reviewed: str = ""
    added: str = ""
    version: int = 1
    changes: Mapping[int, str] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """The name as addresses write it."""
        return self.name.replace("_", "-")

    @property
    def since(self) -> str:
        """The day (AAAA-MM-JJ) that it came, or that its last version did."""
        return max(str(self.added), str(self.reviewed)) if self.version > 1 else str(self.added)

    @property
    def additive_fr(self) -> list[str]:
        """The additive dimensions in French."""
        return [DIMENSIONS_FR[dimension] for dimension in self.additive]

    @property
    def theme_fr(self) -> str:
        return THEMES[self.theme]

    @property
    def tier_fr(self) -> str:
        return TIERS[self.tier]


def _typeset(text: str) -> str:
    """French typography: no line breaks before a high sign."""
    return re.sub(r" ([?!:;»%€])", "\u00a0\\1", text).replace("« ", "«\u00a0")


def parse(name: str, text: str) -> Definition:
    """A definition from its file's text; DefinitionError when a field is missing, unknown or inconsistent."""
    content = yaml.safe_load(text)
    if not isinstance(content, dict):
        raise DefinitionError(f"{name}: not a mapping")
    lists = ("additive", "dimensions")
    content = {key: _typeset(value) if isinstance(value, str) else value for key, value in content.items()}
    fields: dict[str, Any] = {key: tuple(value) if key in lists else value for key, value in content.items()}
    try:
        found = Definition(name=name, **fields)
    except TypeError as error:
        raise DefinitionError(f"{name}: {error}") from error
    known: tuple[tuple[str, str, Container[str]], ...] = (
        ("kind", found.kind, FORMULAS), ("tier", found.tier, TIERS), ("theme", found.theme, THEMES), ("display", found.display, DISPLAYS),
        *(("dimension", dimension, DIMENSIONS_FR) for dimension in (*found.dimensions, *found.additive)),
    )  # fmt: skip
    for what, value, allowed in known:
        if value not in allowed:
            raise DefinitionError(f"{name}: {what} {value!r} unknown")
    missing = [key for key in ("lines", "expected") if key not in found.example]
    if missing and not found.needs:
        raise DefinitionError(f"{name}: the worked example lacks {', '.join(missing)}")
    if absent := [number for number in range(2, found.version + 1) if number not in found.changes]:
        raise DefinitionError(f"{name}: version {absent[0]} does not say what it changed")
    return found


@cache
def catalogue() -> dict[str, Definition]:
    """Every definition by name, in alphabetical order."""
    folder = files(__package__) / "definitions"
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".yaml")), key=lambda path: path.name)
    return {path.name[:-5]: parse(path.name[:-5], path.read_text(encoding="utf-8")) for path in paths}
