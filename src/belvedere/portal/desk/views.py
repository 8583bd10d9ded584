"""A reader's desk: its baskets, offered by every form of the catalogue, and its alert rules, read in its monthly letter."""

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from belvedere.engine.indicators.definitions import catalogue
from belvedere.engine.indicators.lattice import ALL
from belvedere.engine.indicators.signals import WATCHED
from belvedere.engine.nomenclature.products import UNKNOWN_FAMILY, families
from belvedere.engine.nomenclature.territories import departments
from belvedere.observatory.accounts.models import User
from belvedere.observatory.accounts.permissions import Action, can, check
from belvedere.observatory.desk import actions
from belvedere.observatory.desk.models import DIRECTIONS
from belvedere.observatory.members.own import OwnFacts
from belvedere.observatory.publication import frozen
from belvedere.portal.market import sort_key

# What sums over a basket mean something for: a person may stand in several zones or families, an amount stands in one.
READS = ("amount_amo", "lines", "growth")


def _goods() -> list[tuple[str, str]]:
    return [(code, label) for code, label in families().items() if code != UNKNOWN_FAMILY]


class RuleForm(forms.Form):
    """A rule: which figure, of what, which way, by how much."""

    indicator = forms.ChoiceField(label="Quand", choices=[(name, catalogue()[name].label) for name in WATCHED])
    product = forms.ChoiceField(label="Famille", choices=[(ALL, "Toutes familles"), *_goods()])
    direction = forms.ChoiceField(label="Sens", choices=DIRECTIONS)
    percent = forms.IntegerField(label="De plus de (%)", min_value=1, max_value=200, initial=10)


def _page(request: HttpRequest, user: User, *, form: RuleForm | None = None, refused: str = "", status: int = 200) -> HttpResponse:
    regions = sorted({item.region: item.region_name for item in departments()}.items(), key=lambda pair: sort_key(pair[1]))
    release, own = frozen.current(), can(user, Action.SEE_OWN)
    figures = OwnFacts.of(user).figures(*((release.until,) if release else ())) if own else None
    return render(request, "desk/desk.html", {
        "page_name": "desk:desk",
        "baskets": user.baskets.all(), "regions": regions, "departments": [(item.code, f"{item.code} {item.name}") for item in departments()],
        "reads": [(catalogue()[name].slug, catalogue()[name].label) for name in READS], "goods": _goods(), "chosen": set(request.POST.getlist("codes")), "name": request.POST.get("name", ""), "refused": refused,
        "form": form or RuleForm(), "readings": actions.readings(user, figures) if figures else [], "own": own,
    }, status=status)  # fmt: skip


@require_safe
def desk(request: HttpRequest) -> HttpResponse:
    """Baskets and rules of the signed-in person."""
    return _page(request, check(request.user, Action.SEE_MARKET))


@require_POST
def keep_basket(request: HttpRequest) -> HttpResponse:
    """Keep a basket of territories or of families."""
    user = check(request.user, Action.SEE_MARKET)
    codes = request.POST.getlist("codes")
    kind = "product" if codes and all(code in families() for code in codes) else "territory"
    try:
        made = actions.keep_basket(user, name=request.POST.get("name", ""), kind=kind, codes=codes)
    except actions.DeskRefused as refusal:
        return _page(request, user, refused=str(refusal), status=422)
    messages.success(request, f"Panier « {made.name} » gardé : il est proposé dans les formulaires du catalogue.")
    return redirect("desk:desk")


@require_POST
def keep_rule(request: HttpRequest) -> HttpResponse:
    """Keep an alert rule on one's own figures."""
    user = check(request.user, Action.SEE_OWN)
    form = RuleForm(request.POST)
    if form.is_valid():
        try:
            actions.keep_rule(user, **form.cleaned_data)
            messages.success(request, "Règle gardée : elle sera lue à chaque lettre mensuelle, et ici à tout moment.")
            return redirect("desk:desk")
        except actions.DeskRefused as refusal:
            form.add_error(None, str(refusal))
    return _page(request, user, form=form, status=422)


@require_POST
def remove(request: HttpRequest, kind: str, number: int) -> HttpResponse:
    """Take a basket or a rule away."""
    user = check(request.user, Action.SEE_MARKET)
    if kind not in ("panier", "alerte") or not actions.remove(user, kind, number):
        raise Http404
    messages.success(request, "Panier retiré." if kind == "panier" else "Règle retirée.")
    return redirect("desk:desk")
