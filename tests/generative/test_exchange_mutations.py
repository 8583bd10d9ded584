"""Every place of the guide's examples, taken away, garbled or of another type: told by a rule, or declared free."""

import copy
import fnmatch
from collections.abc import Iterator

from tests.unit.engine.test_exchange import around_examples, here, holding, told

# What the guide leaves to the depositor: optional elements, its own numbers, what a human reads, questions not answered, the other valid answer.
FREE = {
    "Encounter": {
        "deleted": ["id", "identifier", "identifier.*", "partOf", "participant", "participant.*", "period.end", "serviceProvider", "type", "type.*"],
        "garbled": ["id", "identifier.*", "type.*.display"],
    },
    "QuestionnaireResponse": {
        "deleted": ["encounter", "id", "identifier", "item", "item.*", "source"], "garbled": ["id", "identifier.system", "identifier.value", "item.*.text", "item.*.display", "item.*.valueBoolean"],
    },
}  # fmt: skip
# These may never be let through, though a pattern above covers them.
NEVER = {
    "identifier.*.system",
    "identifier.*.value",
    "identifier.*.type.coding",
    "type.*.coding",
    "item.*.linkId",
    "item.*.answer.*.valueCoding.code",
}


def places(value: object, at: tuple = ()) -> Iterator[tuple]:
    for name, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*at, name)
        yield from places(item, (*at, name))


def mutations(value: object) -> Iterator[tuple[str, object]]:
    yield "deleted", None
    if isinstance(value, str | bool):
        yield "garbled", not value if isinstance(value, bool) else value + "x"
    yield "of another type", 12345 if not isinstance(value, int) or isinstance(value, bool) else "x"


@here
def test_each_single_mutation_of_an_example_is_told_or_free():
    resources, around = around_examples()
    counted = {"told": 0, "free": 0}
    for example in resources:
        event = [resources[0]] if example is not resources[0] else []
        for place in places(example):
            value: object = example
            for step in place:
                value = value[step]
            name = ".".join("*" if isinstance(step, int) else step for step in place)
            for kind, other in mutations(value):
                content = copy.deepcopy(holding(example, [*around, *event]))
                at = content["entry"][0]["resource"]
                for step in place[:-1]:
                    at = at[step]
                if kind == "deleted":
                    del at[place[-1]]
                else:
                    at[place[-1]] = other
                if told(content):
                    counted["told"] += 1
                    continue
                counted["free"] += 1
                free = any(fnmatch.fnmatch(name, pattern) for pattern in FREE[example["resourceType"]].get(kind, ()))
                strict = kind == "deleted" and name in NEVER
                assert free and not strict, f"{example['id']}: {name} {kind} is stored without a word"
    assert counted["told"] > 900, counted
