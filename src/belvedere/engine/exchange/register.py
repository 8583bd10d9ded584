"""Extractions of the national register of resources (ROR, exposure model 3): a searchset of `HealthcareService` with its `Organization` and `Location`,
whole or partial, as one Bundle or one resource a line.

Shapes are those of the register's guide (ANS, interop.esante.gouv.fr/ig/fhir/ror). Persons of an extraction are not read.
"""

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from belvedere.engine.exchange.checks import FINESS_SYSTEMS, moment
from belvedere.engine.exchange.identifiers import finess_valid
from belvedere.engine.exchange.matrix import NEVER

EXTENSION = "https://interop.esante.gouv.fr/ig/fhir/ror/StructureDefinition/"
CODES = {"R213": "mode", "R227": "field", "R211": "activity"}  # nomenclatures of the objects of health, by their number
MOST_PLACES = 100_000  # beyond it, no count of an establishment's places
HIGHEST = 4  # organizations from an offer to its establishment

Resource = Mapping[str, Any]


class RegisterError(ValueError):
    """What is no extraction; says where, in French."""


@dataclass(frozen=True)
class Told:
    """One offer, as an extraction tells it: its establishment, its codes, its places, when it was made, changed and closed."""

    number: str
    sensitive: bool
    finess: str
    name: str
    mode: str
    field: str
    activity: str
    capacity: int | None
    created: dt.datetime
    updated: dt.datetime
    closed: dt.date


def read(text: str) -> list[Told]:
    """The offers of an extraction that an establishment gives: those of town practices have no FINESS, and are left. RegisterError."""
    if "\\u0000" in text or "\0" in text:
        raise RegisterError("l’extraction contient un caractère nul")
    try:
        rows = _resources(text)
        held = {f"{one['resourceType']}/{one.get('id', '')}": one for one in rows if one["resourceType"] in ("Organization", "Location")}
        found = [_offer(one, held) for one in rows if one["resourceType"] == "HealthcareService"]
    except (AttributeError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise RegisterError("une ressource n’a pas la forme du guide du ROR") from error
    except json.JSONDecodeError as error:
        raise RegisterError(f"JSON illisible à la ligne {error.lineno}") from error
    told = [one for one in found if one.finess or one.sensitive]
    if not told:
        raise RegisterError("aucune offre (HealthcareService) d’un établissement FINESS dans ce fichier")
    return told


def _resources(text: str) -> list[Resource]:
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    return [entry["resource"] for entry in whole["entry"]] if whole["resourceType"] == "Bundle" else [whole]


def _offer(service: Resource, held: Mapping[str, Resource]) -> Told:
    number = _text((service.get("identifier") or [{}])[0].get("value"))[:64]
    places = [held[name] for one in service.get("location", []) if (name := one.get("reference")) in held]
    finess, above = _establishment(service, held)
    changed = [day for one in (service, *above, *places) if (day := moment((one.get("meta") or {}).get("lastUpdated")))]
    if not number or not changed:
        raise RegisterError(f"l’offre {number or '(sans identifiant)'} n’a pas d’identifiant, ou pas de date de mise à jour")
    updated = max(changed)
    created = next((day for one in _extensions(service, "ror-meta-creation-date") if (day := moment(one.get("valueDateTime")))), updated)
    ends = [(moment(span.get("start")), span.get("end")) for one in service.get("notAvailable", []) if (span := one.get("during"))]
    codes = dict(_codes([*service.get("type", []), *service.get("specialty", []), *service.get("characteristic", [])]))
    return Told(
        number, any(one.get("valueBoolean") is True for one in _extensions(service, "ror-healthcareservice-sensitive-unit")), finess, _text(service.get("name"))[:200],
        codes.get("mode", ""), codes.get("field", ""), codes.get("activity", ""), _capacity(places), min(created, updated), updated,
        min((start.date() for start, reopens in ends if start and not reopens), default=NEVER),
    )  # fmt: skip


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _extensions(resource: Resource, name: str) -> list[Resource]:
    return [one for one in resource.get("extension", []) if one.get("url") in (EXTENSION + name, name)]


def _establishment(service: Resource, held: Mapping[str, Resource]) -> tuple[str, list[Resource]]:
    """(FINESS, organizations up to it): the offer's own organization, or the one that this is part of."""
    above: list[Resource] = []
    address = (service.get("providedBy") or {}).get("reference", "")
    while address in held and len(above) < HIGHEST:
        above.append(held[address])
        if number := _finess(above[-1]):
            return number, above
        address = (above[-1].get("partOf") or {}).get("reference", "")
    return "", above


def _finess(place: Resource) -> str:
    """Under its own system, else in the national identifier, after the digit that says its kind."""
    for system in FINESS_SYSTEMS:
        for one in place.get("identifier", []):
            text = _text(one.get("value")) if one.get("system") == system else ""
            for number in (text, text[1:] if len(text) == 10 and text[0] == "1" else ""):
                if finess_valid(number):
                    return number
    return ""


def _codes(concepts: Iterable[Resource]) -> Iterator[tuple[str, str]]:
    for concept in concepts:
        for coding in concept.get("coding", []):
            kind = next((name for number, name in CODES.items() if f"_{number}-" in _text(coding.get("system"))), "")
            if kind and coding.get("code"):
                yield kind, _text(coding["code"])[:20]


def _capacity(places: Iterable[Resource]) -> int | None:
    """Places installed where the offer is given; None when nothing is told. A place that tells of several counts (by time, by assignment, by gender) tells
    its largest: they overlap."""
    counts = [
        max(told)
        for place in places
        if (told := [count for one in _extensions(place, "ror-location-supported-capacity") if (count := _installed(one)) is not None])
    ]
    return sum(counts) if counts else None


def _installed(capacity: Resource) -> int | None:
    """The count of a capacity of nature 01 (places) and status 01 (installed), or that says neither."""
    parts = {part.get("url"): part for part in capacity.get("extension", [])}
    kinds = [
        coding.get("code")
        for name in ("capacityType", "capacityStatus")
        for coding in (parts.get(name, {}).get("valueCodeableConcept") or {}).get("coding", [])
    ]
    count = parts.get("nbCapacity", {}).get("valueInteger")
    return count if type(count) is int and 0 <= count <= MOST_PLACES and set(kinds) <= {"01", None} else None
