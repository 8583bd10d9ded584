"""Whether a resource evidently follows FHIR R4, at a fifth of the price: whatever this accepts, the models of `fhir.resources` and our own rules on written
values (`structure.py`) accept too. What it does not accept may be sound all the same: it is left to them, who say what is wrong and where.

The plan of each model is read from the models themselves, once: elements, required ones, choices (`value[x]`), closed lists of codes.
"""

import datetime as dt
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module

DAY = re.compile(r"(19|20)\d{2}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
MOMENT = re.compile(r"([^T]{10})T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-](0\d|1[0-3]):[0-5]\d)")
ID, CODE, PLAIN, ADDRESS = (
    re.compile(r"[A-Za-z0-9\-.]{1,64}"),
    re.compile(r"[^\s]+( [^\s]+)*"),
    re.compile(r"\S(.*\S)?", re.DOTALL),
    re.compile(r"\S+"),
)
HALF = re.compile("[\ud800-\udfff]")  # half of a character
MOST = 2**31 - 1
Check = Callable[[object], bool]


def _text(pattern: re.Pattern[str]) -> Check:
    return lambda value: type(value) is str and pattern.fullmatch(value) is not None and (value.isascii() or HALF.search(value) is None)


def _one_of(codes: frozenset[str]) -> Check:
    return lambda value: type(value) is str and value in codes


def _day(value: object) -> bool:
    try:
        return type(value) is str and DAY.fullmatch(value) is not None and bool(dt.date.fromisoformat(value))
    except ValueError:
        return False


def _moment(value: object) -> bool:
    found = MOMENT.fullmatch(value) if type(value) is str else None
    return _day(found[1]) if found else _day(value)


# By the annotation of the models; a kind that is not here is left to them.
CHECKS: dict[str, Check] = {
    "Id": _text(ID), "Code": _text(CODE), "String": _text(PLAIN), "Markdown": _text(PLAIN), "Uri": _text(ADDRESS), "Canonical": _text(ADDRESS), "Date": _day,
    "DateTime": _moment, "Instant": lambda value: type(value) is str and "T" in value and _moment(value), "bool": lambda value: type(value) is bool, "PositiveInt": lambda value: type(value) is int and 0 < value <= MOST,
    "UnsignedInt": lambda value: type(value) is int and 0 <= value <= MOST, "Integer": lambda value: type(value) is int and -MOST <= value <= MOST,
    "Decimal": lambda value: type(value) is int and -MOST <= value <= MOST,
}  # fmt: skip


@dataclass
class Plan:
    """One model: what each element is checked by, whether it is a list, which are required, which are one of a choice."""

    checks: dict[str, Check] = field(default_factory=dict)
    lists: set[str] = field(default_factory=set)
    required: list[str] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)
    chosen: set[str] = field(default_factory=set)  # choices of which one is required

    def accepts(self, value: object) -> bool:
        """Whether an object evidently is one of this model."""
        if type(value) is not dict or not value:
            return False
        for name in self.required:
            if name not in value:
                return False
        met = set()
        for name, one in value.items():
            check = self.checks.get(name)
            if check is None:
                return False
            if name in self.lists:
                if type(one) is not list or not one:
                    return False
                for item in one:
                    if not check(item):
                        return False
            elif not check(one):
                return False
            if name in self.choices:
                if self.choices[name] in met:
                    return False
                met.add(self.choices[name])
        return self.chosen <= met


def _leaf(annotation: object) -> tuple[str, bool]:
    """(path of the inner model, or name of the kind of value; whether it is a list) of an element."""
    if typing.get_origin(annotation) is typing.Annotated:
        return type(typing.get_args(annotation)[1]).__name__, False
    inner = [one for one in typing.get_args(annotation) if one is not type(None)]
    if inner:
        return _leaf(inner[0])[0] if len(inner) == 1 else "", typing.get_origin(annotation) is list or (len(inner) == 1 and _leaf(inner[0])[1])
    return getattr(annotation, "_model_klass", "") or getattr(annotation, "__name__", ""), False


@cache
def plan(path: str, codes: Callable[[str, str, list[str]], frozenset[str] | None]) -> Plan:
    """The plan of a model by its path; `codes` gives the closed list of an element of a model from the one that the model has, None when it is open."""
    module, _, model = path.rpartition(".")
    made = Plan()
    for element, told in getattr(import_module(module), model).model_fields.items():
        alias, extra = told.alias or element, told.json_schema_extra if isinstance(told.json_schema_extra, dict) else {}
        kind, many = _leaf(told.annotation)
        if told.is_required() or extra.get("element_required"):
            made.required.append(alias)
        if choice := extra.get("one_of_many"):
            made.choices[alias] = str(choice)
            if extra.get("one_of_many_required"):
                made.chosen.add(str(choice))
        if kind in CHECKS and (listed := extra.get("enum_values")) and (closed := codes(model, alias, [str(one) for one in listed])):
            made.checks[alias] = _one_of(closed)
        elif kind in CHECKS:
            made.checks[alias] = CHECKS[kind]
        elif "." in kind and not kind.endswith((".Resource", ".FHIRPrimitiveExtension")):
            made.checks[alias] = _deferred(kind, codes)
        if many:
            made.lists.add(alias)
    return made


def _deferred(path: str, codes: Callable[[str, str, list[str]], frozenset[str] | None]) -> Check:
    """The check of an inner model, planned when it is first met: models hold one another."""
    return lambda value: plan(path, codes).accepts(value)


def sound(resource: Mapping, path: str, codes: Callable[[str, str, list[str]], frozenset[str] | None]) -> bool:
    """Whether a resource of the model at `path` evidently follows it."""
    return plan(path, codes).accepts({name: value for name, value in resource.items() if name != "resourceType"})
