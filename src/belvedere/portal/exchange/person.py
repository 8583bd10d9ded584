"""The person concerned's screens, by the personal link that an establishment gave: who received what about it, and what that establishment deposited."""

import json

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from belvedere.engine.exchange.vocabulary import ACTORS, CATEGORIES, PURPOSES, Actor, Category, Purpose
from belvedere.observatory.exchange import keys, traces
from belvedere.observatory.exchange import own as owned
from belvedere.observatory.exchange.models import Party


@require_safe
def person(request: HttpRequest, token: str) -> HttpResponse:
    """Who received what about me, by a personal link that an establishment gave."""
    link = keys.person_of_link(token)
    if link is None:
        raise Http404
    said = [
        (one, PURPOSES.get(Purpose(one.purpose), "") if one.purpose else "", CATEGORIES[Category(one.category)].lower() if one.category else "", _recipient(one.recipient))
        for one in link.person.statements.order_by("-known_at")
    ]  # fmt: skip
    made = render(
        request,
        "exchange/person.html",
        {
            "rows": traces.received(link.person),
            "said": said,
            "given_by": link.given_by,
            "expires": link.expires_at,
            "token": token,
        },
    )
    return _private(made)


def _recipient(name: str) -> str:
    """Whom a statement speaks of, as a person reads it; "" for all."""
    if name in set(Actor):
        return ACTORS[Actor(name)]
    number = name.removeprefix("acteur-")
    found = (
        Party.objects.filter(pk=number).first()
        if number != name and number.isdecimal()
        else Party.objects.filter(finess=name).first()
        if name
        else None
    )
    return found.name if found else name


@require_safe
def own(request: HttpRequest, token: str) -> HttpResponse:
    """A person's own data, by its personal link; the same as FHIR with `format=json`."""
    link = keys.person_of_link(token)
    if link is None:
        raise Http404
    held = owned.data(link)
    if request.GET.get("format") == "json":
        made = HttpResponse(json.dumps(owned.bundle(held), ensure_ascii=False, indent=1), content_type="application/fhir+json; charset=utf-8")
        made["Content-Disposition"] = 'attachment; filename="mes-donnees.json"'
    else:
        closed = [CATEGORIES[category].lower() for category in sorted(held.closed)]
        made = render(
            request, "exchange/own.html", {"pieces": held.pieces, "closed": closed, "more": held.more, "given_by": link.given_by, "token": token}
        )
    return _private(made)


def _private(answer: HttpResponse) -> HttpResponse:
    """An answer that nobody in between keeps, and whose address, a secret, is told to no other site."""
    answer["Cache-Control"], answer["Referrer-Policy"] = "no-store", "no-referrer"
    return answer
