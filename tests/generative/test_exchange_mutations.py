"""Each single mutation of the guide's examples is told by the rules of `tests/spec/exchange_mutations.csv`, no more and no less, or is declared free there."""

from collections import Counter

from belvedere.engine.exchange.rules import rules
from tests.spec import mutations
from tests.unit.engine.test_exchange import around_examples, here, holding, told

NAMES = ("evenement", "aggir", "situation")


@here
def test_each_single_mutation_of_an_example_is_told_by_its_rules():
    resources, around = around_examples()
    met, counted, wrong = Counter[mutations.Row](), Counter[str](), list[str]()
    for name, example in zip(NAMES, resources, strict=True):
        base = holding(example, [*around, *([resources[0]] if example is not resources[0] else [])])
        for place, mutation, mutant in mutations.mutants(example):
            content = base | {"entry": [base["entry"][0] | {"resource": mutant}, *base["entry"][1:]]}
            found = told(content)
            row = next((row for row in mutations.rows() if row.claims(name, place, mutation)), None)
            if row is None or found != row.rules:
                wrong.append(f"{name} {'.'.join(map(str, place))} {mutation}: {' '.join(sorted(found)) or 'nothing'}")
                continue
            met[row] += 1
            counted["free" if not found else "general" if found == {"tddui-resource-01"} else "own"] += 1
    assert not wrong, "\n".join(wrong)
    assert set(mutations.rows()) == set(met), "a row that no mutation meets is no specification"
    assert all(bool(row.rules) != bool(row.why) and row.rules <= set(rules()) for row in mutations.rows())
    assert counted["own"] > 400 and counted["free"] < counted.total() / 5, counted
