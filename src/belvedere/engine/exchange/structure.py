"""Whether a resource follows FHIR R4: the models of `fhir.resources`, one check of a resource at a time."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from pydantic import BaseModel, ValidationError

from belvedere.engine.exchange.bundle import Deposited
from belvedere.engine.exchange.profiles import types
from belvedere.engine.exchange.rules import Remark

MOST_REMARKS = 20


@cache
def _model(kind: str) -> type[BaseModel]:
    return getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)


def problems(resource: Mapping) -> list[str]:
    """Paths of the elements that R4 does not take, without their values; [] when it takes them all."""
    try:
        _model(resource["resourceType"]).model_validate(resource)
    except ValidationError as error:
        return [".".join(str(part) for part in item["loc"]) for item in error.errors(include_input=False, include_url=False)]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        return [type(error).__name__]
    return []


def check(deposited: Deposited) -> list[Remark]:
    """What R4 does not take, by entry; rule tddui-resource-01."""
    remarks: list[Remark] = []
    for entry in deposited.entries:
        if entry.profile.type in types():
            remarks.extend(Remark("tddui-resource-01", f"{entry.where}.{path}") for path in problems(entry.resource)[:3])
        if len(remarks) >= MOST_REMARKS:
            break
    return remarks
