"""A transaction as the TDDUI guide shapes it: entries, addresses, references; what the rules look at."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from belvedere.engine.exchange.profiles import BARE, Profile, declared, is_type, profile_of
from belvedere.engine.exchange.rules import Remark
from belvedere.engine.exchange.strict import MOST_ENTRIES

# Elements by which a resource lies inside another: a loop of these has no meaning.
CONTAINERS = ("partOf", "basedOn", "replaces")


@dataclass
class Entry:
    """One entry: its place, its resource and the profile that it has or shows."""

    place: int
    address: str
    resource: dict
    profile: Profile

    @property
    def where(self) -> str:
        return f"Bundle.entry[{self.place}].resource"

    @property
    def key(self) -> str:
        """Type/id as relative references write it; the address when it has no id."""
        return f"{self.resource['resourceType']}/{self.resource['id']}" if self.resource.get("id") else self.address


@dataclass
class Deposited:
    """The entries of a bundle that could be read, by address."""

    entries: list[Entry] = field(default_factory=list)
    addresses: dict[str, Entry] = field(default_factory=dict)

    def of_profile(self, *names: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.profile.name in names]

    def of_type(self, kind: str) -> list[Entry]:
        return self.by_type.get(kind, [])

    @cached_property
    def by_type(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.profile.type, []).append(entry)
        return found

    def target(self, reference: object) -> Entry | None:
        """The entry that a reference leads to, if it is in this deposit."""
        return self.addresses.get(reference.get("reference", "")) if isinstance(reference, Mapping) else None


def references(value: object, path: str = "") -> Iterator[tuple[str, str, dict]]:
    """(path, address, the object that holds it) of every literal reference inside a value."""
    stack: list[tuple[str, object]] = [(path, value)]
    while stack:
        at, one = stack.pop()
        if isinstance(one, dict):
            address = one.get("reference")
            if isinstance(address, str):
                yield at, address, one
            stack.extend((f"{at}.{name}", item) for name, item in one.items() if isinstance(item, dict | list))
        elif isinstance(one, list):
            stack.extend((f"{at}[{rank}]", item) for rank, item in enumerate(one) if isinstance(item, dict | list))


def read(content: Mapping, most: int = MOST_ENTRIES) -> tuple[Deposited, list[Remark]]:
    """The entries of a transaction, and what is wrong with its shape (rules tddui-bundle-*, tddui-resource-02)."""
    found, remarks = Deposited(), []
    if content.get("resourceType") != "Bundle" or content.get("type") != "transaction":
        return found, [Remark("tddui-bundle-01", "Bundle.type")]
    named = content.get("identifier", {"value": ""})
    if not isinstance(named, Mapping) or not all(isinstance(named.get(name, ""), str) for name in ("system", "value")):
        return found, [Remark("tddui-resource-01", "Bundle.identifier")]
    entries = content.get("entry")
    if not isinstance(entries, list) or not entries:
        return found, [Remark("tddui-bundle-03", "Bundle.entry")]
    if len(entries) > most:
        return found, [Remark("tddui-bundle-02", "Bundle.entry", f"{len(entries)} entrées")]
    for place, item in enumerate(entries):
        where = f"Bundle.entry[{place}]"
        resource = item.get("resource") if isinstance(item, Mapping) else None
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        asked = item.get("request") if isinstance(item, Mapping) else None
        if not isinstance(asked, Mapping) or asked.get("method") != "POST" or asked.get("url") != kind or not isinstance(resource, dict):
            remarks.append(Remark("tddui-bundle-04", where + ".request"))
            continue
        if not isinstance(item.get("fullUrl", ""), str):
            remarks.append(Remark("tddui-resource-01", where + ".fullUrl"))
            continue
        try:
            profile = profile_of(resource)
        except (AttributeError, TypeError, KeyError):
            remarks.append(Remark("tddui-resource-01", where + ".resource"))
            continue
        if profile is None:
            remarks.append(
                Remark(
                    "tddui-resource-02" if declared(resource) else "tddui-bundle-05",
                    where + ".resource",
                    kind if isinstance(kind, str) and is_type(kind) else "",
                )
            )
            continue
        entry = Entry(place, str(item.get("fullUrl") or f"{kind}/{resource.get('id') or f'entree-{place}'}"), resource, profile)
        for name in {entry.address, entry.key}:
            if found.addresses.setdefault(name, entry) is not entry:
                remarks.append(Remark("tddui-bundle-06", where + ".fullUrl"))
        found.entries.append(entry)
    if not remarks and not found.of_type("Organization"):
        remarks.append(Remark("tddui-bundle-07", "Bundle.entry"))
    return found, remarks


def unresolved(deposited: Deposited, stored: Callable[[str], str | None]) -> list[Remark]:
    """References that lead nowhere, to another type, or in a circle; `stored` gives the type of what earlier deposits hold at an address."""
    remarks = []
    for entry in deposited.entries:
        for path, address, _ in references(entry.resource, entry.where):
            if address.startswith("#"):
                continue
            target = deposited.addresses.get(address)
            kind = target.profile.type if target else stored(address)
            if kind is None:
                remarks.append(Remark("tddui-reference-01", path))
            elif "/" in address and not address.startswith("urn:") and address.rsplit("/", 2)[-2] != kind:
                remarks.append(Remark("tddui-reference-02", path))
    return remarks + _circles(deposited) + unattached(deposited)


SUBJECTS = ("subject", "patient", "for", "beneficiary", "actor")
FOLLOWED = ("schedule", "encounter", "partOf")
OUTSIDE = ("Schedule", "Encounter", "Task")  # what earlier deposits hold of a person, and a resource may lie in
_FURTHEST = 6


def kind_of(address: str) -> str:
    """The type that a literal reference names, "" when it names none."""
    kind, _, uid = address.rpartition("/")
    return kind.rsplit("/", 1)[-1] if uid and not address.startswith("urn:") else ""


def led_to(reference: object, deposited: Deposited) -> str:
    """The type that a reference leads to, "" when nothing says it."""
    if (target := deposited.target(reference)) is not None:
        return target.profile.type
    address = reference.get("reference") if isinstance(reference, Mapping) else None
    return kind_of(address) if isinstance(address, str) else ""


def about(entry: Entry, deposited: Deposited, steps: int = _FURTHEST) -> Entry | str | None:
    """The patient's entry that a resource is about, or an address of earlier deposits that leads to one; None when it says none."""
    if entry.profile.type == "Patient" or not steps:
        return entry if steps else None
    for name in SUBJECTS:
        held = entry.resource.get(name)
        for item in held if isinstance(held, list) else [held]:
            address = item.get("reference") if isinstance(item, Mapping) else None
            if isinstance(address, str):
                target = deposited.addresses.get(address)
                if target is None and kind_of(address) == "Patient":
                    return address
                if target is not None and target.profile.type == "Patient":
                    return target
    for name in FOLLOWED:
        held = entry.resource.get(name)
        if isinstance(held, Mapping) and isinstance(address := held.get("reference"), str):
            target = deposited.addresses.get(address)
            if target is not None:
                return about(target, deposited, steps - 1)
            if kind_of(address) in OUTSIDE:
                return address
    return None


def unattached(deposited: Deposited) -> list[Remark]:
    """Resources of a person that do not say which one, alone or inside a resource of nobody: no opposition and no erasure would reach them."""
    return [
        Remark("tddui-reference-04", entry.where + (".contained" if entry.profile.type in BARE else ""))
        for entry in deposited.entries
        if (entry.resource.get("contained") if entry.profile.type in BARE else about(entry, deposited) is None)
    ]


def _circles(deposited: Deposited) -> list[Remark]:
    inside: dict[int, list[int]] = {}
    for entry in deposited.entries:
        for name in CONTAINERS:
            if name in entry.resource:
                inside.setdefault(entry.place, []).extend(
                    target.place for _, address, _ in references({name: entry.resource[name]}) if (target := deposited.addresses.get(address))
                )
    remarks, done = [], set()
    for start in inside:
        path, seen, here = [start], {start}, start
        # Deposits have one container a resource in practice; a second one is followed too.
        stack = list(inside[start])
        while stack and start not in done:
            here = stack.pop()
            if here == start:
                remarks.append(Remark("tddui-reference-03", f"Bundle.entry[{start}].resource"))
                break
            if here not in seen:
                seen.add(here)
                path.append(here)
                stack.extend(inside.get(here, ()))
        done.add(start)
    return remarks


def rewritten(resource: Mapping, renamed: Mapping[str, str]) -> dict:
    """A copy whose references to entries of the deposit name what the server called them."""

    def walk(value: object) -> object:
        if isinstance(value, dict):
            return {name: renamed.get(item, item) if name == "reference" and isinstance(item, str) else walk(item) for name, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return value

    made = walk(dict(resource))
    assert isinstance(made, dict)
    return made
