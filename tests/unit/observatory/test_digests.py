"""The monthly letter: what leaves its habit, to its reader alone, muted with a signed link."""

import pytest
from django.utils import timezone

from belvedere.engine.indicators import signals
from belvedere.observatory.accounts.models import Role
from belvedere.observatory.digests import actions
from belvedere.observatory.digests.models import Muted, Sent
from belvedere.observatory.notices.actions import deliver_due
from belvedere.observatory.notices.models import Notice
from belvedere.observatory.publication.models import Release, ReleaseState
from tests.people import browsing, person


def test_a_steady_figure_says_nothing_and_a_step_does():
    steady = [100, 103, 98, 101, 99, 102, 100, 97, 101, 100, 103, 99, 101, 100, 98, 102]
    assert signals.out_of_habit(steady) is None
    assert signals.out_of_habit([*steady[:-3], 140, 142, 139]) == pytest.approx(0.40, abs=0.02)
    assert signals.out_of_habit([*steady[:-3], 60, 58, 61]) < -0.35
    assert signals.out_of_habit(steady[:-6]) is None, "not enough past to have a habit"


def test_noise_of_small_numbers_rarely_cries():
    """A control chart, not a percentage: of 200 providers whose months only fluctuate, few are told of a change."""
    import numpy as np

    rng = np.random.default_rng(4)
    told = sum(signals.out_of_habit(rng.poisson(40, 24).astype(float).tolist()) is not None for _ in range(200))
    assert told <= 40


@pytest.fixture
def published(groups):
    return Release.objects.create(
        label="2025-03", months=["2025-03"], state=ReleaseState.PUBLISHED, created_at=timezone.now(), published_at=timezone.now(), file_name="x", digest="0" * 64,
        groups=3, lines=1, patients=1, released_cells=1, masked_cells=0,
    )  # fmt: skip


def test_one_letter_each_and_none_to_those_who_stopped_it(published, groups):
    reader, deaf = person(Role.MEMBER_ADMIN, group=groups[0]), person(Role.MEMBER_ADMIN, group=groups[1])
    person(Role.OPERATOR)
    actions.mute(deaf, "*")
    assert actions.post_due() == 1 and actions.post_due() == 0
    assert [notice.to for notice in Notice.objects.filter(kind="lettre")] == [reader.email]
    assert Sent.objects.get().person == reader
    assert set(Notice.objects.get(kind="lettre").details) == {"person", "release"}, "no figure waits in the database"


def test_the_letter_says_the_signals_of_its_reader_and_nothing_muted(published, groups, monkeypatch, mailoutbox):
    reader = person(Role.MEMBER_ADMIN, group=groups[0])
    found = [signals.Signal("patients", "OXY", 0.124, 0.02), signals.Signal("delay", "*", -0.3, None)]
    monkeypatch.setattr(actions.frozen, "labelled", lambda label: None)
    monkeypatch.setattr(actions.OwnFacts, "figures", lambda self, *_, **__: type("Own", (), {"months": ("2025-03",)})())
    monkeypatch.setattr(actions.signals, "watch", lambda own, release: (found, 37))
    actions.post_due()
    assert deliver_due() == 1
    body = mailoutbox[0].body
    assert "Patients suivis, Oxygénothérapie : +12" in body and "marché : +2" in body and "marché : non publié" in body
    assert "2 changements sur 37 chiffres" in mailoutbox[0].subject
    link = next(line.split(" : ")[1] for line in body.splitlines() if line.strip().startswith("Ne plus m’en parler"))
    path = "/lettre/" + link.split("/lettre/")[1]
    nobody = browsing(None)
    assert nobody.get(path).status_code == 200 and not Muted.objects.exists(), "reading a link changes nothing: scanners of mail open them"
    assert nobody.post(path).status_code == 200
    assert Muted.objects.get().indicator == "patients"
    assert [line["text"] for line in actions.compose({"person": reader.pk, "release": "2025-03"})["lines"]] == [actions.sentence(found[1])]
    assert nobody.post(path, {"reprendre": "1"}).status_code == 200 and not Muted.objects.exists()
    assert nobody.get("/lettre/forged/").status_code == 404
