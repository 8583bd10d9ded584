"""The worker does what the hub leaves to it: deliveries, exports, letting go."""

import datetime as dt
import inspect

import pytest
from django.utils import timezone

from belvedere.observatory.collect import worker
from belvedere.observatory.exchange import chores, events, intake, portability, subscribing
from belvedere.observatory.exchange.models import Delivery, Event, Export
from tests.exchange import deposit, establishment, institution

pytestmark = pytest.mark.django_db


def test_the_worker_makes_exports_and_forgets_what_is_no_longer_kept(monkeypatch):
    monkeypatch.setenv("BELVEDERE_WEBHOOK_PRIVATE", "1")
    service = establishment()
    made, _ = subscribing.subscribe(
        party=institution("CNSA_SIDOBA"), topic="sejour-ouvert", purpose="FINANCEMENT", endpoint="http://127.0.0.1:9/", filters={}, level=2
    )
    subscribing.stop(made, by="test")
    type(made).objects.filter(pk=made.pk).update(state="active", next_at=timezone.now() + dt.timedelta(days=1), tries=1)
    intake.receive(service, deposit(range(2)))
    events.spread()
    portability.ask(party=service, kind="massif", persons=[], by="test")
    chores.run()
    assert Export.objects.get().state == "done"
    assert Delivery.objects.count() == 2
    Event.objects.update(at=timezone.now() - dt.timedelta(days=40))
    chores.daily()
    assert [row.number for row in Delivery.objects.all()] == [2], "the last number stays: the series goes on from it"
    source = inspect.getsource(worker)
    assert "chores.tell" in source and "chores.make" in source and "chores.daily" in source, "the worker's loop calls them"
