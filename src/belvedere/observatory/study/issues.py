"""Studies of what was received, frozen once a period; and the links by which vendors read their own rows."""

import datetime as dt
import hashlib
import secrets

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from belvedere.engine.study import inputs, market, tiers
from belvedere.engine.study.definitions import definitions
from belvedere.engine.study.market import UNKNOWN, Cell, Period
from belvedere.engine.study.tiers import PUBLIC, Told
from belvedere.observatory.journal.actions import record
from belvedere.observatory.study import loading
from belvedere.observatory.study.models import FlowMark, Issue, VendorKey

_DAYS = ("month", "on_day")


class IssueRefused(Exception):
    """The study cannot be frozen; says why, in French."""


def last_period() -> Period | None:
    """The twelve months that end with the last one received; None when nothing was."""
    last = FlowMark.objects.aggregate(last=Max("month"))["last"]
    if last is None:
        return None
    months = last.year * 12 + last.month - 1 - 11
    return Period(dt.date(months // 12, months % 12 + 1, 1), last)


def _stored(told: Told) -> dict[str, object]:
    plain = lambda value: value.isoformat() if isinstance(value, dt.date) else value  # noqa: E731
    return {
        "code": told.definition.code, "columns": [column.name for column in told.columns], "rows": [[plain(value) for value in row] for row in told.rows],
        "quartiles": [list(one) for one in told.quartiles],
    }  # fmt: skip


def _told(held: dict) -> Told:
    definition = next(one for one in definitions() if one.code == held["code"])
    columns = tuple(definition.column(name) for name in held["columns"])

    def cell(value: Cell, name: str) -> Cell:
        return dt.date.fromisoformat(value) if name in _DAYS and isinstance(value, str) else value

    rows = tuple(tuple(cell(value, column.name) for value, column in zip(row, columns, strict=True)) for row in held["rows"])
    return Told(definition, columns, rows, tuple((str(label), low, middle, high) for label, low, middle, high in held["quartiles"]))


def publish(*, by: str, period: Period | None = None) -> Issue:
    """Freeze the study of a period (the last one received) for every reader. IssueRefused: nothing received, or already frozen; StudyError."""
    chosen = period or last_period()
    if chosen is None:
        raise IssueRefused("Aucun flux n’est encore compté : il n’y a rien à étudier.")
    if Issue.objects.filter(high=chosen.high).exists():
        raise IssueRefused("L’étude de cette période est déjà figée : la suivante viendra avec un mois de plus.")
    session = inputs.connect()
    loading.fill(session)
    study = market.study(session, chosen)
    readers = [PUBLIC, *(name for name in study.vendors if name != UNKNOWN)]
    held = {name: [_stored(one) for one in tiers.tell(study, name, entrusted=True)] for name in readers}
    try:
        with transaction.atomic():
            made = Issue.objects.create(low=chosen.low, high=chosen.high, version=study.version, rows=study.rows, tiers=held)
            record(by=by, action="etude.figee", subject=f"etude:{chosen}", version=study.version, tables=len(held[PUBLIC]))
    except IntegrityError as error:
        raise IssueRefused("L’étude de cette période est déjà figée.") from error
    return made


def latest() -> Issue | None:
    """The last frozen study."""
    return Issue.objects.first()


def read(issue: Issue, tier: str) -> list[Told] | None:
    """A reader's tables of a frozen study; None for a vendor that is not in it."""
    held = issue.tiers.get(tier)
    return None if held is None else [_told(one) for one in held]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def open_key(*, vendor: str, by: str) -> str:
    """A vendor's link, shown once."""
    token = "bve_" + secrets.token_urlsafe(24)
    made = VendorKey.objects.create(vendor=vendor[:80], digest=_digest(token))
    record(by=by, action="etude.lien.ouvert", subject=f"lien:{made.pk}", vendor=vendor[:80])
    return token


@transaction.atomic
def close_key(key: VendorKey, *, by: str) -> None:
    """End a vendor's link."""
    VendorKey.objects.filter(pk=key.pk, closed_at=None).update(closed_at=timezone.now())
    record(by=by, action="etude.lien.ferme", subject=f"lien:{key.pk}", vendor=key.vendor)


def vendor_of(token: str) -> str | None:
    """Whose link a token is; None when it is closed or none."""
    row = VendorKey.objects.filter(digest=_digest(token), closed_at=None).first()
    return row.vendor if row else None
