"""Policies, replacement and duplicates, through reception and settlement, down to the facts that count."""

import pyarrow.parquet as pq
import pytest

from belvedere.engine.b2.controls import control_bytes
from belvedere.engine.b2.envelope import seal
from belvedere.observatory.collect import committing, keyring, queue, reception, vault, worker
from belvedere.observatory.collect.models import COUNTED, DataFile, Flow, State
from belvedere.observatory.members.own import OwnFacts
from belvedere.observatory.objections.models import Objection
from tests.flows import a_file, first_of, patched


def send(group, clear, **options):
    flow = reception.receive(group=group, sealed=seal(clear, keyring.certificate()), channel="api", file_name="f.b2", **options)
    worker.drain()
    return Flow.objects.get(pk=flow.pk)


def counted() -> dict[int, int]:
    """Lines by invoice number over the live files."""
    found: dict[int, int] = {}
    for name in DataFile.objects.filter(retired_at=None).values_list("name", flat=True):
        for number in pq.read_table(vault.facts_path(name))["invoice_no"].to_pylist():
            found[number] = found.get(number, 0) + 1
    return found


def bad_total(clear: bytes) -> bytes:
    """The first invoice's total is wrong: an error of that invoice alone."""
    return patched(clear, first_of(clear, "5"), 58, "00000001")


def test_an_error_refuses_the_whole_flow_or_its_invoice(groups):
    assert send(groups[0], bad_total(a_file())).state == State.REFUSED
    assert counted() == {}
    groups[0].refusal = "invoice"
    groups[0].save()
    flow = send(groups[0], bad_total(a_file()))
    assert (flow.state, flow.refused_invoices) == (State.PARTIAL, 1)
    whole = send(groups[0], a_file())
    # The refused invoice, sent again in a right file, is counted; the others are not counted twice.
    assert (whole.state, whole.invoices, whole.repeated_invoices) == (State.REMARKS, 1, flow.invoices)
    assert flow.refused_numbers[0] in counted()
    assert sum(counted().values()) == flow.lines + whole.lines == 400


def test_a_file_error_refuses_everything_whatever_the_policy(groups):
    groups[0].refusal = "invoice"
    groups[0].save()
    clear = a_file()
    assert send(groups[0], patched(clear, first_of(clear, "6"), 25, "000000001")).state == State.REFUSED


def corrected(clear: bytes) -> bytes:
    """The first line of the file is of another quantity of the same price: its amounts, and all totals, follow."""
    from belvedere.engine.b2.framing import frame

    out = bytearray(clear)
    zones = {"4": [("base_amo", 7), ("amount_amo", 7), ("amount_expense", 7)]}
    records = frame(clear)
    line, detail, five, six = (first_of(clear, kind) - 1 for kind in ("4", "4F", "5", "6"))
    before = int(records.number("4", "amount_expense")[0])
    amo, oc = int(records.number("4", "amount_amo")[0]), int(records.number("4", "amount_oc")[0])

    def add(record: int, kind: str, zone: str, by: int) -> None:
        place = records.layout(kind)[zone]
        at = record * 128 + place.start - 1
        value = int(out[at : at + place.width]) + by
        out[at : at + place.width] = f"{value:0{place.width}d}".encode()

    for zone, _ in zones["4"]:
        add(line, "4", zone, {"amount_amo": amo}.get(zone, before))
    add(line, "4", "amount_oc", oc)
    for zone in ("units",):
        add(detail, "4F", zone, int(records.number("4F", "units")[0]))
    for zone in ("lpp_base", "total_billed"):
        add(detail, "4F", zone, before)
    for kind, record, names in (
        ("5", five, ("total_billed", "total_amo", "total_insured", "total_oc")),
        ("6", six, ("total_billed", "total_amo", "total_amc")),
    ):
        for zone in names:
            by = {"total_billed": before, "total_amo": amo, "total_insured": before - amo, "total_oc": oc, "total_amc": oc}[zone]
            add(record, kind, zone, by)
    assert [item.code for item in control_bytes(bytes(out))] == []
    return bytes(out)


def test_a_corrected_invoice_replaces_the_first(groups):
    first = send(groups[0], a_file())
    before = counted()
    again = send(groups[0], corrected(a_file()))
    assert (again.state, again.replaced_invoices, again.invoices) == (State.REMARKS, 1, 1)
    assert sorted(item["code"] for item in again.findings) == ["S106", "S107"]
    assert counted() == before
    live = [pq.read_table(vault.facts_path(row.name)) for row in DataFile.objects.filter(retired_at=None)]
    assert sum(int(sum(table["amount_billed"].to_pylist())) for table in live) > first.amount_billed
    assert DataFile.objects.filter(retired_at__isnull=False).count() == 1
    # The correction sent twice is a duplicate.
    assert send(groups[0], corrected(a_file())).state == State.DUPLICATE
    assert counted() == before


def test_test_flows_never_count(groups):
    marked = patched(a_file(), first_of(a_file(), "6"), 55, "T")
    flow = send(groups[0], marked)
    assert (flow.state, flow.test, [item["code"] for item in flow.findings]) == (State.REMARKS, True, ["S109"])
    assert send(groups[0], a_file(), test=True).test
    assert counted() == {} and not DataFile.objects.exists()
    real = send(groups[0], a_file())
    assert (real.state, real.lines) == (State.ACCEPTED, 400)


def test_two_workers_on_overlapping_flows_count_once(groups, monkeypatch):
    """The second flow is compared with a past in which the first does not stand yet; it starts again."""
    one = reception.receive(group=groups[0], sealed=seal(a_file(), keyring.certificate()), channel="api")
    other = reception.receive(group=groups[0], sealed=seal(corrected(a_file()), keyring.certificate()), channel="api")
    first, second = queue.claim(), queue.claim()
    assert {first.pk, second.pk} == {one.pk, other.pk}
    looked, original = [], committing.commit

    def interrupted(treated):
        if treated[0].flow.pk == second.pk and not looked:
            looked.append(True)
            assert worker.settle(first).state == State.ACCEPTED
        return original(treated)

    monkeypatch.setattr(committing, "commit", interrupted)
    settled = worker.settle(second)
    assert looked and settled.replaced_invoices == 1
    assert sum(counted().values()) == 400
    assert Flow.objects.filter(state__in=COUNTED).count() == 2


@pytest.mark.parametrize("limit", ["BELVEDERE_QUEUE_LIMIT", "BELVEDERE_MIN_FREE_MB"])
def test_a_full_queue_or_disk_asks_to_come_back(groups, monkeypatch, limit):
    monkeypatch.setenv(limit, "0" if "QUEUE" in limit else str(10**12))
    if "QUEUE" in limit:
        reception.receive(group=groups[0], sealed=seal(a_file(), keyring.certificate()), channel="api")
    with pytest.raises(reception.Busy):
        reception.receive(group=groups[0], sealed=seal(a_file(), keyring.certificate()), channel="api")


def test_a_replaced_invoice_shows_in_the_own_figures(groups):
    from belvedere.observatory.accounts.models import Role, User

    user = User.objects.create_user("a@b.test", "x" * 14, role=Role.MEMBER_ADMIN, whole_group=True, group=groups[0])
    send(groups[0], a_file())
    before = month_of(OwnFacts.of(user).figures(), "2025-01")
    send(groups[0], corrected(a_file()))
    after = month_of(OwnFacts.of(user).figures(), "2025-01")
    assert after["lines"] == before["lines"] and after["amount_billed"] > before["amount_billed"]


def month_of(figures, month):
    """Every measure of a month."""
    return {name: figures.measure(name, period=month) for name in ("patients", "invoices", "lines", "amount_amo", "amount_billed")}


def test_a_large_group_reads_what_was_counted_before_while_the_last_flow_is_counted(groups, monkeypatch):
    from belvedere.observatory.accounts.models import Role
    from belvedere.observatory.members import own, warming
    from tests.people import browsing, person

    user = person(Role.MEMBER_ADMIN, group=groups[0])
    send(groups[0], a_file())
    monkeypatch.setattr(own, "AT_READING", 0)
    empty = OwnFacts.of(user).figures()
    assert empty.behind and not empty.months
    page = browsing(user).get("/ma-position/").content.decode()
    assert "se comptent en ce moment" in page and "Envoyer un premier flux" not in page
    warming._seen = ()
    assert warming.run() >= 1
    first = OwnFacts.of(user).figures()
    assert first.months and not first.behind
    send(groups[0], corrected(a_file()))
    waiting = OwnFacts.of(user).figures()
    assert waiting.behind and waiting.cells == first.cells
    warming._seen = ()
    assert warming.run() == 1
    counted = OwnFacts.of(user).figures()
    assert not counted.behind and counted.cells != first.cells
    # What an objection covers is never shown again: nothing of before it is served.
    Objection.objects.create(pseudonym=pq.read_table(vault.facts_path(DataFile.objects.filter(retired_at=None)[0].name))["patient"][0].as_py())
    after = OwnFacts.of(user).figures()
    assert after.behind and not after.months
    warming._seen = ()
    warming.run()
    after = OwnFacts.of(user).figures()
    assert not after.behind and month_of(after, "2025-01")["patients"] < month_of(counted, "2025-01")["patients"]
