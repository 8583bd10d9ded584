"""The mail way in: the S/MIME message that goes to the health insurance, with one more recipient.

Each sender has a deposit address of its own, whose secret part says who sends. A message is answered 250 only
when its flow is in the queue; 451 asks to come back.
"""

import asyncio
import logging
import re
import ssl
from email import message_from_bytes
from email.policy import SMTP as SMTP_POLICY

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.db import close_old_connections

from belvedere.observatory.collect import reception
from belvedere.observatory.collect.models import Flow
from belvedere.observatory.environment import read
from belvedere.observatory.keyfiles import keys_dir
from belvedere.observatory.members.actions import sender_by_mailbox
from belvedere.observatory.members.models import SenderKey

logger = logging.getLogger(__name__)
# IR [+ version] / sender on 14 / stamp on 19 / number of invoices on 5 (norm reference §12).
SUBJECT = re.compile(r"^IR(\d{6})?/(?P<sender>[0-9A-Z ]{1,14})/(?P<stamp>\d{8,19})/(?P<invoices>\d{1,5})$")
_SEALED = ("application/pkcs7-mime", "application/x-pkcs7-mime")


class NotAFlow(Exception):
    """The message holds no sealed part; says why, in ASCII for the SMTP answer."""


def encryption_header(raw: bytes) -> str:
    """The header that names the encryption product, "" when there is none."""
    return str(message_from_bytes(raw, policy=SMTP_POLICY).get("X-SV_CHIFFREMENT", ""))[:120]


def sealed_parts(raw: bytes) -> tuple[list[tuple[bytes, bool]], str]:
    """([(sealed bytes, whether a test)…], subject) of a message; NotAFlow."""
    try:
        message = message_from_bytes(raw, policy=SMTP_POLICY)
        subject = str(message.get("subject", "")).strip()
        found = []
        for part in message.walk():
            if part.get_content_type() in _SEALED or str(part.get_filename() or "").lower().endswith(".p7m"):
                content = part.get_payload(decode=True)
                if not isinstance(content, bytes) or not content:
                    raise NotAFlow("la partie S/MIME est vide ou mal codee")
                described = " ".join(str(item.get("content-description", "")) for item in (message, part)).upper()
                found.append((content, "IRISTEST" in described))
    except NotAFlow:
        raise
    except Exception as error:  # the library's parser meets headers that it did not foresee
        raise NotAFlow("message mal forme") from error
    if not found:
        raise NotAFlow("aucune partie application/pkcs7-mime dans le message")
    return found, subject


def accept(sender: SenderKey, raw: bytes) -> list[Flow]:
    """Queue the flows of a message; NotAFlow, Busy."""
    parts, subject = sealed_parts(raw)
    told = SUBJECT.match(subject)
    flows = []
    for rank, (sealed, test) in enumerate(parts):
        # The stamp makes the message unique for its sender: the same message delivered again is the same flow.
        key = f"mail:{sender.pk}:{told['sender'].strip()}:{told['stamp']}:{rank}" if told else None
        name = f"{subject.replace('/', '-')}.p7m" if told else "message.p7m"
        options = {
            "group": sender.group,
            "sender": sender,
            "sealed": sealed,
            "channel": "mail",
            "file_name": name,
            "test": test,
            "crypto": encryption_header(raw),
        }
        try:
            flows.append(reception.receive(**options, key=key))
        except reception.KeyReused:
            flows.append(reception.receive(**options))
    return flows


class Handler:
    """What aiosmtpd calls."""

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        name, _, domain = address.lower().rpartition("@")
        if domain != read("BELVEDERE_MAIL_DOMAIN").lower():
            return "550 5.7.1 Domaine non servi"
        sender = await asyncio.to_thread(_in_thread, sender_by_mailbox, name)
        if sender is None:
            return "550 5.1.1 Adresse de depot inconnue"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        try:
            numbers = await asyncio.to_thread(_in_thread, self._take, list(envelope.rcpt_tos), bytes(envelope.content or b""))
        except reception.Busy:
            return "451 4.3.1 Observatoire sature, reessayez plus tard"
        except NotAFlow as error:
            return f"550 5.6.0 {error}"
        except Exception as error:  # the sender keeps the message and comes back
            logger.error("messagerie : %s", type(error).__name__)
            return "451 4.3.0 Erreur passagere, reessayez plus tard"
        return f"250 2.0.0 Accuse {', '.join(map(str, numbers))}"

    @staticmethod
    def _take(addresses: list[str], raw: bytes) -> list[int]:
        senders = [sender_by_mailbox(address.lower().rpartition("@")[0]) for address in addresses]
        return [flow.pk for sender in senders if sender for flow in accept(sender, raw)]


def _in_thread(call, *arguments):
    close_old_connections()
    try:
        return call(*arguments)
    finally:
        close_old_connections()


class _Quiet(SMTP):
    """The server's banner says what it is, not what it runs on."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, ident="Belvedere", **options)


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _Quiet(self.handler, data_size_limit=int(read("BELVEDERE_MAX_MAIL_MB")) * 1_048_576, hostname="belvedere", tls_context=self._tls)

    def __init__(self, handler: Handler, tls=None, **options) -> None:
        self._tls = tls
        super().__init__(handler, **options)


def server(host: str, port: int) -> Controller:
    """An SMTP server that is not started yet. STARTTLS is offered when keys/smtp.crt and keys/smtp.key are there."""
    tls = None
    if (keys_dir() / "smtp.crt").exists():
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(keys_dir() / "smtp.crt", keys_dir() / "smtp.key")
    return _Controller(Handler(), tls=tls, hostname=host, port=port)
