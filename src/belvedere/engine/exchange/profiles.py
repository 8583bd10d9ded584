"""Profiles of the TDDUI guide, and the category of each element: what the access matrix speaks of."""

import csv
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from importlib.util import find_spec

from belvedere.engine.exchange.vocabulary import DATA, Category

PROFILE_ROOT = "https://interop.esante.gouv.fr/ig/fhir/tddui/StructureDefinition/"
ALWAYS_TOLD = frozenset({"resourceType", "id", "meta"})
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
INS_SYSTEMS = ("urn:oid:1.2.250.1.213.1.4.8", "urn:oid:1.2.250.1.213.1.4.9", "urn:oid:1.2.250.1.213.1.4.10", "urn:oid:1.2.250.1.213.1.4.11")
BARE = frozenset({"Organization", "Practitioner", "PractitionerRole"})  # types that are about no person accompanied
# What may hold anything: told only to who may read every category.
UNSORTED = ("contained", "text", "extension", "modifierExtension", "implicitRules")
# What a reader of pseudonyms gets of texts: codes and dates, by the name of their element. Everything else that is written by a hand is left out.
_TOLD_TEXTS = frozenset({
    "resourceType", "system", "code", "status", "intent", "linkId", "questionnaire", "gender", "versionId", "profile", "valueCode", "valueDate", "valueDateTime", "authored",
    "authoredOn", "dateTime", "date", "start", "end", "recorded", "issued", "effectiveDateTime", "occurrenceDateTime", "startDate", "statusDate", "dueDate", "created", "comparator",
})  # fmt: skip
_YEARS = frozenset({"birthDate", "deceasedDateTime"})


@dataclass(frozen=True)
class Profile:
    """One profile: its name, FHIR type, category of the elements for which `elements.csv` has `=`, French title, and the id that later texts of the guide give it
    instead of the name, if any."""

    name: str
    type: str
    category: Category
    title: str
    also: str = ""

    @property
    def canonical(self) -> str:
        """The canonical address of the profile in the guide's latest text."""
        return PROFILE_ROOT + (self.also or self.name)


@cache
def profiles() -> dict[str, Profile]:
    """The 28 profiles by name, in the guide's order."""
    with (files(__package__) / "profiles.csv").open(encoding="utf-8") as stream:
        return {
            row["profile"]: Profile(row["profile"], row["type"], Category(row["category"]), row["title"], row["also"])
            for row in csv.DictReader(stream)
        }


@cache
def _ids() -> dict[str, str]:
    """The profile of every id that the guide has given to one."""
    return {name: name for name in profiles()} | {profile.also: name for name, profile in profiles().items() if profile.also}


@cache
def types() -> frozenset[str]:
    """FHIR types that a deposit may hold."""
    return frozenset(profile.type for profile in profiles().values())


@lru_cache(maxsize=256)
def is_type(name: str) -> bool:
    """Whether a word is a type of FHIR R4, of a deposit or not."""
    return re.fullmatch(r"[A-Z][A-Za-z]{2,40}", name) is not None and find_spec(f"fhir.resources.R4B.{name.lower()}") is not None


@cache
def _elements() -> dict[tuple[str, str], Category | None]:
    """The category of every element of every type, None for that of the profile: an element that is not here is told to nobody who lacks a category."""
    with (files(__package__) / "elements.csv").open(encoding="utf-8") as stream:
        return {
            (row["type"], name): None if row["category"] == "=" else Category(row["category"])
            for row in csv.DictReader(stream) for name in row["elements"].split()
        }  # fmt: skip


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
        if name := _ids().get(str(address).rsplit("/", 1)[-1].split("|")[0]):
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


def category(profile: Profile, element: str) -> Category | None:
    """The category of one element of a resource, by its path (`activity.progress`: inside another); None for one that no table names, which no right opens."""
    name = element.lstrip("_")
    key = (profile.type, name) if (profile.type, name) in _elements() else ("*", name)
    return (_elements()[key] or profile.category) if key in _elements() else None


@cache
def _apart(kind: str) -> frozenset[str]:
    """The paths inside elements of a type that have a category of their own."""
    return frozenset(path for type_, path in _elements() if type_ == kind and "." in path)


def _inside(value: object, path: str, apart: Collection[str]) -> Iterator[str]:
    """The paths with a category of their own that a value holds."""
    if isinstance(value, list):
        for one in value:
            yield from _inside(one, path, apart)
    elif isinstance(value, Mapping) and any(one.startswith(path + ".") for one in apart):
        for name, item in value.items():
            deeper = f"{path}.{name}"
            if deeper in apart:
                yield deeper
            yield from _inside(item, deeper, apart)


def unsorted(resource: Mapping) -> bool:
    """Whether a resource holds what may say anything: told only to who may read every category."""
    return any(name in UNSORTED or name.startswith("_") for name in resource)


def categories(profile: Profile, resource: Mapping) -> set[Category]:
    """The categories that a resource holds; that of its profile always, all of them when some of it may say anything."""
    if unsorted(resource):
        return set(DATA)
    paths = [name for name in resource if name not in ALWAYS_TOLD]
    paths += [path for name in paths for path in _inside(resource[name], name, _apart(profile.type))]
    return {profile.category} | {held for path in paths if (held := category(profile, path))}


def _sorted_out(value: object, path: str, closed: Collection[str]) -> object:
    """A value without what may hold anything, however deep (extensions, companions of primitives, ids, words beside a reference), nor the `closed` paths."""
    if isinstance(value, Mapping):
        beside = ("display", "identifier") if "reference" in value else ()
        return {
            name: _sorted_out(item, f"{path}.{name}", closed) for name, item in value.items()
            if name not in ("extension", "modifierExtension", "id", *beside) and not name.startswith("_") and f"{path}.{name}" not in closed
        }  # fmt: skip
    return [_sorted_out(item, path, closed) for item in value] if isinstance(value, list) else value


def _told_meta(meta: object) -> dict[str, object]:
    """What a reader of some categories is told of a resource's versions: labels and sources that its software wrote may say anything."""
    held = meta if isinstance(meta, Mapping) else {}
    return {name: held[name] for name in ("profile", "versionId", "lastUpdated") if name in held}


def filtered(profile: Profile, resource: Mapping, permitted: Collection[Category]) -> dict | None:
    """The resource with the elements whose category is permitted, tagged SUBSETTED when something left; None when its own category is not.

    What may hold anything (narrative, contained resources, extensions) is told only to who may read every category."""
    if profile.category not in permitted:
        return None
    if set(permitted) >= DATA:
        return dict(resource)
    closed = {path for path in _apart(profile.type) if category(profile, path) not in permitted}
    kept = {
        name: value if name in ALWAYS_TOLD else _sorted_out(value, name, closed)
        for name, value in resource.items()
        if name in ALWAYS_TOLD or (name not in UNSORTED and not name.startswith("_") and category(profile, name) in permitted)
    }
    if "meta" in resource:
        kept["meta"] = _told_meta(resource["meta"])
    if kept != resource:
        kept["meta"] = _told_meta(resource.get("meta")) | {"tag": [SUBSETTED]}
    return kept


def _renamed(reference: str, rename: Callable[[str, str], str]) -> str:
    kind, _, uid = reference.rpartition("/")
    return f"{kind}/{rename(kind, uid)}" if kind in types() else ""


def pseudonymised(resource: Mapping, rename: Callable[[str, str], str]) -> dict:
    """What is left of a resource for a reader of pseudonyms: codes, dates, numbers and booleans; births by year; addresses renamed by (type, id)."""

    def walk(value: object, name: str) -> object:
        if isinstance(value, Mapping):
            if "reference" in value:
                return {"reference": _renamed(str(value["reference"]), rename)}
            if "value" in value and "code" not in value and not isinstance(value["value"], int | float):
                return None  # an identifier, a telephone number: a system and a value that is no code
            kept = {key: walk(item, key) for key, item in value.items() if key not in UNSORTED and not key.startswith("_") and key != "id"}
            return {key: item for key, item in kept.items() if item not in (None, {}, [])} or None
        if isinstance(value, list):
            return [told for item in value if (told := walk(item, name)) not in (None, {}, [])]
        if isinstance(value, str):
            return value[:4] if name in _YEARS else value if name in _TOLD_TEXTS else None
        return value

    bare = {name: value for name, value in resource.items() if name not in ("id", "meta", "resourceType")}
    told = walk(bare, "")
    said = resource.get("meta") or {}
    meta = {
        **({"profile": [profiles()[name].canonical]} if (name := declared(resource)) else {}), **({"versionId": said["versionId"]} if "versionId" in said else {}),
        **({"tag": [SUBSETTED]} if SUBSETTED in (said.get("tag") or []) else {}),
    }  # fmt: skip
    return {
        "resourceType": resource["resourceType"],
        "id": rename(resource["resourceType"], resource["id"]),
        "meta": meta,
        **(told if isinstance(told, dict) else {}),
    }
