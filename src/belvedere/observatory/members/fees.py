"""What the observatory costs and who pays: dated rows, fixed for the future, never rewritten."""

import datetime as dt

from django.db import transaction

from belvedere.observatory.accounts.models import User
from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members.models import Bearing, Federation, Fee


class FeeRefused(Exception):
    """Why a fee or a payment cannot be noted so, in French."""


def fee_on(day: dt.date) -> Fee | None:
    """The fee in force on a day."""
    return Fee.objects.filter(valid_from__lte=day).first()


def borne(federation: Federation | None, day: dt.date) -> bool:
    """Whether a federation bears the fee of its members on a day."""
    if federation is None:
        return False
    rows = Bearing.objects.filter(federation=federation, valid_from__lte=day)
    return any(row.valid_until is None or day < row.valid_until for row in rows)


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
