"""What the profiles of the TDDUI guide add to R4: elements they require or take once, values they fix, types they let a reference lead to.

A person under its INS has the traits that the INS asks of an identity (RNIV): sex and birth among them.

Source: the guide's own profiles (`input/fsh/Profiles`, ansforge/IG-fhir-medicosocial-transfert-donnees-dui, version 2), one row a constraint. Rows that another
rule tells already (period.start, the INS, who a Consent is of) are not repeated; slices of extensions and of Task.input, and value sets that no file of ours
holds, are not looked at. What lies inside an element is asked for where that element is.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from belvedere.engine.exchange.bundle import Deposited, Entry, led_to
from belvedere.engine.exchange.rules import Remark


@dataclass(frozen=True)
class Constraint:
    """One row: the steps of the path; `where` (name, values) when only the items that have one of them count; how often at least and at most; values; types led
    to."""

    steps: tuple[str, ...]
    where: tuple[str, frozenset[str]] | None
    least: int
    most: int | None
    values: frozenset[str]
    targets: frozenset[str]


@cache
def constraints() -> dict[str, tuple[Constraint, ...]]:
    """The constraints of each profile, in the order of the file."""
    found: dict[str, list[Constraint]] = {}
    with (files(__package__) / "conformance.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            path, _, condition = row["path"].partition(":")
            name, _, value = condition.partition("=")
            found.setdefault(row["profile"], []).append(
                Constraint(
                    tuple(path.split(".")), (name, frozenset(value.split("|"))) if name else None, int(row["least"] or 0), int(row["most"]) if row["most"] else None,
                    frozenset(row["values"].split()), frozenset(row["targets"].split()),
                )
            )  # fmt: skip
    return {name: tuple(rows) for name, rows in found.items()}


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _parents(resource: Mapping, steps: tuple[str, ...]) -> list[tuple[str, Mapping]]:
    """(path, element) of what holds the last step of a path: the resource itself when it has one step."""
    held: list[tuple[str, Mapping]] = [("", resource)]
    for name in steps[:-1]:
        held = [
            (f"{path}.{name}[{rank}]" if isinstance(one[name], list) else f"{path}.{name}", item)
            for path, one in held if name in one for rank, item in enumerate(_items(one[name])) if isinstance(item, Mapping)
        ]  # fmt: skip
    return held


def _of(entry: Entry, constraint: Constraint, deposited: Deposited) -> Iterator[Remark]:
    name = constraint.steps[-1]
    for path, parent in _parents(entry.resource, constraint.steps):
        at = f"{entry.where}{path}.{name}"
        found = list(_items(parent[name])) if name in parent else []
        if constraint.where:
            key, admitted = constraint.where
            found = [item for item in found if isinstance(item, Mapping) and item.get(key) in admitted]
        if len(found) < constraint.least:
            yield Remark("tddui-profile-01", at)
        if constraint.most is not None and len(found) > constraint.most:
            yield Remark("tddui-profile-02", at)
        if constraint.values and any(item not in constraint.values for item in found):
            yield Remark("tddui-profile-03", at)
        if constraint.targets and any(kind and kind not in constraint.targets for kind in (led_to(item, deposited) for item in found)):
            yield Remark("tddui-profile-04", at)


def check(deposited: Deposited) -> list[Remark]:
    """What the profiles do not take, by entry; rules tddui-profile-01 to 04."""
    return [
        remark
        for entry in deposited.entries
        for constraint in constraints().get(entry.profile.name, ())
        for remark in _of(entry, constraint, deposited)
    ]
