"""What the API says: receipts and problems."""

from typing import Any

from ninja import Field, Schema

from belvedere.observatory.collect import receipts
from belvedere.observatory.collect.models import SETTLED, Flow


class Finding(Schema):
    """One remark of the controls."""

    code: str
    severity: str
    record: int
    position: str
    message: str
    remedy: str
    count: int = 1
    examples: list[int] = Field(default_factory=list)


class Receipt(Schema):
    """The receipt of a flow; `signed` is the same as a JWS once the flow is settled."""

    receipt: int
    state: str
    state_label: str
    settled: bool
    test: bool
    channel: str
    file: str
    member: str | None
    finess: str | None
    received_at: str
    settled_at: str | None
    sealed_sha256: str
    content_sha256: str
    software: str
    counts: dict[str, int]
    records: int
    invoices: int
    lines: int
    amount_billed: int
    amount_amo: int
    refused_invoices: int
    refused_numbers: list[int]
    repeated_invoices: int
    replaced_invoices: int
    duplicate_of: int | None
    findings: list[Finding]
    signed: str


class Problem(Schema):
    """A refusal as RFC 9457 writes it, with ours: stable code, what happened, what to do. What the RFC names is filled in as the answer leaves
    (`described.py`), from ours."""

    type: str = ""
    title: str = ""
    status: int = 0
    detail: str = ""
    code: str
    message: str
    remedy: str = ""


class OAuthProblem(Schema):
    """A refusal of a token, as RFC 6749 §5.2 writes it."""

    error: str
    error_description: str = ""


class WebhookIn(Schema):
    """Where to be told."""

    url: str


class WebhookOut(Schema):
    """The address, and the secret that signs the messages (shown once)."""

    url: str
    secret: str


def receipt_of(flow: Flow) -> Receipt:
    """The receipt of a flow as the API gives it."""
    content: dict[str, Any] = receipts.content(flow)
    return Receipt(**{name: content[name] for name in Receipt.model_fields if name in content}, settled=flow.state in SETTLED, signed=flow.receipt)


PROBLEMS = {
    "P400": (
        "La requête est incomplète, coupée en chemin, ou sa clé d’idempotence dépasse 80 caractères.",
        "Relisez le guide « Brancher son logiciel par l’API ».",
    ),
    "P401": ("Jeton inconnu, expiré ou révoqué.", "Demandez un jeton à l’observatoire ou renouvelez l’accès OAuth2."),
    "P403": (
        "Cette clé est limitée à une entité : le rappel concerne tout le groupe.",
        "Demandez à l’administrateur du groupe de régler le rappel avec une clé du groupe.",
    ),
    "P404": ("Accusé inconnu.", "Vérifiez le numéro ; seuls les accusés de votre groupe sont visibles."),
    "P409": ("La position annoncée n’est pas celle du serveur.", "Demandez la position (HEAD) et reprenez là."),
    "P411": ("La longueur du corps n’est pas annoncée.", "Envoyez l’en-tête Content-Length, ou utilisez le dépôt par reprise."),
    "P413": ("Le fichier est trop gros pour un seul appel.", "Utilisez le dépôt par reprise (/uploads), ou découpez l’envoi."),
    "P422": ("La clé d’idempotence a déjà servi pour un autre contenu.", "Tirez une clé nouvelle pour chaque fichier."),
    "D400": ("La demande ne se lit pas.", "Envoyez un corps JSON entier, encodé en UTF-8, à une adresse de la description de l’API (/api/v1/docs)."),
    "D403": (
        "Un jeton de niveau 1 n’ouvre pas ceci : ce qui part en lot porte des données de santé.",
        "Liez votre jeton à un certificat de structure (voyez l’exploitant).",
    ),
    "D405": ("Cette adresse ne se prend pas ainsi.", "Utilisez une des méthodes de l’en-tête Allow."),
    "D404": ("Cette adresse n’existe pas, ou ce qu’elle nomme n’est pas à vous.", "Vérifiez-la dans la description de l’API (/api/v1/docs)."),
    "D422": ("La demande n’a pas la forme attendue.", "Corrigez-la d’après la description de l’API (/api/v1/docs), puis renvoyez-la."),
    "P423": ("Ce dépôt est déjà en cours d’écriture.", "Attendez la fin de l’autre envoi, puis reprenez."),
    "P503": ("Les services de la facturation ne sont pas branchés ici.", "Demandez à l’exploitant de régler leur adresse (BELVEDERE_SERVICES_URL)."),
    "P429": ("L’observatoire est momentanément saturé ; rien n’a été gardé.", "Revenez après le délai de l’en-tête Retry-After."),
}


class Refusal(Exception):
    """An answer that ends a call with a problem of the catalogue; its code ends with the HTTP status."""

    def __init__(self, code: str, **headers: str) -> None:
        super().__init__(code)
        self.code, self.headers = code, headers

    @property
    def status(self) -> int:
        return int(self.code[1:])


def problem(code: str) -> Problem:
    """A problem of the catalogue."""
    message, remedy = PROBLEMS[code]
    return Problem(code=code, message=message, remedy=remedy)
