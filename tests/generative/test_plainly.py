"""A resource said plainly: whatever R4 lets it hold, every word and number of it is in some line, and nothing stops the telling."""

import itertools
from importlib import import_module

from hypothesis import given, settings
from hypothesis import strategies as st

from belvedere.engine.exchange import plainly
from belvedere.engine.exchange.profiles import ALWAYS_TOLD, profiles

LEFT = {"id", "system", "url", "linkId", "definition", "userSelected", "version", "resourceType", "meta"}  # to the data, as the module says
counter = itertools.count()


def word(prefix: str = "mot") -> str:
    return f"{prefix}{next(counter)}x"


def filled(model, depth: int) -> dict:
    """An object of a model with each of its elements, as far as `depth` goes; each leaf its own."""
    made = {}
    for name, field in model.model_fields.items():
        alias = field.alias or name
        if (
            alias.startswith("_")
            or name.endswith("__ext")
            or alias in ("resourceType", "id", "meta", "contained", "fhir_comments", "extension", "modifierExtension")
        ):
            continue
        text = str(field.annotation)
        inside = next(
            (kind for kind in INSIDE if f".{kind}'" in text or f"'{kind}'" in text or text.endswith(f".{kind}]") or f"{kind}Type" in text), None
        )
        many = "List" in text or "list[" in text
        if inside:
            if depth == 0:
                continue
            value = filled(INSIDE[inside], depth - 1)
            if not value:
                continue
        else:
            value = word()
        made[alias] = [value] if many else value
    return made


INSIDE = {
    kind: getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
    for kind in ("CodeableConcept", "Coding", "Identifier", "HumanName", "Address", "ContactPoint", "Period", "Reference", "Annotation", "Attachment", "Quantity")
}  # fmt: skip


def leaves(value: object, name: str = "") -> list[str]:
    if isinstance(value, dict):
        return [leaf for key, one in value.items() if key not in LEFT for leaf in leaves(one, key)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one, name)]
    return [str(value)]


def lost(resource: dict) -> list[str]:
    told = " ".join(f"{label} {text}" for label, text in plainly.lines(resource)).lower()
    return [leaf for leaf in leaves({name: value for name, value in resource.items() if name not in ALWAYS_TOLD}) if leaf.lower() not in told]


def test_a_filled_resource_of_every_type_is_told_whole():
    for kind in sorted({profile.type for profile in profiles().values()}):
        model = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
        resource = {"resourceType": kind, **filled(model, 3)}
        assert len(leaves(resource)) > 5, kind
        assert lost(resource) == [], kind


words = st.integers(0, 10**6).map(lambda number: f"mot{number}x")
names = st.sampled_from(
    [
        *sorted(plainly.labels()),
        "inconnu",
        "text",
        "coding",
        "display",
        "reference",
        "family",
        "given",
        "line",
        "city",
        "start",
        "end",
        "unit",
        "comparator",
        "answer",
    ]
)
leaf = words | st.booleans() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6).map(lambda number: round(number, 3))
anything = st.recursive(
    leaf, lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(names, inner, min_size=1, max_size=4), max_leaves=15
)


@given(st.dictionaries(names, anything, max_size=6))
@settings(max_examples=300, deadline=None)
def test_whatever_is_held_is_told_without_a_stop(content):
    told = plainly.lines({"resourceType": "Basic", "id": "x", **content})
    assert all(isinstance(label, str) and isinstance(text, str) for label, text in told)
    assert bool(told) or not leaves(content)


def test_words_are_not_taken_for_codes():
    told = dict(plainly.lines({
        "resourceType": "Patient", "name": [{"given": ["HH"], "family": "Order"}], "gender": "female", "identifier": [{"value": "7", "type": {"text": "order"}}],
        "link": [{"other": {"display": "active"}, "type": "seealso"}],
    }))  # fmt: skip
    assert told["Nom"] == "HH ORDER" and told["Sexe"] == "femme" and "order" in str(told) and "active" in str(told)
    assert dict(plainly.lines({"valueQuantity": {"value": 5, "comparator": "<", "unit": "kg"}})) == {"Valeur": "< 5 kg"}


def test_nothing_is_left_out_of_what_is_said_plainly():
    resource = {
        "resourceType": "Observation", "id": "x", "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}, "inconnu": {"dedans": [1, 2.5]},
        "effectiveDateTime": "2026-02", "valueQuantity": {"value": 72, "unit": "/min"}, "subject": {"reference": "Patient/p"}, "note": [{"text": "calme"}],
    }  # fmt: skip
    assert plainly.lines(resource, lambda system, code: "Fréquence cardiaque" if code == "8867-4" else "") == [
        ("État", "définitif"), ("Objet", "Fréquence cardiaque (8867-4)"), ("inconnu, dedans", "1"), ("inconnu, dedans", "2,5"), ("Constaté le", "février 2026"), ("Valeur", "72 /min"),
        ("Usager", "Patient/p"), ("Remarque", "calme"),
    ]  # fmt: skip
