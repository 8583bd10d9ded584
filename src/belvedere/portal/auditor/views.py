"""The journal for who audits it: entries, signed heads, the whole export. No figure of anybody's activity."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from belvedere.engine.evidence import chain
from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.journal import sealing
from belvedere.observatory.journal.actions import broken_at
from belvedere.observatory.journal.models import Entry, TreeHead

PAGE = 50


@require_safe
def journal(request: HttpRequest) -> HttpResponse:
    """Entries, newest first, by actor, action or subject."""
    check(request.user, Action.READ_JOURNAL)
    entries = Entry.objects.order_by("-id")
    filters = {name: request.GET.get(key, "").strip()[:120] for name, key in (("actor", "acteur"), ("action", "action"), ("subject", "objet"))}
    for name, text in filters.items():
        if text:
            entries = entries.filter(**{f"{name}__startswith": text})
    page = Paginator(entries, PAGE).get_page(request.GET.get("page"))
    return render(request, "auditor/journal.html", {
        "page": page, "filters": filters, "heads": TreeHead.objects.order_by("-size")[:5], "heads_count": TreeHead.objects.count(),
        "stamped": TreeHead.objects.exclude(token="").count(), "key": chain.public_text(sealing.public_key()),
        "broken": broken_at() if request.GET.get("verifier") else False, "checked": bool(request.GET.get("verifier")),
    })  # fmt: skip


@require_safe
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The journal with its heads, as `belvedere journal verify` reads it."""
    check(request.user, Action.READ_JOURNAL)
    lines = (line + "\n" for line in sealing.export())
    return StreamingHttpResponse(lines, content_type="application/jsonl", headers={"Content-Disposition": 'attachment; filename="journal.jsonl"'})
