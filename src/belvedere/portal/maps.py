"""Outlines of the departments, read from the installed package `pygal-maps-fr` (LGPL), served as one sprite.

A page colours departments by class: shape and colour never travel together, and the sprite is cached.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pygal_maps_fr

from belvedere.engine.nomenclature.territories import departments

_SVG = "{http://www.w3.org/2000/svg}"
VIEW_BOX = "0 60 2000 1850"


def _shorter(path: str) -> str:
    """Coordinates to one decimal: a tenth of a unit on a 2 000 wide drawing is out of sight."""
    return re.sub(r"-?\d+\.\d+(?:e-?\d+)?", lambda found: f"{float(found.group()):.1f}".replace(".0", ""), path)


@cache
def _groups() -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """(transform, ((department, path), …)) of each group of the drawing: mainland, greater Paris inset, overseas."""
    root = ET.parse(Path(pygal_maps_fr.__file__).parent / "fr.departments.svg").getroot()  # noqa: S314 (a file of an installed package)
    known = {item.code for item in departments()}
    found = []
    for group in root.findall(f"{_SVG}g"):
        shapes = []
        for part in group.findall(f"{_SVG}g"):
            code = part.attrib.get("class", "").split(" ")[0].removeprefix("z")
            code = {"20A": "2A", "20B": "2B", "2a": "2A", "2b": "2B"}.get(code, code)
            paths = " ".join(_shorter(path.attrib["d"]) for path in part.findall(f"{_SVG}path"))
            if code in known:
                shapes.append((code, paths))
        found.append((group.attrib.get("transform", ""), tuple(shapes)))
    return tuple(found)


@cache
def sprite() -> bytes:
    """An SVG of symbols, one per shape: ids g<group>-<department>."""
    symbols = []
    for rank, (transform, shapes) in enumerate(_groups()):
        attribute = f' transform="{transform}"' if transform else ""
        symbols += [f'<g id="g{rank}-{code}"{attribute}><path d="{path}"/></g>' for code, path in shapes]
    return f'<svg xmlns="http://www.w3.org/2000/svg"><defs>{"".join(symbols)}</defs></svg>'.encode()


@dataclass(frozen=True)
class Band:
    """One class of a choropleth: half-open [low, high), label, CSS class and how many zones it holds."""

    css: str
    label: str
    count: int


@dataclass(frozen=True)
class Choropleth:
    """Shapes to draw, (href id, CSS class, sentence for the tooltip), and the legend."""

    shapes: tuple[tuple[str, str, str], ...]
    legend: tuple[Band, ...]


def choropleth(values: Mapping[str, object], breaks: Sequence[float], labels: Sequence[str], tell: Mapping[str, str]) -> Choropleth:
    """Classes of fixed breaks (never drawn from the data, so that a masked value moves nothing).

    `values` by department: a number, "masked", or absent; `tell` the sentence of each department."""
    classes: dict[str, str] = {}
    for item in departments():
        value = values.get(item.code)
        if value == "masked":
            classes[item.code] = "zm"
        elif value is None:
            classes[item.code] = "zn"
        else:
            rank = sum(float(value) >= limit for limit in breaks)  # type: ignore[arg-type]
            classes[item.code] = f"z{rank}"
    shapes = tuple((f"g{rank}-{code}", classes[code], tell.get(code, code)) for rank, (_, parts) in enumerate(_groups()) for code, _ in parts)
    names = [(f"z{rank}", label) for rank, label in enumerate(labels)] + [("zm", "masqué"), ("zn", "sans donnée")]
    held = list(classes.values())
    return Choropleth(shapes, tuple(Band(css, label, held.count(css)) for css, label in names))
