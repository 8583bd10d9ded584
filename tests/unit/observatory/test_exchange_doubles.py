"""What a broken contract tells, and the file received today that each dataset is weighed against."""

import json

import pytest

from belvedere.engine.exchange import seda
from belvedere.observatory.exchange import datasets, intake
from belvedere.observatory.notices.models import Notice
from tests.exchange import OTHER, SSIAD, deposit, establishment, institution

pytestmark = pytest.mark.django_db


def test_a_broken_contract_is_written_to_both_sides(service):
    sidoba = institution("CNSA_SIDOBA")
    content = json.loads(deposit(range(3)))
    for entry in content["entry"]:
        if entry["resource"]["resourceType"] == "Patient":
            del entry["resource"]["identifier"][0]  # the INS, required by the contract
    assert intake.receive(service, json.dumps(content).encode()).status == 200
    made = datasets.publish(code="ssiad-sidoba", period="2026-09", by="test")
    assert made.state == "broken"
    notes = {note.to: note for note in Notice.objects.filter(kind="exchange_contract")}
    assert set(notes) == {service.contact, sidoba.contact}
    assert any("Matricule INS" in text for text in notes[service.contact].details["findings"])
    [(row, title, month, texts)] = datasets.noticed(service)
    assert row == made and any("Matricule INS" in text for text in texts) and title and month == "septembre 2026"
    assert datasets.noticed(establishment(OTHER)) == []


def test_a_file_received_today_by_another_way_weighs_on_what_is_published(service):
    from belvedere.observatory.exchange import doubles
    from belvedere.observatory.exchange.models import Baseline

    institution("CNSA_SIDOBA")
    intake.receive(service, deposit(range(3)))
    made = datasets.publish(code="ssiad-sidoba", period="2026-09", by="test")
    held = seda.members(datasets.content(made, by="test"))["ssiad-sidoba-2026-09.csv"]
    doubles.keep(code="ssiad-sidoba", period="2026-09", raw=held, by="test")
    assert set(datasets.compared(code="ssiad-sidoba", period="2026-09", by="test")["ins"].values()) == {"equivalent", 3, 0}
    assert datasets.publish(code="ssiad-sidoba", period="2026-09", by="test").state == made.state
    better = held.decode().replace("2026-09-01;;", "2026-09-01;2026-09-30;", 1)
    doubles.keep(code="ssiad-sidoba", period="2026-09", raw=better.encode(), by="test")
    worse = datasets.publish(code="ssiad-sidoba", period="2026-09", by="test")
    assert worse.state == "remarks" and any(one["check"] == "non-regression" for one in worse.report["findings"])
    person = better.splitlines()[1].split(";")
    more = better + ";".join([person[0], "1" * 15, *person[2:]]) + "\r\n"
    doubles.keep(code="ssiad-sidoba", period="2026-09", raw=more.encode(), by="test")
    assert datasets.publish(code="ssiad-sidoba", period="2026-09", by="test").state == "broken", "somebody is missing"
    assert SSIAD.encode() not in bytes(Baseline.objects.get().content), "sealed"
    with pytest.raises(doubles.BaselineRefused):
        doubles.keep(code="ssiad-sidoba", period="2026-09", raw=b"a;b\n1;2\n", by="test")
