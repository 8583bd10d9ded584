"""Messages and their links: a real server, a server that is down, strangers who would write them, logs that must not tell."""

import socket

import pytest
from aiosmtpd.controller import Controller
from django.test import Client
from django.utils import timezone

from belvedere.observatory.notices import actions as notices
from belvedere.observatory.notices.models import Link, Notice, Purpose
from tests.enrolment import declared, form, link_in


def test_messages_go_out_by_a_real_server_and_wait_when_it_is_down(outbox, settings):
    received = []

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            received.append(envelope.content.decode())
            return "250 OK"

    declared()
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = (
        "django.core.mail.backends.smtp.EmailBackend",
        "127.0.0.1",
        1,
        False,
    )
    assert notices.deliver_due() == 0
    notice = Notice.objects.get()
    assert (notice.tries, notice.sent_at) == (1, None) and notice.next_at > timezone.now()
    assert notices.deliver_due() == 0
    Notice.objects.update(next_at=timezone.now())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = free.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=settings.EMAIL_PORT)
    controller.start()
    try:
        assert notices.deliver_due() == 1
    finally:
        controller.stop()
    assert "To: anne@loire.fr" in received[0] and Link.objects.filter(purpose=Purpose.SIGN, used_at=None).count() == 1
    assert "token" not in str(Notice.objects.values().get())


@pytest.mark.parametrize("name", ["A\x0cReply-To : x@y.fr", "A\nCliquez", "Gagnez sur http://x.fr", "A\u2028B", "<b>A</b>"])
def test_nothing_that_a_stranger_types_writes_our_messages(outbox, name):
    assert Client().post("/adherer/", form(name=name)).status_code == 422
    assert Client().post("/adherer/", form(signatory=name)).status_code == 422


def test_a_mailbox_is_not_flooded(outbox):
    statuses = [Client().post("/adherer/", form(siren=siren)).status_code for siren in ("732829320", "443061841", "552100554", "542065479")]
    assert statuses == [302, 302, 302, 429]


def test_links_never_reach_the_log(outbox, caplog):
    declared()
    notices.deliver_due()
    address = link_in(outbox[-1].body)
    Client().get(address)
    Client().post(address, {"code": "0"})
    from belvedere.observatory.logs import WithoutLinks

    told = [record for record in caplog.records if "convention" in str(record.args) + record.getMessage()]
    assert told and all(WithoutLinks().filter(record) for record in told)
    assert all(address.strip("/").split("/")[-1] not in record.getMessage() for record in told)
