"""What happens to accounts goes to the journal: sign-ins, failures, second factors, passwords. Addresses typed by
who failed are not kept, only whether the account exists is not told either."""

import hashlib

from allauth.account import signals as account
from allauth.mfa import signals as factors
from allauth.mfa.models import Authenticator
from allauth.socialaccount import signals as social
from allauth.usersessions.models import UserSession
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import Signal
from django.http import HttpRequest

from belvedere.observatory.environment import secret_key
from belvedere.observatory.journal.actions import note

SIGNALS: tuple[tuple[Signal, str], ...] = (
    (user_logged_in, "compte.entre"),
    (user_logged_out, "compte.sorti"),
    (account.password_changed, "compte.mot_change"),
    (account.password_reset, "compte.mot_reinitialise"),
    (factors.authenticator_added, "compte.facteur_ajoute"),
    (factors.authenticator_removed, "compte.facteur_retire"),
    (factors.authenticator_reset, "compte.facteur_renouvele"),
    (social.social_account_added, "compte.identite_liee"),
    (social.social_account_removed, "compte.identite_deliee"),
)


def _end_weaker_sessions(sender: object, request: HttpRequest, user: object, authenticator: Authenticator, **_: object) -> None:
    """Sessions opened before a first second factor passed none: they end when it is set."""
    held = Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.RECOVERY_CODES)
    if authenticator.type != Authenticator.Type.RECOVERY_CODES and held.count() == 1:
        for session in UserSession.objects.filter(user=user).exclude(session_key=request.session.session_key):
            session.end()


def connect() -> None:
    """Listen, once."""
    for signal, action in SIGNALS:
        signal.connect(_listener(action), dispatch_uid=f"journal-{action}", weak=False)
    factors.authenticator_added.connect(_end_weaker_sessions, dispatch_uid="weaker-sessions", weak=False)
    user_login_failed.connect(_failed, dispatch_uid="journal-compte.refuse", weak=False)


def _listener(action: str):
    def heard(sender: object, user: object = None, **given: object) -> None:
        person = user or getattr(given.get("sociallogin"), "user", None)
        if getattr(person, "pk", None):
            note(by=person.actor, action=action, subject=f"personne:{person.pk}")

    return heard


def _failed(sender: object, credentials: dict, request: HttpRequest | None = None, **_: object) -> None:
    """The typed address is told as a keyed hash: the same address shows as the same, and no list of addresses grows here."""
    typed = str(credentials.get("email") or credentials.get("login") or credentials.get("username") or "").lower()
    mark = hashlib.sha256(f"{secret_key()}:{typed}".encode()).hexdigest()[:12]
    note(by="visiteur", action="compte.refuse", subject=f"adresse:{mark}")
