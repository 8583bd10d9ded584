"""What each address asks of its reader: one table, and nothing answers beside it.

`Gatekeeper` refuses an address that has no rule, whatever its view does; views still check for themselves. Signed-in
people pass a second factor before anything that is not public or their own account.
"""

from collections.abc import Callable
from enum import StrEnum

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from belvedere.observatory.accounts.factors import has_second_factor
from belvedere.observatory.accounts.permissions import Action, can
from belvedere.observatory.journal.actions import note


class Open(StrEnum):
    """Addresses that no action guards."""

    PUBLIC = "public"  # anybody
    ACCOUNT = "account"  # a signed-in person, on its own account, second factor or not
    SIGNED_IN = "signed_in"  # a signed-in person with its second factor
    API = "api"  # the API authenticates each operation itself: see api.auth


Rule = Open | Action
_ACCOUNT = (
    "account_reauthenticate", "account_change_password", "account_set_password", "mfa_index", "mfa_reauthenticate", "mfa_activate_totp",
    "mfa_deactivate_totp", "mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_download_recovery_codes", "mfa_list_webauthn",
    "mfa_add_webauthn", "mfa_edit_webauthn", "mfa_remove_webauthn", "mfa_reauthenticate_webauthn", "usersessions_list", "socialaccount_connections",
)  # fmt: skip
_WAY_IN = (
    "account_login", "account_logout", "account_inactive", "account_reset_password", "account_reset_password_done", "account_reset_password_from_key",
    "account_reset_password_from_key_done", "mfa_authenticate", "mfa_login_webauthn", "socialaccount_login_cancelled", "socialaccount_login_error",
    "openid_connect_login", "openid_connect_callback",
)  # fmt: skip
RULES: dict[str, Rule] = {
    **dict.fromkeys(
        (
            "public",
            "versions",
            "press",
            "method",
            "accessibility",
            "mute",
            "public-csv",
            "catalogue",
            "definition",
            "definition-figure",
            "definition-export",
            "old-definition",
            "lpp",
            "lpp-code",
            "outlines",
            "health",
            "ready",
            "favicon",
            *_WAY_IN,
        ),
        Open.PUBLIC,
    ),
    **dict.fromkeys(_ACCOUNT, Open.ACCOUNT),
    **dict.fromkeys(("join:enrol", "join:thanks", "join:sign", "join:text", "join:plug", "join:document", "join:invited"), Open.PUBLIC),
    **dict.fromkeys(("patient:rights", "patient:oppose", "patient:withdraw", "patient:proof"), Open.PUBLIC),
    "home": Open.SIGNED_IN,
    "member:position": Action.SEE_OWN,
    "member:position-csv": Action.SEE_OWN,
    **dict.fromkeys(
        ("member:families", "member:family", "member:territories", "member:prescribers", "member:durations", "member:billing"), Action.SEE_OWN
    ),
    "desk:desk": Action.SEE_MARKET,
    "desk:basket": Action.SEE_MARKET,
    "desk:alert": Action.SEE_OWN,
    "desk:remove": Action.SEE_MARKET,
    "member:flows": Action.SEE_OWN,
    "member:flow": Action.SEE_OWN,
    "member:receipt": Action.SEE_OWN,
    "member:proof": Action.SEE_OWN,
    "member:plug": Action.SEE_OWN,
    "member:house": Action.MANAGE_PEOPLE,
    "member:close-person": Action.MANAGE_PEOPLE,
    "member:add-entities": Action.MANAGE_PEOPLE,
    "member:remove-entity": Action.MANAGE_PEOPLE,
    "member:senders": Action.MANAGE_SENDERS,
    "member:invoice": Action.SEE_INVOICES,
    "member:agreement": Action.SEE_INVOICES,
    "federation:market": Action.SEE_MARKET,
    "federation:simulator": Action.SEE_MARKET,
    "federation:note": Action.SEE_MARKET,
    "federation:releases": Action.SEE_REVIEW,
    "federation:secrecy": Action.SEE_REVIEW,
    "federation:publication-csv": Action.SEE_REVIEW,
    "federation:specification": Action.SEE_REVIEW,
    "federation:decide": Action.DECIDE_RELEASE,
    "federation:decide-counts": Action.DECIDE_RELEASE,
    "federation:standing": Action.DECIDE_RELEASE,
    "federation:coverage": Action.SEE_COVERAGE,
    "operator:overview": Action.SEE_OPERATION,
    "operator:objections": Action.SEE_OPERATION,
    "operator:enrolments": Action.MANAGE_ENROLMENTS,
    "operator:enrolment": Action.MANAGE_ENROLMENTS,
    "operator:enrolment-act": Action.MANAGE_ENROLMENTS,
    "operator:fees": Action.MANAGE_FEES,
    "operator:bearing": Action.MANAGE_FEES,
    "operator:federation": Action.MANAGE_FEES,
    "operator:pay": Action.MANAGE_FEES,
    "operator:invoice": Action.MANAGE_FEES,
    "operator:gate": Action.MANAGE_GATE,
    "operator:end": Action.MANAGE_GATE,
    "operator:end-counts": Action.MANAGE_GATE,
    **dict.fromkeys(("exchange:overview", "exchange:items", "exchange:matrix", "exchange:person", "exchange:own"), Open.PUBLIC),
    **dict.fromkeys(
        (
            "exchange:deposits",
            "exchange:send",
            "exchange:deposit",
            "exchange:exports",
            "exchange:package",
            "exchange:transfers",
            "exchange:links",
            "exchange:erasures",
        ),
        Action.DEPOSIT,
    ),
    **dict.fromkeys(("exchange:moves", "exchange:move", "exchange:move-csv"), Action.DEPOSIT),
    **dict.fromkeys(("exchange:subscriptions", "exchange:subscription", "exchange:datasets", "exchange:dataset", "exchange:places"), Action.RECEIVE),
    "exchange:operator": Action.MANAGE_EXCHANGE,
    **dict.fromkeys(("study:public", "study:public-file", "study:vendor", "study:vendor-file", "study:services", "study:story"), Open.PUBLIC),
    **dict.fromkeys(("study:registries", "study:freeze", "study:keys", "study:registry", "study:row"), Action.MANAGE_STUDY),
    "exchange:proposals": Action.CHANGE_MATRIX,
    "auditor:journal": Action.READ_JOURNAL,
    "auditor:export": Action.READ_JOURNAL,
}
# Pages that show what others entrusted: each reading is told to the journal.
READ_AND_TOLD = frozenset(
    {
        "operator:overview",
        "operator:enrolments",
        "operator:enrolment",
        "operator:fees",
        "operator:invoice",
        "federation:coverage",
        "auditor:journal",
        "auditor:export",
    }
)


def rule_of(view_name: str) -> Rule | None:
    """The rule of an address by its name; None: refused to everybody."""
    if view_name.startswith("api-"):
        return Open.API
    return RULES.get(view_name)


def _known(request: HttpRequest) -> str:
    """How the journal names who asks: a person who signed in, a sender of the API; "" for a visitor."""
    if request.user.is_authenticated:
        return request.user.actor
    return getattr(getattr(request, "auth", None), "client_id", "")


class Gatekeeper:
    """Applies the table before any view runs, and tells the journal of refusals to people who signed in and to senders."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        match = request.resolver_match
        if response.status_code in (403, 404) and match and match.view_name and (by := _known(request)):
            note(by=by, action="acces.refuse", subject=match.view_name[:120], status=response.status_code)
        return response

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> HttpResponse | None:
        name = request.resolver_match.view_name if request.resolver_match else ""
        rule = rule_of(name)
        if rule is None:
            raise PermissionDenied("Cette adresse n’est ouverte à personne.")
        if rule in (Open.PUBLIC, Open.API):
            return None
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if rule is Open.ACCOUNT:
            return None
        if not has_second_factor(request.user):
            messages.info(request, "Une étape encore : un second facteur protège votre compte. Choisissez une application ou une clé de sécurité.")
            return redirect("mfa_index")
        if isinstance(rule, Action):
            if not can(request.user, rule):
                raise PermissionDenied("Votre compte ne donne pas accès à cette page.")
            if name in READ_AND_TOLD and request.method == "GET":
                of = {"of": [str(value) for value in kwargs.values()]} if kwargs else {}
                note(by=request.user.actor, action="acces.lu", subject=name, **of)
        return None
