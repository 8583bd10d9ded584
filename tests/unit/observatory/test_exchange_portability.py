"""Portable exports: whole, targeted, of one person; taken back elsewhere."""

import datetime as dt
import json

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from belvedere.engine.exchange import comparing, seda
from belvedere.observatory.exchange import erasing, intake, portability
from belvedere.observatory.exchange.models import KEPT_FOR_GOOD, Event, Resource, Stated
from belvedere.observatory.journal import guards
from belvedere.observatory.journal.models import Entry
from tests.exchange import OTHER, altered, bearer, deposit, establishment, say

pytestmark = pytest.mark.django_db


def emptied() -> None:
    """An empty platform, played by taking everything away: what persons said too, which the database refuses to lose."""
    guards.lift(connection, KEPT_FOR_GOOD)
    for rows in (Event, Resource, Stated):
        rows.objects.all().delete()
    guards.install(connection, KEPT_FOR_GOOD)


def test_an_export_taken_back_elsewhere_is_the_same_set(service):
    intake.receive(service, deposit(range(4), agreed={0: True}))
    made = portability.ask(party=service, kind="massif", persons=[], by="test")
    assert (made.state, made.due_at - made.asked_at) == ("acknowledged", dt.timedelta(days=30))
    phases = {row["phase"]: (dt.datetime.fromisoformat(row["by"]) - made.asked_at, row["done_at"] is not None) for row in portability.plan(made)}
    day = dt.timedelta(days=1)
    assert phases == {"accuse": (2 * day, True), "plan": (7 * day, True), "paquet": (30 * day, False), "acces": (120 * day, False)}
    portability.run_due()
    made.refresh_from_db()
    assert all(row["done_at"] for row in portability.plan(made))
    raw = portability.package(made)
    assert made.report["counts"]["Patient"] == 4 and made.kept_until - timezone.now() > dt.timedelta(days=89)
    # The establishment changes software: an empty platform is played by taking everything away.
    Event.objects.all().delete()
    Resource.objects.all().delete()
    for lot in portability.lots(raw):
        answer = intake.receive(service, lot, software="Autre DUI")
        assert answer.status == 200, answer.body
    again = portability.ask(party=service, kind="massif", persons=[], by="test")
    portability.run_due()
    again.refresh_from_db()
    assert again.report["set"] == made.report["set"] and again.report["counts"] == made.report["counts"]
    assert Resource.objects.filter(current=True).count() == sum(made.report["counts"].values())


def test_one_person_s_export_is_made_at_once_and_holds_it_alone(service):
    intake.receive(service, deposit(range(3)))
    patient = Resource.objects.filter(type="Patient").first()
    made = portability.ask(party=service, kind="unitaire", persons=[patient.uid], by="test")
    assert made.state == "done" and made.report["persons"] == 1 and made.report["counts"]["Patient"] == 1
    raw = portability.package(made)
    with pytest.raises(seda.PackageRefused, match="empreinte"):
        portability.lots(altered(raw, "export/Patient.ndjson", lambda content: content.replace(b"male", b"femal")))
    other = establishment(OTHER)
    with pytest.raises(portability.ExportRefused):
        portability.ask(party=other, kind="unitaire", persons=[patient.uid], by="test")
    for kind, persons in (("unitaire", []), ("cible", []), ("massif", ["x"])):
        with pytest.raises(portability.ExportRefused):
            portability.ask(party=service, kind=kind, persons=persons, by="test")


def test_an_export_holds_no_other_person_and_what_was_said_by_telephone(service):
    """Statements written otherwise than by a deposit leave as Consents, so that the next software knows them."""
    intake.receive(service, deposit(range(2)))
    patient = Resource.objects.filter(type="Patient").order_by("pk").first()
    say(patient.person, "opposition", service, purpose="STATISTIQUE")
    made = portability.ask(party=service, kind="unitaire", persons=[patient.uid], by="test")
    raw = portability.package(made)
    assert made.report["counts"]["Consent"] == 1
    others = Resource.objects.exclude(person=patient.person).exclude(person=None).values_list("uid", flat=True)
    held = b"".join(seda.members(raw).values()).decode(errors="replace")
    assert not any(uid in held for uid in others)
    emptied()
    for lot in portability.lots(raw):
        assert intake.receive(service, lot).status == 200
    said = Stated.objects.get()
    assert (said.kind, said.purpose) == ("opposition", "STATISTIQUE")


def test_erasing_voids_the_exports_that_hold_the_person(service):
    intake.receive(service, deposit(range(2)))
    patient = Resource.objects.filter(type="Patient").first()
    made = portability.ask(party=service, kind="unitaire", persons=[patient.uid], by="test")
    erasing.erase(person=patient.person, party=service, by="test", why="demande")
    made.refresh_from_db()
    assert bytes(made.package or b"") == b""
    with pytest.raises(portability.ExportRefused):
        portability.package(made)
    told_ = set(Event.objects.filter(topic="donnee-effacee").values_list("person", flat=True))
    assert told_ == {patient.person_id}


def test_the_fingerprint_sees_a_changed_value_and_not_new_names(service):
    intake.receive(service, deposit(range(2)))
    contents = [intake.content_of(row) for row in Resource.objects.all()]
    renamed = json.loads(json.dumps(contents).replace(contents[0]["id"], "autre"))
    assert comparing.fingerprint(contents) == comparing.fingerprint(renamed[::-1])
    changed = json.loads(json.dumps(contents).replace("MED-34", "MED-35").replace('"male"', '"other"').replace('"female"', '"other"'))
    assert comparing.fingerprint(contents) != comparing.fingerprint(changed)


def test_somebody_erased_while_a_package_is_made_is_not_in_it(service, monkeypatch):
    intake.receive(service, deposit(range(3)))
    made = portability.ask(party=service, kind="massif", persons=[], by="test")
    gone = Resource.objects.filter(type="Patient").first()
    real, calls = portability._statements, []

    def statements(export, rows):
        if not calls:
            erasing.erase(person=gone.person, party=service, by="test", why="demande")
        calls.append(export)
        return real(export, rows)

    monkeypatch.setattr(portability, "_statements", statements)
    portability.run_due()
    made.refresh_from_db()
    held = portability.contents(portability.package(made))
    assert len(calls) == 2 and gone.uid not in {row["id"] for row in held} and made.report["counts"]["Patient"] == 2


def test_a_person_of_more_than_a_deposit_can_hold_is_taken_back(service, monkeypatch):
    monkeypatch.setattr(portability, "BATCH", 8)
    intake.receive(service, deposit(range(2)))
    made = portability.run(portability.ask(party=service, kind="massif", persons=[], by="test"))
    raw = portability.package(made)
    lots = portability.lots(raw)
    assert len(lots) > 3 and all(len(json.loads(lot)["entry"]) <= 8 for lot in lots)
    emptied()
    for lot in lots:
        answer = intake.receive(service, lot, software="Autre DUI")
        assert answer.status == 200, answer.body
    again = portability.run(portability.ask(party=service, kind="massif", persons=[], by="test"))
    assert again.report["set"] == made.report["set"] and again.report["counts"] == made.report["counts"]


def test_packages_are_counted_and_their_taking_is_told(service, monkeypatch):
    intake.receive(service, deposit(range(1)))
    monkeypatch.setattr(portability, "MOST_KEPT", 2)
    made = portability.run(portability.ask(party=service, kind="massif", persons=[], by="test"))
    portability.ask(party=service, kind="massif", persons=[], by="test")
    with pytest.raises(portability.ExportRefused, match="gardés"):
        portability.ask(party=service, kind="massif", persons=[], by="test")
    path = f"/api/v1/exchange/exports/{made.reference}/package"
    assert Client().get(path, **bearer(service)).status_code == 200
    entry = Entry.objects.get(action="echange.export.pris")
    assert (entry.actor, entry.subject, entry.detail["level"]) == (service.code, f"export:{made.reference}", 2), "and how well who took it was known"


def test_a_damaged_package_is_refused(service):
    intake.receive(service, deposit(range(1)))
    made = portability.run(portability.ask(party=service, kind="massif", persons=[], by="test"))
    raw = bytearray(portability.package(made))
    whole, refused = portability.lots(bytes(raw)), 0
    for place in range(0, len(raw), max(1, len(raw) // 200)):
        broken = bytes(raw[:place]) + bytes([raw[place] ^ 0xFF]) + bytes(raw[place + 1 :])
        try:
            assert portability.lots(broken) == whole, place  # a byte of a date, or of what nobody takes back
        except seda.PackageRefused:
            refused += 1
    assert refused > 100, "nothing but a refusal, for most places"
