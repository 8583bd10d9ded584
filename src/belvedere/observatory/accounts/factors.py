"""Authenticator codes (TOTP, RFC 6238) outside allauth's own pages: made at the signature of a convention, kept for the account."""

import time

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value

from belvedere.observatory.accounts.models import User

PERIOD, TOLERANCE = 30, 1


def has_second_factor(user: object) -> bool:
    """Whether a person set up a second factor; recovery codes alone are none."""
    return Authenticator.objects.filter(user=user, type__in=(Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)).exists()


def new_secret() -> str:
    """A fresh secret, base32."""
    return generate_totp_secret()


def code(secret: str, at: float | None = None) -> str:
    """The six digits of a moment (now by default)."""
    return format_hotp_value(hotp_value(secret, int((time.time() if at is None else at) // PERIOD)))


def matches(secret: str, typed: str) -> bool:
    """Whether six digits are those of now, or of the half-minutes beside."""
    now = time.time()
    typed = typed.replace(" ", "")
    return len(typed) == 6 and any(code(secret, now + PERIOD * step) == typed for step in range(-TOLERANCE, TOLERANCE + 1))


def seal(secret: str) -> str:
    """A secret as it may be stored."""
    return get_adapter().encrypt(secret)


def unseal(stored: str) -> str:
    """A stored secret in clear."""
    return get_adapter().decrypt(stored)


def give(user: User, secret: str) -> Authenticator:
    """Make a secret the second factor of an account, with its recovery codes."""
    made = TOTP.activate(user, secret).instance
    RecoveryCodes.activate(user)
    return made
