"""The establishment's screens: deposits and their remarks, a file tried or sent, portability, transfers to archives."""

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from belvedere.engine.exchange.rules import rules
from belvedere.engine.exchange.strict import MOST_BYTES
from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.exchange import archives, datasets, doors, erasing, intake, keys, naming, portability, replies
from belvedere.observatory.exchange.models import Deposit, Export, Party, Transfer
from belvedere.observatory.journal import sealing

SHOWN = 100


def _party(request: HttpRequest) -> Party:
    party = check(request.user, Action.DEPOSIT).party
    assert party is not None
    return party


def _remarks(deposit: Deposit) -> list[tuple[object, str, str]]:
    return [(rules()[row["rule"]], row["where"], row["detail"]) for row in deposit.remarks]


@require_safe
def deposits(request: HttpRequest) -> HttpResponse:
    """The establishment's deposits, the newest first."""
    party = _party(request)
    rows = Deposit.objects.filter(party=party)
    return render(
        request,
        "exchange/deposits.html",
        {
            "party": party,
            "noticed": datasets.noticed(party),
            "rows": rows[:SHOWN],
            "total": rows.count(),
            "refused": rows.filter(state="refused").count(),
        },
    )


@require_POST
def send(request: HttpRequest) -> HttpResponse:
    """A file (TDDUI transaction or monthly CSV), tried or deposited."""
    party, given = _party(request), request.FILES.get("file")
    if given is None or given.size > MOST_BYTES:
        messages.error(request, "Choisissez un fichier de 10 Mo au plus.")
        return redirect("exchange:deposits")
    original = given.read()
    try:
        raw, channel = doors.transaction_of(original, party.finess)
    except doors.DoorRefused as error:
        messages.error(request, str(error))
        return redirect("exchange:deposits")
    if request.POST.get("try"):
        deposited, remarks, conflict = intake.tried(party, raw, channel=channel, original=original)
        if conflict:
            messages.error(request, conflict)
            return redirect("exchange:deposits")
        told = [(remark.about, remark.where, remark.detail) for remark in remarks]
        return render(request, "exchange/tried.html", {"remarks": told, "count": len(deposited.entries), "name": str(given.name)[:80]})
    made = intake.receive(party, raw, channel=channel, software="portail", original=original)
    if made.status == 503:
        messages.error(request, made.body["issue"][0]["diagnostics"])
        return redirect("exchange:deposits")
    if made.status == 409 or made.deposit is None:
        messages.error(request, "Cet identifiant de dépôt a déjà servi à un autre contenu.")
        return redirect("exchange:deposits")
    return redirect("exchange:deposit", reference=made.deposit.reference)


@require_safe
def deposit(request: HttpRequest, reference: str) -> HttpResponse:
    """One deposit: its receipt, its remarks with what to do, its place in the journal."""
    found = Deposit.objects.filter(party=_party(request), reference=reference).first()
    if found is None:
        raise Http404
    proof = sealing.proof(found.place)
    return render(
        request,
        "exchange/deposit.html",
        {"deposit": found, "remarks": _remarks(found), "counts": sorted(found.counts.items()), "head": proof["head"] if proof else None},
    )


@require_http_methods(["GET", "HEAD", "POST"])
def exports(request: HttpRequest) -> HttpResponse:
    """Ask for the establishment's data, and take them."""
    party = _party(request)
    if request.method == "POST":
        try:
            made = portability.ask(party=party, kind="massif", persons=[], by=request.user.actor)
            messages.success(request, f"Export {made.reference} demandé : accusé aussitôt, prêt dans quelques minutes, gardé 90 jours.")
        except portability.ExportRefused as error:
            messages.error(request, str(error))
        return redirect("exchange:exports")
    return render(request, "exchange/exports.html", {"rows": Export.objects.filter(party=party)[:SHOWN]})


@require_safe
def package(request: HttpRequest, reference: str) -> HttpResponse:
    """The package of an export."""
    found = Export.objects.filter(party=_party(request), reference=reference).first()
    if found is None:
        raise Http404
    try:
        made = HttpResponse(portability.taken(found, by=request.user.actor), content_type="application/zip")
    except portability.ExportRefused as error:
        messages.error(request, str(error))
        return redirect("exchange:exports")
    made["Content-Disposition"] = f'attachment; filename="export-{found.reference}.zip"'
    return made


class LinkForm(forms.Form):
    """Whose link: the INS, or the establishment's own number."""

    number = forms.CharField(label="INS, ou identifiant interne de la personne", max_length=120)


@require_http_methods(["GET", "HEAD", "POST"])
def links(request: HttpRequest) -> HttpResponse:
    """A personal link for somebody whom the establishment accompanies: who received what about them."""
    party, link = _party(request), ""
    form = LinkForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        person = naming.accompanied(party, form.cleaned_data["number"])
        if person is None:
            form.add_error(
                "number",
                "Personne de vos dépôts ne porte ce numéro : donnez l’INS (15 caractères), ou l’identifiant interne tel que votre logiciel le dépose.",
            )
        else:
            link = request.build_absolute_uri(reverse("exchange:person", args=[keys.give_link(person=person, party=party)]))
            form = LinkForm()
    return render(request, "exchange/links.html", {"form": form, "link": link, "days": keys.LINK_DAYS}, status=422 if form.errors else 200)


class ErasureForm(forms.Form):
    """Whose data are erased, why, and that it is for good."""

    number = forms.CharField(label="INS, ou identifiant interne de la personne", max_length=120)
    why = forms.CharField(label="Motif, gardé au journal sans nommer la personne", min_length=3, max_length=120)
    sure = forms.BooleanField(label="Je sais que rien ne le ramène")


@require_http_methods(["GET", "HEAD", "POST"])
def erasures(request: HttpRequest) -> HttpResponse:
    """Erase what the establishment deposited of a person."""
    party, done = _party(request), None
    form = ErasureForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        person = naming.accompanied(party, form.cleaned_data["number"])
        if person is None:
            form.add_error("number", "Personne de vos dépôts ne porte ce numéro, ou tout est effacé déjà.")
        else:
            done = erasing.erase(person=person, party=party, by=request.user.actor, why=form.cleaned_data["why"])
            form = ErasureForm()
    return render(request, "exchange/erasures.html", {"form": form, "done": done}, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def transfers(request: HttpRequest) -> HttpResponse:
    """Closed files that are due to the department's archives, and where their transfers stand."""
    from django.utils import timezone

    party, actor = _party(request), request.user.actor
    if request.method == "POST":
        try:
            number = request.POST.get("transfer", "")
            if name := request.POST.get("person", ""):
                person = next((one for one in archives.due(party, timezone.localdate()) if naming.shown(one, party) == name), None)
                if person is None:
                    raise Http404
                messages.success(request, f"Versement {archives.prepare(party=party, person=person, by=actor).reference} préparé.")
            else:
                found = Transfer.objects.filter(pk=number, establishment=party).first() if number.isdecimal() else None
                if found is None:
                    raise Http404
                messages.success(request, f"{archives.purge(found, by=actor)} versions effacées.")
        except archives.TransferRefused as error:
            messages.error(request, str(error))
        return redirect("exchange:transfers")
    rule = archives.rule_of(party.department, timezone.localdate())
    due = [
        (
            naming.shown(person, party),
            person.resources.filter(establishment=party, profile="tddui-encounter-sejour", current=True).order_by("-day").first(),
        )
        for person in archives.due(party, timezone.localdate())[:SHOWN]
    ]
    rows = list(Transfer.objects.filter(establishment=party).select_related("archives")[:SHOWN])
    told = [(row, [unit["unit"] for unit in row.reply.get("units", []) if unit["answer"] == "KO"], replies.explained(row)) for row in rows]
    return render(request, "exchange/transfers.html", {"due": due, "rows": told, "months": rule.months, "fate": rule.get_fate_display()})
