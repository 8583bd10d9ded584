"""The yearly fee of groups that pay for themselves: a Factur-X invoice each year, its due date, its payment."""

import datetime as dt
import logging
from pathlib import Path

from django.db import transaction
from django.utils import timezone
from facturx import generate_cii_xml, generate_from_binary

from belvedere.observatory import printing
from belvedere.observatory.accounts.models import User
from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members import documents
from belvedere.observatory.members.fees import FeeRefused, borne, fee_on
from belvedere.observatory.members.models import Enrolment, EnrolmentState, FeeInvoice, Group
from belvedere.observatory.notices import actions as notices

logger = logging.getLogger(__name__)


def path(invoice: FeeInvoice) -> Path:
    """The invoice's document."""
    return documents.folder() / f"facture-{invoice.number}.pdf"


def _years_on(day: dt.date, count: int) -> dt.date:
    try:
        return day.replace(year=day.year + count)
    except ValueError:  # 29 February
        return day.replace(year=day.year + count, day=28)


def bill_if_due(*, group: Group, day: dt.date, by: str) -> FeeInvoice | None:
    """The invoice of the year that a day falls in, if the group pays for itself and it was not made yet; inside a transaction."""
    enrolment: Enrolment | None = getattr(group, "enrolment", None)
    fee = fee_on(day)
    if enrolment is None or enrolment.signed_at is None or fee is None or fee.amount == 0 or borne(group.federation, day):
        return None
    start = timezone.localdate(enrolment.signed_at)
    first = next(_years_on(start, count) for count in range(200) if _years_on(start, count + 1) > day)
    if FeeInvoice.objects.filter(group=group, period_from=first).exists():
        return None
    Group.objects.select_for_update(of=("self",), no_key=True).order_by("pk").first()  # one numbering at a time
    last = FeeInvoice.objects.filter(number__startswith=f"{day.year}-").order_by("-number").first()
    invoice = FeeInvoice(
        number=f"{day.year}-{int(last.number[5:]) + 1 if last else 1:05d}", group=group, period_from=first,
        period_to=_years_on(first, 1) - dt.timedelta(days=1), issued_on=day, due_on=day + dt.timedelta(days=fee.days), amount=fee.amount, tax=fee.tax,
        vat=fee.vat,
    )  # fmt: skip
    invoice.digest = documents.keep(path(invoice).name, document(invoice, enrolment))
    invoice.save()
    record(by=by, action="facture.emise", subject=f"facture:{invoice.number}", group=group.pk, total=invoice.total)
    notices.post(
        "facture",
        to=enrolment.signatory_email,
        by=by,
        name=enrolment.name,
        number=invoice.number,
        total=printing.euros(invoice.total),
        due=printing.day(invoice.due_on),
    )
    return invoice


def bill_all(day: dt.date, by: str = "cotisations") -> int:
    """Bill every active group whose year begins; returns how many invoices were made."""
    made = 0
    for group in Group.objects.filter(enrolment__state__in=(EnrolmentState.SIGNED, EnrolmentState.ACTIVE)):
        try:
            with transaction.atomic():
                made += bill_if_due(group=group, day=day, by=by) is not None
        except Exception as error:  # one group that cannot be billed must not keep the others from it
            logger.error("groupe %s non facturé : %s", group.pk, type(error).__name__)
    return made


def document(invoice: FeeInvoice, enrolment: Enrolment) -> bytes:
    """The invoice as Factur-X (EN 16931 profile): PDF/A-3 for people, CII XML inside for their software."""
    operator = printing.operator()
    data = {
        "number": invoice.number, "operator": operator, "name": enrolment.name, "siren": enrolment.siren, "address": enrolment.address,
        "postcode": enrolment.postcode, "city": enrolment.city, "issued": printing.day(invoice.issued_on), "due": printing.day(invoice.due_on),
        "from": printing.day(invoice.period_from), "to": printing.day(invoice.period_to), "amount": printing.euros(invoice.amount),
        "tax": printing.euros(invoice.tax), "total": printing.euros(invoice.total), "rate": f"{invoice.vat / 100:g} %".replace(".", ","),
    }  # fmt: skip
    pdf = printing.render(documents.TEXTS, "facture.typ", data, archive=True)
    return generate_from_binary(pdf, _xml(invoice, enrolment, operator), flavor="factur-x", level="en16931", lang="fr")


def _xml(invoice: FeeInvoice, enrolment: Enrolment, operator: dict[str, str]) -> bytes:
    amount, tax, total, rate = (f"{value / 100:.2f}" for value in (invoice.amount, invoice.tax, invoice.total, invoice.vat))
    seller = {
        "name": operator["name"], "legal_identifier": operator["siren"], "legal_identifier_schemeid": "0002", "vat_identifier": operator["vat"],
        "country_code": "FR", "addr_l1": operator["address"],
    }  # fmt: skip
    buyer = {
        "name": enrolment.name, "legal_identifier": enrolment.siren, "legal_identifier_schemeid": "0002", "country_code": "FR",
        "addr_l1": enrolment.address, "postcode": enrolment.postcode, "city": enrolment.city,
    }  # fmt: skip
    line = {
        "BT-126": "1", "BT-153": "Adhésion annuelle à l’observatoire", "BT-129": "1", "BT-130": "C62", "BT-146": amount, "BT-131": amount, "BT-151": "S",
        "BT-152": rate,
    }  # fmt: skip
    content = {
        "BT-1": invoice.number, "BT-2": invoice.issued_on, "BT-3": "380", "BT-5": "EUR", "BT-9": invoice.due_on, "BT-12": enrolment.reference,
        "BT-72": invoice.period_from, "BT-73": invoice.period_from, "BT-74": invoice.period_to, "BT-81": "30", "BT-106": amount, "BT-109": amount, "BT-110": tax, "BT-112": total,
        "BT-115": total, "BG-4": seller, "BG-7": buyer, "BG-25": [line], "BT-23": "S1",
        "BG-23": [{"BT-116": amount, "BT-117": tax, "BT-118": "S", "BT-119": rate}],
    } | ({"BT-84": operator["iban"]} if operator["iban"] else {})  # fmt: skip
    return generate_cii_xml(content, level="en16931", check_xsd=True, check_schematron=None)


@transaction.atomic
def pay(*, invoice: FeeInvoice, day: dt.date, reference: str, by: User) -> None:
    """Note the payment of an invoice."""
    check(by, Action.MANAGE_FEES)
    if not FeeInvoice.objects.filter(pk=invoice.pk, paid_on=None).update(paid_on=day, payment=reference.strip()):
        raise FeeRefused("Cette facture est déjà payée.")
    record(by=by.actor, action="facture.payee", subject=f"facture:{invoice.number}", day=day.isoformat())
