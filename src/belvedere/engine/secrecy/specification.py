"""What a table is, declared in a YAML file: dimensions, who contributes, measures, rules (see docs/reference/secret.md)."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from belvedere.engine.secrecy.errors import SecrecyError
from belvedere.engine.secrecy.lattice import Cube, Dimension, Hierarchy, Lattice, build
from belvedere.engine.secrecy.rules import Parameters

RULES = {
    "patients": "patients", "holdings": "holdings", "dominance": "dominance_share", "p": "p_percent",
    "federation_remainder": "federation_percent", "federations_attack": "federations_attack",
}  # fmt: skip
TOP = {
    "title",
    "dimensions",
    "calendar",
    "contributor",
    "holding",
    "federation",
    "patients",
    "measures",
    "lead",
    "cubes",
    "forced",
    "external",
    "rules",
    "seed",
}


@dataclass(frozen=True)
class Specification:
    """A declared table. `columns` maps each dimension to the column of its finest code; `splits` are the dimensions
    that split persons; `distinct` says that the patients column holds a person's code instead of a number."""

    title: str
    dimensions: tuple[Dimension, ...]
    cubes: tuple[Cube, ...]
    columns: Mapping[str, str]
    calendar: str | None
    contributor: str
    holding: str
    federation: str | None
    patients: str
    distinct: bool
    splits: tuple[str, ...]
    measures: Mapping[str, str]
    lead: str
    parameters: Parameters
    forced: tuple[tuple[str, ...], ...] = ()
    external: tuple[tuple[str, ...], ...] = ()
    seed: int = 1
    source: str = field(default="", repr=False)

    def lattice(self) -> Lattice:
        """The lattice declared."""
        return build(self.dimensions, self.cubes, calendar=self.calendar)


def read(path: Path) -> Specification:
    """The specification of a file. SecrecyError S112 (incomplete), S102 to S105 (hierarchies)."""
    text = path.read_text(encoding="utf-8")
    return parse(text, path.parent)


def parse(text: str, folder: Path) -> Specification:
    """The specification of a text; trees given as file names are read from `folder`, and copied into `source`."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SecrecyError("S112", "spécification", reason=str(error).replace("\n", " ")) from None
    if not isinstance(content, dict):
        raise SecrecyError("S112", "spécification", reason="le fichier ne contient pas de clés")
    if unknown := set(content) - TOP:
        raise SecrecyError("S112", "spécification", reason=f"clé inconnue {', '.join(sorted(map(str, unknown)))}")
    for key in ("dimensions", "contributor", "patients", "measures"):
        if not content.get(key):
            raise SecrecyError("S112", "spécification", reason=f"la clé « {key} » manque")
    for given in content["dimensions"].values():
        if isinstance(given.get("tree"), str):
            given["tree"] = _tree_file(folder / given["tree"])
    dimensions = tuple(_dimension(name, given) for name, given in content["dimensions"].items())
    cubes = content.get("cubes") or {"all": {d.name: list(dict.fromkeys(d.level.values())) for d in dimensions}}
    persons = content["patients"] if isinstance(content["patients"], dict) else {"column": content["patients"]}
    rules = content.get("rules") or {}
    if unknown := set(rules) - set(RULES):
        raise SecrecyError("S112", "rules", reason=f"règle inconnue {', '.join(sorted(unknown))}")
    measures = {str(name): str(column) for name, column in content["measures"].items()}
    lead = content.get("lead", next(iter(measures)))
    if lead not in measures:
        raise SecrecyError("S112", "lead", reason=f"« {lead} » n’est pas une mesure déclarée")
    return Specification(
        title=str(content.get("title", "Table")), dimensions=dimensions,
        cubes=tuple(Cube(name, levels) for name, levels in cubes.items()),
        columns={name: str(given.get("column", name)) for name, given in content["dimensions"].items()},
        calendar=content.get("calendar"), contributor=str(content["contributor"]), holding=str(content.get("holding", content["contributor"])),
        federation=content.get("federation"), patients=str(persons.get("distinct", persons.get("column"))), distinct="distinct" in persons,
        splits=tuple(persons.get("splits", () if "distinct" in persons else [d.name for d in dimensions])), measures=measures, lead=lead,
        parameters=Parameters(**{RULES[name]: value for name, value in rules.items()}),
        forced=_cells(content.get("forced")), external=_cells(content.get("external")), seed=int(content.get("seed", 1)),
        source=yaml.safe_dump(content, allow_unicode=True, sort_keys=False),
    )  # fmt: skip


def _cells(given: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(str(code) for code in key) for key in given or ())


def _tree_file(path: Path) -> dict[str, str | None]:
    try:
        with path.open(encoding="utf-8") as stream:
            return {row["code"]: row["parent"] or None for row in csv.DictReader(stream)}
    except (OSError, KeyError) as error:
        raise SecrecyError("S112", path.name, reason=f"arbre illisible ({error})") from None


def _dimension(name: str, given: dict[str, Any]) -> Dimension:
    """A dimension; the level of a code is the one given in `levels`, else its depth ("0" at the root)."""
    parent = {str(code): None if above is None else str(above) for code, above in (given.get("tree") or {}).items()}
    if not parent:
        raise SecrecyError("S112", name, reason="l’arbre de la dimension est vide")
    also = tuple(
        Hierarchy(
            str(item["name"]), {str(total): [str(code) for code in codes] for total, codes in item["sums"].items()},
            frozenset(map(str, item["during"])) if "during" in item else None,
        )
        for item in given.get("also", ())
    )  # fmt: skip
    flat = Dimension(name, parent, dict.fromkeys(parent, "0"), also)
    flat.check()
    depth: dict[str, int] = {}

    def deep(code: str) -> int:
        above = parent[code]
        if code not in depth:
            depth[code] = 0 if above is None else deep(above) + 1
        return depth[code]

    named = {str(code): str(level) for code, level in (given.get("levels") or {}).items()}
    return Dimension(name, parent, {code: named.get(code, str(deep(code))) for code in parent}, also)
