"""Establishments one a line: who may read which, for what, and what the line says at the end of a month."""

import csv
import datetime as dt
import io

import pytest
from django.test import Client
from django.utils import timezone

from belvedere.engine.exchange.matrix import proposed
from belvedere.engine.exchange.vocabulary import Category, Grain, Purpose
from belvedere.observatory.accounts.models import Role
from belvedere.observatory.exchange import intake, places
from belvedere.observatory.exchange.models import Deposit, Establishment, Offer, Party
from belvedere.observatory.journal.models import Entry
from tests.exchange import OTHER, SSIAD, bearer, deposit, establishment, institution
from tests.people import browsing, person

pytestmark = pytest.mark.django_db(transaction=True)
MONTH = f"{dt.date.today().replace(day=1) - dt.timedelta(days=1):%Y-%m}"


@pytest.fixture
def service():
    made = establishment()
    establishment(OTHER, software="Autre")
    return made


def test_each_row_of_the_matrix_at_this_grain_reads_its_perimeter(service):
    """Every actor and purpose whose services the matrix opens one establishment at a time, and nobody else."""
    rows = [row for row in proposed().rows if row.grain == Grain.ESTABLISHMENT and row.category == Category.SERV]
    assert len(rows) == 7
    for row in rows:
        where = {"REGION": {"region": "R11"}, "DEPARTEMENT": {"department": "75"}}.get(row.perimeter, {})
        party = institution(row.actor, **where)
        assert row.purpose in places.purposes(party)
        found = [line.finess for line in places.table(party=party, purpose=row.purpose, period=MONTH)]
        assert found == ([SSIAD] if where else sorted((SSIAD, OTHER))), row
        told = Entry.objects.filter(action="echange.etablissements").latest("pk").detail
        assert told["rules"] == [row.rule] and told["purpose"] == row.purpose and told["matrix"] == proposed().version
    for party in Party.objects.filter(finess=""):
        for purpose in set(Purpose) - set(places.purposes(party)):
            with pytest.raises(places.PlacesRefused):
                places.table(party=party, purpose=purpose, period=MONTH)
    assert places.purposes(service) == [] and places.purposes(institution("MDPH")) == []


def test_a_line_says_the_end_of_its_month(service):
    party = institution("DNS_MATURIN")
    Establishment.objects.create(finess=SSIAD, name="SSIAD d’avant", kind="354", department="75", region="R11", since=dt.date(2026, 1, 1), source="x")
    Establishment.objects.create(
        finess=SSIAD, name="SSIAD de demain", kind="354", department="75", region="R11", since=dt.date(2100, 1, 1), source="x"
    )
    for rank, (capacity, until) in enumerate(((30, dt.date.max), (12, dt.date.max), (99, dt.date(2026, 2, 1)))):
        Offer.objects.create(
            number=str(rank),
            finess=SSIAD,
            name="x",
            capacity=capacity,
            since=dt.date(2026, 1, 1),
            until=until,
            updated="2026-01-01T00:00:00Z",
            source="x",
        )
    intake.receive(service, deposit(range(1)))
    intake.receive(service, b"{}")
    Deposit.objects.update(received_at=timezone.now().replace(day=1) - dt.timedelta(days=2))
    mine, other = sorted(places.table(party=party, purpose=Purpose.MATURITY, period=MONTH), key=lambda line: line.finess != SSIAD)
    assert (mine.name, mine.places, mine.channels, mine.deposits, mine.refused) == ("SSIAD d’avant", 42, "fhir", 1, 1)
    assert (other.name, other.places, other.channels, other.deposits, other.software) == (f"Établissement {OTHER}", None, "", 0, "Autre")
    before = places.table(party=party, purpose=Purpose.MATURITY, period="2026-01")
    assert [line.deposits for line in before] == [0, 0] and max(line.places or 0 for line in before) == 141
    heads, *lines = csv.reader(io.StringIO(places.written([mine, other]).decode("utf-8-sig")), delimiter=";")
    assert heads[0] == "FINESS" and lines[0][heads.index("places (ROR)")] == "42" and lines[1][heads.index("places (ROR)")] == ""


def test_over_the_api(service):
    party, client = institution("CNAM_SIPIL"), Client()
    url = f"/api/v1/exchange/places?period={MONTH}"
    assert client.get(url).status_code == 401
    assert client.get(url, **bearer(party)).status_code == 403, "no purpose"
    assert client.get(url, HTTP_X_FINALITE="STATISTIQUE", **bearer(party)).status_code == 422, "no row"
    told = client.get(url, HTTP_X_FINALITE="PILOTAGE", **bearer(party))
    assert told.status_code == 200 and [row["finess"] for row in told.json()["rows"]] == sorted((SSIAD, OTHER))
    for period in ("2026-13", "x", "2099-01", f"{dt.date.today():%Y-%m}"):
        assert client.get(f"/api/v1/exchange/places?period={period}", HTTP_X_FINALITE="PILOTAGE", **bearer(party)).status_code == 422


def test_the_screen_asks_for_a_purpose_first(service):
    client = browsing(person(Role.INSTITUTION, party=institution("ARS", region="R11")))
    page = client.get("/echanges/jeux/etablissements/").content.decode()
    assert "Finalité" in page and SSIAD not in page and not Entry.objects.filter(action="echange.etablissements").exists()
    page = client.get(f"/echanges/jeux/etablissements/?purpose=PILOTAGE&period={MONTH}").content.decode()
    assert SSIAD in page and OTHER not in page and "1 établissement." in page
    file = client.get(f"/echanges/jeux/etablissements/?purpose=PILOTAGE&period={MONTH}&csv=1")
    assert file["Content-Type"].startswith("text/csv") and SSIAD in file.content.decode("utf-8-sig")
    assert Entry.objects.filter(action="echange.etablissements").count() == 2
    for query in ("purpose=MATURITE&period=" + MONTH, "purpose=PILOTAGE&period=1999-01", f"purpose=PILOTAGE&period={dt.date.today():%Y-%m}"):
        assert SSIAD not in client.get(f"/echanges/jeux/etablissements/?{query}").content.decode()
    silent = browsing(person(Role.INSTITUTION, party=institution("MDPH"))).get("/echanges/jeux/etablissements/").content.decode()
    assert "n’ouvre pas encore" in silent
