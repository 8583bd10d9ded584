"""Pages that belong to no journey: the way in, the map sprite, health, errors."""

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import condition, require_safe

from belvedere import __version__
from belvedere.observatory import state
from belvedere.observatory.accounts.permissions import Action, can
from belvedere.portal import maps

HOMES = (
    (Action.SEE_OWN, "member:position"), (Action.SEE_MARKET, "federation:market"), (Action.SEE_OPERATION, "operator:overview"),
    (Action.READ_JOURNAL, "auditor:journal"), (Action.DEPOSIT, "exchange:deposits"), (Action.RECEIVE, "exchange:subscriptions"),
)  # fmt: skip


def home(request: HttpRequest) -> HttpResponse:
    """Each role's first page."""
    return redirect(next((page for action, page in HOMES if can(request.user, action)), "public"))


@condition(etag_func=lambda request: f'"{__version__}"')
def outlines(request: HttpRequest) -> HttpResponse:
    """Outlines of the departments, the same for everybody."""
    response = HttpResponse(maps.sprite(), content_type="image/svg+xml")
    response["Cache-Control"] = "public, max-age=86400"
    return response


def health(request: HttpRequest) -> JsonResponse:
    """Whether the portal and its database answer."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"etat": "en service", "version": __version__})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """Whether nothing calls for somebody (200), or something does (503): which, only `belvedere status` says."""
    well = not state.alarms(state.figures())
    return JsonResponse({"etat": "prêt" if well else "dégradé"}, status=200 if well else 503)


def _error(request: HttpRequest, status: int, title: str, advice: str) -> HttpResponse:
    return render(request, "error.html", {"title": title, "advice": advice, "status": status}, status=status)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, 403, "Accès réservé", "Votre compte ne donne pas accès à cette page.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, 404, "Page introuvable", "Cette adresse ne mène à rien que vous puissiez voir.")


def failure(request: HttpRequest) -> HttpResponse:
    return _error(request, 500, "Une erreur est survenue", "Réessayez dans un instant ; si cela persiste, prévenez l’opérateur.")
