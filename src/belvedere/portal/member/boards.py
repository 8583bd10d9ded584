"""A member's boards: families, territories, prescribers, durations, billing. Each is a list of indicators of the catalogue, asked
for the signed-in person; own figures are live, the market's are the release's."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from belvedere.engine.indicators.definitions import catalogue
from belvedere.engine.indicators.own import OwnFigures, window
from belvedere.engine.indicators.query import Query, QueryError, View
from belvedere.engine.indicators.treatments import MARKS
from belvedere.engine.nomenclature.products import UNKNOWN_FAMILY
from belvedere.engine.nomenclature.products import families as all_families
from belvedere.engine.nomenclature.vocabulary import part_title
from belvedere.observatory.members.own import OwnFacts
from belvedere.observatory.publication import frozen
from belvedere.portal import maps, numbers
from belvedere.portal.restitutions import figures, mapping
from belvedere.portal.restitutions.answering import Told

ANSWERED = ("accepted_first", "reject_rate", "days_to_pay")  # computed from the insurance's returns


@dataclass(frozen=True)
class Card:
    """One indicator on a board: its answer, what to say beside, its figures and map, and where it is read in full."""

    answer: Told
    title: str
    beside: str
    href: str
    drawn: list[tuple[str, SafeString]]
    map: maps.Choropleth | maps.Circles | None = None

    @property
    def value(self) -> object:
        return self.answer.value if self.answer.personal else self.answer.own_value


@dataclass(frozen=True)
class Board:
    """The signed-in person's figures and the release that they are read beside."""

    own: OwnFigures
    release: frozen.Frozen | None
    group: object

    def card(self, name: str, *, mine: bool = False, title: str = "", by: str = "", draw: bool = True, **query: str) -> Card | None:
        """A card of an indicator; None when nothing can be said."""
        definition = catalogue()[name]
        view = View(Query(**query), by)
        try:
            found = Told.of(definition, view, release=self.release, own=self.own, mine=mine)
        except QueryError:
            return None
        if found is None or (found.why_not and not found.rows):
            return None
        href = reverse("definition", args=[definition.slug]) + ("?" + urlencode(view.to_params()) if view.to_params() else "")
        return Card(
            found, title or definition.label, self._beside(found), href, figures.inline(found) if draw else [], mapping.of(found) if draw else None
        )

    def _beside(self, found: Told) -> str:
        if found.personal or found.value is None or (found.parts and found.definition.kind != "place"):
            return ""
        word = "médiane" if found.definition.kind == "place" else "marché"
        return f"{word}{numbers.NBSP}: {found.shown(found.value, short=True)}"

    def cards(self, *asked: tuple[str, dict]) -> list[Card]:
        """Those of these cards that have something to say."""
        return [card for name, options in asked if (card := self.card(name, **options)) is not None]


def board_of(request: HttpRequest) -> Board | None:
    """The board of the signed-in person; None before its first figures."""
    own = OwnFacts.of(request.user)
    release = frozen.current()
    found = own.figures(*((release.until,) if release else ()))
    return Board(found, release, own.group) if found.months else None


def _show(
    request: HttpRequest, board: Board | None, title: str, lead: str, tiles: Sequence[Card], panels: Sequence[Card], **more: object
) -> HttpResponse:
    if board is None:
        own = OwnFacts.of(request.user)
        release = frozen.current()
        counting = own.figures(*((release.until,) if release else ())).behind
        return render(request, "member/waiting.html", {"group": own.group, "flows": own.flows()[:8], "counting": counting})
    return render(request, "member/board.html", {
        "title": title, "lead": lead, "tiles": tiles, "panels": panels, "release": board.release, "last": board.own.months[-1], "behind": board.own.behind, **more,
    })  # fmt: skip


@require_safe
def families(request: HttpRequest) -> HttpResponse:
    """Every family one works in: patients, share, change, each leading to its page."""
    board = board_of(request)
    rows = []
    if board is not None:
        period = window(board.own.months[-1])
        for code, label in all_families().items():
            patients = board.own.measure("patients", product=code, period=period)
            if patients and code != UNKNOWN_FAMILY:
                query = {"product": code}
                cells = [board.card(name, draw=False, mine=name != "share", **query) for name in ("weeks", "amount_amo", "growth_patients", "share")]
                rows.append((code, label, patients, [(card.answer, card.value) if card else None for card in cells]))
        rows.sort(key=lambda row: -row[2])
    lead = f"Vous travaillez dans {len(rows)} familles ; la première par le nombre de patients est {rows[0][1]}." if rows else ""
    return _show(request, board, "Mes familles", lead, [], [], families=rows)


@require_safe
def family(request: HttpRequest, code: str) -> HttpResponse:
    """One family in its own vocabulary."""
    if code not in all_families() or code == UNKNOWN_FAMILY:
        raise Http404
    board = board_of(request)
    if board is None:
        return _show(request, None, "", "", [], [])
    query = {"product": code}
    names = ("patients", "new_for_me", "weeks", "amount_amo", "growth_patients", "share")
    tiles = board.cards(*((name, query | {"draw": False, "mine": name not in ("share",)}) for name in names))
    panels = board.cards(
        ("part_mix", query | {"title": part_title(code)}), ("index", query | {"title": "Votre activité et le marché"}), ("growth_band", query),
        ("average_band", query), ("survival", query), ("patients", query | {"mine": True, "by": "departement", "title": "Vos patients par département"}),
        ("age_mix", query), *((("tier_migration", {"product": code}), ("initiation_success", {}), ("telemonitored", query)) if code == "PPC" else ()),
    )  # fmt: skip
    patients = board.own.measure("patients", product=code, period=window(board.own.months[-1])) or 0
    lead = f"{numbers.integer(patients)} patients suivis sur douze mois jusqu’en {numbers.month(board.own.months[-1], full=True)}."
    return _show(request, board, all_families()[code], lead, tiles, panels, back="member:families")


@require_safe
def territories(request: HttpRequest) -> HttpResponse:
    """Where one works: patients, share and change by department."""
    board = board_of(request)
    panels = [] if board is None else board.cards(
        ("patients", {"mine": True, "by": "departement", "title": "Vos patients par département"}), ("share", {"by": "departement", "title": "Votre part par département"}),
        ("growth_patients", {"mine": True, "by": "region", "title": "Votre évolution par région"}), ("penetration_standard", {"by": "region", "title": "La demande par région, à âge égal"}),
    )  # fmt: skip
    return _show(
        request, board, "Mes territoires", "Le département est celui de la caisse d’affiliation du patient, non celui de l’agence.", [], panels
    )


@require_safe
def prescribers(request: HttpRequest) -> HttpResponse:
    """Who addresses patients: how many, new, lost, of which specialty."""
    board = board_of(request)
    if board is None:
        return _show(request, None, "", "", [], [])
    tiles = board.cards(
        *((name, {"draw": False}) for name in ("prescribers", "prescribers_new", "prescribers_lost", "prescribers_top", "hospital_share"))
    )
    panels = board.cards(
        ("specialty_mix", {}),
        ("prescribers", {"by": "famille", "title": "Prescripteurs par famille"}),
        ("prescribers_top", {"by": "famille", "title": "Poids des dix premiers, par famille"}),
    )
    return _show(
        request,
        board,
        "Mes prescripteurs",
        "Les prescripteurs sont des pseudonymes : leur nombre et leur poids se lisent, leur nom n’est nulle part.",
        tiles,
        panels,
    )


@require_safe
def durations(request: HttpRequest) -> HttpResponse:
    """How long treatments last: curves, medians, entries and stops."""
    board = board_of(request)
    rows, panels = [], []
    if board is not None:
        for code, label in all_families().items():
            curve = board.own.survival.get(code)
            if curve is not None and curve.treatments >= 5 and code != UNKNOWN_FAMILY:
                rows.append((code, label, curve.treatments, [curve.at(month) for month in MARKS], curve.median))
        rows.sort(key=lambda row: -row[2])
        panels = board.cards(
            *(("survival", {"product": code, "title": label}) for code, label, *_ in rows[:4]),
            ("stops", {"mine": True, "title": "Vos arrêts par famille"}),
            ("switched", {}),
        )
    return _show(
        request,
        board,
        "Durées et fidélité",
        "Combien de temps vos patients restent suivis, les traitements en cours étant comptés comme tels (Kaplan-Meier).",
        [],
        panels,
        curves=rows,
        marks=MARKS,
    )


@require_safe
def billing(request: HttpRequest) -> HttpResponse:
    """The quality of one's billing, with the lines behind."""
    board = board_of(request)
    if board is None:
        return _show(request, None, "", "", [], [])
    tiles = board.cards(
        *((name, {"draw": False, "mine": name == "delay"}) for name in ("delay", "median_delay", "unknown_codes", "off_tariff", "credits"))
    )
    answered = board.own.answered.get(window(board.own.months[-1]))
    tiles += board.cards(*((name, {"draw": False}) for name in ANSWERED))
    panels = board.cards(
        *((name, {}) for name in ANSWERED[1:]),
        ("delay", {"title": "Votre délai par famille", "by": "famille"}),
    )
    lead = f"{len(board.own.suspects)} lignes à revoir." if board.own.suspects else "Aucune ligne à revoir : codes et tarifs concordent."
    if answered:
        lead += f" {numbers.integer(answered.rejected)} factures rejetées sur {numbers.integer(answered.invoices)} réponses de l’assurance maladie, pour {numbers.euros(answered.rejected_amount)}."
    return _show(
        request,
        board,
        "Ma facturation",
        lead,
        tiles,
        panels,
        suspects=board.own.suspects,
        rejects=board.own.rejects,
        awaits_returns=answered is None,
        simulated=OwnFacts.of(request.user).simulated_returns(),
    )
