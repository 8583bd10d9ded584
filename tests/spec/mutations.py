"""The single mutations of an example: each place taken away, garbled, of another type, emptied, said twice, or with an element that R4 does not know."""

import copy
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

KINDS = ("deleted", "garbled", "retyped", "emptied", "repeated", "unknown")


@dataclass(frozen=True)
class Row:
    """One row of `exchange_mutations.csv`: the example, a pattern of places (`*` one step, `**` any), the mutation, the rules that tell it, and why when none
    does."""

    example: str
    place: str
    mutation: str
    rules: frozenset[str]
    why: str

    def claims(self, example: str, place: tuple, mutation: str) -> bool:
        return self.example in ("*", example) and self.mutation == mutation and bool(_pattern(self.place).fullmatch(".".join(map(str, place))))


@cache
def _pattern(place: str) -> re.Pattern[str]:
    return re.compile(re.escape(place).replace(r"\*\*", ".+").replace(r"\*", r"[^.]+"))


@cache
def rows() -> tuple[Row, ...]:
    """The rows in order: the first that claims a mutation says what it is told by."""
    with Path(__file__).with_name("exchange_mutations.csv").open(encoding="utf-8") as stream:
        return tuple(
            Row(row["example"], row["place"], row["mutation"], frozenset(row["rules"].split()), row["why"]) for row in csv.DictReader(stream)
        )


def places(value: object, at: tuple = ()) -> Iterator[tuple[tuple, object]]:
    """(place, value) of everything that a value holds."""
    for name, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*at, name), item
        yield from places(item, (*at, name))


def _others(value: object) -> Iterator[tuple[str, object]]:
    """(mutation, what the value becomes) of those that put another value at the same place."""
    if isinstance(value, str | bool):
        yield "garbled", not value if isinstance(value, bool) else value + "x"
    yield "retyped", 12345 if not isinstance(value, int) or isinstance(value, bool) else "x"
    if isinstance(value, str | list | dict):
        yield "emptied", type(value)()
    if isinstance(value, list):
        yield "repeated", [*value, copy.deepcopy(value[0])]
    if isinstance(value, dict):
        yield "unknown", value | {"inconnu": "x"}


def mutants(example: dict) -> Iterator[tuple[tuple, str, dict]]:
    """(place, mutation, mutated example) of every single mutation."""
    for place, value in places(example):
        for mutation, other in [("deleted", None), *_others(value)]:
            made = copy.deepcopy(example)
            at: object = made
            for step in place[:-1]:
                at = at[step]
            if mutation == "deleted":
                del at[place[-1]]
            else:
                at[place[-1]] = other
            yield place, mutation, made
