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
from belvedere.observatory.members import agreement
from belvedere.observatory.members.models import Bearing, Enrolment, EnrolmentState, Federation, Fee, FeeInvoice, Group
from belvedere.observatory.notices import actions as notices

logger = logging.getLogger(__name__)


class FeeRefused(Exception):
    """Why a fee, a bearing or a payment cannot be noted so, in French."""


def path(invoice: FeeInvoice) -> Path:
    """The invoice's document."""
    return agreement.folder() / f"facture-{invoice.number}.pdf"


def _years_on(day: dt.date, count: int) -> dt.date:
    try:
        return day.replace(year=day.year + count)
    except ValueError:  # 29 February
        return day.replace(year=day.year + count, day=28)


def bill_if_due(*, group: Group, day: dt.date, by: str) -> FeeInvoice | None:
    """The invoice of the year that a day falls in, if the group pays for itself and it was not made yet; inside a transaction."""
    enrolment: Enrolment | None = getattr(group, "enrolment", None)
    fee = agreement.fee_on(day)
    if enrolment is None or enrolment.signed_at is None or fee is None or fee.amount == 0 or agreement.borne(group.federation, day):
        return None
    start = timezone.localdate(enrolment.signed_at)
    first = next(_years_on(start, count) for count in range(200) if _years_on(start, count + 1) > day)
    if FeeInvoice.objects.filter(group=group, period_from=first).exists():
        return None
    Group.objects.select_for_update(of=("self",)).order_by("pk").first()  # one numbering at a time
    last = FeeInvoice.objects.filter(number__startswith=f"{day.year}-").order_by("-number").first()
    invoice = FeeInvoice(
        number=f"{day.year}-{int(last.number[5:]) + 1 if last else 1:05d}", group=group, period_from=first,
        period_to=_years_on(first, 1) - dt.timedelta(days=1), issued_on=day, due_on=day + dt.timedelta(days=fee.days), amount=fee.amount, tax=fee.tax,
        vat=fee.vat,
    )  # fmt: skip
    invoice.digest = agreement.keep(path(invoice).name, document(invoice, enrolment))
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
    pdf = printing.render(agreement.PACKAGE, "facture.typ", data, archive=True)
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


@transaction.atomic
def set_fee(*, valid_from: dt.date, amount: int, vat: int, days: int, today: dt.date, by: User) -> Fee:
    """Fix the fee from a date to come on; amounts that were in force are never rewritten."""
    check(by, Action.MANAGE_FEES)
    if valid_from <= today:
        raise FeeRefused("Donnez une date à venir : une cotisation en vigueur ne se récrit pas.")
    fee, _ = Fee.objects.update_or_create(valid_from=valid_from, defaults={"amount": amount, "vat": vat, "days": days})
    record(by=by.actor, action="cotisation.fixee", subject=f"cotisation:{valid_from}", amount=amount, vat=vat, days=days)
    return fee


@transaction.atomic
def set_bearing(*, federation: Federation, day: dt.date, bears: bool, by: User | str) -> None:
    """Say from which day a federation bears, or no longer bears, the fee of its members."""
    if isinstance(by, User):
        check(by, Action.MANAGE_FEES)
    current = Bearing.objects.filter(federation=federation, valid_until=None).first()
    if bears and current is None:
        Bearing.objects.create(federation=federation, valid_from=day)
    elif not bears and current is not None:
        current.valid_until = max(day, current.valid_from)
        current.save(update_fields=["valid_until"])
    record(
        by=by if isinstance(by, str) else by.actor,
        action="prise_en_charge.fixee",
        subject=f"federation:{federation.pk}",
        bears=bears,
        day=day.isoformat(),
    )
