"""The HTTP API: sealed flows in, receipts and released figures out."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from ninja import Status

from belvedere import __version__
from belvedere.api.auth import MarketSession, Sender, announced, caller, idempotency_key, issue_token, may_read_market
from belvedere.api.described import DescribedAPI
from belvedere.api.exchange.catalogue import router as exchange_catalogue
from belvedere.api.exchange.moves import router as exchange_moves
from belvedere.api.exchange.routes import router as exchange
from belvedere.api.exchange.tokens import router as exchange_tokens
from belvedere.api.exchange.transfers import router as exchange_transfers
from belvedere.api.schemas import OAuthProblem, Problem, Receipt, Refusal, WebhookIn, WebhookOut, problem, receipt_of
from belvedere.api.services import router as services
from belvedere.api.uploads import router as uploads
from belvedere.engine.evidence import chain
from belvedere.engine.indicators import answering
from belvedere.engine.indicators.definitions import catalogue
from belvedere.engine.indicators.lattice import ALL, overlapping
from belvedere.engine.indicators.measures import ADDITIVE, MEASURES
from belvedere.engine.indicators.query import Query, QueryError, View
from belvedere.engine.nomenclature.territories import FRANCE
from belvedere.engine.secrecy import answers
from belvedere.observatory.collect import keyring, receipts, reception, webhooks
from belvedere.observatory.collect.models import Flow
from belvedere.observatory.journal import sealing
from belvedere.observatory.journal.models import TreeHead
from belvedere.observatory.publication import frozen

api = DescribedAPI(title="Belvédère", version=__version__, description="Flux B2 chiffrés en entrée, accusés et chiffres publiés en sortie.")
api.add_router("/uploads", uploads)
api.add_router("/exchange", exchange)
api.add_router("/exchange", exchange_tokens)
api.add_router("/exchange", exchange_catalogue)
api.add_router("/exchange", exchange_transfers)
api.add_router("/exchange/moves", exchange_moves)
api.add_router("/services", services)
PIECE = 1024 * 1024
PAGE = 100
MOST_CELLS = 500
# One call holds its body in the server's memory; larger files come by pieces (/uploads).
MAX_CALL_BYTES = 256 * 1024 * 1024


BUSY = {"Retry-After": str(reception.RETRY_SECONDS)}


@api.exception_handler(Refusal)
def refused(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """A refusal as the answer of any call."""
    answer = api.create_response(request, problem(refusal.code).dict(), status=refusal.status)
    for name, value in refusal.headers.items():
        answer[name] = value
    return answer


@api.get("/certificate", tags=["clés"], summary="Certificat de réception (PEM)", auth=None)
def certificate(request: HttpRequest) -> HttpResponse:
    return HttpResponse(keyring.certificate_pem(), content_type="application/x-pem-file")


@api.get("/receipt-keys", tags=["clés"], summary="Clé publique qui vérifie les accusés (JWKS)", auth=None)
def receipt_keys(request: HttpRequest) -> dict[str, Any]:
    return receipts.jwks()


@api.post(
    "/oauth/token",
    tags=["clés"],
    summary="Jeton d’accès OAuth2 (client_credentials)",
    auth=None,
    response={200: Any, 400: OAuthProblem, 401: OAuthProblem},
)
def token(request: HttpRequest) -> HttpResponse:
    """Corps de formulaire : grant_type=client_credentials ; client et secret en Basic ou dans le formulaire."""
    return issue_token(request)


def _body(request: HttpRequest) -> Iterator[bytes]:
    while piece := request.read(PIECE):
        yield piece


@api.post(
    "/flows",
    tags=["flux"],
    response={202: Receipt, 200: Receipt, 400: Problem, 411: Problem, 413: Problem, 422: Problem, 429: Problem},
    auth=Sender(),
    summary="Déposer un flux chiffré (CMS)",
)
def deposit(request: HttpRequest, response: HttpResponse) -> Status:
    """Corps : l’enveloppe CMS. En-têtes : X-File-Name, Idempotency-Key (le même envoi rend le même accusé), X-Test: 1 (contrôlé, jamais compté)."""
    sender = caller(request)
    length = announced(request, "Content-Length", MAX_CALL_BYTES, "P411")
    key = idempotency_key(request)
    before = Flow.objects.filter(group=sender.group, idempotency_key=key).exists() if key else False
    try:
        flow = reception.receive(
            group=sender.group, sender=sender, sealed=_body(request), channel="api", file_name=request.headers.get("X-File-Name", ""), crypto=request.headers.get("X-SV-CHIFFREMENT", ""),
            test=request.headers.get("X-Test", "") in ("1", "true"), key=key, length=length,
        )  # fmt: skip
    except reception.Busy as error:
        raise Refusal("P429", **BUSY) from error
    except reception.Cut as error:
        raise Refusal("P400") from error
    except reception.KeyReused as error:
        raise Refusal("P422") from error
    response["Location"] = request.build_absolute_uri(f"{request.path.rstrip('/')}/{flow.pk}")
    return Status(200 if before else 202, receipt_of(flow))


def _own(request: HttpRequest) -> Any:
    sender = caller(request)
    own = Flow.objects.select_related("member", "group").filter(group=sender.group)
    return own.filter(Q(member=sender.member) | Q(sender=sender)) if sender.member_id else own


@api.get("/flows", tags=["flux"], response=list[Receipt], auth=Sender(), summary="Accusés du groupe, du plus ancien au plus récent")
def listing(request: HttpRequest, after: int = 0) -> list[Receipt]:
    """`after` : dernier numéro déjà lu ; cent accusés au plus."""
    return [receipt_of(flow) for flow in _own(request).filter(pk__gt=after).order_by("pk")[:PAGE]]


@api.get("/flows/{number}", tags=["flux"], response={200: Receipt, 404: Problem}, auth=Sender(), summary="Accusé d’un flux")
def receipt(request: HttpRequest, number: int) -> Status:
    flow = _own(request).filter(pk=number).first()
    return Status(200, receipt_of(flow)) if flow else Status(404, problem("P404"))


@api.get(
    "/flows/{number}/proof",
    tags=["journal"],
    response={200: dict[str, Any], 404: Problem},
    auth=Sender(),
    summary="Preuve que l’accusé est au journal",
)
def receipt_proof(request: HttpRequest, number: int) -> Status:
    """L’entrée que nomme l’accusé, son chemin jusqu’à la racine et la tête signée ; se vérifie sans serveur par « belvedere journal verify »."""
    flow = _own(request).filter(pk=number).first()
    found = sealing.proof(flow.journal["position"]) if flow and flow.journal else None
    return Status(200, found) if found else Status(404, problem("P404"))


@api.get("/journal/heads", tags=["journal"], response=dict[str, Any], auth=None, summary="Têtes signées du journal, les plus récentes d’abord")
def journal_heads(request: HttpRequest, before: int = 2**62) -> dict[str, Any]:
    """Ce qui permet à chacun de s’assurer plus tard que le journal n’a pas été réécrit ; aucune entrée n’y est dite."""
    heads = [asdict(sealing.signed(head)) for head in TreeHead.objects.filter(size__lt=before).order_by("-size")[:PAGE]]
    return {"key": chain.public_text(sealing.public_key()), "heads": heads}


@api.get(
    "/journal/consistency",
    tags=["journal"],
    response={200: dict[str, Any], 404: Problem},
    auth=None,
    summary="Preuve qu’une tête signée prolonge une autre",
)
def journal_consistency(request: HttpRequest, first: int, second: int) -> Status:
    """`first` et `second` sont les nombres d’entrées de deux têtes publiées ; se vérifie sans serveur par « belvedere journal verify »."""
    found = sealing.consistency(first, second)
    return Status(200, found) if found else Status(404, problem("P404"))


@api.put(
    "/webhook", tags=["flux"], response={200: WebhookOut, 400: Problem, 403: Problem}, auth=Sender(), summary="Être rappelé quand un flux est traité"
)
def set_webhook(request: HttpRequest, body: WebhookIn) -> Status:
    """Les messages suivent la norme Standard Webhooks ; le secret n’est montré qu’ici. Une clé limitée à une entité n’y a pas droit."""
    if caller(request).member_id:
        raise Refusal("P403")
    try:
        secret = webhooks.register(group=caller(request).group, url=body.url, by=caller(request).client_id)
    except webhooks.BadAddress as error:
        return Status(400, Problem(code="P400", message=str(error), remedy="Donnez une adresse https publique."))
    return Status(200, WebhookOut(url=body.url, secret=secret))


@api.get(
    "/cells",
    tags=["publication"],
    response={200: dict[str, Any], 400: Problem, 404: Problem},
    auth=[Sender(), MarketSession()],
    summary="Une cellule de la publication en cours",
)
def cell(request: HttpRequest) -> Status:
    """Paramètres : zone, produit, periode, age, sexe, regime, mode ; absents, ils valent le total."""
    try:
        query = Query.from_params(request.GET.dict())
    except QueryError as error:
        return Status(400, Problem(code="Q400", message=str(error)))
    release = frozen.current()
    found = release.cell(**query.codes(release.years[-1])) if release else None
    if release is None or found is None:
        return Status(404, Problem(code="Q404", message="Cette combinaison n’est pas dans la publication."))
    measures = None if isinstance(found, str) else dict(found)
    return Status(200, {"release": release.label, "query": query.to_params(), "masked": measures is None, "measures": measures})


@api.get(
    "/sums",
    tags=["publication"],
    response={200: dict[str, Any], 400: Problem, 404: Problem},
    auth=[Sender(), MarketSession()],
    summary="Une zone ou un panier à soi : la somme de cellules publiées",
)
def sums(request: HttpRequest) -> Status:
    """Comme /cells, avec plusieurs codes séparés par des virgules pour zone et produit, et mesure (montants, lignes ou
    unités). La somme est refusée dès qu’une des cellules n’est pas publiée."""
    params = request.GET.dict()
    measure = params.pop("mesure", "amount_amo")
    zones, baskets = params.pop("zone", FRANCE).split(","), params.pop("produit", ALL).split(",")
    if len(set(zones)) < len(zones) or len(set(baskets)) < len(baskets) or len(zones) * len(baskets) > MOST_CELLS:
        return Status(400, Problem(code="Q400", message=f"Une somme prend {MOST_CELLS} cellules au plus, chacune une fois."))
    try:
        queries = [Query.from_params(params | {"zone": zone, "produit": product}) for zone in zones for product in baskets]
    except QueryError as error:
        return Status(400, Problem(code="Q400", message=str(error)))
    if measure not in MEASURES:
        return Status(400, Problem(code="Q400", message=f"Mesure inconnue : {measure} (au choix : {', '.join(MEASURES)})."))
    release = frozen.current()
    found: int | answers.Refused = answers.NOT_TOLD
    if release is not None:
        keys = [tuple(query.codes(release.years[-1]).values()) for query in queries]
        nested = overlapping("territory", zones) or overlapping("product", baskets)
        found = answers.summed(release.cells.get, keys, measure, nested=nested, additive=measure in ADDITIVE)
    if release is None or isinstance(found, answers.Refused):
        return Status(404, Problem(code="Q404", message=found.why if isinstance(found, answers.Refused) else answers.NOT_TOLD.why))
    return Status(200, {"release": release.label, "measure": measure, "cells": len(queries), "value": found})


@api.get("/indicators", tags=["indicateurs"], response=list[dict[str, Any]], auth=None, summary="Le catalogue des indicateurs")
def indicators(request: HttpRequest) -> list[dict[str, Any]]:
    """Nom, question, unité, niveau d’accès, dimensions et version de chaque définition."""
    return [
        {
            "name": item.slug, "label": item.label, "title": item.title, "unit": item.unit, "tier": item.tier, "dimensions": list(item.dimensions),
            "additive": list(item.additive), "version": item.version, "formula": item.said, "needs": item.needs,
        }
        for item in catalogue().values()
    ]  # fmt: skip


@api.get(
    "/indicators/{name}",
    tags=["indicateurs"],
    response={200: dict[str, Any], 400: Problem, 401: Problem, 404: Problem},
    auth=None,
    summary="La réponse d’un indicateur, avec la même adresse que le portail",
)
def indicator(request: HttpRequest, name: str) -> HttpResponse:
    """Paramètres : zone, produit, periode, age, sexe, regime, mode, par (regroupement), v (publication), d (version de la définition). Les
    indicateurs publics sont ouverts à tous ; les autres demandent un jeton d’émetteur ou une session. L’ETag change avec la publication."""
    definition = catalogue().get(name.replace("-", "_"))
    if definition is None or definition.tier == "own":
        return api.create_response(request, Problem(code="Q404", message="Cet indicateur n’est pas au catalogue ouvert.").dict(), status=404)
    if definition.tier != "public" and not may_read_market(request):
        return api.create_response(request, problem("P401").dict(), status=401)
    try:
        view = View.from_params(request.GET.dict())
        found = frozen.labelled(view.release) if view.release else None
        release = found[1] if found else frozen.current() if not view.release else None
        told = answering.Answer.of(definition, view, release=release, own=None) if release else None
        body = answering.content(told) if told else None
    except QueryError as error:
        return api.create_response(request, Problem(code="Q400", message=str(error)).dict(), status=400)
    if body is None or release is None:
        return api.create_response(request, Problem(code="Q404", message="Aucune publication ne répond à cette question.").dict(), status=404)
    etag = f'"{release.label}-{definition.version}"'
    if request.headers.get("If-None-Match") == etag:
        return HttpResponse(status=304, headers={"ETag": etag})
    answered = api.create_response(request, body, status=200)
    answered["ETag"] = etag
    return answered
