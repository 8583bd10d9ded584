"""Outlines of the departments, read from the installed package `pygal-maps-fr` (LGPL), served as one sprite.

A page colours departments by class: shape and colour never travel together, and the sprite is cached.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
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


def choropleth(
    values: Mapping[str, object], breaks: Sequence[float], labels: Sequence[str], tell: Mapping[str, str], *, diverging: bool = False
) -> Choropleth:
    """Classes of fixed breaks (never drawn from the data, so that a masked value moves nothing).

    `values` by department: a number, "masked", or absent; `tell` the sentence of each department; `diverging` for a change,
    neutral in the middle."""
    ramp = "d" if diverging else "z"
    classes: dict[str, str] = {}
    for item in departments():
        value = values.get(item.code)
        if value == "masked":
            classes[item.code] = "zm"
        elif value is None:
            classes[item.code] = "zn"
        else:
            rank = sum(float(value) >= limit for limit in breaks)  # type: ignore[arg-type]
            classes[item.code] = f"{ramp}{rank}"
    shapes = tuple((f"g{rank}-{code}", classes[code], tell.get(code, code)) for rank, (_, parts) in enumerate(_groups()) for code, _ in parts)
    names = [(f"{ramp}{rank}", label) for rank, label in enumerate(labels)] + [("zm", "masqué"), ("zn", "sans donnée")]
    held = list(classes.values())
    return Choropleth(shapes, tuple(Band(css, label, held.count(css)) for css, label in names))


@dataclass(frozen=True)
class Circles:
    """Proportional circles over neutral shapes: (group transform, ((x, y, radius, sentence), …)); `scale` says what some radii stand for."""

    shapes: tuple[tuple[str, str, str], ...]
    circles: tuple[tuple[str, tuple[tuple[float, float, float, str], ...]], ...]
    scale: tuple[tuple[float, float, str], ...]  # centre height, radius, text
    masked: int
    absent: int


LARGEST = 105.0  # radius of the largest circle, in units of the drawing
ROUND = (1, 2, 5)


@cache
def _centres() -> dict[str, tuple[str, float, float]]:
    """Department to (transform of its group, x, y): the middle of the extent of its outline, in the inset where there is one."""
    found: dict[str, tuple[str, float, float]] = {}
    for transform, shapes in _groups():
        for code, path in shapes:
            points = _points(path)
            x, y = [point[0] for point in points], [point[1] for point in points]
            found[code] = (transform, (min(x) + max(x)) / 2, (min(y) + max(y)) / 2)
    return found


def _points(path: str) -> list[tuple[float, float]]:
    """Ends of the segments of a path of moves, lines and curves, absolute or relative (SVG 2 §9.3)."""
    points, x, y = [], 0.0, 0.0
    for command, text in re.findall(r"([mlcMLCzZ])([^mlcMLCzZ]*)", path):
        numbers = [float(found) for found in re.findall(r"-?\d*\.?\d+(?:e-?\d+)?", text)]
        step = 6 if command in "cC" else 2
        for at in range(0, len(numbers) - step + 1, step):
            dx, dy = numbers[at + step - 2], numbers[at + step - 1]
            x, y = (dx, dy) if command.isupper() else (x + dx, y + dy)
            points.append((x, y))
    return points


def circles(values: Mapping[str, object], tell: Mapping[str, str], written: Callable[[float], str]) -> Circles:
    """Circles whose area is proportional to the value; masked departments are hatched, those without data are blank."""
    told = {code: float(value) for code, value in values.items() if isinstance(value, int | float) and value > 0}
    most = max(told.values(), default=1.0)
    by_group: dict[str, list[tuple[float, float, float, str]]] = {}
    for code, value in sorted(told.items(), key=lambda pair: -pair[1]):
        transform, x, y = _centres()[code]
        by_group.setdefault(transform, []).append((round(x, 1), round(y, 1), round(LARGEST * (value / most) ** 0.5, 1), tell.get(code, code)))
    base = {item.code: "zm" if values.get(item.code) == "masked" else "zb" for item in departments()}
    shapes = tuple((f"g{rank}-{code}", base[code], tell.get(code, code)) for rank, (_, parts) in enumerate(_groups()) for code, _ in parts)
    power = 10 ** (len(str(int(most))) - 1)
    top = max((step * power for step in ROUND if step * power <= most), default=most)
    sizes = dict.fromkeys(max(1, int(value)) for value in (top, top / 4, top / 20))  # a circle of no patient shows nothing
    steps = [(value, LARGEST * (value / most) ** 0.5) for value in sizes]
    scale = tuple((round(2 * steps[0][1] - radius + 10, 1), round(radius, 1), written(value)) for value, radius in steps)
    kinds = list(base.values())
    return Circles(
        shapes,
        tuple((transform, tuple(items)) for transform, items in by_group.items()),
        scale,
        kinds.count("zm"),
        sum(values.get(item.code) is None for item in departments()),
    )
