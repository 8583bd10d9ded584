"""NOEMIE returns: both physical forms, every entity, payments beside their invoices."""

import datetime as dt
from itertools import pairwise

import pyarrow as pa
import pytest

from belvedere.engine.b2 import noemie
from belvedere.engine.b2.findings import B2Error

HEADER = {"reference": "576 ", "created": "260901", "sender_no": "0000001511"}
ITEMS = [
    ("040", "02", {"payee_no": "752600015"}),
    ("070", "03", {"accounting_date": "260915"}),
    ("080", "04", {"lot_date": "260901", "lot_no": 1}),
    ("102", "05", {"invoice_no": 17, "lot_no": 1, "lot_date": "260901", "billing_date": "260901", "kind": "B"}),
    ("103", "06", {"nir": "1550375999001", "birth_name": "TESTE"}),
    ("198", "06", {"asked": 5000, "state": "P", "paid": 5000, "sign": "P"}),
    ("199", "06", {"asked": 1000, "state": "P", "paid": 800, "sign": "P"}),
    ("102", "05", {"invoice_no": 18, "lot_no": 1, "lot_date": "260901", "billing_date": "260901"}),
    ("198", "06", {"asked": 7000, "state": "R", "paid": 0}),
    ("294", "06", {"code": "D123", "label": "DROITS FERMES A LA DATE DES SOINS", "level": "F", "share": "O"}),
    ("100", "05", {"invoice_no": 19}),
    ("210", "06", {"line_no": 1, "paid": 300, "sign": "P", "act_code": "AAD"}),
    ("100", "05", {"invoice_no": 20}),
    ("290", "06", {"line_no": 1, "code": "0123456789", "label": "ENTENTE PREALABLE ABSENTE"}),
    ("990", "05", {"level_id": "0000001", "lower_count": 4, "total": 5300}),
]  # fmt: skip


@pytest.mark.parametrize("blocked", [True, False])
def test_both_forms_say_the_same(blocked):
    data = noemie.render(ITEMS, blocked=blocked, header=HEADER)
    found = noemie.returns(data)
    assert found.reference == "576" and not found.findings
    assert [item.name for item in noemie.read(data)] == ["000", *[name for name, *_ in ITEMS], "999"]
    rows = [(p.invoice_no, p.state, p.asked_amo, p.paid_amo, p.paid_amc, p.codes) for p in found.payments]
    assert rows == [
        (17, "P", 5000, 5000, 800, []),
        (18, "R", 7000, 0, 0, ["D123"]),
        (19, "P", 0, 300, 0, []),
        (20, "R", 0, 0, 0, ["0123456789"]),
    ]
    assert found.payments[1].labels == ["DROITS FERMES A LA DATE DES SOINS"]
    assert {p.accounting_date for p in found.payments} == {"260915"}


def test_payments_are_matched_to_invoices_with_their_delay():
    payments = noemie.table(noemie.returns(noemie.render(ITEMS, blocked=True, header=HEADER)))
    invoices = pa.table({
        "invoice_no": pa.array([18, 17, 99], pa.int64()),
        "invoice_date": pa.array([dt.date(2026, 9, 1)] * 3),
        "amount_amo": pa.array([7000, 5200, 1], pa.int64()),
    })  # fmt: skip
    rows = {row["invoice_no"]: row for row in noemie.match(payments, invoices).to_pylist()}
    assert (rows[17]["known"], rows[17]["delay"], rows[17]["gap"]) == (True, 14, 200)
    assert (rows[18]["known"], rows[18]["gap"], rows[18]["code"]) == (True, 7000, "D123")
    assert (rows[19]["known"], rows[19]["delay"]) == (False, None)
    assert noemie.match(payments, invoices.slice(0, 0))["known"].to_pylist() == [False] * 4


def test_no_person_leaves_a_return():
    found = noemie.returns(noemie.render(ITEMS, blocked=False, header=HEADER))
    assert "1550375999001" not in str(noemie.table(found).to_pylist()) + str(found.findings)


@pytest.mark.parametrize("blocked", [True, False])
def test_unknown_entities_are_kept_and_told(blocked):
    data = noemie.render([*ITEMS[:3], ("040", "02", {}), *ITEMS[3:]], blocked=False, header=HEADER)
    at = data.rfind(b"04002")
    data = data[:at] + b"777" + data[at + 3 :]
    if blocked:
        body = data[128:-128]
        pieces = [body[i : i + 127] for i in range(0, len(body), 127)]
        data = data[:128] + b"".join((b"1" if i == len(pieces) - 1 else b"0") + p.ljust(127) for i, p in enumerate(pieces)) + data[-128:]
    found = noemie.returns(data)
    assert [item.name for item in found.unknown] == ["777"]
    assert [item.code for item in found.findings] == ["N002"]
    assert len(found.payments) == 4


@pytest.mark.parametrize("cut", [0, 100, 128, 300, -1, -128])
def test_an_incomplete_file_is_refused(cut):
    data = noemie.render(ITEMS, blocked=True, header=HEADER)
    with pytest.raises(B2Error) as caught:
        noemie.returns(data[:cut])
    assert caught.value.finding.code == "N001"


def test_every_entity_has_its_zones_inside_it():
    for name, zones in noemie.entities().items():
        assert all(a.end < b.start for a, b in pairwise(zones)), name
    assert len(noemie.entities()) == 27


def test_digits_of_other_alphabets_are_no_numbers():
    data = noemie.render(ITEMS, blocked=False, header=HEADER).replace(b"00005000P", "¹¹¹¹¹¹¹¹P".encode("latin-1"))
    assert noemie.returns(data).payments[0].asked_amo == 0
