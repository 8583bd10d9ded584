"""Who calls: a sender by its token or by an access token of OAuth2 client credentials, or a signed-in person; and
what a sender announces in its headers."""

import base64
import binascii
import datetime as dt
import hmac
import json
from enum import StrEnum

import jwt
from django.http import HttpRequest, HttpResponse
from ninja.security import HttpBearer, SessionAuth

from belvedere.api.schemas import Refusal
from belvedere.observatory.accounts.factors import has_second_factor
from belvedere.observatory.accounts.permissions import Action, can
from belvedere.observatory.collect import keyring, receipts
from belvedere.observatory.collect.reception import KEY_LENGTH
from belvedere.observatory.members.actions import seen, sender_by_id, sender_of
from belvedere.observatory.members.models import SenderKey
from belvedere.observatory.tokens import digest


class Caller(StrEnum):
    """Who may call an operation."""

    ANYONE = "anyone"
    SENDER = "sender"
    SENDER_OR_MARKET = "sender_or_market"
    PARTY = "party"  # of the exchange hub, by its own token


_UPLOADS = [("POST", "/uploads"), ("HEAD", "/uploads/{name}"), ("PATCH", "/uploads/{name}"), ("DELETE", "/uploads/{name}")]
# One row an operation; a test compares it with what the API does and with what it declares.
API_RULES: dict[tuple[str, str], Caller] = {
    ("GET", "/certificate"): Caller.ANYONE,
    ("GET", "/receipt-keys"): Caller.ANYONE,
    ("POST", "/oauth/token"): Caller.ANYONE,
    ("GET", "/journal/heads"): Caller.ANYONE,
    ("GET", "/journal/consistency"): Caller.ANYONE,
    ("GET", "/indicators"): Caller.ANYONE,
    ("GET", "/indicators/{name}"): Caller.ANYONE,  # the operation asks for more where the indicator is not public
    ("OPTIONS", "/uploads"): Caller.ANYONE,
    **dict.fromkeys(
        (("POST", "/flows"), ("GET", "/flows"), ("GET", "/flows/{number}"), ("GET", "/flows/{number}/proof"), ("PUT", "/webhook"), *_UPLOADS),
        Caller.SENDER,
    ),
    ("GET", "/services"): Caller.ANYONE,
    **dict.fromkeys(
        (
            ("POST", "/services/cdri/consultations"),
            ("POST", "/services/cdri/lots"),
            ("GET", "/services/cdri/lots/{reference}"),
            ("POST", "/services/cdri/lots/{reference}/retry"),
            ("POST", "/services/cdri/invoice-check"),
            ("POST", "/services/insi/identities"),
            ("POST", "/services/roc/{verb}"),
            ("POST", "/services/scor/check"),
            ("POST", "/services/dmp/documents"),
        ),
        Caller.SENDER,
    ),
    **dict.fromkeys(
        (
            ("GET", "/exchange/topics"),
            ("GET", "/exchange/items"),
            ("GET", "/exchange/matrix"),
            ("GET", "/exchange/matrix/{version}"),
            ("POST", "/exchange/matrix/simulation"),
            ("GET", "/exchange/contracts"),
            ("GET", "/exchange/availability"),
            ("POST", "/exchange/token"),
        ),
        Caller.ANYONE,
    ),
    **dict.fromkeys(
        (
            ("GET", "/exchange/establishments/{finess}"),
            ("GET", "/exchange/offers"),
            ("GET", "/exchange/places"),
            ("GET", "/exchange/deposits"),
            ("POST", "/exchange/deposits"),
            ("GET", "/exchange/deposits/{reference}"),
            ("GET", "/exchange/datasets"),
            ("GET", "/exchange/datasets/{code}/{period}/{version}"),
            ("POST", "/exchange/moves"),
            ("GET", "/exchange/moves/{reference}"),
            ("POST", "/exchange/moves/{reference}/lots"),
            ("POST", "/exchange/moves/{reference}/close"),
            ("POST", "/exchange/exports"),
            ("POST", "/exchange/erasures"),
            ("GET", "/exchange/exports/{reference}"),
            ("GET", "/exchange/exports/{reference}/package"),
            ("GET", "/exchange/transfers"),
            ("POST", "/exchange/transfers"),
            ("POST", "/exchange/transfers/{reference}/purge"),
            ("GET", "/exchange/transfers/{reference}"),
            ("GET", "/exchange/transfers/{reference}/package"),
            ("POST", "/exchange/transfers/{reference}/reply"),
            ("POST", "/exchange/transfers/{reference}/messages"),
            ("GET", "/exchange/transfers/{reference}/messages"),
            ("GET", "/exchange/subscriptions/{uid}/deliveries"),
            ("POST", "/exchange/subscriptions/{uid}/deliveries/{number}/replay"),
            ("POST", "/exchange/subscriptions/{uid}/secrets"),
            ("POST", "/exchange/subscriptions/{uid}/test"),
        ),
        Caller.PARTY,
    ),
    ("GET", "/cells"): Caller.SENDER_OR_MARKET,
    ("GET", "/sums"): Caller.SENDER_OR_MARKET,
}
ACCESS_MINUTES = 15
AUDIENCE = "belvedere-api"


class Sender(HttpBearer):
    """A sender's own token (`bvd_…`), or an access token that it was given."""

    def authenticate(self, request: HttpRequest, token: str) -> SenderKey | None:
        found = self._sender(token)
        if found:
            seen(found)
        return found

    def _sender(self, token: str) -> SenderKey | None:
        if token.startswith("bvd_"):
            return sender_of(token)
        try:
            claims = jwt.decode(token, receipts.public_key(), algorithms=["EdDSA"], audience=AUDIENCE, options={"require": ["exp", "sub", "aud"]})
        except jwt.InvalidTokenError:
            return None
        return sender_by_id(claims["sub"])


def caller(request: HttpRequest) -> SenderKey:
    """The sender that `Sender` let in."""
    return request.auth


def announced(request: HttpRequest, header: str, most: int, missing: str) -> int:
    """The size that a header announces; Refusal `missing` without one, P413 above `most` bytes."""
    text = request.headers.get(header, "")
    if not text.isdecimal():
        raise Refusal(missing)
    if int(text) > most:
        raise Refusal("P413")
    return int(text)


def idempotency_key(request: HttpRequest) -> str | None:
    """The caller's key for this very content, if any; Refusal P400 when it is too long to be kept whole."""
    key = request.headers.get("Idempotency-Key") or None
    if key and len(key) > KEY_LENGTH:
        raise Refusal("P400")
    return key


class MarketSession(SessionAuth):
    """A signed-in person who may see the market."""

    def authenticate(self, request: HttpRequest, key: str | None) -> object | None:
        return request.user if can(request.user, Action.SEE_MARKET) and has_second_factor(request.user) else None


def may_read_market(request: HttpRequest) -> bool:
    """Whether the caller is a sender, by its token, or a signed-in person who may see the market."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and Sender().authenticate(request, token):
        return True
    return can(request.user, Action.SEE_MARKET) and has_second_factor(request.user)


def _client(request: HttpRequest) -> tuple[str, str]:
    """(client, secret) from the Basic header or from the form (RFC 6749 §2.3.1)."""
    header = request.headers.get("Authorization", "")
    if header.lower().startswith("basic "):
        try:
            client, _, secret = base64.b64decode(header[6:], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return client, secret
    return request.POST.get("client_id", ""), request.POST.get("client_secret", "")


def issue_token(request: HttpRequest) -> HttpResponse:
    """The token endpoint: grant type client_credentials, the sender's token as secret (RFC 6749 §4.4, RFC 9068)."""

    def answer(status: int, content: dict) -> HttpResponse:
        made = HttpResponse(json.dumps(content), status=status, content_type="application/json")
        made["Cache-Control"] = "no-store"
        return made

    if request.POST.get("grant_type") != "client_credentials":
        return answer(400, {"error": "unsupported_grant_type", "error_description": "grant_type=client_credentials est attendu."})
    client, secret = _client(request)
    sender = sender_by_id(client)
    if sender is None or not hmac.compare_digest(sender.token_hash, digest(secret)):
        refused = answer(401, {"error": "invalid_client", "error_description": "Émetteur inconnu, révoqué, ou secret faux."})
        refused["WWW-Authenticate"] = 'Basic realm="belvedere"'
        return refused
    now = dt.datetime.now(dt.UTC)
    claims = {"sub": sender.client_id, "aud": AUDIENCE, "iat": now, "exp": now + dt.timedelta(minutes=ACCESS_MINUTES)}
    token = jwt.encode(claims, keyring.receipt_key(), algorithm="EdDSA", headers={"typ": "at+jwt", "kid": receipts.key_id()})
    return answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": ACCESS_MINUTES * 60})
