"""The definitions of indicators: one YAML file each, read once, validated when read."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

KINDS = ("measure", "ratio", "growth", "share", "mix", "new")
DIMENSIONS_FR = {
    "territory": "le territoire", "product": "le produit", "period": "la période", "payer": "le régime",
    "mode": "le mode", "age": "l’âge", "sex": "le sexe",
}  # fmt: skip
TIERS = ("public", "member", "own")


class DefinitionError(ValueError):
    """A definition file that does not say what it must; names the file and the field."""


@dataclass(frozen=True)
class Definition:
    """One indicator. `measure` names a measure of `cells.MEASURES`; ratios have a numerator and a denominator;
    `additive` the dimensions along which values add up."""

    name: str
    label: str
    title: str
    why: str
    unit: str
    kind: str
    tier: str
    additive: tuple[str, ...]
    measure: str = ""
    numerator: str = ""
    denominator: str = ""
    caution: str = ""
    author: str = ""
    reviewed: str = ""

    @property
    def slug(self) -> str:
        """The name as addresses write it."""
        return self.name.replace("_", "-")

    @property
    def additive_fr(self) -> list[str]:
        """The additive dimensions in French."""
        return [DIMENSIONS_FR[dimension] for dimension in self.additive]


def parse(name: str, text: str) -> Definition:
    """A definition from its file's text; DefinitionError when a field is missing, unknown or inconsistent."""
    content = yaml.safe_load(text)
    if not isinstance(content, dict):
        raise DefinitionError(f"{name}: not a mapping")
    try:
        fields: dict[str, Any] = {key: tuple(value) if key == "additive" else str(value) for key, value in content.items()}
        found = Definition(name=name, **fields)
    except TypeError as error:
        raise DefinitionError(f"{name}: {error}") from error
    if found.kind not in KINDS or found.tier not in TIERS:
        raise DefinitionError(f"{name}: kind {found.kind!r} or tier {found.tier!r} unknown")
    if found.kind == "ratio" and not (found.numerator and found.denominator):
        raise DefinitionError(f"{name}: a ratio needs numerator and denominator")
    if found.kind in ("measure", "growth", "share", "mix") and not found.measure:
        raise DefinitionError(f"{name}: kind {found.kind} needs a measure")
    return found


@cache
def catalogue() -> dict[str, Definition]:
    """Every definition by name, in alphabetical order."""
    folder = files(__package__) / "catalogue"
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".yaml")), key=lambda path: path.name)
    return {path.name[:-5]: parse(path.name[:-5], path.read_text(encoding="utf-8")) for path in paths}
