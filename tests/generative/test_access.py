"""The access decision against an independent policy engine (Cedar), and the properties that it must have."""

import datetime as dt
import itertools
import random

import cedarpy
from hypothesis import given, settings
from hypothesis import strategies as st

from belvedere.engine.exchange import consent
from belvedere.engine.exchange.access import FUNDED, Judge, Party, Thing
from belvedere.engine.exchange.matrix import Matrix, proposed
from belvedere.engine.exchange.profiles import ALWAYS_TOLD, UNSORTED, categories, category, filtered, profiles
from belvedere.engine.exchange.vocabulary import Actor, Category, Grain, Need, Perimeter, Purpose, Statement

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
MATRIX = proposed()
JUDGE = Judge(MATRIX)
INSIDE = {
    Perimeter.NATIONAL: "true", Perimeter.REGION: 'context.party.region != "" && context.party.region == context.thing.region',
    Perimeter.DEPARTMENT: 'context.party.department != "" && context.party.department == context.thing.department',
    Perimeter.ESTABLISHMENT: 'context.party.finess != "" && context.party.finess == context.thing.finess',
    Perimeter.SELF: 'context.party.person != "" && context.party.person == context.thing.person', Perimeter.FILE: 'context.thing.person != ""',
}  # fmt: skip
ASKED = {Need.NONE: "true", Need.NOT_OPPOSED: "!context.opposed", Need.EXPRESS: "!context.opposed && context.agreed"}
DESIGNATED = "!context.opposed && context.named"  # an agreement that names its recipient
CONDITIONS = {
    "catégorie SSIAD": 'context.thing.kind == "354"', "limité aux questionnaires AGGIR et situation SSIAD": 'context.thing.kind == "354" && context.thing.funded',
    "bénéficiaire de l’aide départementale": "context.thing.aided", "décision en cours": "context.thing.decision", "dossier clos et DUA échue": "context.thing.archivable",
    "transmission mensuelle ; conservation 33 mois": "context.thing.age <= 1004",
}  # fmt: skip


def cedar_policies() -> str:
    """The same rows, written for Cedar by nothing that the hub uses."""
    return "\n".join(
        f'permit(principal == Acteur::"{row.actor}", action == Action::"lire", resource == Donnee::"{row.category}") when {{ context.purpose == "{row.purpose}" && '
        f'context.grain == "{row.grain}" && ({INSIDE[row.perimeter]}) && ({CONDITIONS.get(row.condition, "true")}) && ({DESIGNATED if row.perimeter == Perimeter.FILE else ASKED[row.consent]}) && context.active '
        f'&& (context.level >= 2 || resource != Donnee::"SANTE") }};'
        for row in MATRIX.rows
    )


def a_question(draw: random.Random):
    row = draw.choice(MATRIX.rows) if draw.random() < 0.8 else None
    party = Party(
        row.actor if row else draw.choice(list(Actor)), (), draw.choice(("", "750000010", "690000028")), draw.choice(("", "75", "69")), draw.choice(("", "R11", "R84")),
        draw.choice(("", "p1", "p2")), draw.choice((1, 2, 2, 2)), draw.random() < 0.95,
    )  # fmt: skip
    thing = Thing(
        draw.choice(("750000010", "690000028")), draw.choice(("75", "69")), draw.choice(("R11", "R84")), draw.choice(("354", "500")), draw.choice(("", "p1", "p2")),
        draw.choice(("", *FUNDED)), NOW.date() - dt.timedelta(days=draw.randint(0, 2000)), draw.random() < 0.5, draw.random() < 0.5, draw.random() < 0.5,
    )  # fmt: skip
    said = consent.State(draw.random() < 0.3, draw.random() < 0.5, draw.random() < 0.5)
    if row:
        return party, row.purpose, row.category, row.grain, thing, said
    return party, draw.choice(list(Purpose)), draw.choice(list(Category)), draw.choice(list(Grain)), thing, said


def test_the_decision_agrees_with_cedar():
    draw, asked, ours = random.Random(7), [], []
    for _ in range(20_000):
        party, purpose, category, grain, thing, said = a_question(draw)
        ours.append(JUDGE.decide(party, purpose, category, grain, thing, NOW, lambda *_, said=said: said).permitted)
        assert thing.day
        asked.append({
            "principal": f'Acteur::"{party.actor}"', "action": 'Action::"lire"', "resource": f'Donnee::"{category}"',
            "context": {
                "purpose": str(purpose), "grain": str(grain), "active": party.active, "level": party.level, "opposed": said.opposed, "agreed": said.agreed, "named": said.named,
                "party": {"region": party.region, "department": party.department, "finess": party.finess, "person": party.person},
                "thing": {"region": thing.region, "department": thing.department, "finess": thing.finess, "person": thing.person, "kind": thing.kind,
                          "funded": thing.questionnaire in FUNDED, "aided": thing.aided, "decision": thing.decision_open, "archivable": thing.archivable,
                          "age": (NOW.date() - thing.day).days},
            },
        })  # fmt: skip
    theirs = [answer.allowed for answer in cedarpy.is_authorized_batch(asked, cedar_policies(), [])]
    assert ours == theirs
    assert 3_000 < sum(ours) < 17_000, "both answers are met often"


def test_whoever_has_no_row_is_denied():
    rows = {(row.actor, row.purpose, row.category, row.grain) for row in MATRIX.rows}
    everywhere = Thing("750000010", "75", "R11", "354", "p1", next(iter(FUNDED)), NOW.date(), True, True, True)
    for actor, purpose, about, grain in itertools.product(Actor, Purpose, Category, Grain):
        party = Party(actor, (), "750000010", "75", "R11", "p1")
        decided = JUDGE.decide(party, purpose, about, grain, everywhere, NOW, lambda *_: consent.State(False, True, True))
        assert decided.permitted == ((actor, purpose, about, grain) in rows)
        assert decided.reason and decided.version == MATRIX.version
    assert not any(row.actor in (Actor.VENDOR, Actor.OPERATOR) for row in MATRIX.rows), "software and operator have no right"


instants = st.integers(0, 40).map(lambda day: dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=day))
statements = st.builds(
    consent.Said,
    st.sampled_from(Statement),
    instants,
    instants,
    st.sampled_from(("", "PILOTAGE", "STATISTIQUE")),
    st.sampled_from(("", "SANTE")),
    st.sampled_from(("", "DREES")),
)
questions = st.tuples(
    st.sampled_from(("PILOTAGE", "STATISTIQUE", "ARCHIVAGE")), st.sampled_from(("SANTE", "ADM")), st.sampled_from((("DREES",), ("ARS", "acteur-3")))
)


def open_to(state: consent.State) -> tuple[bool, bool]:
    return not state.opposed, not state.opposed and state.agreed


@settings(max_examples=600, deadline=None)
@given(st.lists(statements, max_size=6), statements, questions, instants)
def test_an_opposition_more_or_an_agreement_less_never_opens(said, more, question, at):
    before = open_to(consent.state(said, *question, at))
    opposed = consent.Said(Statement.OPPOSITION, more.at, more.known_at, more.purpose, more.category, more.recipient)
    assert all(now <= then for now, then in zip(open_to(consent.state([*said, opposed], *question, at)), before, strict=True))
    for rank, one in enumerate(said):
        if one.kind == Statement.AGREEMENT:
            less = open_to(consent.state(said[:rank] + said[rank + 1 :], *question, at))
            assert all(now <= then for now, then in zip(less, before, strict=True))


@settings(max_examples=300, deadline=None)
@given(st.lists(statements, max_size=6), questions, instants, instants)
def test_a_past_state_is_told_again_as_it_was_known(said, question, at, known):
    kept = [one for one in said if one.known_at <= known]
    assert consent.state(said, *question, at, known) == consent.state(kept, *question, at, known)
    later = consent.Said(Statement.OPPOSITION, at, known + dt.timedelta(days=1))
    assert consent.state([*said, later], *question, at, known) == consent.state(said, *question, at, known)


@settings(max_examples=100, deadline=None)
@given(st.permutations(MATRIX.rows), st.integers(0, 10_000))
def test_the_order_of_rows_decides_nothing(rows, seed):
    other = Matrix.of(rows)
    assert other.version == MATRIX.version
    party, purpose, category, grain, thing, said = a_question(random.Random(seed))
    assert Judge(other).decide(party, purpose, category, grain, thing, NOW, lambda *_: said) == JUDGE.decide(
        party, purpose, category, grain, thing, NOW, lambda *_: said
    )


def test_every_element_has_a_category():
    from importlib import import_module

    for profile in profiles().values():
        model = getattr(import_module(f"fhir.resources.R4B.{profile.type.lower()}"), profile.type)
        named = {name for name in model.elements_sequence() if name not in (*ALWAYS_TOLD, *UNSORTED)}
        assert not {name for name in named if category(profile, name) is None}, profile.type
        assert categories(profile, dict.fromkeys(named, 1)) <= set(Category) - {Category.TRACE}
        assert category(profile, "somethingNew") is None
        assert "somethingNew" not in (filtered(profile, {"resourceType": profile.type, "somethingNew": 1}, {profile.category}) or {})
