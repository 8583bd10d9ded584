"""A member's pages: its position in the market, its flows and their receipts."""

from collections.abc import Sequence

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from belvedere.observatory.collect.models import COUNTED, State
from belvedere.observatory.environment import read
from belvedere.observatory.journal import sealing
from belvedere.observatory.members.own import OwnFacts
from belvedere.observatory.publication import frozen
from belvedere.portal import exports
from belvedere.portal.member import flows as flows_presenter
from belvedere.portal.member import position as presenter


def anchors(release: frozen.Frozen | None) -> tuple[str, ...]:
    """Last months of the periods that own figures are compared to."""
    return (release.until,) if release else ()


@require_safe
def position(request: HttpRequest) -> HttpResponse:
    """Where do I stand? Own figures at once, the market's from the current release."""
    own = OwnFacts.of(request.user)
    flows = own.flows()
    release = frozen.current()
    figures = own.figures(*anchors(release))
    counted = [flow for flow in flows if flow.state in COUNTED and not flow.test]
    if not figures.months:
        return render(request, "member/waiting.html", {"group": own.group, "flows": flows[:8], "counting": figures.behind})
    clean = sum(flow.state == State.ACCEPTED for flow in counted) / len(counted) if counted else None
    months = figures.months[-12:]
    completeness = _completeness(own, months)
    return render(request, "member/position.html", {
        "group": own.group,
        "position": presenter.present(figures, release),
        "release": release,
        "behind": figures.behind,
        "clean": clean,
        "latest": counted[0] if counted else None,
        "flows": flows[:6],
        "months": months,
        "completeness": completeness,
        "missing": sum(not there for _, row in completeness for _, there in row),
    })  # fmt: skip


@require_safe
def position_csv(request: HttpRequest, table: str) -> HttpResponse:
    """A table of the page as CSV."""
    own = OwnFacts.of(request.user)
    release = frozen.current()
    figures = own.figures(*anchors(release))
    if table not in ("familles", "departements") or not figures.months:
        raise Http404
    page = presenter.present(figures, release)
    lines = page.families if table == "familles" else page.departments
    rows = [(line.code, line.label, line.patients, line.amount / 100, line.share, line.own_growth, line.market_growth) for line in lines]
    header = ("code", "libelle", "patients", "montant_amo_eur", "part", "evolution", "evolution_marche")
    return exports.csv_response(f"ma-position_{table}_{page.last}", header, rows, excel=request.GET.get("format") == "excel")


def _completeness(own: OwnFacts, months: Sequence[str]) -> list[tuple[str, list[tuple[str, bool]]]]:
    return [(name, [(month, month in held) for month in months]) for name, held in sorted(own.months_by_member().items())]


@require_safe
def flows(request: HttpRequest) -> HttpResponse:
    """Flows of the group: what came, what is wrong, what is missing."""
    own = OwnFacts.of(request.user)
    chosen = request.GET.get("etat", "")
    months = own.figures(*anchors(frozen.current())).months[-12:]
    completeness = _completeness(own, months)
    return render(request, "member/flows.html", {
        "group": own.group,
        "page": flows_presenter.present(own.flows(), chosen if chosen in State.values else ""),
        "months": months,
        "completeness": completeness,
        "missing": sum(not there for _, row in completeness for _, there in row),
    })  # fmt: skip


@require_safe
def flow(request: HttpRequest, number: int) -> HttpResponse:
    """One receipt with its findings; another group's is not found."""
    own = OwnFacts.of(request.user)
    found = own.flow(number)
    if found is None:
        raise Http404
    return render(request, "member/flow.html", {"flow": found, "group": own.group, "counts": sorted(found.counts.items()), "journal": found.journal})


@require_safe
def receipt(request: HttpRequest, number: int) -> HttpResponse:
    """The signed receipt as a file (JWS)."""
    found = OwnFacts.of(request.user).flow(number)
    if found is None or not found.receipt:
        raise Http404
    answer = HttpResponse(found.receipt, content_type="application/jwt")
    answer["Content-Disposition"] = f'attachment; filename="accuse-{found.pk}.jws"'
    return answer


@require_safe
def proof(request: HttpRequest, number: int) -> HttpResponse:
    """The proof that the receipt stands in the journal, to verify offline."""
    found = OwnFacts.of(request.user).flow(number)
    content = sealing.proof(found.journal["position"]) if found and found.journal else None
    if found is None or content is None:
        raise Http404
    return JsonResponse(
        content, headers={"Content-Disposition": f'attachment; filename="preuve-{found.pk}.json"'}, json_dumps_params={"ensure_ascii": False}
    )


@require_safe
def plug(request: HttpRequest) -> HttpResponse:
    """How to send flows, by each way."""
    own = OwnFacts.of(request.user)
    senders = own.senders()
    return render(request, "member/plug.html", {
        "senders": senders,
        "sender_name": senders[0].client_id if senders else "emetteur-1",
        "base": request.build_absolute_uri("/").rstrip("/"),
        "host": request.get_host().split(":")[0],
        "domain": read("BELVEDERE_MAIL_DOMAIN"),
    })  # fmt: skip
