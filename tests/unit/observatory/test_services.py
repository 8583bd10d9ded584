"""The services from the biller's side: lots, faults, the whole loop against real servers, and every call counted."""

import datetime as dt

import pytest

from belvedere.engine.b2 import noemie
from belvedere.engine.sector.billing import month_file, month_lines
from belvedere.engine.services.invoice_check import invoices
from belvedere.engine.services.results import results
from belvedere.engine.services.rights import Question
from belvedere.engine.services.world import AGENT, make
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.services import consulting, story
from belvedere.observatory.services.adapters import Outside
from belvedere.observatory.services.models import Call, RightsLot, Story
from belvedere.observatory.services.serving import running
from belvedere.observatory.services.showing import caisse, front_return
from belvedere.observatory.services.simulator import cured
from tests.flows import sector

pytestmark = pytest.mark.django_db
DAY = dt.date(2026, 11, 2)


@pytest.fixture
def live():
    with running(make(60, DAY, seed=2), now=lambda: dt.datetime.combine(DAY, dt.time(9), dt.UTC)) as made:
        made.outside = Outside(made.base, "SOFT 1")
        yield made
        made.outside.close()


def questions(live, **changes) -> list[Question]:
    return [
        Question(**({"site": "750000001", "agent": AGENT, "nir": one.nir, "day": DAY, "key": one.key, "born": one.born, "rank": one.rank} | changes))
        for one in live.simulator.world.known
    ]


def test_a_lot_is_asked_once_and_only_failures_again(live):
    asked = questions(live)
    lot = consulting.open_lot(site="750000001", given="L1", asked=asked, by="t")
    assert consulting.open_lot(site="750000001", given="L1", asked=asked, by="t").pk == lot.pk, "given twice, one lot"
    with pytest.raises(consulting.LotRefused, match="autre lot"):
        consulting.open_lot(site="750000001", given="L1", asked=asked[1:], by="t")
    with pytest.raises(consulting.LotRefused, match="1 à 1000"):
        consulting.open_lot(site="750000001", given="L2", asked=[], by="t")
    consulting.run(lot, live.outside, by="t")
    assert (lot.state, sum(lot.results.values())) == ("termine_avec_echecs", 60) and 0 < lot.results["00"] < 60
    before = Call.objects.count()
    assert before == 60
    cured(live.simulator)
    again = consulting.run(lot, live.outside, by="t")
    assert Call.objects.count() - before == len(again) < 20
    assert lot.useful == 60 - sum(count for code, count in lot.results.items() if code != "00")
    assert not {"50", "51"} & set(lot.results)


def test_no_number_of_a_person_is_kept_in_clear(live):
    from django.db import connection

    lot = consulting.open_lot(site="750000001", given="L1", asked=questions(live), by="t")
    consulting.run(lot, live.outside, by="t")
    stored = ""
    with connection.cursor() as cursor:
        for table in ("services_rightslot", "services_call", "journal_entry"):
            cursor.execute(f"SELECT * FROM {table}")
            stored += repr(cursor.fetchall())
    assert not any(one.nir in stored for one in live.simulator.world.known)
    assert len(consulting.lines(RightsLot.objects.get())) == 60, "they open in memory"


def test_an_outside_that_is_down_is_told(live):
    asked = questions(live)[0]
    gone = Outside("http://127.0.0.1:9")
    assert gone.consult(asked).code == "50" and Call.objects.get().result == "50"
    gone.close()


def test_bad_calls_of_the_simulator(live):
    call = live.simulator.answer
    assert [
        call("POST", path, body)[0]
        for path, body in (("/cdri", b"{"), ("/cdri", b"{}"), ("/rien", b"{}"), ("/roc/XXX", b'{"member": "1", "stay": "s", "day": "2026-11-02"}'))
    ] == [400, 400, 404, 404]
    assert call("GET", "/frontal/ARL-X/retour", b"")[0] == call("GET", "/cdri", b"")[0] == 404
    assert b"simulateur" in call("POST", "/rien", b"{}")[2]


def test_a_member_s_real_flow_through_the_front_end():
    """The demonstration's last return: each invoice of the flow is answered once, rejected for what the register says, read back by the same reader."""
    made, provider = sector(), 0
    answered = noemie.returns(front_return(made, provider, 1, caisse(made)))
    rows = noemie.table(answered).to_pylist()
    numbers = [one.number for one in invoices(month_file(made, provider, 1))]
    assert sorted(f"{row['invoice_no']:09d}" for row in rows) == sorted(numbers) and "SIMULATEUR" in answered.sender
    rejected = [row for row in rows if row["state"] == "R"]
    assert 0 < len(rejected) < len(rows) / 8 and {"D101", "D110"} & {row["code"] for row in rejected}
    amounts = month_lines(made, provider, 1)
    assert sum(row["asked_amo"] for row in rows) == int(amounts["amo"].sum()), "to the cent"


def test_every_result_has_its_words():
    assert all(one.label for one in results().values())


def test_the_story():
    """Two hundred patients: rights explained, invoices checked and corrected, sealed, acknowledged, paid or rejected, matched; ROC on fifty stays."""
    said = []
    made = story.play(200, seed=3, day=DAY, say=said.append)
    steps = {step["title"]: step for step in Story.objects.get(pk=made.pk).content["steps"]}
    assert len(steps) == 9 and len(said) == 6
    rights = steps["Droits (CDRi, lot de préadmission)"]
    useless = sum(int(row[2]) for row in rights["rows"] if row[0] != "00")
    assert 15 <= useless <= 30 and all(row[3] for row in rights["rows"] if row[0] != "00"), "about one in ten, each explained"
    assert "aucune anomalie" in steps["Factures et contrôles de la norme"]["told"]
    sent = steps["Chiffrement, envoi, acquittement"]["rows"]
    assert (sent[0][1], sent[1][1]) == ("F01", "F00")
    checked = steps["Contrôle de facture"]["told"]
    avoided, before = (int(text) for text in __import__("re").search(r"(\d+) rejets sont évités sur (\d+)", checked).groups())
    assert 10 <= avoided < before
    assert "arl positif" in steps["Pièces justificatives (SCOR)"]["told"]
    paid = steps["Paiements et rejets (NOEMIE)"]
    assert sum(int(row[2]) for row in paid["rows"]) == before - avoided, "what was not avoided is what is rejected"
    cases = {row[0]: int(row[1]) for row in steps["Rapprochement : facture, retour, banque"]["rows"]}
    assert sum(cases.values()) == 200 and {"rapproché", "rejeté", "banque différente du retour"} <= set(cases)
    four = {row[0]: int(row[1]) for row in steps["Rapprochement à quatre voies : engagement, DRE, retour, banque"]["rows"]}
    assert {"rapproché", "engagé et pas facturé", "rejeté"} <= set(four)
    services = set(Call.objects.values_list("service", flat=True))
    assert services == {"CDRI", "TRANSPORT", "SCOR", "ROC"} and Call.objects.filter(service="CDRI").count() > 200
    assert Entry.objects.filter(action="services.histoire").count() == 1
