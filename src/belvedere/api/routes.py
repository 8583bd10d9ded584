"""The HTTP API: sealed flows in, receipts and released figures out."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.security import HttpBearer, SessionAuth

from belvedere import __version__
from belvedere.engine.b2.envelope import MAX_CLEAR_BYTES
from belvedere.engine.indicators.query import Query, QueryError
from belvedere.observatory.accounts.permissions import Action, can
from belvedere.observatory.collect import actions, vault
from belvedere.observatory.collect.models import Flow
from belvedere.observatory.members.actions import sender_of
from belvedere.observatory.members.models import Group
from belvedere.observatory.publication import frozen

api = NinjaAPI(title="Belvédère", version=__version__, description="Flux B2 chiffrés en entrée, accusés et chiffres publiés en sortie.")


class SenderToken(HttpBearer):
    """A sender's token stands for its group."""

    def authenticate(self, request: HttpRequest, token: str) -> Group | None:
        return sender_of(token)


class MarketSession(SessionAuth):
    """A signed-in person who may see the market."""

    def authenticate(self, request: HttpRequest, key: str | None) -> object | None:
        return request.user if can(request.user, Action.SEE_MARKET) else None


class Receipt(Schema):
    """The receipt of a flow."""

    receipt: int
    state: str
    state_label: str
    member: str | None
    records: int
    invoices: int
    lines: int
    amount_billed: int
    duplicate_of: int | None
    findings: list[dict[str, Any]]


class Problem(Schema):
    """A refusal: stable code, what happened, what to do."""

    code: str
    message: str


def _receipt(flow: Flow) -> Receipt:
    return Receipt(
        receipt=flow.pk, state=flow.state, state_label=flow.get_state_display(), member=flow.member.name if flow.member else None,
        records=flow.records, invoices=flow.invoices, lines=flow.lines, amount_billed=flow.amount_billed,
        duplicate_of=flow.duplicate_of_id, findings=flow.findings,
    )  # fmt: skip


@api.get("/certificate", summary="Certificat de réception (PEM)", auth=None)
def certificate(request: HttpRequest) -> HttpResponse:
    return HttpResponse(vault.certificate_pem(), content_type="application/x-pem-file")


@api.post("/flows", response={202: Receipt, 413: Problem}, auth=SenderToken(), summary="Déposer un flux chiffré (CMS)")
def deposit(request: HttpRequest) -> tuple[int, Receipt | Problem]:
    body = request.body
    if len(body) > MAX_CLEAR_BYTES:
        return 413, Problem(code="P602", message="Fichier trop gros : découpez l’envoi.")
    flow = actions.receive(group=request.auth, sealed=body, channel="api", file_name=request.headers.get("X-File-Name", ""))  # type: ignore[attr-defined]
    return 202, _receipt(flow)


@api.get("/flows/{number}", response={200: Receipt, 404: Problem}, auth=SenderToken(), summary="Accusé d’un flux")
def receipt(request: HttpRequest, number: int) -> tuple[int, Receipt | Problem]:
    flow = Flow.objects.select_related("member").filter(pk=number, group=request.auth).first()  # type: ignore[attr-defined]
    return (200, _receipt(flow)) if flow else (404, Problem(code="P404", message="Accusé inconnu."))


@api.get(
    "/cells",
    response={200: dict[str, Any], 400: Problem, 404: Problem},
    auth=[SenderToken(), MarketSession()],
    summary="Une cellule de la publication en cours",
)
def cell(request: HttpRequest) -> tuple[int, dict[str, Any] | Problem]:
    """Paramètres : zone, produit, periode, age, sexe, regime, mode ; absents, ils valent le total."""
    try:
        query = Query.from_params(request.GET.dict())
    except QueryError as error:
        return 400, Problem(code="Q400", message=str(error))
    release = frozen.current()
    found = release.cell(**query.codes(release.years[-1])) if release else None
    if release is None or found is None:
        return 404, Problem(code="Q404", message="Cette combinaison n’est pas dans la publication.")
    measures = None if isinstance(found, str) else dict(found)
    return 200, {"release": release.label, "query": query.to_params(), "masked": measures is None, "measures": measures}
