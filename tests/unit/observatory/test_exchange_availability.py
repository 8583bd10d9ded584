"""The door of the hub, asked each minute: open, closed, or seen by nobody."""

import datetime as dt
import socket

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from belvedere.observatory.exchange import availability
from belvedere.observatory.exchange.models import Uptime

pytestmark = pytest.mark.django_db
NOON = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def fresh():
    cache.clear()


def watched(minutes, start=NOON, step=1):
    for minute in range(minutes):
        availability.watch(start + dt.timedelta(minutes=minute * step))


def test_a_minute_that_nobody_watched_counts_as_closed(monkeypatch):
    monkeypatch.setattr(availability, "opened", lambda: True)
    watched(60)
    assert availability.told(NOON + dt.timedelta(minutes=60)).share == 1.0
    # The whole house is down for two hours, then comes back.
    watched(60, NOON + dt.timedelta(hours=3))
    told = availability.told(NOON + dt.timedelta(hours=4))
    assert told.share == pytest.approx(0.5)
    assert [share for _, share in told.days[:-1]] == [None] * 29 and told.since == NOON


def test_a_whole_day_of_silence_lies_between_two_days(monkeypatch):
    monkeypatch.setattr(availability, "opened", lambda: True)
    watched(10)
    watched(5, NOON + dt.timedelta(days=2))
    told = availability.told(NOON + dt.timedelta(days=2, minutes=5))
    before, silent, _ = (share for _, share in told.days[-3:])
    assert 0 < before < 0.02 and silent == 0.0 and told.share < 0.01


def test_one_worker_of_all_asks_each_minute(monkeypatch):
    asked = []
    monkeypatch.setattr(availability, "opened", lambda: asked.append(1) or True)
    for _ in range(5):
        availability.watch(NOON)
    assert len(asked) == 1 and Uptime.objects.get().minutes == 1
    monkeypatch.setattr(availability, "opened", lambda: False)
    assert not availability.watch(NOON + dt.timedelta(minutes=1)) and Uptime.objects.get().minutes == 1


def test_the_door_is_really_asked(live_server, monkeypatch):
    monkeypatch.setenv("BELVEDERE_PUBLIC_URL", live_server.url)
    assert availability.opened()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("BELVEDERE_PROBE_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        assert not availability.opened()
    monkeypatch.setenv("BELVEDERE_PROBE_URL", "file:///etc/passwd")
    assert not availability.opened()
    monkeypatch.setenv("BELVEDERE_PROBE_URL", "")
    monkeypatch.setattr(availability.sealing, "stamp_overdue", lambda: True)
    assert not availability.opened(), "deposits wait for a time-stamp: the door is closed"


def test_anybody_reads_it(monkeypatch):
    assert "pas encore observée" in Client().get("/echanges/").content.decode()
    monkeypatch.setattr(availability, "opened", lambda: True)
    watched(3, timezone.now())
    page = Client().get("/echanges/").content.decode()
    assert "100,00" in page and page.count("<rect") == 60 and "premier jour observé" in page
    told = Client().get("/api/v1/exchange/availability").json()
    assert told["share"] == 1.0 and len(told["days"]) == 1


def test_a_house_watched_for_long_tells_its_last_thirty_days():
    now = timezone.now()
    Uptime.objects.create(day=timezone.localdate(now) - dt.timedelta(days=40), since=now - dt.timedelta(days=40), minutes=1440)
    assert "des trente derniers jours" in Client().get("/echanges/").content.decode()
