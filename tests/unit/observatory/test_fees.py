"""Who pays, how much, and the invoice: dated data, Factur-X, federations that bear or not."""

import datetime as dt

import pytest
from django.utils import timezone
from facturx import get_xml_from_pdf

from belvedere.observatory.accounts.models import Role
from belvedere.observatory.members import fees, invoicing
from belvedere.observatory.members.models import Federation, FeeInvoice
from tests.enrolment import of_provider, signed
from tests.people import browsing, person


def test_an_independent_is_billed_and_a_federation_s_member_is_not(outbox, federations):
    alone = signed(outbox)
    invoice = FeeInvoice.objects.get()
    assert (invoice.group, invoice.amount, invoice.tax, invoice.total) == (alone.group, 194200, 38840, 233040)
    assert invoice.due_on == invoice.issued_on + dt.timedelta(days=30)
    name, xml = get_xml_from_pdf(invoicing.path(invoice).read_bytes(), check_xsd=True)
    assert name == "factur-x.xml" and b"2330.40" in xml and invoice.number.encode() in xml
    signed(outbox, federation=federations[0], siren="443061841", entities=of_provider(1), signatory_email="b@b.fr")
    assert FeeInvoice.objects.count() == 1
    fees.set_bearing(federation=federations[0], day=timezone.localdate(), bears=False, by="test")
    assert invoicing.bill_all(timezone.localdate()) == 1 and invoicing.bill_all(timezone.localdate()) == 0
    assert [row.number[5:] for row in FeeInvoice.objects.order_by("number")] == ["00001", "00002"]
    assert invoicing.bill_all(timezone.localdate() + dt.timedelta(days=366)) == 2
    operator = person(Role.OPERATOR)
    invoicing.pay(invoice=invoice, day=timezone.localdate(), reference="VIR 12", by=operator)
    with pytest.raises(fees.FeeRefused):
        invoicing.pay(invoice=invoice, day=timezone.localdate(), reference="VIR 12", by=operator)
    with pytest.raises(fees.FeeRefused):
        fees.set_fee(valid_from=timezone.localdate(), amount=1, vat=0, days=1, today=timezone.localdate(), by=operator)


def test_the_operator_enrols_and_renames_federations(outbox, federations):
    client = browsing(person(Role.OPERATOR))
    for form_sent, names in (
        ({"name": "Quatrième"}, ["FédéPSAD", "UNPDM", "UPSADI", "Quatrième"]),
        ({"name": "UNPDM"}, ["FédéPSAD", "UNPDM", "UPSADI", "Quatrième"]),
        ({"name": "FédéPSAD nouvelle", "federation": federations[0].pk}, ["FédéPSAD nouvelle", "UNPDM", "UPSADI", "Quatrième"]),
    ):
        assert client.post("/exploitation/cotisation/federations/", form_sent).status_code == 302
        assert [item.name for item in Federation.objects.order_by("pk")] == names
    assert client.get("/exploitation/cotisation/").status_code == 200
