"""The token endpoint of the exchange hub: a professional's Pro Santé Connect token against one of ours, bound to the structure's certificate (RFC 8693, RFC 8705)."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router

from belvedere.api.schemas import OAuthProblem
from belvedere.engine.exchange.credentials import CredentialRefused
from belvedere.observatory.exchange import credentials

router = Router(tags=["échanges"])
# What a refusal answers; anything else is 400 (RFC 6749 §5.2).
STATUS = {"invalid_client": 401, "temporarily_unavailable": 503}


def _answer(status: int, content: dict[str, object]) -> HttpResponse:
    made = HttpResponse(json.dumps(content, ensure_ascii=False), status=status, content_type="application/json")
    made["Cache-Control"] = "no-store"
    if status == 503:
        made["Retry-After"] = "60"
    return made


@router.post(
    "/token",
    auth=None,
    response={200: Any, 400: OAuthProblem, 401: OAuthProblem, 503: OAuthProblem},
    summary="Échanger un jeton Pro Santé Connect (RFC 8693)",
)
def exchange(request: HttpRequest) -> HttpResponse:
    """Corps de formulaire : grant_type, subject_token, subject_token_type, et actor_token si le logiciel se nomme. Le certificat de la structure
    (mTLS) est obligatoire ; le jeton rendu dure une heure et ne vaut qu’avec lui."""
    form = {name: request.POST.get(name, "") for name in request.POST}
    try:
        return _answer(200, credentials.exchanged(form, credentials.certificate(request.headers)))
    except CredentialRefused as error:
        return _answer(STATUS.get(error.error, 400), {"error": error.error, "error_description": str(error)})
