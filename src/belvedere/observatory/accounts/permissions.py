"""Who may do what: a table of action and role, and nothing allowed beside it."""

from enum import StrEnum

from django.core.exceptions import PermissionDenied

from belvedere.observatory.accounts.models import OF_FEDERATIONS, OF_MEMBERS, Role, User


class Action(StrEnum):
    """Everything a signed-in person may do."""

    SEE_OWN = "see_own"
    MANAGE_SENDERS = "manage_senders"
    MANAGE_PEOPLE = "manage_people"
    SEE_INVOICES = "see_invoices"
    SEE_MARKET = "see_market"
    SEE_COVERAGE = "see_coverage"
    SEE_REVIEW = "see_review"
    DECIDE_RELEASE = "decide_release"
    SEE_OPERATION = "see_operation"
    MANAGE_ENROLMENTS = "manage_enrolments"
    MANAGE_FEES = "manage_fees"
    MANAGE_GATE = "manage_gate"
    READ_JOURNAL = "read_journal"
    DEPOSIT = "deposit"
    RECEIVE = "receive"
    MANAGE_EXCHANGE = "manage_exchange"
    CHANGE_MATRIX = "change_matrix"
    MANAGE_STUDY = "manage_study"


LABELS = {
    Action.SEE_OWN: "lire ses chiffres et ses flux", Action.MANAGE_SENDERS: "ouvrir, renouveler et révoquer ses émetteurs",
    Action.MANAGE_PEOPLE: "inviter et retirer les siens", Action.SEE_INVOICES: "lire ses factures d’adhésion", Action.SEE_MARKET: "lire le marché publié",
    Action.SEE_COVERAGE: "suivre l’adhésion dans sa fédération", Action.SEE_REVIEW: "examiner une publication, sans chiffre du marché",
    Action.DECIDE_RELEASE: "valider ou refuser une publication", Action.SEE_OPERATION: "voir l’exploitation", Action.MANAGE_ENROLMENTS: "traiter les adhésions",
    Action.MANAGE_FEES: "fixer la cotisation, encaisser", Action.MANAGE_GATE: "fixer les seuils, retirer une publication", Action.READ_JOURNAL: "lire le journal", Action.DEPOSIT: "déposer, exporter et verser les données de son établissement",
    Action.RECEIVE: "s’abonner et recevoir ses jeux de données", Action.MANAGE_EXCHANGE: "admettre les acteurs des échanges", Action.CHANGE_MATRIX: "proposer ou approuver la matrice d’habilitation",
    Action.MANAGE_STUDY: "tenir les registres de l’étude de marché, la figer, ouvrir les liens d’éditeurs",
}  # fmt: skip

ALLOWED: dict[Action, tuple[Role, ...]] = {
    Action.SEE_OWN: OF_MEMBERS,
    Action.MANAGE_SENDERS: (Role.MEMBER_ADMIN,),
    Action.MANAGE_PEOPLE: (Role.MEMBER_ADMIN,),
    Action.SEE_INVOICES: (Role.MEMBER_ADMIN,),
    Action.SEE_MARKET: (*OF_MEMBERS, *OF_FEDERATIONS),
    Action.SEE_COVERAGE: (Role.ANALYST, Role.VALIDATOR),
    Action.SEE_REVIEW: OF_FEDERATIONS,
    Action.DECIDE_RELEASE: (Role.VALIDATOR,),
    Action.SEE_OPERATION: (Role.OPERATOR,),
    Action.MANAGE_ENROLMENTS: (Role.OPERATOR,),
    Action.MANAGE_FEES: (Role.OPERATOR,),
    Action.MANAGE_GATE: (Role.OPERATOR,),
    Action.READ_JOURNAL: (Role.AUDITOR,),
    Action.DEPOSIT: (Role.ESTABLISHMENT,),
    Action.RECEIVE: (Role.INSTITUTION,),
    Action.MANAGE_STUDY: (Role.OPERATOR,),
    Action.MANAGE_EXCHANGE: (Role.OPERATOR,),
    Action.CHANGE_MATRIX: (Role.OPERATOR, Role.AUDITOR),
}


OF_PARTIES = (Action.DEPOSIT, Action.RECEIVE)


def can(user: object, action: Action) -> bool:
    """Whether a person may do an action; anonymous and inactive people may do nothing, nor people of a party that is no longer admitted in its name."""
    allowed = isinstance(user, User) and user.is_active and user.role in ALLOWED.get(action, ())
    return allowed and (action not in OF_PARTIES or (user.party is not None and user.party.admitted))


def check(user: object, action: Action) -> User:
    """The person, or PermissionDenied."""
    if not isinstance(user, User) or not can(user, action):
        raise PermissionDenied("Votre compte ne donne pas accès à cette page.")
    return user


def check_whole_group(user: object, action: Action) -> User:
    """The person, who must also answer for its whole group; PermissionDenied otherwise."""
    person = check(user, action)
    if not person.whole_group:
        raise PermissionDenied("Cette page est réservée aux administrateurs de tout le groupe.")
    return person
