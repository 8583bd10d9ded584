"""The federations' side of the gate: the quality report of what is under review, their words, their standing approvals."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.exchange import gating
from belvedere.observatory.members.models import Federation
from belvedere.observatory.publication import gate
from belvedere.observatory.publication.actions import MONTHLY
from belvedere.observatory.publication.models import Release, ReleaseState, StandingApproval, Verdict
from belvedere.portal.federation import counts

SERIES = {MONTHLY: "les publications mensuelles", gating.SERIES: "les comptes des échanges"}


@require_safe
def releases(request: HttpRequest) -> HttpResponse:
    """Releases, what the gate asks, this federation's word; the others' once all have spoken."""
    user = check(request.user, Action.SEE_REVIEW)
    assert user.federation is not None
    rows = []
    for release in Release.objects.all()[:24]:
        own, words = gate.words_for(release, user.federation)
        waiting = release.state == ReleaseState.DRAFT
        rows.append({
            "release": release, "own": own, "words": words, "waiting": waiting, "reasons": gate.reasons(release) if waiting else [], "key": f"p{release.pk}",
            "address": reverse("federation:decide", args=(release.label,)),
        })  # fmt: skip
    given = {one.series: one for one in StandingApproval.objects.filter(federation=user.federation, withdrawn_at=None)}
    return render(request, "federation/releases.html", {
        "rows": rows, "counts": counts.rows(user.federation), "series": [(code, title, given.get(code)) for code, title in SERIES.items()],
        "thresholds": gate.thresholds(),
    })  # fmt: skip


@require_POST
def decide(request: HttpRequest, label: str) -> HttpResponse:
    """A federation's yes, or its no with a reason."""
    user = check(request.user, Action.DECIDE_RELEASE)
    release = get_object_or_404(Release, label=label)
    assert user.federation is not None
    verdict = Verdict.NO if request.POST.get("avis") == "no" else Verdict.YES
    try:
        release = gate.decide(release=release, federation=user.federation, by=user, verdict=verdict, reason=request.POST.get("motif", "")[:1000])
        done = "publiée : les trois fédérations l’ont validée" if release.state == ReleaseState.PUBLISHED else "attend les autres fédérations"
        messages.success(request, f"Votre avis est enregistré ; la publication {label} {done}.")
    except gate.GateClosed as reason:
        messages.error(request, str(reason))
    return redirect("federation:releases")


@require_POST
def standing(request: HttpRequest) -> HttpResponse:
    """Give or take back the standing approval of a series."""
    user = check(request.user, Action.DECIDE_RELEASE)
    federation: Federation | None = user.federation
    assert federation is not None
    series = request.POST.get("serie", MONTHLY)
    if series not in SERIES:
        raise Http404
    if request.POST.get("accord") == "donner":
        gate.give_standing(federation=federation, series=series, by=user)
        messages.success(request, f"Accord permanent donné : {SERIES[series]} sans fuite et au-dessus des seuils ont votre avis d’avance.")
    else:
        gate.withdraw_standing(federation=federation, series=series, by=user)
        messages.success(request, f"Accord permanent retiré : {SERIES[series]} attendront de nouveau votre avis.")
    return redirect("federation:releases")
