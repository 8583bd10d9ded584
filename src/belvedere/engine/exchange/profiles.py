"""Profiles of the TDDUI guide, and the category of each element: what the access matrix speaks of."""

import csv
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from belvedere.engine.exchange.vocabulary import Category

PROFILE_ROOT = "https://interop.esante.gouv.fr/ig/fhir/tddui/StructureDefinition/"
ALWAYS_TOLD = frozenset({"resourceType", "id", "meta"})
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
INS_SYSTEMS = ("urn:oid:1.2.250.1.213.1.4.8", "urn:oid:1.2.250.1.213.1.4.9", "urn:oid:1.2.250.1.213.1.4.10", "urn:oid:1.2.250.1.213.1.4.11")
# What a reader of pseudonyms gets of a person: coded facts and years, no text of anybody's hand.
_NAMING = frozenset({
    "identifier", "name", "telecom", "address", "photo", "contact", "text", "note", "contained", "generalPractitioner", "description", "display", "content",
    "comment", "performer", "participant", "source", "author", "owner", "requester", "contributor", "custodian", "extension",
})  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """One profile: its name, FHIR type, category of its elements unless `elements.csv` says otherwise, French title."""

    name: str
    type: str
    category: Category
    title: str


@cache
def profiles() -> dict[str, Profile]:
    """The 28 profiles by name, in the guide's order."""
    with (files(__package__) / "profiles.csv").open(encoding="utf-8") as stream:
        return {row["profile"]: Profile(row["profile"], row["type"], Category(row["category"]), row["title"]) for row in csv.DictReader(stream)}


@cache
def types() -> frozenset[str]:
    """FHIR types that a deposit may hold."""
    return frozenset(profile.type for profile in profiles().values())


@cache
def _apart() -> dict[tuple[str, str], Category]:
    with (files(__package__) / "elements.csv").open(encoding="utf-8") as stream:
        return {(row["type"], row["element"]): Category(row["category"]) for row in csv.DictReader(stream)}


def _coded(resource: Mapping, *path: str) -> set[str]:
    value: object = resource
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
        value = value[0] if isinstance(value, list) and value else value
    codings = value.get("coding", []) if isinstance(value, Mapping) else []
    return {str(item.get("code", "")) for item in codings if isinstance(item, Mapping)}


def declared(resource: Mapping) -> str:
    """The profile that a resource names, "" when it names none of ours."""
    meta = resource.get("meta")
    for address in meta.get("profile", []) if isinstance(meta, Mapping) else []:
        name = str(address).rsplit("/", 1)[-1].split("|")[0]
        if name in profiles():
            return name
    return ""


def profile_of(resource: Mapping) -> Profile | None:
    """The profile a resource names, else the one its content shows; None when its type is not one of a deposit."""
    if name := declared(resource):
        return profiles()[name] if profiles()[name].type == resource.get("resourceType") else None
    kind = resource.get("resourceType")
    if kind == "Patient":
        known = {item.get("system") for item in resource.get("identifier", []) if isinstance(item, Mapping)}
        return profiles()["tddui-patient-ins" if known & set(INS_SYSTEMS) else "tddui-patient"]
    if kind == "Encounter":
        return profiles()["tddui-encounter-evenement" if resource.get("partOf") else "tddui-encounter-sejour"]
    if kind == "Observation":
        return profiles()["tddui-observation-mobilite"]
    if kind == "Task":
        return profiles()["tddui-task-transport-usager" if _coded(resource, "code") & {"transport"} else "tddui-task-prestation"]
    return next((profile for profile in profiles().values() if profile.type == kind), None)


def category(profile: Profile, element: str) -> Category:
    """The category of one element of a resource."""
    return _apart().get((profile.type, element.lstrip("_")), profile.category)


def categories(profile: Profile, resource: Mapping) -> set[Category]:
    """The categories that a resource holds; that of its profile always."""
    return {profile.category} | {category(profile, name) for name in resource if name not in ALWAYS_TOLD}


def filtered(profile: Profile, resource: Mapping, permitted: Collection[Category]) -> dict | None:
    """The resource with the elements whose category is permitted, tagged SUBSETTED when something left; None when its own category is not."""
    if profile.category not in permitted:
        return None
    kept = {name: value for name, value in resource.items() if name in ALWAYS_TOLD or category(profile, name) in permitted}
    if len(kept) < len(resource):
        meta = dict(kept.get("meta") or {})
        meta["tag"] = [*meta.get("tag", []), SUBSETTED]
        kept["meta"] = meta
    return kept


def pseudonymised(resource: Mapping, rename: Callable[[str, str], str]) -> dict:
    """What is left of a resource for a reader of pseudonyms: no name, number, address or free text; births by year; addresses renamed by (type, id)."""

    def walk(value: object, name: str = "") -> object:
        if isinstance(value, Mapping):
            return {key: walk(item, key) for key, item in value.items() if key not in _NAMING and not key.startswith("_")}
        if isinstance(value, list):
            return [walk(item, name) for item in value]
        if name in ("birthDate", "deceasedDateTime") and isinstance(value, str):
            return value[:4]
        if name == "reference" and isinstance(value, str):
            kind, _, uid = value.rpartition("/")
            return f"{kind}/{rename(kind, uid)}" if kind in types() else ""
        return "" if name == "valueString" else value

    told = walk(resource)
    assert isinstance(told, dict)
    told["id"] = rename(resource["resourceType"], resource["id"])
    return told
