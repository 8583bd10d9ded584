"""NOEMIE returns: received like any flow, kept without a person, read beside one's own invoices."""

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from belvedere.engine.b2 import noemie
from belvedere.engine.b2.envelope import seal
from belvedere.engine.indicators import payments
from belvedere.engine.sector.billing import month_file
from belvedere.engine.sector.returns import MESSAGE, month_return
from belvedere.engine.warehouse import engine, returns
from belvedere.engine.warehouse.objected import Objected
from belvedere.observatory.accounts.models import Role
from belvedere.observatory.collect import keyring, queue, reception, sweeping, vault, worker
from belvedere.observatory.collect.coverage import counted
from belvedere.observatory.collect.models import DataFile, Flow, ReturnFile, State
from belvedere.observatory.members import warming
from belvedere.observatory.members.own import OwnFacts
from belvedere.observatory.objections import purge
from tests.examples import facts, returned
from tests.flows import sector
from tests.people import person


def send(group, clear):
    reception.receive(group=group, sealed=seal(clear, keyring.certificate()), channel="api", file_name="r.txt")
    return worker.settle(queue.claim())


@pytest.fixture
def answered(groups):
    """The first provider's months and the insurance's answers to them."""
    months = range(3)
    for rank in months:
        send(groups[0], month_file(sector(), 0, rank))
    return [send(groups[0], month_return(sector(), 0, rank)) for rank in months]


def test_a_return_is_received_like_a_flow_and_counted_apart(answered, groups):
    assert [(flow.kind, flow.state, flow.findings) for flow in answered] == [("noemie", State.ACCEPTED, [])] * 3
    assert all(MESSAGE in flow.software for flow in answered), "the page says that the sender is a simulator"
    assert ReturnFile.objects.count() == 3 and DataFile.objects.count() == 3
    assert counted().count() == 3, "a return covers no month of billing"
    table = pq.read_table(vault.facts_path(ReturnFile.objects.first().name))
    assert "patient" not in table.column_names and len(table) == answered[0].invoices
    assert sweeping.sweep(grace=0) == 0, "payments are no orphans"
    again = send(groups[0], month_return(sector(), 0, 0))
    assert (again.state, again.duplicate_of_id) == (State.DUPLICATE, answered[0].pk)


def test_rejects_and_days_are_those_of_the_file(answered, groups):
    user = person(Role.MEMBER_ADMIN, group=groups[0])
    figures = OwnFacts.of(user).figures()
    found = figures.answered[figures.years[-1]]
    told = [payment for rank in range(2) for payment in noemie.returns(month_return(sector(), 0, rank)).payments]
    first: dict[int, noemie.Payment] = {}
    for payment in sorted(told, key=lambda item: item.accounting_date):
        first.setdefault(payment.invoice_no, payment)
    assert (found.invoices, found.rejected) == (len(first), sum(item.state == "R" for item in first.values()))
    assert 5 <= found.days_amo <= 12
    assert sum(count for *_, count, _ in found.causes) == found.rejected > 0


@pytest.mark.parametrize("code, change", [
    ("N004", lambda clear: clear.replace(f"{sector().providers[0].finess:09d}".encode(), b"999999999")),
    ("N001", lambda clear: clear[:-128]),
])  # fmt: skip
def test_a_return_that_is_not_ours_or_not_whole_is_refused(groups, code, change):
    flow = send(groups[0], change(month_return(sector(), 0, 1)))
    assert (flow.state, [item["code"] for item in flow.findings]) == (State.REFUSED, [code])
    assert not ReturnFile.objects.exists()


def test_a_return_without_an_invoice_is_a_remark_and_one_too_large_a_refusal(groups, monkeypatch):
    header = {"reference": "576", "created": "250301", "dest_no": f"{sector().providers[0].finess:09d}"}
    empty = noemie.render([("070", "03", {"accounting_date": "250215"})], blocked=False, header=header)
    flow = send(groups[0], empty)
    assert (flow.state, [item["code"] for item in flow.findings]) == (State.REMARKS, ["N005"])
    monkeypatch.setattr(returns, "LARGEST", 1000)
    flow = send(groups[0], month_return(sector(), 0, 1))
    assert (flow.state, [item["code"] for item in flow.findings]) == (State.REFUSED, ["N003"])


def test_a_demonstration_return_is_a_trial(groups):
    clear = month_return(sector(), 0, 1)
    flow = send(groups[0], clear[:70] + b"D" + clear[71:])
    assert flow.state == State.ACCEPTED and flow.test and not ReturnFile.objects.exists()


def test_no_name_and_no_number_of_a_person_is_kept_of_a_label():
    kept = returns.label_text("DROITS FERMÉS POUR ASSURE DUPONT JEAN NE LE 07/03/1950")
    assert kept == "DROITS FERMES POUR ASSURE … NE LE …"
    assert returns.label_text("1 85 05 2A 004 123 45 ENTENTE PREALABLE ABSENTE") == "… A … ENTENTE PREALABLE ABSENTE"
    assert returns.code_text("D123") == "D123" and returns.code_text("dupont j") is None
    assert "1850524004123" not in returns.sender_text("CPAM 1-85-05-2B-004-123 X") and "004" not in returns.sender_text("1 85 05 2A 004 123 45")
    assert len(returns.sender_text("x" * 90)) == 37


def test_a_return_of_countless_entities_is_refused_before_it_fills_the_memory(groups, monkeypatch):
    monkeypatch.setattr(noemie, "MOST_ENTITIES", 50)
    flow = send(groups[0], month_return(sector(), 0, 1))
    assert (flow.state, [item["code"] for item in flow.findings]) == (State.REFUSED, ["N003"])


def test_a_reject_of_a_version_that_was_replaced_belongs_to_the_one_that_stands():
    """No. 7 is rejected on 10 March, billed again on 15 March (the ledger keeps that version alone) and paid on 25 March."""
    table, groups_of = facts({"lines": [{"patient": "Anne", "mois": "2025-03", "jour": 15, "code": 1136581, "piece": 7, "facture": 100.0}]})
    back = returned({"retours": [
        {"piece": 7, "lot": 1, "le": "2025-03-10", "etat": "R", "demande": 100.0, "cause": "D123"},
        {"piece": 7, "lot": 2, "le": "2025-03-25", "etat": "P", "demande": 100.0, "verse": 100.0},
    ]})  # fmt: skip
    connection = engine.connect(table, groups=groups_of, objected=Objected(), returned=back)
    assert payments.prepare(connection)
    found = payments.compute(connection, "2025-03")
    assert (found.invoices, found.rejected, found.days_amo) == (1, 1, 10.0)
    assert payments.open_rejects(connection, "2025-03") == []
    deferred = back.set_column(back.schema.get_field_index("state"), "state", pa.array(["R", "D"]))
    connection = engine.connect(table, groups=groups_of, objected=Objected(), returned=deferred)
    payments.prepare(connection)
    assert [reject.invoice_no for reject in payments.open_rejects(connection, "2025-03")] == [7], "deferred is not paid"


def test_old_payments_go_with_the_years_that_lines_are_kept(answered):
    names = list(ReturnFile.objects.values_list("name", flat=True))
    purge.expire(dt.date(2060, 1, 1), grace=0)
    sweeping.sweep(grace=0)
    assert not ReturnFile.objects.exists() and not any(vault.facts_path(name).exists() for name in names)


def test_figures_are_ready_before_their_reader_comes(answered, groups, monkeypatch):
    person(Role.MEMBER_ADMIN, group=groups[0])
    assert warming.run() == 1 and warming.run() == 0
    from belvedere.observatory.members import own

    own._latest.clear()
    monkeypatch.setattr(own.engine, "connect", lambda *_, **__: pytest.fail("computed again"))
    assert OwnFacts.of(person(Role.MEMBER_ADMIN, group=groups[0], email="autre@exemple.test")).figures().months
    assert Flow.objects.filter(settled_at=None).count() == 0
