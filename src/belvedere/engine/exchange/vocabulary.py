"""The words of the exchange hub, as the access matrix writes them (orchestrator reference §3)."""

from enum import StrEnum


class Word(StrEnum):
    """A word that hashes as its text: decisions look rows up by words half a million times a second."""

    __hash__ = str.__hash__


class Actor(Word):
    """Who may meet data. `EDITEUR` and `EXPLOITANT` never have a row: software and operator have no right on contents."""

    PRODUCER = "ESMS_PRODUCTEUR"
    RECEIVER = "ESMS_DESTINATAIRE"
    PERSON = "USAGER"
    SIDOBA = "CNSA_SIDOBA"
    RESID = "CNAM_RESIDESMS"
    SIPIL = "CNAM_SIPIL"
    ARS = "ARS"
    DEPARTMENT = "DEPARTEMENT"
    ATIH = "ATIH_TDB"
    DREES = "DREES"
    MATURIN = "DNS_MATURIN"
    MDPH = "MDPH"
    ARCHIVES = "ARCHIVES_DEPARTEMENTALES"
    AUDITOR = "AUDITEUR"
    VENDOR = "EDITEUR"
    OPERATOR = "EXPLOITANT"


class Purpose(Word):
    """What data are asked for."""

    CARE = "ACCOMPAGNEMENT"
    PORTABILITY = "PORTABILITE"
    RIGHT_OF_ACCESS = "DROIT_ACCES"
    FUNDING = "FINANCEMENT"
    STEERING = "PILOTAGE"
    BILLING_CONTROL = "FACTURATION_CONTROLE"
    STATISTICS = "STATISTIQUE"
    MATURITY = "MATURITE"
    ARCHIVING = "ARCHIVAGE"
    AUDIT = "AUDIT"


class Category(Word):
    """The five categories of data of the framework, and the traces."""

    ADM = "ADM"
    HEALTH = "SANTE"
    ACCOMP = "ACCOMP"
    FIN = "FIN"
    SERV = "SERV"
    TRACE = "TRACE"


DATA = frozenset(set(Category) - {Category.TRACE})  # the five categories of data


class Grain(Word):
    """How finely data may be read."""

    NAMED = "NOMINATIF"
    PSEUDONYM = "PSEUDONYME"
    AGGREGATE = "AGREGE"
    ESTABLISHMENT = "ETABLISSEMENT"


class Perimeter(Word):
    """Of whom: oneself, a designated file, one's establishment, a territory."""

    SELF = "SOI"
    FILE = "DOSSIER"
    ESTABLISHMENT = "ETABLISSEMENT"
    DEPARTMENT = "DEPARTEMENT"
    REGION = "REGION"
    NATIONAL = "NATIONAL"


class Need(Word):
    """What a row asks of the person concerned."""

    NONE = "AUCUN"
    NOT_OPPOSED = "NON_OPPOSE"
    EXPRESS = "EXPRES"


class Statement(Word):
    """What the person concerned says."""

    AGREEMENT = "accord"
    OPPOSITION = "opposition"
    WITHDRAWAL = "retrait"


class Speaker(Word):
    """Who says it: the person, or whoever represents a protected adult or a child."""

    PERSON = "personne"
    REPRESENTATIVE = "representant"


SPEAKERS = {Speaker.PERSON: "la personne", Speaker.REPRESENTATIVE: "son représentant"}
ACTORS = {
    Actor.PRODUCER: "Établissement déposant", Actor.RECEIVER: "Établissement destinataire", Actor.PERSON: "Personne concernée", Actor.SIDOBA: "CNSA, SIDOBA",
    Actor.RESID: "CNAM, RESID-ESMS", Actor.SIPIL: "CNAM, SI-PIL", Actor.ARS: "Agence régionale de santé", Actor.DEPARTMENT: "Département", Actor.ATIH: "ATIH, tableau de bord",
    Actor.DREES: "DREES", Actor.MATURIN: "DNS, MaturiN", Actor.MDPH: "MDPH", Actor.ARCHIVES: "Archives départementales", Actor.AUDITOR: "Auditeur", Actor.VENDOR: "Éditeur de logiciel",
    Actor.OPERATOR: "Exploitant de la plateforme",
}  # fmt: skip
PURPOSES = {
    Purpose.CARE: "Accompagnement", Purpose.PORTABILITY: "Portabilité", Purpose.RIGHT_OF_ACCESS: "Droit d’accès", Purpose.FUNDING: "Financement", Purpose.STEERING: "Pilotage",
    Purpose.BILLING_CONTROL: "Contrôle de facturation", Purpose.STATISTICS: "Statistique", Purpose.MATURITY: "Maturité numérique", Purpose.ARCHIVING: "Archivage", Purpose.AUDIT: "Audit",
}  # fmt: skip
CATEGORIES = {
    Category.ADM: "Administratif", Category.HEALTH: "Santé", Category.ACCOMP: "Accompagnement", Category.FIN: "Financier", Category.SERV: "Services", Category.TRACE: "Traces",
}  # fmt: skip
GRAINS = {Grain.NAMED: "nominatif", Grain.PSEUDONYM: "pseudonyme", Grain.AGGREGATE: "agrégé", Grain.ESTABLISHMENT: "par établissement"}
NEEDS = {Need.NONE: "aucun", Need.NOT_OPPOSED: "non-opposition", Need.EXPRESS: "accord exprès"}
