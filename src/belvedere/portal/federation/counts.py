"""The federations' word on counts for institutions: the same gate as releases, on the same page."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.exchange import gating
from belvedere.observatory.exchange.models import Dataset, DatasetState
from belvedere.observatory.members.models import Federation
from belvedere.observatory.publication.gate import GateClosed
from belvedere.observatory.publication.models import Verdict
from belvedere.portal import numbers


def rows(federation: Federation) -> list[dict[str, object]]:
    """Counts, what the gate asks of them, this federation's word; the others' once all have spoken. No figure."""
    found = []
    for held in gating.under_review():
        own, words = gating.words_for(held, federation)
        waiting = held.state == DatasetState.WAITING
        found.append({
            "held": held, "masked": gating.masked(held), "own": own, "words": words, "waiting": waiting, "reasons": gating.reasons(held) if waiting else [], "key": f"c{held.pk}",
            "address": reverse("federation:decide-counts", args=(held.pk,)),
        })  # fmt: skip
    return found


@require_POST
def decide(request: HttpRequest, number: int) -> HttpResponse:
    """A federation's yes, or its no with a reason."""
    user = check(request.user, Action.DECIDE_RELEASE)
    held = get_object_or_404(Dataset, pk=number, code=gating.CODE)
    assert user.federation is not None
    verdict = Verdict.NO if request.POST.get("avis") == "no" else Verdict.YES
    try:
        held = gating.decide(
            dataset=held, federation=user.federation, by=user, verdict=verdict, reason=request.POST.get("motif", "").replace("\0", "")[:1000]
        )
        done = "paraissent : les trois fédérations les ont validés" if held.state == DatasetState.SOUND else "attendent les autres fédérations"
        messages.success(request, f"Votre avis est enregistré ; les comptes de {numbers.month(held.period, full=True)} {done}.")
    except GateClosed as reason:
        messages.error(request, str(reason))
    return redirect("federation:releases")
