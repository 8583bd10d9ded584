"""The frozen market study: for everybody, and for a vendor by its link; its files."""

import datetime as dt

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from belvedere.engine.study.market import Period
from belvedere.engine.study.tiers import PUBLIC, Told
from belvedere.observatory.study import issues
from belvedere.observatory.study.models import Issue
from belvedere.portal.study import annex
from belvedere.portal.study.document import Document, document

FILES = {"pdf": "application/pdf", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


def _read(tier: str) -> tuple[Issue, list[Told], Document] | None:
    issue = issues.latest()
    told = issues.read(issue, tier) if issue else None
    if issue is None or told is None:
        return None
    return issue, told, document(Period(issue.low, issue.high), issue.version, issue.rows, told, tier)


def _vendor(token: str) -> str:
    if (vendor := issues.vendor_of(token)) is None:
        raise Http404
    return vendor


def _page(request: HttpRequest, tier: str, token: str) -> HttpResponse:
    found = _read(tier)
    if found is None:
        return render(request, "study/closed.html", {"vendor": tier if token else ""})
    issue, _, made = found
    answer = render(request, "study/study.html", {"document": made, "issue": issue, "token": token, "vendor": tier if token else ""})
    if token:
        answer["Referrer-Policy"], answer["Cache-Control"] = "no-referrer", "no-store"
    return answer


def _file(tier: str, kind: str) -> HttpResponse:
    found = _read(tier)
    if found is None or kind not in FILES:
        raise Http404
    issue, told, made = found
    body = (
        annex.pdf(made, issue.made_at.date() if isinstance(issue.made_at, dt.datetime) else dt.date.today())
        if kind == "pdf"
        else annex.workbook(told, made)
    )
    answer = HttpResponse(body, content_type=FILES[kind])
    answer["Content-Disposition"] = f'{"inline" if kind == "pdf" else "attachment"}; filename="etude-{issue.high:%Y-%m}.{kind}"'
    return answer


@require_safe
def public(request: HttpRequest) -> HttpResponse:
    """The study for everybody."""
    return _page(request, PUBLIC, "")


@require_safe
def public_file(request: HttpRequest, kind: str) -> HttpResponse:
    """The same as a PDF or a workbook."""
    return _file(PUBLIC, kind)


@require_safe
def vendor(request: HttpRequest, token: str) -> HttpResponse:
    """A vendor's own rows, by its link."""
    return _page(request, _vendor(token), token)


@require_safe
def vendor_file(request: HttpRequest, token: str, kind: str) -> HttpResponse:
    """The same as a PDF or a workbook."""
    answer = _file(_vendor(token), kind)
    answer["Cache-Control"] = "no-store"
    return answer
