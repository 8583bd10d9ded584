"""What a settlement holds and what others ask for at the same moment: nobody is chosen to end a deadlock. SQLite writes one transaction at a time."""

import datetime as dt
import threading

import pytest
from django.db import connection
from django.utils import timezone

from belvedere.engine.b2.envelope import seal
from belvedere.engine.sector.returns import month_return
from belvedere.observatory.collect import committing, keyring, queue, receipts, reception, settlement, webhooks, worker
from belvedere.observatory.collect.models import Flow
from belvedere.observatory.members import enrolment
from belvedere.observatory.members.models import Enrolment, EnrolmentState
from belvedere.observatory.objections import purge
from tests.flows import a_file, sector
from tests.unit.observatory.test_counted_once import corrected

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite écrit une transaction à la fois : PostgreSQL seul connaît ces étreintes"),
]


def deposit(group, clear, **o):
    return reception.receive(group=group, sealed=seal(clear, keyring.certificate()), channel="api", file_name="f.b2", **o)


def of(group):
    return a_file(next(p.rank for p in sector().providers if group.members.filter(finess=p.finess).exists() and a_file(p.rank)))


class Meet:
    """Two transactions that each hold their first lock before either asks for its second."""

    def __init__(self):
        self.head, self.other, self.errors = threading.Event(), threading.Event(), []

    def aside(self, what):
        def go():
            try:
                what()
            except Exception as error:
                self.errors.append(("the other", type(error).__name__, str(error).splitlines()[0]))
            finally:
                self.other.set()
                connection.close()

        thread = threading.Thread(target=go)
        thread.start()
        return thread

    def settle(self):
        try:
            worker.drain()
        except Exception as error:
            self.errors.append(("settlement", type(error).__name__, str(error).splitlines()[0]))


def meeting(monkeypatch, module):
    meet, sign, note = Meet(), receipts.sign, module.record

    def signed(flow, place):
        sign(flow, place)
        if not meet.head.is_set():
            meet.head.set()
            assert meet.other.wait(10)

    def recorded(**told):
        if threading.current_thread() is not threading.main_thread() and not meet.other.is_set():
            meet.other.set()
            meet.head.wait(10)
        return note(**told)

    monkeypatch.setattr(receipts, "sign", signed)
    monkeypatch.setattr(module, "record", recorded)
    return meet


def test_a_webhook_set_anew(groups, monkeypatch):
    monkeypatch.setenv("BELVEDERE_WEBHOOK_PRIVATE", "1")
    webhooks.register(group=groups[0], url="http://127.0.0.1:9/", by="t")
    deposit(groups[0], a_file())
    meet = meeting(monkeypatch, webhooks)
    thread = meet.aside(lambda: webhooks.register(group=groups[0], url="http://127.0.0.1:9/x", by="t"))
    meet.settle()
    thread.join()
    assert not meet.errors


def test_people_named_at_the_first_flow(groups, monkeypatch):
    row = Enrolment.objects.create(
        group=groups[0],
        state=EnrolmentState.SIGNED,
        signatory_email="a@b.test",
        name="x",
        siren="123456789",
        reference="AD-1",
        entities=[],
        created_at=timezone.now(),
        signed_at=timezone.now(),
    )
    deposit(groups[0], a_file())
    meet = meeting(monkeypatch, enrolment)
    thread = meet.aside(lambda: enrolment.name_people(enrolment=row, emails=["c@d.test"]))
    meet.settle()
    thread.join()
    assert not meet.errors


def test_lines_expire_while_a_batch_replaces_them(groups, monkeypatch):
    deposit(groups[0], a_file())
    worker.drain()
    deposit(groups[1], of(groups[1]))
    deposit(groups[0], corrected(a_file()))
    meet = meeting(monkeypatch, purge)
    thread = meet.aside(lambda: purge.expire(dt.date(2045, 1, 1)))
    meet.settle()
    thread.join()
    assert not meet.errors


def test_the_same_returns_in_two_batches(groups, monkeypatch):
    """Returns are not held by their member's row: two batches that hold the same two in another order wait for each other."""
    x = next(p for p in sector().providers if groups[0].members.filter(finess=p.finess).exists())
    y = next(p for p in sector().providers if groups[1].members.filter(finess=p.finess).exists())
    rx, ry = month_return(sector(), x.rank, 0), month_return(sector(), y.rank, 0)
    made = [deposit(groups[0], rx), deposit(groups[1], ry), deposit(groups[1], ry), deposit(groups[0], rx)]
    first, second = queue.claim_some(2), queue.claim_some(2)
    assert [f.pk for f in first] == [made[0].pk, made[1].pk] and [f.pk for f in second] == [made[2].pk, made[3].pk]
    treated = {1: [settlement.treat(f, lambda: None) for f in first], 2: [settlement.treat(f, lambda: None) for f in second]}
    write, ready, head, errors = committing._write, threading.Event(), threading.Event(), []
    save = Flow.save

    def saved(self, *a, **k):
        save(self, *a, **k)
        if self.pk == made[2].pk and not k:
            ready.set()
            head.wait(10)  # its content is taken, the journal not yet

    monkeypatch.setattr(Flow, "save", saved)

    def written(one):
        write(one)
        if one.flow.pk == made[0].pk:
            head.set()

    monkeypatch.setattr(committing, "_write", written)

    def go():
        try:
            committing.commit(treated[2])
        except Exception as error:
            errors.append((2, type(error).__name__, str(error).splitlines()[0]))
        finally:
            connection.close()

    thread = threading.Thread(target=go)
    thread.start()
    assert ready.wait(10)
    try:
        committing.commit(treated[1])
    except Exception as error:
        errors.append((1, type(error).__name__, str(error).splitlines()[0]))
    thread.join()
    assert not errors
