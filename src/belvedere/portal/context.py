"""What every template knows: the menu of the signed-in person."""

from django.http import HttpRequest

from belvedere import __version__
from belvedere.observatory.accounts.permissions import Action, can

MENU = (
    (Action.SEE_OWN, "member:position", "Ma position"),
    (Action.SEE_OWN, "member:flows", "Mes flux"),
    (Action.MANAGE_PEOPLE, "member:house", "Mon groupe"),
    (Action.SEE_MARKET, "federation:market", "Marché"),
    (Action.SEE_COVERAGE, "federation:coverage", "Couverture"),
    (Action.SEE_REVIEW, "federation:releases", "Publications"),
    (Action.SEE_OPERATION, "operator:overview", "Exploitation"),
    (Action.READ_JOURNAL, "auditor:journal", "Journal"),
    (Action.DEPOSIT, "exchange:deposits", "Mes dépôts"),
    (Action.RECEIVE, "exchange:subscriptions", "Mes abonnements"),
)
EXCHANGE_MENU = (
    (None, "exchange:overview", "Présentation"), (None, "exchange:items", "Données demandées"), (None, "exchange:matrix", "Habilitations"),
    (Action.DEPOSIT, "exchange:deposits", "Mes dépôts"), (Action.DEPOSIT, "exchange:exports", "Portabilité"), (Action.DEPOSIT, "exchange:moves", "Changer de logiciel"), (Action.DEPOSIT, "exchange:transfers", "Versements"),
    (Action.DEPOSIT, "exchange:links", "Lien personnel"),
    (Action.DEPOSIT, "exchange:erasures", "Effacement"),
    (Action.RECEIVE, "exchange:subscriptions", "Abonnements"), (Action.RECEIVE, "exchange:datasets", "Jeux de données"), (Action.RECEIVE, "exchange:places", "Établissements"), (Action.CHANGE_MATRIX, "exchange:proposals", "Changer la matrice"),
)  # fmt: skip
OPERATOR_MENU = (
    ("operator:overview", "Flux"), ("operator:enrolments", "Adhésions"), ("operator:fees", "Cotisation"), ("operator:gate", "Verrou"),
    ("operator:objections", "Oppositions"), ("exchange:operator", "Échanges"),
    ("study:registries", "Étude"),
)  # fmt: skip
MEMBER_MENU = (
    ("member:position", "Ma position"), ("member:families", "Familles"), ("member:territories", "Territoires"), ("member:prescribers", "Prescripteurs"),
    ("member:durations", "Durées"), ("member:billing", "Facturation"), ("desk:desk", "Paniers et alertes"),
)  # fmt: skip
ACCOUNT_MENU = (
    ("mfa_index", "Second facteur"), ("account_change_password", "Mot de passe"), ("usersessions_list", "Sessions et appareils"),
    ("socialaccount_connections", "Identités liées"),
)  # fmt: skip
OPEN_MENU = (
    ("catalogue", "Catalogue"),
    ("lpp", "Codes LPP"),
    ("public", "Chiffres publics"),
    ("exchange:overview", "Échanges"),
    ("study:public", "Étude"),
    ("method", "Méthode"),
)
VISITOR_MENU = (("join:enrol", "Adhérer"), ("patient:rights", "Patients"))


def portal(request: HttpRequest) -> dict[str, object]:
    """Menu entries the person may follow, and which one is current."""
    user = getattr(request, "user", None)
    entries = [(name, label) for action, name, label in MENU if can(user, action)]
    match = getattr(request, "resolver_match", None)
    return {
        "menu": [*entries, *OPEN_MENU, *(() if entries else VISITOR_MENU)],
        "page_name": match.view_name if match else "",
        "version": __version__,
        "account_menu": ACCOUNT_MENU,
        "operator_menu": OPERATOR_MENU,
        "exchange_menu": [(name, label) for action, name, label in EXCHANGE_MENU if action is None or can(user, action)],
        "member_menu": MEMBER_MENU,
        "may_decide": can(user, Action.DECIDE_RELEASE),
    }
