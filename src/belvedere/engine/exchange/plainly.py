"""A resource in plain French, line by line, for whoever reads no FHIR: the person concerned, an archivist in twenty years.

Every word and value of it is told; an element that has no French name keeps its own. What is left to the data themselves: systems of codes, addresses of
extensions, identifiers of elements.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from belvedere.engine.exchange.checks import FINESS_SYSTEMS, RPPS_SYSTEMS
from belvedere.engine.exchange.identifiers import INS_OIDS
from belvedere.engine.exchange.moments import PARIS, moment
from belvedere.engine.exchange.profiles import ALWAYS_TOLD

Line = tuple[str, str]
Coded = Callable[[str, str], str]  # (system, code) -> its display, "" when it is not held
Placed = Callable[[str], str]  # address -> what lies there, in words; "" when it is not known


class Named(NamedTuple):
    """Where words come from that a resource does not hold: of its codes, of what it refers to."""

    code: Coded
    place: Placed


MONTHS = ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre")
WORDS = {
    "female": "femme", "male": "homme", "other": "autre", "unknown": "inconnu", "finished": "terminé", "in-progress": "en cours", "planned": "prévu", "arrived": "arrivé",
    "onleave": "en congé", "cancelled": "annulé", "completed": "terminé", "active": "en vigueur", "inactive": "retiré", "rejected": "refusé", "order": "demande", "plan": "projet",
    "final": "définitif", "current": "en vigueur", "superseded": "remplacé", "entered-in-error": "saisi par erreur", "official": "officiel", "usual": "d’usage", "OPTIN": "accord",
    "OPTOUT": "opposition", "HH": "à domicile", "AMB": "en ambulatoire", "IMP": "en hébergement", "busy": "occupé", "free": "libre", "permit": "autorise", "deny": "refuse",
}  # fmt: skip
CODED = frozenset(
    {"gender", "status", "intent", "docStatus", "lifecycleStatus", "use", "type"}
)  # elements bound to codes of R4: elsewhere a word is a word
LEFT = frozenset({"id", "system", "userSelected", "version"})  # to the data
SYSTEMS = dict.fromkeys(INS_OIDS, "INS") | dict.fromkeys(FINESS_SYSTEMS, "FINESS") | dict.fromkeys(RPPS_SYSTEMS, "RPPS")
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}(T.*)?)?)?")


@cache
def labels() -> dict[str, str]:
    """The French name of each element that has one."""
    with (files(__package__) / "labels.csv").open(encoding="utf-8") as stream:
        return {row["element"]: row["label"] for row in csv.DictReader(stream)}


def day(text: str) -> str:
    """A FHIR date or instant in French; what is none, or is beyond any calendar, is left as it is."""
    found = moment(text)
    if found is None or not _DATE.fullmatch(text) or len(text) == 4:
        return text
    if len(text) == 7:
        return f"{MONTHS[found.month - 1]} {found.year}"
    try:
        at = found.astimezone(PARIS) if len(text) > 10 else found
    except OverflowError:
        return text
    told = f"{'1er' if at.day == 1 else at.day} {MONTHS[at.month - 1]} {at.year}"
    return f"{told} à {at.hour} h {at.minute:02d}" if len(text) > 10 else told


def lines(resource: Mapping, code: Coded = lambda system, code: "", place: Placed = lambda address: "") -> list[Line]:
    """(label, text) of everything that a resource says, in its order."""
    return list(_object({name: value for name, value in resource.items() if name not in ALWAYS_TOLD}, Named(code, place)))


def _object(held: Mapping, named: Named) -> Iterator[Line]:
    for name, value in held.items():
        label = labels().get(name, name)
        for one in value if isinstance(value, list) else [value]:
            if name == "item" and isinstance(one, Mapping):
                yield from _answers(one, named)
            else:
                yield from _value(label, name, one, named)


def _value(label: str, name: str, value: Any, named: Named) -> Iterator[Line]:
    """One line for what fits in one, else a line for each thing inside."""
    if (text := _short(name, value, named)) is not None:
        yield label, text
    elif isinstance(value, Mapping):
        yield from (
            (f"{label}, {inner[:1].lower()}{inner[1:]}", text)
            for inner, text in _object({key: one for key, one in value.items() if key not in LEFT}, named)
        )
    elif isinstance(value, list):
        for one in value:
            yield from _value(label, name, one, named)


def _answers(item: Mapping, named: Named) -> Iterator[Line]:
    """The answers to a question, and those to the questions inside it; a group is told by its title."""
    question = str(item.get("text") or item.get("linkId", ""))
    told = False
    for answer in _all(item.get("answer")):
        for name, value in answer.items():
            if name != "item":
                told = True
                yield from _value(question, name, value, named)
        for inner in _all(answer.get("item")):
            yield from _answers(inner, named)
    inside = _all(item.get("item"))
    if not told:
        yield question, "" if inside else "sans réponse"
    for inner in inside:
        yield from _answers(inner, named)
    yield from _object({name: value for name, value in item.items() if name not in ("linkId", "text", "answer", "item", "id", "definition")}, named)


def _all(value: Any) -> list[Mapping]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, Mapping)]


def _short(name: str, value: Any, named: Named) -> str | None:
    """What fits in one line, None for what must be opened."""
    if not isinstance(value, Mapping):
        return None if isinstance(value, list) else _plain(name, value)
    keys = set(value) - LEFT
    shapes: list[tuple[set[str], Callable[[], str]]] = [
        ({"coding", "text"}, lambda: _concept(value, named)), ({"code", "display"}, lambda: _coding(value, named)),
        ({"reference", "display", "type"}, lambda: _reference(value, named)),
        ({"family", "given", "use", "prefix", "suffix"}, lambda: _name(value)), ({"start", "end"}, lambda: _period(value)),
        ({"line", "postalCode", "city"}, lambda: " ".join([*(map(str, value["line"]) if isinstance(value.get("line"), list) else []), str(value.get("postalCode", "")), str(value.get("city", ""))]).strip()),
        ({"value", "unit", "code", "comparator"}, lambda: _quantity(value)), ({"value", "use", "rank"}, lambda: _contact(value)),
    ]  # fmt: skip
    for shape, tell in shapes:
        if (
            keys
            and keys <= shape
            and ("value" in shape) == ("value" in keys)
            and ("value" not in keys or isinstance(value["value"], int | float) == ("unit" in shape))
        ):
            return tell()
    return None


def _plain(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "oui" if value else "non"
    if isinstance(value, int | float):
        return str(value).replace(".", ",")
    text = str(value)
    return WORDS[text] if name in CODED and text in WORDS else day(text)


def _beside(told: Any, more: Any) -> str:
    """A word with what it stands for in brackets."""
    return f"{told} ({more})" if told and more else str(told or more or "")


def _reference(value: Mapping, named: Named) -> str:
    kind, address = str(value.get("type", "")), str(value.get("reference", ""))
    if not value.get("display") and (known := named.place(address)):
        return known
    return _beside(value.get("display"), ", ".join(filter(None, (address, "" if kind and kind in address else kind))))


def _concept(value: Mapping, named: Named) -> str:
    codings = ", ".join(filter(None, (_coding(one, named) for one in _all(value.get("coding")))))
    return _beside(value.get("text"), codings) if value.get("text") != codings else codings


def _coding(value: Mapping, named: Named) -> str:
    code = str(value.get("code", ""))
    return _beside(value.get("display") or WORDS.get(code) or named.code(str(value.get("system", "")), code), code)


def _name(value: Mapping) -> str:
    many = lambda key: [str(one) for one in (value[key] if isinstance(value.get(key), list) else filter(None, [value.get(key)]))]  # noqa: E731
    told = " ".join([*many("prefix"), *many("given"), str(value.get("family", "")).upper(), *many("suffix")]).strip()
    return _beside(told, WORDS.get(str(value.get("use")), value.get("use")))


def _quantity(value: Mapping) -> str:
    number = str(value["value"]).replace(".", ",")
    return " ".join(filter(None, (str(value.get("comparator", "")), number, str(value.get("unit") or value.get("code") or ""))))


def _contact(value: Mapping) -> str:
    """An identifier, a telephone number: the value, and whose it is or what for."""
    system = str(value.get("system", ""))
    more = ", ".join(
        filter(
            None,
            (
                SYSTEMS.get(system, system),
                WORDS.get(str(value.get("use")), str(value.get("use", ""))),
                f"rang {value['rank']}" if "rank" in value else "",
            ),
        )
    )
    return _beside(value["value"], more)


def _period(value: Mapping) -> str:
    start, end = str(value.get("start") or ""), str(value.get("end") or "")
    if start and end and len(start) > 10 and len(end) > 10 and start[:10] == end[:10]:
        return f"{day(start)}, jusqu’à {day(end).rsplit(' à ', 1)[-1]}"
    return " ".join(
        filter(None, (f"du {day(start)}" if start and end else f"depuis le {day(start)}" if start else "", f"au {day(end)}" if end else ""))
    )
