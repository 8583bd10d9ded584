"""The front-end's mailbox: flows come as they do to an office, by S/MIME mail; the answer to the message says how the flow was taken."""

import asyncio
from dataclasses import dataclass
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from belvedere.observatory.collect.mail import NotAFlow, sealed_parts
from belvedere.observatory.services.simulator import Simulator

ADDRESS = "01751@751.01.rss.fr"


@dataclass
class Mailbox:
    """What aiosmtpd calls: one mail, one flow, one acknowledgement."""

    simulator: Simulator

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        try:
            parts, _ = sealed_parts(bytes(envelope.content or b""))
        except NotAFlow as error:
            return f"550 5.6.0 {error}"

        def take() -> str:
            with self.simulator.lock:
                return self.simulator.front(parts[0][0]).reference

        return f"250 2.0.0 {await asyncio.to_thread(take)}"


class _Controller(Controller):
    def factory(self) -> SMTP:
        return SMTP(self.handler, ident="Simulateur Belvedere", hostname="simulateur", data_size_limit=64 * 1024 * 1024)


def server(simulator: Simulator, host: str = "127.0.0.1", port: int = 0) -> Controller:
    """A mail server for a simulator, not started yet; port 0: any."""
    return _Controller(Mailbox(simulator), hostname=host, port=port)


def message(sealed: bytes, *, sender: str, stamp: str, count: int, product: str, version: str) -> EmailMessage:
    """The mail that carries a flow: subject and headers of the norm (reference §12)."""
    made = EmailMessage()
    made["From"], made["To"] = "facturation@prestataire.test", ADDRESS
    made["Subject"] = f"IR/{sender:0>14}/{stamp:0<19}/{count:05d}"
    made["Content-Description"] = "IRIS/B2/Z"
    made["X-SV_CHIFFREMENT"] = f"001#{product}#{version}#A#2"
    made.set_content(sealed, maintype="application", subtype="pkcs7-mime", filename="smime.p7m", params={"smime-type": "enveloped-data"})
    return made
