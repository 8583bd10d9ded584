"""Who may do what: a table of role and action, and nothing allowed beside it."""

from enum import StrEnum

from django.core.exceptions import PermissionDenied

from belvedere.observatory.accounts.models import Role, User


class Action(StrEnum):
    """Everything a signed-in person may do."""

    SEE_OWN = "see_own"
    SEE_OWN_FLOWS = "see_own_flows"
    SEE_MARKET = "see_market"
    APPROVE_RELEASE = "approve_release"
    SEE_OPERATION = "see_operation"


ALLOWED: dict[str, frozenset[Action]] = {
    Role.MEMBER: frozenset({Action.SEE_OWN, Action.SEE_OWN_FLOWS, Action.SEE_MARKET}),
    Role.FEDERATION: frozenset({Action.SEE_MARKET, Action.APPROVE_RELEASE}),
    Role.OPERATOR: frozenset({Action.SEE_OPERATION}),
}


def can(user: object, action: Action) -> bool:
    """Whether a person may do an action; anonymous and inactive people may do nothing."""
    return isinstance(user, User) and user.is_active and action in ALLOWED.get(user.role, frozenset())


def check(user: object, action: Action) -> User:
    """The person, or PermissionDenied."""
    if not isinstance(user, User) or not can(user, action):
        raise PermissionDenied("Votre compte ne donne pas accès à cette page.")
    return user
