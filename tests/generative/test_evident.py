"""The quick check of R4 beside the models that it spares: it never takes what they refuse, and takes what deposits are made of."""

import copy
import datetime as dt
import os
from collections import Counter

from belvedere.engine.exchange import evident, sample, structure
from tests.exchange import SSIAD
from tests.spec import mutations

LONG = os.environ.get("BELVEDERE_LONG") == "1"
NASTY = (
    "", " ", " x", "x ", "a  b", "a\nb", "\u200b", "\ud800", "x" * 300, "é", "9999-12-31", "2026-02-30", "2026-09", "0000-01-01", "2026-09-01T10:00", "2026-09-01T24:00:00Z", "2026-09-01T10:00:60Z",
    "2026-09-01T10:00:00+14:30", "2026-09-01T10:00:00.1234567Z", "10:00:00", "urn:uuid:zz", "http://[", "1.2.3", 0, -1, 1.5, 10**12, True, False, None, [], {}, [[]], [{}], [None], {"a": 1}, {"id": "x"},
    {"extension": [{"url": "urn:x", "valueString": "x"}]}, [{"system": "s", "code": "c"}], {"reference": "Patient/1"}, {"reference": "Patient/1", "type": "Patient"},
)  # fmt: skip
OTHERS = (
    {"resourceType": "Slot", "schedule": {"reference": "Schedule/1"}, "status": "busy", "start": "2026-09-01T08:00:00Z", "end": "2026-09-01T09:00:00Z"},
    {"resourceType": "Schedule", "actor": [{"reference": "Patient/1"}], "planningHorizon": {"start": "2026-09-01"}},
    {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/1"}, "valueQuantity": {"value": 3, "unit": "kg"}, "component": [{"code": {"text": "y"}, "valueString": "z"}]},
    {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "x"}, "subject": {"reference": "Patient/1"}, "target": [{"detailString": "x", "dueDate": "2026-12-01"}], "startDate": "2026-01-01"},
    {"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": {"contentType": "application/pdf", "url": "https://x.fr/a", "size": 3, "hash": "YQ=="}}]},
    {"resourceType": "RelatedPerson", "patient": {"reference": "Patient/1"}, "active": True, "telecom": [{"system": "phone", "value": "01", "rank": 1}], "address": [{"line": ["1 rue"], "city": "Paris"}]},
    {"resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": {"reference": "Patient/1"}, "activity": [{"detail": {"status": "completed", "scheduledString": "x", "doNotPerform": False}}]},
    {"resourceType": "Patient", "deceasedBoolean": False, "multipleBirthInteger": 2, "contained": [{"resourceType": "Basic", "code": {"text": "x"}}], "_birthDate": {"extension": [{"url": "urn:x", "valueInteger": 3}]}, "birthDate": "1940-01-01"},
)  # fmt: skip


def sound() -> list[dict]:
    rows = [
        row for seed in range(3) for row in sample.stay_of(sample.resident(seed), SSIAD, seed=seed, start=dt.date(2026, 9, 1), agreed=True, events=1)
    ]
    return [*rows, *(entry["resource"] for entry in sample.transaction(SSIAD, "x", "x", [])["entry"]), *OTHERS]


def quickly(resource: dict) -> bool:
    model = structure._model(resource["resourceType"])
    return evident.sound(resource, f"{model.__module__}.{model.__name__}", structure._closed)


def test_whatever_the_quick_check_takes_the_models_take():
    counted: Counter[str] = Counter()
    wrong = []
    kinds: Counter[str] = Counter()
    for resource in sound():
        kinds[resource["resourceType"]] += 1
        if kinds[resource["resourceType"]] > (9 if LONG else 2):
            continue
        mutants = [(place, kind, mutant) for place, kind, mutant in mutations.mutants(resource) if place != ("resourceType",)]
        for rank, (place, _) in enumerate(mutations.places(resource)):
            for other in () if place == ("resourceType",) else NASTY if LONG else NASTY[rank % 5 :: 5]:
                mutant = copy.deepcopy(resource)
                at: object = mutant
                for step in place[:-1]:
                    at = at[step]
                at[place[-1]] = other
                mutants.append((place, repr(other)[:30], mutant))
        for place, kind, mutant in mutants:
            quick, slow = quickly(mutant), not structure._problems(mutant)
            counted[f"{quick} {slow}"] += 1
            if quick and not slow:
                wrong.append((resource["resourceType"], place, kind))
    assert not wrong, wrong[:10]
    assert counted["True True"] > 500 and counted["False False"] > 3_000, counted
    assert counted["False True"] < counted["True True"], "it would spare nothing"


def test_what_deposits_are_made_of_is_spared():
    assert all(quickly(row) for row in sound()[: -len(OTHERS)])
    assert sum(quickly(row) for row in OTHERS) >= 6, "documents with a hash, contained resources and companions of primitives are left to the models"
