"""The gate: blind words, refusals with a reason, standing approvals, dated thresholds, withdrawals that stay readable."""

import datetime as dt

import pytest
from django.utils import timezone

from belvedere.observatory.accounts.models import Role
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.members.actions import enrol_group
from belvedere.observatory.members.models import Federation, Group, Member
from belvedere.observatory.publication import computing, frozen, gate, statement
from belvedere.observatory.publication.actions import MONTHLY, compute_release
from belvedere.observatory.publication.models import RELEASE_TRANSITIONS, Approval, Release, ReleaseState, StandingApproval, Thresholds, Verdict
from tests.flows import sector
from tests.members import send
from tests.people import browsing, person


@pytest.fixture(autouse=True)
def sector_of_twelve(request, db):
    """Enough providers take part for the thresholds, unless the test brings its own."""
    if "groups" in request.fixturenames:
        return
    for rank in range(12):
        fields = {"name": f"E{rank}", "siren": f"{rank:09d}", "finess": rank + 1, "department": "75", "norm": "FR"}
        enrol_group(name=f"G{rank}", federation=None, members=[fields], by="test")


def a_release(label="2025-03", **changed) -> Release:
    """A draft that nothing but words keeps from going out."""
    basis = [earlier.label for earlier in computing.published()]
    fields = {
        "label": label, "months": ["2025-03"], "created_at": timezone.now(), "file_name": "x", "digest": "d" * 64, "groups": 20, "members": 30,
        "lines": 50_000, "patients": 5_000, "released_cells": 10, "masked_cells": 2, "fresh_groups": 20, "biggest": 0.2, "basis": basis,
    }  # fmt: skip
    return Release.objects.create(**fields | changed)


@pytest.fixture
def validators(federations):
    return [person(Role.VALIDATOR, federation=federation) for federation in federations]


def test_words_are_blind_until_all_are_in(federations, validators):
    release = a_release()
    for rank, user in enumerate(validators[:2]):
        gate.decide(release=release, federation=user.federation, by=user)
        own, others = gate.words_for(release, user.federation)
        assert own.verdict == Verdict.YES and others == [], rank
    page = browsing(validators[2]).get("/publications/").content.decode()
    assert "attendu" in page and "FédéPSAD : validée" not in page
    release = gate.decide(release=release, federation=federations[2], by=validators[2], verdict=Verdict.NO, reason="Un mois manque.")
    assert release.state == ReleaseState.DRAFT
    assert len(gate.words_for(release, federations[0])[1]) == 3
    assert "Un mois manque." in browsing(validators[0]).get("/publications/").content.decode()
    release = gate.decide(release=release, federation=federations[2], by=validators[2])
    assert release.state == ReleaseState.PUBLISHED and release.published_at
    told = list(Entry.objects.filter(action__startswith="publication.").values_list("action", flat=True))
    assert told == ["publication.validee"] * 2 + ["publication.refusee", "publication.validee", "publication.publiee"]


def test_a_refusal_has_a_reason_and_a_reader_decides_nothing(federations, validators):
    release = a_release()
    with pytest.raises(gate.GateClosed, match="motive"):
        gate.decide(release=release, federation=federations[0], by=validators[0], verdict=Verdict.NO, reason=" ")
    for role in (Role.ANALYST, Role.STATISTICIAN):
        user = person(role, federation=federations[0])
        assert "Valider au nom" not in browsing(user).get("/publications/").content.decode()
        assert browsing(user).post("/publications/2025-03/avis/", {"avis": "yes"}).status_code == 403
    assert Approval.objects.count() == 0


@pytest.mark.parametrize(("field", "value", "said"), [
    ("groups", 9, "10 groupes"), ("members", 9, "10 entités"), ("lines", 9_999, "10\u202f000 lignes"), ("patients", 999, "1\u202f000 patients"), ("biggest", 0.51, "pèse trop"),
])  # fmt: skip
def test_each_threshold_holds_and_tells_no_figure(federations, validators, field, value, said):
    release = a_release(**{field: value})
    with pytest.raises(gate.GateClosed) as refusal:
        gate.decide(release=release, federation=federations[0], by=validators[0])
    assert said in str(refusal.value)
    assert str(value) not in str(refusal.value).replace(said, "")
    assert (
        gate.decide(release=release, federation=federations[0], by=validators[0], verdict=Verdict.NO, reason="Trop peu.").state == ReleaseState.DRAFT
    )


def test_thresholds_are_dated_and_bind_nothing_that_waits_today(federations):
    operator = person(Role.OPERATOR)
    values = {"members": 3, "groups": 3, "lines": 10, "patients": 11, "biggest": 0.9}
    today = timezone.localdate()
    for day in (today, today - dt.timedelta(days=30)):
        with pytest.raises(gate.GateClosed):
            gate.set_thresholds(by=operator, valid_from=day, **values)
    gate.set_thresholds(by=operator, valid_from=today + dt.timedelta(days=30), **values | {"groups": 40})
    assert gate.thresholds().groups == 10 and gate.thresholds(today + dt.timedelta(days=31)).groups == 40
    assert Thresholds.objects.count() == 1


def test_what_is_frozen_is_not_published_and_two_federations_are_not_three(federations, validators):
    release = a_release()
    Group.objects.update(verified_at=None)
    with pytest.raises(gate.GateClosed, match="gelée"):
        gate.decide(release=release, federation=federations[0], by=validators[0])
    Group.objects.update(verified_at=timezone.now())
    validators[2].delete()
    Federation.objects.filter(pk=federations[2].pk).delete()
    with pytest.raises(gate.GateClosed, match="3 fédérations"):
        gate.decide(release=release, federation=federations[0], by=validators[0])


def test_a_standing_approval_speaks_for_its_series_until_it_is_withdrawn(federations, validators):
    for user in validators:
        gate.give_standing(federation=user.federation, series=MONTHLY, by=user)
    low = a_release("2025-01", lines=10)
    gate.speak_for_standing(low)
    assert Approval.objects.count() == 0, "nobody said yes to what is under the thresholds"
    good = a_release("2025-02")
    gate.speak_for_standing(good)
    good.refresh_from_db()
    assert good.state == ReleaseState.PUBLISHED
    gate.withdraw_standing(federation=federations[0], series=MONTHLY, by=validators[0])
    next_one = a_release("2025-03")
    gate.speak_for_standing(next_one)
    next_one.refresh_from_db()
    assert next_one.state == ReleaseState.DRAFT and next_one.approvals.count() == 2
    assert StandingApproval.objects.filter(withdrawn_at=None).count() == 2


def test_a_withdrawn_release_stays_readable_with_its_reason(groups, federations, validators, monkeypatch):
    for name, value in (("GROUPS", "3"), ("LINES", "100"), ("MEMBERS", "3"), ("PATIENTS", "50")):
        monkeypatch.setenv(f"BELVEDERE_GATE_{name}", value)
    send(groups, sector(), range(3))
    release = compute_release(label="2025-03", months=["2025-01", "2025-02", "2025-03"], by="test", seed=1)
    quality = release.report["quality"]
    assert quality["entities_present"] == Member.objects.count() and quality["flows"] > 0
    statistician = person(Role.STATISTICIAN, federation=federations[0])
    draft = statement.publication_csv(release).decode().splitlines()
    assert draft[0].endswith(",status") and browsing(statistician).get("/publications/2025-03/publication.csv").content.decode().splitlines() == draft
    visitor = browsing(None)
    assert visitor.get("/?v=2025-03").status_code == 404 and visitor.get("/chiffres/familles.csv").status_code == 404
    assert "pas encore publié" in browsing(validators[0]).get("/marche/").content.decode()
    for user in validators:
        release = gate.decide(release=release, federation=user.federation, by=user)
    assert frozen.current().label == "2025-03" and statement.publication_csv(release).decode().splitlines()[0] != draft[0]
    monkeypatch.setenv("BELVEDERE_GATE_GROUPS", "4000")
    assert "gelée" in visitor.get("/").content.decode()
    monkeypatch.setenv("BELVEDERE_GATE_GROUPS", "3")
    operator = person(Role.OPERATOR)
    with pytest.raises(gate.GateClosed):
        gate.end(release=release, by=operator, reason="")
    gate.end(release=release, by=operator, reason="Un flux faux a été compté.")
    assert frozen.current() is None
    page = visitor.get("/?v=2025-03").content.decode()
    assert "retirée" in page and "Un flux faux a été compté." in page and "2025-03" in visitor.get("/parutions/").content.decode()
    assert [item.label for item in computing.published()] == ["2025-03"], "what was read once still counts for the secrecy"
    with pytest.raises(gate.GateClosed):
        gate.end(release=release, by=operator, reason="encore")


def test_states_move_along_the_table_only(db):
    for before in ReleaseState:
        for after in set(ReleaseState) - set(RELEASE_TRANSITIONS[before]):
            release = Release(state=before)
            with pytest.raises(gate.GateClosed):
                gate.move(release, after)
