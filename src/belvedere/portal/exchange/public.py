"""What anybody may see of the exchanges: what they are, who asks for what, who may read what; a person's own page; the operator's."""

import math
from itertools import groupby

from django import forms
from django.contrib import messages
from django.db.models import Count, Max
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from belvedere.engine.exchange import matrix as engine_matrix
from belvedere.engine.exchange.access import Party as Asking
from belvedere.engine.exchange.access import Thing
from belvedere.engine.exchange.consent import State
from belvedere.engine.exchange.contracts import contracts
from belvedere.engine.exchange.items import items as all_items
from belvedere.engine.exchange.items import redundancy
from belvedere.engine.exchange.vocabulary import ACTORS, CATEGORIES, GRAINS, NEEDS, PURPOSES, Actor, Category, Grain, Purpose
from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.exchange import availability, datasets, policy, traces
from belvedere.observatory.exchange.models import Deposit, DepositState, MatrixVersion, Party, Proposal, Resource
from belvedere.portal import numbers

PERIMETERS = {
    "SOI": "soi-même",
    "DOSSIER": "dossier désigné",
    "ETABLISSEMENT": "établissement",
    "DEPARTEMENT": "département",
    "REGION": "région",
    "NATIONAL": "France entière",
}


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """What the hub does, with its figures: no person is counted below eleven."""
    taken = Deposit.objects.exclude(state=DepositState.REFUSED)
    report = redundancy(all_items())
    return render(request, "exchange/overview.html", {
        "deposits": taken.count(), "establishments": taken.values("party").distinct().count(), "receivers": Party.objects.filter(admitted=True).exclude(actor=Actor.PRODUCER).count(),
        "resources": Resource.objects.filter(current=True, erased=False).count(), "last": taken.aggregate(last=Max("received_at"))["last"], "report": report,
        "contracts": contracts().values(), "actors": ACTORS, "open": _open(),
    })  # fmt: skip


def _open() -> dict[str, object]:
    """The door's availability as the page draws it: one bar a day, whose height is the share of its minutes (x, y, height, level, day, share)."""
    told = availability.told()
    down = lambda share: numbers.percent(math.floor(share * 10_000) / 10_000, 2)  # noqa: E731 (never said more open than it was)
    level = lambda share: "none" if share is None else "full" if share >= 0.9995 else "part" if share >= 0.99 else "low"  # noqa: E731
    bars = [
        (10 * rank, 40 - round(40 * (share or 0)), round(40 * (share or 0)), level(share), day, "pas observé" if share is None else down(share))
        for rank, (day, share) in enumerate(told.days)
    ]
    return {
        "share": "" if told.share is None else down(told.share),
        "since": told.since if told.days[0][1] is None else None,
        "bars": bars,
        "width": 10 * len(bars) - 3,
    }


@require_safe
def items(request: HttpRequest) -> HttpResponse:
    """The catalogue of data items, who asks for each, and what is asked several times."""
    category, asker = request.GET.get("categorie", ""), request.GET.get("qui", "")
    rows = [row for row in all_items() if (not category or row.category == category) and (not asker or asker in row.asked_by)]
    report = redundancy(rows)
    most = max((len(row.asked_by) for row in all_items()), default=1)
    return render(request, "exchange/items.html", {
        "rows": [(row, CATEGORIES[row.category], [ACTORS[code] for code in row.asked_by], round(100 * len(row.asked_by) / most)) for row in rows], "report": report,
        "categories": [(code, label) for code, label in CATEGORIES.items() if code != Category.TRACE], "category": category, "asker": asker,
        "askers": [(code, ACTORS[code], count) for code, count in redundancy(all_items()).by_actor],
    })  # fmt: skip


class QuestionForm(forms.Form):
    """A question to the decision point."""

    actor = forms.ChoiceField(label="Qui", choices=list(ACTORS.items()))
    purpose = forms.ChoiceField(label="Pour quoi", choices=list(PURPOSES.items()))
    category = forms.ChoiceField(label="Quelles données", choices=list(CATEGORIES.items()))
    grain = forms.ChoiceField(label="À quel grain", choices=list(GRAINS.items()))
    said = forms.ChoiceField(
        label="La personne",
        choices=[
            ("", "n’a rien dit"),
            ("accord", "a donné son accord"),
            ("nomme", "a donné un accord qui désigne ce destinataire"),
            ("opposition", "s’est opposée"),
        ],
        required=False,
    )
    inside = forms.ChoiceField(label="De qui", choices=[("1", "de son territoire"), ("", "d’ailleurs")], required=False)


@require_safe
def matrix(request: HttpRequest) -> HttpResponse:
    """The matrix in force, and what it would answer to a question: nothing is read."""
    judge, made = policy.judge(), None
    asked = "actor" in request.GET
    form = QuestionForm(request.GET if asked else None)
    if asked and form.is_valid():
        given = form.cleaned_data
        here, away = ("75", "R11", "750000010"), ("69", "R84", "690000028")
        place = here if given["inside"] else away
        asking = Asking(Actor(given["actor"]), (), here[2], here[0], here[1], "p")
        thing = Thing(
            place[2], place[0], place[1], "354", "p" if given["inside"] else "q", "tddui-questionnaire-aggir-pa-ssiad", timezone.localdate()
        )
        said = State(given["said"] == "opposition", given["said"] in ("accord", "nomme"), given["said"] == "nomme")
        made = judge.decide(
            asking, Purpose(given["purpose"]), Category(given["category"]), Grain(given["grain"]), thing, timezone.now(), lambda *asked: said
        )
    rows = []
    for _, group in groupby(
        judge.matrix.rows, lambda row: (row.actor, row.purpose, row.grain, row.perimeter, row.consent, row.legal_basis, row.condition)
    ):
        alike = list(group)
        row, names = alike[0], f"{alike[0].rule} à {alike[-1].rule}" if len(alike) > 1 else alike[0].rule
        kinds = ", ".join(CATEGORIES[one.category].lower() for one in alike)
        rows.append((row, names, ACTORS[row.actor], PURPOSES[row.purpose], kinds, GRAINS[row.grain], PERIMETERS[row.perimeter], NEEDS[row.consent]))
    return render(
        request,
        "exchange/matrix.html",
        {
            "rows": rows,
            "count": len(judge.matrix.rows),
            "form": form,
            "made": made,
            "held": judge.matrix.version,
            "versions": MatrixVersion.objects.all()[:10],
        },
    )


@require_safe
def operator(request: HttpRequest) -> HttpResponse:
    """Parties, and the league table of vendors. No content of anybody is here: the operator has no right on it."""
    check(request.user, Action.MANAGE_EXCHANGE)
    parties = Party.objects.filter(admitted=True).annotate(
        count=Count("deposits", distinct=True), last=Max("deposits__received_at"), taken=Count("subscriptions", distinct=True)
    )
    return render(
        request,
        "exchange/operator.html",
        {"parties": parties, "league": datasets.refused_share(), "versions": MatrixVersion.objects.count(), "uses": traces.uses()},
    )


@require_http_methods(["GET", "HEAD", "POST"])
def proposals(request: HttpRequest) -> HttpResponse:
    """Propose a matrix, or decide of another's proposal: two persons."""
    user, refused, rows = check(request.user, Action.CHANGE_MATRIX), "", ""
    if request.method == "POST":
        try:
            if number := request.POST.get("proposal", ""):
                found = Proposal.objects.filter(pk=number).first() if number.isdecimal() else None
                if found is None:
                    raise Http404
                policy.decide(proposal=found, approve=request.POST.get("approve") == "1", by=user.actor)
                messages.success(request, "La décision est enregistrée.")
            else:
                rows = request.POST.get("rows", "")[:200_000].replace("\0", "")
                policy.propose(rows=rows, reason=request.POST.get("reason", "").replace("\0", ""), by=user.actor)
                messages.success(request, "La proposition attend une autre personne.")
            return redirect("exchange:proposals")
        except (policy.PolicyRefused, engine_matrix.MatrixError) as error:
            refused = str(error)
    held = policy.judge().matrix
    waiting = [(row, _difference(held, row.rows), row.proposed_by == user.actor) for row in Proposal.objects.filter(decided_at=None)]
    return render(request, "exchange/proposals.html", {
        "waiting": waiting, "rows": rows or engine_matrix.write(held), "refused": refused, "held": held.version, "decided": Proposal.objects.exclude(decided_at=None)[:10],
    }, status=422 if refused else 200)  # fmt: skip


def _difference(held: engine_matrix.Matrix, text: str) -> dict[str, list[str]]:
    before, after = (
        {f"{row.rule} {ACTORS[row.actor]} · {PURPOSES[row.purpose]} · {CATEGORIES[row.category]} · {GRAINS[row.grain]}" for row in rows}
        for rows in (held.rows, engine_matrix.read(text).rows)
    )
    return {"added": sorted(after - before), "removed": sorted(before - after)}
