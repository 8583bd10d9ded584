"""The services as a member's software calls them: for its own establishments alone, against whatever address is set."""

import datetime as dt
import threading

from django.db.models import Q
from django.utils import timezone

from belvedere.engine.services.invoice_check import Billed, Difference, checked, corrected
from belvedere.engine.services.rights import Question, Rights
from belvedere.observatory.environment import read
from belvedere.observatory.members.models import Member, SenderKey
from belvedere.observatory.services import consulting
from belvedere.observatory.services.adapters import Outside
from belvedere.observatory.services.models import LotState, RightsLot

MOST_INVOICES, DOWN = 300, 5
LEASE = dt.timedelta(minutes=15)


class NotPlugged(Exception):
    """No address answers for the services."""


class NotYours(Exception):
    """The establishment is not one of the caller's."""


class TooMany(Exception):
    """More invoices than a call checks."""


_held = threading.local()


def outside(software: str = "") -> Outside:
    """The services' address as it is set, a session a thread. NotPlugged."""
    base = read("BELVEDERE_SERVICES_URL").rstrip("/")
    if not base:
        raise NotPlugged
    known = getattr(_held, "outside", None)
    if known is None or known.base != base:
        known = _held.outside = Outside(base)
    known.software = software
    return known


def own(sender: SenderKey, site: str) -> str:
    """The establishment as the services name it, if it is one of the sender's. NotYours."""
    members = Member.objects.filter(group=sender.group, finess=int(site) if site.isascii() and site.isdecimal() and len(site) <= 9 else 0)
    if sender.member_id:
        members = members.filter(pk=sender.member_id)
    if not members.exists():
        raise NotYours
    return f"{int(site):09d}"


def check_invoices(raw: bytes, *, site: str, agent: str, service: Outside) -> tuple[list[tuple[Billed, list[Difference] | None]], bytes]:
    """Each invoice of a clear B2 file against the rights of its person, asked once a person; and the file corrected. TooMany; B2Error."""
    known: dict[str, Rights | None] = {}
    down = [0]  # failures of the outside in a row

    def ask(billed: Billed) -> Rights | None:
        if len(known) > MOST_INVOICES:
            raise TooMany
        if billed.nir not in known and down[0] >= DOWN:
            return None
        if billed.nir not in known:
            answer = service.consult(Question(site, agent, billed.nir, billed.day or dt.date.today()))
            known[billed.nir] = answer.rights if answer.code in ("00", "30") else None
            down[0] = down[0] + 1 if answer.code in consulting.OUTSIDE else 0
        return known[billed.nir]

    found = list(checked(raw, ask))
    return found, corrected(raw, [one for _, wrong in found for one in wrong or ()])


def run_waiting() -> int:
    """Run the lots that wait, if the services are plugged; returns how many. A lot whose worker was killed is taken up after its lease."""
    try:
        service = outside()
    except NotPlugged:
        return 0
    now, done = timezone.now(), 0
    free = Q(state=LotState.RECEIVED) | Q(state=LotState.RUNNING, started_at__lt=now - LEASE)
    for lot in RightsLot.objects.filter(free)[:5]:
        if RightsLot.objects.filter(free, pk=lot.pk).update(state=LotState.RUNNING, started_at=now):
            lot.refresh_from_db()
            consulting.run(lot, service, by="services")
            done += 1
    return done
