"""What holds over time: a past decision explained again, heads that go on, deposits that cannot be dated."""

import datetime as dt
import json

import pytest
from django.test import Client
from django.utils import timezone

from belvedere.cli import main
from belvedere.engine.evidence import archive
from belvedere.engine.exchange import matrix
from belvedere.engine.exchange.vocabulary import Grain, Purpose
from belvedere.observatory.exchange import intake, policy, reading, referentials
from belvedere.observatory.exchange.models import Deposit, Person
from belvedere.observatory.journal import sealing
from belvedere.observatory.journal.actions import note
from belvedere.observatory.journal.models import Entry, TreeHead
from tests.exchange import SSIAD, bearer, deposit, establishment, institution, say

pytestmark = pytest.mark.django_db


def test_past_readings_are_decided_the_same_again(tmp_path, capsys):
    """Each reading of the journal, asked again of the matrix that it names with what was known then, though rows and wills changed since."""
    service, sidoba, drees, real = establishment(), institution("CNSA_SIDOBA"), institution("DREES"), timezone.localdate
    assert intake.receive(service, deposit(range(3))).status == 200
    for party, purpose, grain in ((sidoba, Purpose.FUNDING, Grain.NAMED), (drees, Purpose.STATISTICS, Grain.PSEUDONYM)):
        for kind in ("Patient", "Encounter", "QuestionnaireResponse"):
            reading.search(party, 2, purpose, grain, kind)
    before = list(Entry.objects.filter(action="echange.lecture", subject__startswith="usager:"))
    assert len(before) >= 12
    kept = [line for line in matrix.write(policy.judge().matrix).splitlines() if "DREES" not in line]
    made = policy.propose(rows="\n".join(kept), reason="essai", by="une")
    assert policy.decide(proposal=made, approve=True, by="deux")
    for person in Person.objects.all():
        say(person, "opposition", service)
    moved = tmp_path / "finess.csv"
    moved.write_text(f"finess_ej,finess_et,nom_et,categorie_ege,date_ouverture,date_fermeture,cog_commune\n{SSIAD},{SSIAD},X,500,2001-01-01,,69123\n")
    referentials.load(moved, by="test", day=real())
    assert not reading.search(drees, 2, Purpose.STATISTICS, Grain.PSEUDONYM, "Patient").resources
    for entry in before:
        again = reading.explained(entry)
        assert again == set(entry.detail["rules"]), entry.detail
    assert policy.judge().matrix.version != before[0].detail["matrix"]
    assert main(["exchange", "explain", str(before[0].pk)]) == 0 and before[0].detail["matrix"] in capsys.readouterr().out
    assert main(["exchange", "explain", "1"]) == 3 or "n’est pas la lecture" in capsys.readouterr().err


def test_a_head_goes_on_into_another(tmp_path, capsys):
    sealing.create_key()
    for rank in range(5):
        note(by="x", action="essai", subject=str(rank))
    first = sealing.seal().size
    for rank in range(300):
        note(by="x", action="essai", subject=str(rank))
    second = sealing.seal().size
    told = Client().get(f"/api/v1/journal/consistency?first={first}&second={second}")
    assert told.status_code == 200 and archive.verify_consistency(told.json()).whole
    path = tmp_path / "preuve.json"
    path.write_text(json.dumps(told.json()))
    assert main(["journal", "verify", str(path)]) == 0
    altered = told.json() | {"second": told.json()["first"]}
    assert not archive.verify_consistency(altered).whole
    forged = told.json()
    forged["path"][0] = "00" * 32
    path.write_text(json.dumps(forged))
    assert main(["journal", "verify", str(path)]) == 1 and "ne prolonge pas" in capsys.readouterr().out
    for query in ("first=1&second=2", "first=0&second=5", f"first={second}&second={first}"):
        assert Client().get(f"/api/v1/journal/consistency?{query}").status_code == 404


def test_deposits_wait_when_the_journal_cannot_be_dated(monkeypatch):
    service = establishment()
    sealing.create_key()
    note(by="x", action="essai", subject="x")
    head = sealing.seal()
    monkeypatch.setenv("BELVEDERE_TSA_URL", "http://127.0.0.1:9/tsa")
    assert intake.receive(service, deposit(range(1), name="a")).status == 200
    monkeypatch.setattr(sealing, "STAMP_LATE", dt.timedelta(hours=-1))  # an hour from now: the four hours are over
    asked = bearer(service) | {"HTTP_X_FINALITE": "ACCOMPAGNEMENT"}
    answer = Client().post("/fhir", deposit(range(1, 2), name="b"), content_type="application/fhir+json", **asked)
    assert answer.status_code == 503 and answer["Retry-After"] == "600" and "quatre heures" in answer.content.decode()
    monthly = Client().post("/api/v1/exchange/deposits", deposit(range(1, 2), name="b"), content_type="application/json", **asked)
    assert monthly.status_code == 503 and Deposit.objects.count() == 1
    TreeHead.objects.filter(pk=head.pk).update(token="jeton")
    assert intake.receive(service, deposit(range(1, 2), name="b")).status == 200
    note(by="x", action="essai", subject="y")
    sealing.seal()
    assert sealing.stamp_overdue()
    monkeypatch.setenv("BELVEDERE_TSA_URL", "")
    assert not sealing.stamp_overdue(), "an observatory without an authority says so in its receipts, and takes deposits"
