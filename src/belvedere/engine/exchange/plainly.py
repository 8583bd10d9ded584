"""A resource in plain French, line by line, for whoever reads no FHIR: the person concerned, an archivist in twenty years. Nothing of it is left out: an element that
has no French name keeps its own."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from belvedere.engine.exchange.checks import FINESS_SYSTEMS, RPPS_SYSTEMS
from belvedere.engine.exchange.identifiers import INS_OIDS
from belvedere.engine.exchange.moments import PARIS, moment
from belvedere.engine.exchange.profiles import ALWAYS_TOLD

Line = tuple[str, str]
Named = Callable[[str, str], str]  # (system, code) -> its display, "" when it is not held
MONTHS = ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre")
WORDS = {
    "female": "femme", "male": "homme", "other": "autre", "unknown": "inconnu", "finished": "terminé", "in-progress": "en cours", "planned": "prévu", "arrived": "arrivé",
    "onleave": "en congé", "cancelled": "annulé", "completed": "terminé", "active": "en vigueur", "inactive": "retiré", "rejected": "refusé", "order": "demande", "plan": "projet",
    "final": "définitif", "current": "en vigueur", "superseded": "remplacé", "entered-in-error": "saisi par erreur", "official": "officiel", "usual": "d’usage", "OPTIN": "accord",
    "OPTOUT": "opposition", "HH": "à domicile", "AMB": "en ambulatoire", "IMP": "en hébergement", "busy": "occupé", "free": "libre", "permit": "autorise", "deny": "refuse",
}  # fmt: skip
SYSTEMS = dict.fromkeys(INS_OIDS, "INS") | dict.fromkeys(FINESS_SYSTEMS, "FINESS") | dict.fromkeys(RPPS_SYSTEMS, "RPPS")
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}(T.*)?)?)?")
_COMPLEX = 6  # levels below which what is left is told in one line


@cache
def labels() -> dict[str, str]:
    """The French name of each element that has one."""
    with (files(__package__) / "labels.csv").open(encoding="utf-8") as stream:
        return {row["element"]: row["label"] for row in csv.DictReader(stream)}


def day(text: str) -> str:
    """A FHIR date or instant in French; what is none is left as it is."""
    found = moment(text)
    if found is None or not _DATE.fullmatch(text):
        return text
    if len(text) == 4:
        return text
    if len(text) == 7:
        return f"{MONTHS[found.month - 1]} {found.year}"
    at = found.astimezone(PARIS) if len(text) > 10 else found
    first = "1er" if at.day == 1 else str(at.day)
    told = f"{first} {MONTHS[at.month - 1]} {at.year}"
    return f"{told} à {at.hour} h {at.minute:02d}" if len(text) > 10 else told


def lines(resource: Mapping, named: Named = lambda system, code: "") -> list[Line]:
    """(label, text) of everything that a resource says, in its order."""
    return list(_object({name: value for name, value in resource.items() if name not in ALWAYS_TOLD and name != "text"}, named, 0))


def _object(held: Mapping, named: Named, depth: int) -> Iterator[Line]:
    for name, value in held.items():
        label = labels().get(name, name)
        for one in value if isinstance(value, list) else [value]:
            if name == "item" and isinstance(one, Mapping):
                yield from _answers(one, named)
            elif (text := _short(one, named)) is not None:
                yield label, text
            elif isinstance(one, Mapping) and depth < _COMPLEX:
                yield from ((f"{label}, {low(inner)}", text) for inner, text in _object(one, named, depth + 1))
            else:
                yield label, str(one)


def low(label: str) -> str:
    """A label inside another."""
    return label[:1].lower() + label[1:]


def _answers(item: Mapping, named: Named) -> Iterator[Line]:
    question = str(item.get("text") or item.get("linkId", ""))
    for answer in item.get("answer", []):
        for name, value in answer.items():
            if name.startswith("value"):
                yield question, _short(value, named) or str(value)
        for inner in answer.get("item", []):
            yield from _answers(inner, named)
    if not item.get("answer") and not item.get("item"):
        yield question, "sans réponse"
    for inner in item.get("item", []):
        yield from _answers(inner, named)


def _short(value: Any, named: Named) -> str | None:
    """What fits in one line, None for what must be opened."""
    match value:
        case bool():
            return "oui" if value else "non"
        case str():
            return WORDS.get(value) or day(value)
        case int() | float():
            return str(value).replace(".", ",")
        case {"reference": str(address)}:
            return str(value.get("display") or address)
        case {"coding": list(codings)}:
            return str(value.get("text") or ", ".join(filter(None, (_coding(one, named) for one in codings))))
        case {"code": str(), "system": str()} if "value" not in value:
            return _coding(value, named)
        case {"value": str(number), "system": str(system)}:
            return f"{number} ({SYSTEMS.get(system, system)})"
        case {"value": int() | float() as number}:
            return f"{str(number).replace('.', ',')} {value.get('unit', value.get('code', ''))}".strip()
        case {"family": str(family)}:
            return " ".join([*value.get("given", []), family.upper()])
        case {"start": str() | None} | {"end": str()} if set(value) <= {"start", "end"}:
            return _period(value)
        case {"line": list() | None} | {"postalCode": str()}:
            return " ".join(filter(None, [*(value.get("line") or []), value.get("postalCode", ""), value.get("city", "")])) or None
        case {"text": str(text)} if set(value) <= {"text", "time", "authorString"}:
            return text
    return None


def _period(value: Mapping) -> str:
    start, end = value.get("start"), value.get("end")
    if start and end and len(start) > 10 and len(end) > 10 and start[:10] == end[:10]:
        return f"{day(start)}, jusqu’à {day(end).rsplit(' à ', 1)[-1]}"
    return " ".join(
        filter(None, (f"du {day(start)}" if start and end else f"depuis le {day(start)}" if start else "", f"au {day(end)}" if end else ""))
    )


def _coding(value: object, named: Named) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    code = str(value.get("code", ""))
    return str(value.get("display") or WORDS.get(code) or named(str(value.get("system", "")), code) or code)
