"""Whether a resource follows FHIR R4: the models of `fhir.resources`, and the required codes and written dates that they let through."""

import datetime as dt
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module

from pydantic import BaseModel, ValidationError

from belvedere.engine.exchange import evident
from belvedere.engine.exchange.bundle import Deposited
from belvedere.engine.exchange.profiles import types
from belvedere.engine.exchange.rules import Remark

MOST_REMARKS = 20
EMPTY: tuple[object, ...] = ({}, [], "")  # R4 §2.6.2: what holds nothing is not written
DATES = (dt.datetime, dt.date, dt.time)
# Date, dateTime, instant and time of R4, §2.24.0.1: a number is none, whatever a reader would make of it.
WRITTEN = re.compile(r"\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?)?)?|\d{2}:\d{2}:\d{2}(\.\d+)?")
# Lists that the models cut short ("+", "etc."), as R4 has them; None where they are open.
WHOLE: dict[tuple[str, str], str | None] = {
    ("Task", "status"): "draft requested received accepted rejected ready cancelled in-progress on-hold failed completed entered-in-error",
    ("Observation", "status"): "registered preliminary final amended corrected cancelled entered-in-error unknown",
    ("EncounterStatusHistory", "status"): "planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown",
    ("Expression", "language"): None, ("CapabilityStatement", "format"): None,
    ("Encounter", "status"): None, ("Patient", "gender"): None,  # these have a rule of their own
}  # fmt: skip


@cache
def _model(kind: str) -> type[BaseModel]:
    return getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)


@dataclass(frozen=True)
class Watched:
    """Of one model: elements bound to a closed list of codes, elements that are dates, elements that have elements of their own."""

    codes: dict[str, frozenset[str]] = field(default_factory=dict)
    dates: set[str] = field(default_factory=set)
    inside: dict[str, str] = field(default_factory=dict)


def _kinds(annotation: object) -> Iterator[object]:
    """What an element may be, without Optional, list and Annotated."""
    if arguments := typing.get_args(annotation):
        for one in arguments:
            yield from _kinds(one)
    else:
        yield annotation


def _closed(model: str, element: str, listed: list[str]) -> frozenset[str] | None:
    """The closed list of codes of an element, whole; None for an open one."""
    whole = WHOLE.get((model, element), " ".join(listed))
    return frozenset(whole.split()) if whole else None


@cache
def _watched(path: str) -> Watched:
    module, _, name = path.rpartition(".")
    made = Watched()
    for element, told in getattr(import_module(module), name).model_fields.items():
        alias, kinds = told.alias or element, list(_kinds(told.annotation))
        extra = told.json_schema_extra
        codes = extra.get("enum_values") if isinstance(extra, dict) else None
        if isinstance(codes, list) and (closed := _closed(name, alias, [str(code) for code in codes])):
            made.codes[alias] = closed
        if any(kind in DATES for kind in kinds):
            made.dates.add(alias)
        for kind in kinds:
            if (inner := getattr(kind, "_model_klass", "")) and not inner.endswith(".Resource"):
                made.inside[alias] = inner
    return made


def _loose(value: Mapping, path: str, where: str) -> Iterator[str]:
    held = _watched(path)
    for name, one in value.items():
        if one == []:
            yield f"{where}{name}"
        for rank, item in enumerate(one) if isinstance(one, list) else ((None, one),):
            at = f"{where}{name}" if rank is None else f"{where}{name}.{rank}"
            if item in EMPTY:
                yield at
            elif name in held.inside:
                if isinstance(item, Mapping):
                    yield from _loose(item, held.inside[name], at + ".")
            elif (name in held.codes and item not in held.codes[name]) or (
                name in held.dates and not (isinstance(item, str) and WRITTEN.fullmatch(item))
            ):
                yield at


def problems(resource: Mapping) -> list[str]:
    """Paths of the elements that R4 does not take, without their values; [] when it takes them all."""
    try:
        model = _model(resource["resourceType"])
        if evident.sound(resource, f"{model.__module__}.{model.__name__}", _closed):
            return []
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        pass  # whatever it is, they say it
    return _problems(resource)


def _problems(resource: Mapping) -> list[str]:
    try:
        model = _model(resource["resourceType"])
        model.model_validate(resource)
    except ValidationError as error:
        # A key that no model has is not repeated: it may be anything, a name even.
        return [
            ".".join(map(str, item["loc"][: -1 if item["type"] == "extra_forbidden" else None]))
            for item in error.errors(include_input=False, include_url=False)
        ]
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        return [type(error).__name__]
    return list(_loose(resource, f"{model.__module__}.{model.__name__}", ""))


def check(deposited: Deposited) -> list[Remark]:
    """What R4 does not take, by entry; rule tddui-resource-01."""
    remarks: list[Remark] = []
    for entry in deposited.entries:
        if entry.profile.type in types():
            remarks.extend(Remark("tddui-resource-01", f"{entry.where}.{path}") for path in problems(entry.resource)[:3])
        if len(remarks) >= MOST_REMARKS:
            break
    return remarks
