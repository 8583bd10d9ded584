"""Write messages in the transaction of what they tell, send them after it; make and open the personal links they carry."""

import datetime as dt
import logging
import secrets
from collections.abc import Callable

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from belvedere.observatory.environment import read
from belvedere.observatory.journal.actions import record
from belvedere.observatory.notices.models import Link, Notice, Purpose
from belvedere.observatory.tokens import digest

logger = logging.getLogger(__name__)
DAYS = {Purpose.SIGN: 14, Purpose.PLUG: 180, Purpose.INVITE: 7}
PAGES = {Purpose.SIGN: "join:sign", Purpose.PLUG: "join:plug", Purpose.INVITE: "join:invited"}
RETRY_MINUTES = (1, 5, 15, 60, 240, 720, 1440, 1440)  # four days, the time of a mailbox that is full


# Kinds of messages whose words are computed when they are sent: kind -> context from the details that were kept.
COMPOSERS: dict[str, Callable[[dict], dict[str, object]]] = {}


class LinkRefused(Exception):
    """Why a personal link opens nothing: its code (unknown, expired, used) is for the page."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def post(kind: str, *, to: str, by: str, purpose: str = "", subject: int | None = None, **details: object) -> Notice:
    """Write a message inside the caller's transaction; the worker sends it."""
    made = Notice.objects.create(kind=kind, to=to, details=details, purpose=purpose, subject=subject, next_at=timezone.now())
    record(by=by, action="message.ecrit", subject=f"message:{made.pk}", kind=kind)
    return made


@transaction.atomic
def make_link(purpose: str, subject: int) -> str:
    """A fresh link (path) for a purpose; those sent before for the same thing open nothing any more, but for the page that
    helps to plug a flow, which asks for a code of the authenticator besides."""
    now, token = timezone.now(), secrets.token_urlsafe(32)
    if purpose != Purpose.PLUG:
        Link.objects.filter(purpose=purpose, subject=subject, used_at=None).update(used_at=now)
    expires = now + dt.timedelta(days=DAYS[Purpose(purpose)])
    Link.objects.create(purpose=purpose, subject=subject, token_hash=digest(token), created_at=now, expires_at=expires)
    return reverse(PAGES[Purpose(purpose)], args=[token])


def opened(purpose: str, token: str) -> Link:
    """The live link of a token; LinkRefused otherwise."""
    link = Link.objects.filter(purpose=purpose, token_hash=digest(token)).first()
    if link is None:
        raise LinkRefused("unknown")
    if link.used_at:
        raise LinkRefused("used")
    if link.expires_at <= timezone.now():
        raise LinkRefused("expired")
    return link


def use(link: Link) -> None:
    """Use a link up, inside the caller's transaction; LinkRefused if another call did meanwhile."""
    if not Link.objects.filter(pk=link.pk, used_at=None).update(used_at=timezone.now()):
        raise LinkRefused("used")


def deliver_due(limit: int = 20) -> int:
    """Send the messages whose time has come; returns how many went. One that is refused waits longer each time."""
    sent = 0
    for notice in Notice.objects.filter(sent_at=None, next_at__lte=timezone.now()).order_by("next_at")[:limit]:
        claimed = Notice.objects.filter(pk=notice.pk, tries=notice.tries, sent_at=None).update(
            tries=notice.tries + 1, next_at=timezone.now() + dt.timedelta(minutes=RETRY_MINUTES[min(notice.tries, len(RETRY_MINUTES) - 1)])
        )
        if not claimed:
            continue  # another worker has it
        try:
            _message(notice).send()
        except Exception as error:  # refused connections, timeouts, a header that mail refuses: one message must not hold the others
            given_up = {"sent_at": timezone.now()} if notice.tries + 1 >= len(RETRY_MINUTES) else {}
            Notice.objects.filter(pk=notice.pk).update(status=f"abandonné : {type(error).__name__}" if given_up else type(error).__name__, **given_up)
            logger.error("message %s non envoyé : %s", notice.pk, type(error).__name__)
            continue
        Notice.objects.filter(pk=notice.pk).update(sent_at=timezone.now(), status="envoyé")
        sent += 1
    return sent


def _message(notice: Notice) -> EmailMessage:
    link = read("BELVEDERE_PUBLIC_URL") + make_link(notice.purpose, notice.subject) if notice.purpose and notice.subject else ""
    text = render_to_string(
        f"notices/{notice.kind}.txt", {**COMPOSERS.get(notice.kind, dict)(notice.details), "link": link, "public": read("BELVEDERE_PUBLIC_URL")}
    )
    subject, _, body = text.partition("\n")
    return EmailMessage(" ".join(subject.split()), body.strip() + "\n", settings.DEFAULT_FROM_EMAIL, [notice.to])
