"""The establishment's change of software, step by step: start, compare lots, see what is missing, end."""

from django.contrib import messages
from django.db.models import Case, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from belvedere.engine.exchange.strict import MOST_BYTES
from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.exchange import doors, moving
from belvedere.observatory.exchange.models import FileState, Move, MoveState, Party
from belvedere.portal import exports

SHOWN = 500
TYPES = {
    "Patient": "usager", "Encounter": "séjours et événements", "QuestionnaireResponse": "évaluations", "Consent": "volontés", "Task": "tâches", "CarePlan": "projets",
    "Goal": "objectifs", "Schedule": "agendas", "Slot": "créneaux", "Appointment": "rendez-vous", "DocumentReference": "documents", "RelatedPerson": "entourage",
    "Observation": "observations", "Coverage": "couvertures", "Account": "comptes", "ChargeItem": "prestations", "Transport": "trajets", "Location": "lieux",
}  # fmt: skip


def _party(request: HttpRequest) -> Party:
    party = check(request.user, Action.DEPOSIT).party
    assert party is not None
    return party


def _move(request: HttpRequest, reference: str) -> Move:
    found = Move.objects.filter(party=_party(request), reference=reference).select_related("export").first()
    if found is None:
        raise Http404
    return found


ELEMENTS = {
    "birthDate": "date de naissance", "gender": "sexe", "name": "nom", "identifier": "identifiants", "address": "adresse", "telecom": "coordonnées", "period": "période",
    "status": "statut", "reference": "lien vers une autre ressource", "type": "type", "code": "code", "authored": "date", "item": "réponses", "dateTime": "date", "provision": "portée",
    "start": "début", "end": "fin", "extension": "compléments", "participant": "intervenants", "serviceType": "type de service", "hospitalization": "entrée et sortie",
    "location": "lieu", "description": "description", "note": "commentaire", "reasonCode": "motif", "category": "catégorie", "class": "classe", "subject": "usager", "profile": "profil",
    "policyRule": "règle", "questionnaire": "questionnaire", "source": "source", "author": "auteur", "length": "durée", "contact": "contact", "relationship": "lien de parenté",
}  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
def moves(request: HttpRequest) -> HttpResponse:
    """Changes of software, and the start of one."""
    party = _party(request)
    if request.method == "POST":
        try:
            made = moving.start(party=party, software=request.POST.get("software", ""), by=request.user.actor)
            return redirect("exchange:move", reference=made.reference)
        except moving.MoveRefused as error:
            messages.error(request, str(error))
        return redirect("exchange:moves")
    rows = [(row, moving.progress(row)) for row in Move.objects.filter(party=party)[:50]]
    return render(request, "exchange/moves.html", {"party": party, "rows": rows, "open": any(row.state == MoveState.OPEN for row, _ in rows)})


@require_http_methods(["GET", "HEAD", "POST"])
def move(request: HttpRequest, reference: str) -> HttpResponse:
    """One change: how far it is, each file, lots to compare, its end."""
    found = _move(request, reference)
    if request.method == "POST":
        if request.POST.get("close") or request.POST.get("drop"):
            _close(request, found)
        else:
            _compare(request, found)
        return redirect("exchange:move", reference=reference)
    counts = moving.progress(found)
    wanted = request.GET.get("etat", "")
    # What asks for something comes first.
    order = Case(*(When(state=state, then=rank) for rank, state in enumerate((FileState.DIFFERS, FileState.AWAITED))), default=2)
    files = (found.files.filter(state=wanted) if wanted in FileState.values else found.files.all()).order_by(order, "pk")
    names = moving.names(found)
    return render(
        request,
        "exchange/move.html",
        {
            "move": found,
            "counts": counts,
            "total": sum(counts.values()),
            "left": counts[FileState.AWAITED] + counts[FileState.DIFFERS],
            "states": [(state, FileState(state).label, counts[state]) for state in FileState.values],
            "wanted": wanted,
            "files": [(rank, row, names.get(row.address, ""), _told(row.gaps)) for rank, row in enumerate(files[:SHOWN], 1)],
        },
    )


def _compare(request: HttpRequest, found: Move) -> None:
    given = request.FILES.getlist("lots")
    if not given:
        messages.error(request, "Choisissez un ou plusieurs lots de votre nouveau logiciel.")
    same = differs = strangers = 0
    for file in given:
        name = str(file.name)[:80]
        if file.size > MOST_BYTES:
            messages.error(request, f"{name} : plus de 10 Mo, découpez-le.")
            continue
        try:
            raw, _ = doors.transaction_of(file.read(), found.party.finess)
            told = moving.take(found, raw, by=request.user.actor)
        except (doors.DoorRefused, moving.MoveRefused) as error:
            messages.error(request, f"{name} : {error}")
            continue
        if told.remarks:
            first = told.remarks[0]
            messages.error(request, f"{name} n’est pas comparé : {first.about.message} {first.about.remedy} ({first.rule}, {first.where})")
            continue
        same, differs, strangers = same + told.same, differs + told.differs, strangers + told.strangers
    if same or differs or strangers:
        parts = [f"{same} dossier{'s' * (same > 1)} identique{'s' * (same > 1)}"]
        if differs:
            parts.append(f"{differs} diffère{'nt' * (differs > 1)}")
        if strangers:
            parts.append(f"{strangers} personne{'s' * (strangers > 1)} absente{'s' * (strangers > 1)} de l’export")
        messages.success(request, f"Comparé : {', '.join(parts)}. Rien n’a été gardé de vos lots.")


def _close(request: HttpRequest, found: Move) -> None:
    try:
        made = moving.close(found, by=request.user.actor, reason=request.POST.get("reason", ""), drop=bool(request.POST.get("drop")))
    except moving.MoveRefused as error:
        messages.error(request, str(error))
        return
    messages.success(request, "Changement abandonné." if made.state == MoveState.DROPPED else f"Changement terminé : votre logiciel est {made.new}.")


def _told(gaps: list[dict]) -> str:
    """What differs in a file, in words: kinds of data and elements, never a value."""
    parts = []
    for gap in gaps:
        said = []
        if gap["missing"]:
            said.append(f"{gap['missing']} manque{'nt' * (gap['missing'] > 1)}")
        if gap["extra"]:
            said.append(f"{gap['extra']} en trop")
        if gap["elements"]:
            said.append("diffère : " + ", ".join(ELEMENTS.get(name, name) for name in gap["elements"]))
        parts.append(f"{TYPES.get(gap['type'], gap['type'])} ({' ; '.join(said)})")
    return ", ".join(parts)


@require_safe
def move_csv(request: HttpRequest, reference: str) -> HttpResponse:
    """The comparison report: a row a file."""
    found = _move(request, reference)
    names = moving.names(found)
    rows = [
        (names.get(row.address, ""), row.resources, row.get_state_display(), _told(row.gaps), row.compared_at.isoformat() if row.compared_at else "")
        for row in found.files.all()
    ]
    header = ("numero_du_dossier", "ressources_attendues", "etat", "ecarts", "compare_le")
    return exports.csv_response(f"changement_{found.reference}", header, rows, excel=request.GET.get("format") == "excel")
