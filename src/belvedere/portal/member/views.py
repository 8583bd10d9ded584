"""A member's pages: its position in the market, its flows and their receipts."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from belvedere.observatory.collect.models import COUNTED, State
from belvedere.observatory.members.own import OwnFacts
from belvedere.observatory.publication import frozen
from belvedere.portal import exports
from belvedere.portal.member import position as presenter


def anchors(release: frozen.Frozen | None) -> tuple[str, ...]:
    """Last months of the periods that own figures are compared to."""
    return (release.months[-1],) if release else ()


@login_required
@require_safe
def position(request: HttpRequest) -> HttpResponse:
    """Where do I stand? Own figures at once, the market's from the current release."""
    own = OwnFacts.of(request.user)
    flows = own.flows()
    release = frozen.current()
    figures = own.figures(*anchors(release))
    counted = [flow for flow in flows if flow.state in COUNTED]
    if not figures.months:
        return render(request, "member/waiting.html", {"group": own.group, "flows": flows[:8]})
    clean = sum(flow.state == State.ACCEPTED for flow in counted) / len(counted) if counted else None
    months = figures.months[-12:]
    sent = own.months_by_member()
    completeness = [(name, [(month, month in held) for month in months]) for name, held in sorted(sent.items())]
    return render(request, "member/position.html", {
        "group": own.group,
        "position": presenter.present(figures, release),
        "release": release,
        "clean": clean,
        "latest": counted[0] if counted else None,
        "flows": flows[:6],
        "months": months,
        "completeness": completeness,
        "missing": sum(not there for _, row in completeness for _, there in row),
    })  # fmt: skip


@login_required
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


@login_required
@require_safe
def flows(request: HttpRequest) -> HttpResponse:
    """Flows of the group, newest first."""
    own = OwnFacts.of(request.user)
    rows = own.flows()
    return render(request, "member/flows.html", {"group": own.group, "flows": rows[:100], "total": len(rows)})


@login_required
@require_safe
def flow(request: HttpRequest, number: int) -> HttpResponse:
    """One receipt with its findings; another group's is not found."""
    own = OwnFacts.of(request.user)
    found = own.flow(number)
    if found is None:
        raise Http404
    return render(request, "member/flow.html", {"flow": found, "group": own.group})
