"""Tell the senders' own servers that a flow is settled, signed as Standard Webhooks says.

The message is a row written in the transaction that settles the flow; the worker sends it until it is taken,
with growing pauses. Only public HTTPS addresses are called, at the address that was checked, and no redirection
is followed: the observatory must not be made to knock on its own doors.
"""

import datetime as dt
import http.client
import ipaddress
import json
import secrets
import socket
import ssl
import threading
from urllib.parse import urlsplit

from django.db import transaction
from django.utils import timezone
from standardwebhooks.webhooks import Webhook as Signer

from belvedere.observatory.collect import receipts
from belvedere.observatory.collect.models import Delivery, Flow, Webhook
from belvedere.observatory.environment import read
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members.models import Group

PAUSES = (5, 30, 120, 600, 3600, 6 * 3600, 24 * 3600)  # seconds before each further try
TIMEOUT = 10


class BadAddress(Exception):
    """The address may not be called; says why, in French."""


@transaction.atomic
def register(*, group: Group, url: str, by: str) -> str:
    """Set the address of a group and return its signing secret, shown once; BadAddress."""
    check_address(url)
    secret = "whsec_" + _b64(secrets.token_bytes(32))
    # Not with its key held, as `update_or_create` would: a settlement that holds the journal's head adds a message to this very row.
    if not Webhook.objects.filter(group=group).update(url=url, secret=secret):
        Webhook.objects.create(group=group, url=url, secret=secret)
    record(by=by, action="rappel.inscrit", subject=f"groupe:{group.pk}")
    return secret


def _b64(raw: bytes) -> str:
    import base64

    return base64.b64encode(raw).decode()


def announce(flow: Flow) -> None:
    """Queue the message of a settled flow, inside the transaction that settles it."""
    webhook = Webhook.objects.filter(group=flow.group_id).first()
    if webhook:
        Delivery.objects.create(webhook=webhook, flow=flow, next_at=timezone.now())


def check_address(url: str) -> tuple[str, str, int, str, str]:
    """(scheme, host, port, address to connect to, path) of an address that may be called; BadAddress."""
    private = read("BELVEDERE_WEBHOOK_PRIVATE") == "1"
    try:
        parts = urlsplit(url.encode("ascii").decode())
    except ValueError as error:
        raise BadAddress("L’adresse de rappel est mal écrite : ASCII seulement.") from error
    if parts.scheme not in ("https", "http") or not parts.hostname or (parts.scheme == "http" and not private):
        raise BadAddress("L’adresse de rappel doit être en https.")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = {item[4][0] for item in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)}
    except (OSError, ValueError) as error:
        raise BadAddress("L’adresse de rappel est introuvable.") from error
    if not private and not all(map(_public, found)):
        raise BadAddress("L’adresse de rappel n’est pas publique.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, parts.hostname, port, sorted(found)[0], path


# Ranges that lead to IPv4 addresses, or that are nobody's on the public internet though not marked private.
_DISGUISED = [ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "fec0::/10")]


def _public(text: str) -> bool:
    address = ipaddress.ip_address(text.split("%")[0])
    inside = address.version == 6 and any(address in network for network in _DISGUISED)
    return address.is_global and not address.is_multicast and not inside


def message(delivery: Delivery) -> tuple[bytes, dict[str, str]]:
    """(body, headers) of a delivery: the receipt, its signature and a stable identifier."""
    flow, now = delivery.flow, timezone.now()
    body = json.dumps({
        "type": "flow.settled",
        "timestamp": flow.settled_at.isoformat() if flow.settled_at else None,
        "data": receipts.content(flow) | {"signed": flow.receipt},
    }, ensure_ascii=False)  # fmt: skip
    name = f"msg_{delivery.pk}"
    signature = Signer(delivery.webhook.secret).sign(name, now, body)
    headers = {"webhook-id": name, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    return body.encode(), headers | {"content-type": "application/json", "user-agent": "Belvedere"}


def post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Send a message; (status, headers of the answer, in lower case). BadAddress, OSError, HTTPException."""
    scheme, host, port, address, path = check_address(url)
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    connection.sock = socket.create_connection((address, port), timeout=TIMEOUT)
    if scheme == "https":
        connection.sock = ssl.create_default_context().wrap_socket(connection.sock, server_hostname=host)
    # However the server trickles, the call ends: the socket is shut from outside.
    alarm = threading.Timer(2 * TIMEOUT, connection.sock.shutdown, [socket.SHUT_RDWR])
    alarm.start()
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        alarm.cancel()
        connection.close()


def deliver_due(limit: int = 20) -> int:
    """Send the messages that are due; returns how many were taken."""
    now, taken = timezone.now(), 0
    for delivery in Delivery.objects.filter(done_at=None, next_at__lte=now).select_related("webhook", "flow__group", "flow__member")[:limit]:
        pause = PAUSES[min(delivery.tries, len(PAUSES) - 1)]
        mine = Delivery.objects.filter(pk=delivery.pk, next_at=delivery.next_at, done_at=None)
        if not mine.update(next_at=now + dt.timedelta(seconds=pause), tries=delivery.tries + 1):
            continue  # another worker has it
        try:
            status, _ = post(delivery.webhook.url, *message(delivery))
            told = str(status)
        except BadAddress as error:
            status, told = 0, str(error)[:60]
        except (OSError, ValueError, http.client.HTTPException) as error:
            status, told = 0, type(error).__name__
        # 410 means "never again"; after the last pause the message is kept but no longer sent.
        ended = 200 <= status < 300 or status == 410 or delivery.tries + 1 > len(PAUSES)
        Delivery.objects.filter(pk=delivery.pk).update(status=told, done_at=timezone.now() if ended else None)
        taken += 200 <= status < 300
    return taken
