"""What every template knows: the menu of the signed-in person."""

from django.http import HttpRequest

from belvedere import __version__
from belvedere.observatory.accounts.permissions import Action, can

MENU = (
    (Action.SEE_OWN, "member:position", "Ma position"),
    (Action.SEE_OWN_FLOWS, "member:flows", "Mes flux"),
    (Action.SEE_MARKET, "federation:market", "Marché"),
    (Action.APPROVE_RELEASE, "federation:releases", "Publications"),
    (Action.SEE_OPERATION, "operator:overview", "Exploitation"),
)
OPEN_MENU = (("public", "Chiffres publics"), ("method", "Méthode"))


def portal(request: HttpRequest) -> dict[str, object]:
    """Menu entries the person may follow, and which one is current."""
    user = getattr(request, "user", None)
    entries = [(name, label) for action, name, label in MENU if can(user, action)]
    match = getattr(request, "resolver_match", None)
    return {"menu": [*entries, *OPEN_MENU], "current": match.view_name if match else "", "version": __version__}
