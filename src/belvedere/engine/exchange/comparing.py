"""Sets of resources compared whatever their identifiers: two exports of the same data, or a file before and after a change of software."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from belvedere.engine.exchange import strict
from belvedere.engine.exchange.bundle import Deposited, references
from belvedere.engine.exchange.profiles import BARE

IDENTITY = ("id", "meta")
MOST_PAIRED = 200  # of a type in a file: each is compared with every other, and elements that differ are the same further on


@dataclass(frozen=True)
class Gap:
    """What differs of one kind of data: how many were expected, found, are missing or too many, and the elements that differ in those that resemble."""

    type: str
    expected: int
    found: int
    missing: int
    extra: int
    elements: tuple[str, ...]


def address(content: Mapping) -> str:
    """Type/id."""
    return f"{content['resourceType']}/{content['id']}"


def named(contents: Sequence[Mapping], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """A digest of each resource by its address, that does not depend on identifiers, versions or order; a reference counts for what it leads to, among these and
    those already `known`."""
    outside = known or {}
    names = {address(content): _shape(content, outside) for content in contents}
    # References are then replaced by the shape of what they lead to, twice: a chain of two is told apart.
    for _ in range(2):
        held = {**outside, **names}
        names = {address(content): _shape(content, held) for content in contents}
    return names


def shapes(contents: Sequence[Mapping], known: Mapping[str, str] | None = None) -> list[str]:
    """The digest of each resource, in order (`named`)."""
    names = named(contents, known)
    return [names[address(content)] for content in contents]


def fingerprint(contents: Sequence[Mapping]) -> str:
    """A digest of a set of resources: two exports of the same data have the same one."""
    return hashlib.sha256("\n".join(sorted(shapes(contents))).encode()).hexdigest()


def _bare(content: Mapping, names: Mapping[str, str]) -> dict:
    def walk(value: object) -> object:
        if isinstance(value, dict):
            return {name: names.get(str(item), "") if name == "reference" else walk(item) for name, item in value.items()}
        return [walk(item) for item in value] if isinstance(value, list) else value

    bare = {name: walk(value) for name, value in content.items() if name not in IDENTITY}
    return bare | {"profile": sorted((content.get("meta") or {}).get("profile", []))}


def _shape(content: Mapping, names: Mapping[str, str]) -> str:
    return hashlib.sha256(strict.canonical(_bare(content, names))).hexdigest()


def plain(deposited: Deposited) -> list[dict]:
    """The resources of a transaction as an export writes them: each with an id, references by Type/id."""
    found, names = [], {}
    for entry in deposited.entries:
        content = entry.resource | {"id": f"e{entry.place}"}
        for name in {entry.address, entry.key}:
            names[name] = address(content)
        found.append(content)
    return [{name: _renamed(value, names) for name, value in content.items()} for content in found]


def _renamed(value: object, names: Mapping[str, str]) -> object:
    if isinstance(value, dict):
        return {
            name: names.get(item, item) if name == "reference" and isinstance(item, str) else _renamed(item, names) for name, item in value.items()
        }
    return [_renamed(item, names) for item in value] if isinstance(value, list) else value


def files(contents: Iterable[Mapping]) -> tuple[dict[str, list[Mapping]], list[Mapping]]:
    """(resources of each patient by its address, what is shared by all)."""
    rows = list(contents)
    by_address = {address(row): row for row in rows}
    found: dict[str, list[Mapping]] = {}
    for row in rows:
        if row["resourceType"] not in BARE:
            found.setdefault(patient_of(row, by_address), []).append(row)
    return found, [row for row in rows if row["resourceType"] in BARE]


def patient_of(content: Mapping, by_address: Mapping[str, Mapping]) -> str:
    """Address of the patient that a resource is about, straight or through its stay; "" when it is about none."""
    seen: set[str] = set()
    row: Mapping | None = content
    while row is not None:
        if row["resourceType"] == "Patient":
            return address(row)
        seen.add(address(row))
        places = [_local(place) for _, place, _ in references(row)]
        direct = next((place for place in places if place.startswith("Patient/")), "")
        if direct:
            return direct
        # Stays may lead to one another, even in a ring.
        row = next((by_address[place] for place in places if place.startswith("Encounter/") and place in by_address and place not in seen), None)
    return ""


def _local(reference: str) -> str:
    """Type/id of a reference, whatever address stands before it or version after it."""
    return "/".join(reference.partition("/_history/")[0].split("/")[-2:])


def gaps(
    before: Sequence[Mapping], after: Sequence[Mapping], shared_before: Mapping[str, str] | None = None, shared_after: Mapping[str, str] | None = None
) -> list[Gap]:
    """What a person's file lost, gained or changed, by type; empty when it is the same. `shared_*`: digests (`named`) of what both lean on."""
    old, new = (list(zip(shapes(rows, shared), rows, strict=True)) for rows, shared in ((before, shared_before), (after, shared_after)))
    kept = Counter(shape for shape, _ in old) & Counter(shape for shape, _ in new)
    lost, gained = _without(old, kept), _without(new, kept)
    found: list[Gap] = []
    linked: list[Gap] = []
    for kind in sorted({row["resourceType"] for _, row in (*lost, *gained)}):
        mine, theirs = ([row for _, row in rows if row["resourceType"] == kind] for rows in (lost, gained))
        elements: set[str] = set()
        pairs = min(len(mine), len(theirs))
        for one, other in _paired(mine[:MOST_PAIRED], theirs[:MOST_PAIRED]):
            left, right = _bare(one, {}), _bare(other, {})
            elements |= {name for name in left.keys() | right.keys() if left.get(name) != right.get(name)}
        counts = [sum(row["resourceType"] == kind for row in rows) for rows in (before, after)]
        gap = Gap(kind, counts[0], counts[1], len(mine) - pairs, len(theirs) - pairs, tuple(sorted(elements)))
        (found if gap.missing or gap.extra or elements else linked).append(gap)
    # What differs only by what it leads to follows from what else differs; alone, it is linked to something else.
    return found or [replace(gap, elements=("reference",)) for gap in linked]


def _without(rows: list[tuple[str, Mapping]], kept: Counter) -> list[tuple[str, Mapping]]:
    left, found = Counter(kept), []
    for shape, row in rows:
        if left[shape]:
            left[shape] -= 1
        else:
            found.append((shape, row))
    return found


def _paired(mine: Sequence[Mapping], theirs: Sequence[Mapping]) -> list[tuple[Mapping, Mapping]]:
    """Each of the ones with the other that it resembles most."""
    rest, pairs = list(theirs), []
    for one in mine:
        if not rest:
            break
        best = max(rest, key=lambda other: sum(one.get(name) == other.get(name) for name in one))
        rest.remove(best)
        pairs.append((one, best))
    return pairs
