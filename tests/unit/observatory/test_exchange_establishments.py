"""Establishments as FINESS told them, day by day, and the actors that follow."""

import datetime as dt
import json

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from belvedere.observatory.exchange import establishments, intake, parties, referentials
from belvedere.observatory.exchange.models import (
    Establishment,
    Party,
)
from belvedere.observatory.journal.models import Entry
from tests.exchange import OTHER, SSIAD, bearer, deposit, establishment, rules_of

pytestmark = pytest.mark.django_db
HEAD = "finess_ej,denomination_ej,siren,statut_juridique,finess_et,nom_et,categorie_ege,date_ouverture,date_fermeture,cog_commune"


def picture(tmp_path, month: str, *rows: tuple[str, ...]):
    path = tmp_path / f"finess_ege_{month}.csv"
    path.write_text(
        "\n".join(
            [
                HEAD,
                *(
                    ",".join((entity, "X", "1", "60", number, name, kind, opened, closed, commune))
                    for entity, number, name, kind, opened, closed, commune in rows
                ),
            ]
        )
    )
    return path


def test_an_establishment_is_what_finess_said_that_day(tmp_path, service):
    may = picture(tmp_path, "202605", (OTHER, SSIAD, "SSIAD DU PARC", "354", "2001-02-03", "", "75112"), ("x", "123", "faux", "354", "", "", "75112"))
    july = picture(tmp_path, "202607", (SSIAD, SSIAD, "SSIAD DU PARC", "354", "2001-02-03", "2026-09-10", "69123"))
    assert referentials.load(may, by="test").rows == 1
    service.refresh_from_db()
    assert (service.entity, service.opened_on, service.name) == (OTHER, dt.date(2001, 2, 3), f"Établissement {SSIAD}")
    for path in (july, may, july):  # an older picture after a newer one changes nothing that is in force
        referentials.load(path, by="test")
    service.refresh_from_db()
    assert (service.entity, service.department, service.closed_on) == (SSIAD, "69", dt.date(2026, 9, 10))
    assert list(Establishment.objects.order_by("since").values_list("since", "department")) == [
        (dt.date(2026, 5, 1), "75"),
        (dt.date(2026, 7, 1), "69"),
    ]
    assert establishments.at(SSIAD, dt.date(2020, 1, 1)).department == "75", "before the first picture, as the first one said"
    moved = [row.detail for row in Entry.objects.filter(action="echange.acteur.finess").order_by("pk")]
    assert [set(row) & {"department", "entity", "opened_on", "closed_on"} for row in moved] == [
        {"entity", "opened_on"},
        {"department", "entity", "closed_on"},
    ]
    assert moved[1]["department"] == "75 → 69"
    assert intake.receive(service, deposit(range(1))).status == 200, "before it closed"
    later = json.loads(deposit(range(1), name="apres"))
    for entry in later["entry"]:
        if entry["resource"].get("period"):
            entry["resource"]["period"] = {name: value.replace("2026-09-0", "2026-09-1") for name, value in entry["resource"]["period"].items()}
    assert "tddui-organization-03" in rules_of(intake.receive(service, json.dumps(later).encode())), "closed since the 10th"
    told = Client().get(f"/api/v1/exchange/establishments/{SSIAD}?date=2026-06-01", **bearer(service)).json()
    assert (told["department"], told["since"], told["source"]) == ("75", "2026-05-01", "finess_ege_202605.csv")
    assert Client().get("/api/v1/exchange/establishments/999999999", **bearer(service)).status_code == 404


def test_a_new_establishment_waits_to_be_admitted(tmp_path):
    referentials.load(picture(tmp_path, "202605", (OTHER, OTHER, "EHPAD DES LILAS", "500", "1990-01-01", "", "69001")), by="test")
    assert Party.objects.filter(finess=OTHER, admitted=False, kind="500", region="R84").exists()


@given(
    st.permutations([(2, "75", "354"), (4, "75", "354"), (6, "69", "500"), (7, "69", "354"), (9, "75", "354"), (11, "69", "354")]),
    st.lists(st.integers(0, 5), max_size=3),
)
@settings(max_examples=25, deadline=None)
def test_pictures_may_be_taken_in_any_order(order, again):
    """Whatever the order, and however often, each day is told by the last picture before it, and actors are what the newest one says."""
    with transaction.atomic():
        establishment()
        for month, department, kind in [*order, *(order[rank] for rank in again)]:
            row = dict.fromkeys(establishments.COLUMNS, "") | {
                "finess_et": SSIAD,
                "finess_ej": SSIAD,
                "nom_et": "X",
                "categorie_ege": kind,
                "cog_commune": department + "123",
            }
            establishments.load([row], "essai", dt.date(2026, month, 1), by="test")
        for month, department, kind in order:
            for day in (dt.date(2026, month, 1), dt.date(2026, month, 28)):
                told = establishments.at(SSIAD, day)
                assert (told.department, told.kind) == (department, kind), (order, again, month)
        party = Party.objects.get(finess=SSIAD)
        assert (party.department, party.kind) == ("69", "354")
        transaction.set_rollback(True)


@pytest.mark.parametrize(("name", "told"), [
    ("etalab-cs1100507-stock-20260315-0338.csv", dt.date(2026, 3, 15)), ("finess_2026-03-15.csv", dt.date(2026, 3, 15)), ("finess_ege_202607_echantillon.csv", dt.date(2026, 7, 1)),
])  # fmt: skip
def test_the_day_of_an_extraction_is_in_its_name(name, told):
    assert establishments.day_of(name) == told


def test_an_extraction_of_no_day_or_to_come_or_cut_short_is_refused(tmp_path):
    path = picture(tmp_path, "sans-date", (OTHER, OTHER, "X", "500", "", "", "69001"))
    for day, why in ((None, "ne dit pas le jour"), (timezone.localdate() + dt.timedelta(days=1), "n’existe pas encore")):
        with pytest.raises(referentials.ImportRefused, match=why):
            referentials.load(path, by="test", day=day)
    path.write_text(HEAD + f"\n{OTHER},X\n")
    with pytest.raises(referentials.ImportRefused, match="ligne 2"):
        referentials.load(path, by="test", day=dt.date(2026, 5, 1))


def test_admission_says_nothing_against_finess(tmp_path):
    referentials.load(picture(tmp_path, "202605", (OTHER, OTHER, "EHPAD", "500", "", "", "97411")), by="test")
    with pytest.raises(parties.PartyRefused, match="FINESS dit autre chose"):
        parties.admit(actor="ESMS_PRODUCTEUR", name="X", finess=OTHER, department="69", by="test")
    made, _ = parties.admit(actor="ESMS_PRODUCTEUR", name="X", finess=OTHER, by="test")
    assert (made.department, made.region, made.kind, made.entity) == ("974", "R04", "500", OTHER)
