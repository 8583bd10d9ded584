"""The catalogue: choose an indicator, fill the form, read and take home. Three steps in one page, one address each."""

from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from belvedere.engine.indicators.definitions import THEMES, Definition, catalogue
from belvedere.engine.indicators.own import OwnFigures
from belvedere.engine.indicators.query import QueryError, View
from belvedere.observatory.accounts.permissions import Action, can
from belvedere.observatory.desk.models import Basket
from belvedere.observatory.members.own import OwnFacts
from belvedere.observatory.publication import frozen
from belvedere.observatory.publication.models import Release, ReleaseState
from belvedere.portal.market import sort_key
from belvedere.portal.restitutions import choices, exporting, figures, mapping, search
from belvedere.portal.restitutions.answering import Told

NEWS = 5


def seen_by(request: HttpRequest) -> set[str]:
    """Tiers that a reader may read figures of."""
    tiers = {"public"}
    if can(request.user, Action.SEE_MARKET):
        tiers.add("member")
    if can(request.user, Action.SEE_OWN):
        tiers.add("own")
    return tiers


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Every indicator by theme; a search that forgives; filters by theme and tier."""
    asked, theme, tier = (request.GET.get(name, "").strip()[:80] for name in ("q", "theme", "niveau"))
    found = search.find(asked, catalogue().values())
    fresh = sorted((item for item in found if item.since), key=lambda item: (item.since, sort_key(item.label)), reverse=True)
    if new := request.GET.get("nouveautes") == "1":
        found = fresh
    found = [item for item in found if (not theme or item.theme == theme) and (not tier or item.tier == tier)]
    themes = [
        (label, sorted((item for item in found if item.theme == code), key=lambda item: sort_key(item.label))) for code, label in THEMES.items()
    ]
    return render(request, "restitutions/catalogue.html", {
        "news": [(item, item.changes.get(item.version, "")) for item in fresh[:NEWS]],
        "asked": asked, "theme": theme, "tier": tier, "new": new, "themes": [] if asked or new else [pair for pair in themes if pair[1]], "found": found, "all": len(catalogue()),
        "theme_choices": THEMES.items(), "tier_choices": (("public", "Pour tous"), ("member", "Adhérents et fédérations"), ("own", "Mes propres chiffres")),
        "seen": seen_by(request), "release": frozen.current(),
    })  # fmt: skip


def _definition(name: str) -> Definition:
    found = catalogue().get(name.replace("-", "_"))
    if found is None:
        raise Http404
    return found


def _own(request: HttpRequest, release: frozen.Frozen | None) -> OwnFigures | None:
    if not can(request.user, Action.SEE_OWN):
        return None
    return OwnFacts.of(request.user).figures(*((release.until,) if release else ()))


def _release(view: View) -> tuple[frozen.Frozen | None, Release | None]:
    """The release of a view: the one it is pinned to, else the latest."""
    if not view.release:
        return frozen.current(), None
    found = frozen.labelled(view.release)
    if found is None:
        raise Http404
    return found[1], found[0]


def _params(request: HttpRequest) -> dict[str, str]:
    """Parameters of an address, as a form sends them: empty ones left out, several of the same name joined."""
    return {name: ",".join(filter(None, values)) for name, values in request.GET.lists() if any(values)}


def asked(request: HttpRequest, definition: Definition) -> tuple[View, Told | None, Release | None]:
    """The view of an address and its answer for this reader. QueryError, Http404."""
    if definition.tier not in seen_by(request):
        raise PermissionDenied("Cet indicateur est réservé aux adhérents et à leurs fédérations.")
    view = View.from_params(_params(request))
    release, row = _release(view)
    return view, Told.of(definition, view, release=release, own=_own(request, release)), row


def permalink(request: HttpRequest, found: Told) -> str:
    """The address that gives the same figures later: release and definition version pinned."""
    pinned = found.view.to_params() | {"d": str(found.definition.version)}
    if found.release and not found.personal:
        pinned |= (
            {"v": found.release.label, "periode": found.codes["period"]} if "period" in found.definition.dimensions else {"v": found.release.label}
        )
    return request.build_absolute_uri(f"{reverse('definition', args=[found.definition.slug])}?{urlencode(sorted(pinned.items()), safe=':,')}")


@require_safe
def indicator(request: HttpRequest, name: str) -> HttpResponse:
    """One indicator: definition, form, result."""
    definition = _definition(name)
    context: dict[str, object] = {"definition": definition, "seen": definition.tier in seen_by(request), "status": 200}
    if not context["seen"]:
        return render(request, "restitutions/indicator.html", context)
    try:
        view, found, row = asked(request, definition)
    except QueryError as error:
        context |= {"error": str(error), "status": 400}
        found, view, row = None, View(), None
    if found is not None:
        context |= _result(request, found)
    newest = frozen.current()
    context |= {
        "answer": found, "view": view, "pinned": row, "newest": newest,
        "changes": [(number, text) for number, text in definition.changes.items() if view.version and number > view.version],
        "withdrawn": row is not None and row.state == ReleaseState.WITHDRAWN,
    }  # fmt: skip
    return render(request, "restitutions/indicator.html", context, status=int(str(context["status"])))


def _baskets(request: HttpRequest) -> list[Basket]:
    return list(request.user.baskets.all()) if can(request.user, Action.SEE_MARKET) else []


def _result(request: HttpRequest, found: Told) -> dict[str, object]:
    query = urlencode(found.view.to_params(), safe=":,")
    link = reverse("definition-export", args=[found.definition.slug, "x"])[:-1]
    drawn = figures.inline(found)
    return {
        "choices": choices.of(found.definition, found.view, found.source, _baskets(request)), "figures": drawn, "map": mapping.of(found), "rows": found.rows or found.series, "by": found.by or ("" if found.parts else "mois"),
        "codes": found.codes, "permalink": permalink(request, found), "query": query,
        "exports": [(kind, label, f"{link}{kind}{'?' + query if query else ''}") for kind, label in exporting.FORMATS.items() if drawn or kind not in ("svg", "png")],
        "embed": request.build_absolute_uri(reverse("definition-figure", args=[found.definition.slug])) + ("?" + query if query else ""),
    }  # fmt: skip


@require_safe
def export(request: HttpRequest, name: str, kind: str) -> HttpResponse:
    """The answer as a file; a wrong query says why."""
    definition = _definition(name)
    if kind not in exporting.FORMATS:
        raise Http404
    try:
        _, found, _ = asked(request, definition)
    except QueryError as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    made = exporting.response(found, kind, permalink(request, found)) if found is not None else None
    if found is None or made is None:
        raise Http404
    if found.release and not request.user.is_authenticated:
        made["ETag"] = f'"{found.release.label}-{definition.version}"'
        made["Cache-Control"] = "public, max-age=300"
    return made


@require_safe
def figure(request: HttpRequest, name: str) -> HttpResponse:
    """A figure alone, to be embedded elsewhere: public indicators only, its source always written."""
    definition = _definition(name)
    if definition.tier != "public":
        raise Http404
    try:
        view = View.from_params(_params(request))
        release, _ = _release(view)
        found = Told.of(definition, view, release=release, own=None)
    except QueryError as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    if found is None:
        raise Http404
    made = render(
        request,
        "restitutions/figure.html",
        {"answer": found, "definition": definition, "figures": figures.inline(found)[:1], "permalink": permalink(request, found)},
    )
    made["Content-Security-Policy"] = "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-ancestors *; base-uri 'none'"
    made.xframe_options_exempt = True  # an embedded figure is meant to be framed; its policy says the rest
    return made


@require_safe
def old_definition(request: HttpRequest, name: str) -> HttpResponse:
    """Definitions moved to the catalogue: old addresses still lead there."""
    return redirect("definition", name=name, permanent=True)
