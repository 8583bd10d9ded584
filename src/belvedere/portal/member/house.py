"""A group's own house: its people, its entities, its senders, its agreement and invoices. Each administrator within what it sees."""

import datetime as dt

from django import forms
from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from belvedere.observatory.accounts import people
from belvedere.observatory.accounts.models import OF_MEMBERS, Role, User
from belvedere.observatory.accounts.permissions import Action, check, check_whole_group
from belvedere.observatory.members import actions, agreement, enrolment, entities, invoicing
from belvedere.observatory.members.fees import borne
from belvedere.observatory.members.models import FeeInvoice, Member, SenderKey
from belvedere.observatory.members.own import OwnFacts
from belvedere.portal.exports import pdf


class InviteForm(forms.Form):
    """A colleague: address, role, and what it may see."""

    email = forms.EmailField(label="Adresse électronique", widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    role = forms.ChoiceField(label="Rôle", choices=[(Role.MEMBER_READER, "Lecteur"), (Role.MEMBER_ADMIN, "Administrateur")])
    whole_group = forms.BooleanField(label="Voit tout le groupe", required=False)
    entities = forms.ModelMultipleChoiceField(label="ou seulement ces entités", queryset=Member.objects.none(), required=False)

    def __init__(self, *args: object, user: User, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["entities"].queryset = user.seen_entities()
        if not user.whole_group:
            del self.fields["whole_group"]


def _people(user: User) -> list[User]:
    """The colleagues that an administrator may see: the group's, or those whose entities are all among its own."""
    group = list(User.objects.filter(group=user.group, role__in=OF_MEMBERS).prefetch_related("entities").order_by("-is_active", "email"))
    if user.whole_group:
        return group
    own = set(user.seen_entities())
    return [person for person in group if person.pk == user.pk or (not person.whole_group and set(person.entities.all()) <= own)]


@require_http_methods(["GET", "POST"])
def house(request: HttpRequest) -> HttpResponse:
    """Who sees what in the group; invite a colleague."""
    user = check(request.user, Action.MANAGE_PEOPLE)
    form = InviteForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            people.invite_colleague(
                by=user, email=data["email"], role=Role(data["role"]), whole_group=data.get("whole_group", False), entities=list(data["entities"])
            )
            messages.success(request, f"Invitation envoyée à {data['email']}.")
            return redirect("member:house")
        except people.AccountRefused as refusal:
            form.add_error(None, str(refusal))
    return _page(request, user, form, status=422 if form.errors else 200)


def _page(request: HttpRequest, user: User, form: InviteForm, *, shown: str = "", status: int = 200) -> HttpResponse:
    """The house; `shown` is a token that this answer alone carries."""
    today = timezone.localdate()
    return render(request, "member/house.html", {
        "form": form, "people": _people(user), "entities": [(member, member.left_on is None or member.left_on > today) for member in user.seen_entities()],
        "senders": OwnFacts.of(user).senders(), "group": user.group, "whole": user.whole_group, "agreement": getattr(user.group, "enrolment", None),
        "invoices": [(invoice, invoice.late(today)) for invoice in FeeInvoice.objects.filter(group=user.group)] if user.whole_group else [],
        "borne": borne(user.group.federation if user.group else None, today), "shown": shown,
    }, status=status)  # fmt: skip


@require_POST
def close_person(request: HttpRequest, number: int) -> HttpResponse:
    """End a colleague's account."""
    user = check(request.user, Action.MANAGE_PEOPLE)
    person = next((person for person in _people(user) if person.pk == number), None)
    if person is None:
        raise Http404
    try:
        people.close(user=person, by=user)
        messages.success(request, f"Le compte de {person.email} est fermé.")
    except people.AccountRefused as refusal:
        messages.error(request, str(refusal))
    return redirect("member:house")


@require_http_methods(["GET", "POST"])
def add_entities(request: HttpRequest) -> HttpResponse:
    """Entities that join the group, row by row."""
    user = check_whole_group(request.user, Action.MANAGE_PEOPLE)
    rows: list[entities.Row] = []
    day = _day(request.POST.get("day", "")) or timezone.localdate()
    if request.method == "POST":
        rows = entities.read(request.POST.get("entities", "")[:100_000])
        if rows and not any(row.errors for row in rows) and "send" in request.POST:
            assert user.group is not None
            try:
                enrolment.add_entities(group=user.group, rows=[row.kept() for row in rows], day=day, by=user)
                messages.success(request, f"{len(rows)} entité{'s' if len(rows) > 1 else ''} du groupe à partir du {day:%d/%m/%Y}.")
                return redirect("member:house")
            except enrolment.EnrolmentRefused as refusal:
                messages.error(request, str(refusal))
    return render(
        request,
        "member/entities.html",
        {"rows": rows, "text": request.POST.get("entities", ""), "day": day, "good": rows and not any(row.errors for row in rows)},
    )


def _day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


@require_POST
def remove_entity(request: HttpRequest, number: int) -> HttpResponse:
    """An entity leaves the group on a day."""
    user = check_whole_group(request.user, Action.MANAGE_PEOPLE)
    member = get_object_or_404(Member, pk=number, group=user.group)
    try:
        enrolment.remove_entity(member=member, day=_day(request.POST.get("day", "")) or timezone.localdate(), by=user)
        messages.success(request, f"{member.name} sort du groupe ; son passé reste.")
    except enrolment.EnrolmentRefused as refusal:
        messages.error(request, str(refusal))
    return redirect("member:house")


@require_POST
def senders(request: HttpRequest) -> HttpResponse:
    """Open, renew or revoke a sender; a token is shown on the next page, once."""
    user = check_whole_group(request.user, Action.MANAGE_SENDERS)
    assert user.group is not None
    act, number = request.POST.get("act"), request.POST.get("sender", "")
    if act == "add":
        member = get_object_or_404(Member, pk=request.POST["member"], group=user.group) if request.POST.get("member", "").isdecimal() else None
        label = request.POST.get("label", "").strip()[:80] or "Logiciel de facturation"
        token = actions.issue_sender_key(group=user.group, label=label, by=user.actor, member=member)
        return _page(request, user, InviteForm(user=user), shown=token)
    sender = get_object_or_404(SenderKey, pk=int(number) if number.isdecimal() else 0, group=user.group, revoked_at=None)
    if act == "rotate":
        if sender.expires_at:
            raise Http404
        token = actions.rotate(sender=sender, by=user.actor)
        messages.success(request, f"{sender.client_id} marche encore {actions.ROTATION_DAYS} jours : le temps de changer le jeton.")
        return _page(request, user, InviteForm(user=user), shown=token)
    if act == "revoke":
        actions.revoke(sender=sender, by=user.actor)
        messages.success(request, f"{sender.client_id} est révoqué, par toutes les voies.")
    return redirect("member:house")


@require_safe
def invoice(request: HttpRequest, number: str) -> FileResponse:
    """One of the group's invoices."""
    user = check_whole_group(request.user, Action.SEE_INVOICES)
    found = get_object_or_404(FeeInvoice, number=number, group=user.group)
    return pdf(invoicing.path(found), f"facture-{found.number}.pdf")


@require_safe
def signed_agreement(request: HttpRequest) -> FileResponse:
    """The group's signed convention."""
    user = check_whole_group(request.user, Action.SEE_INVOICES)
    enrolled = getattr(user.group, "enrolment", None)
    if enrolled is None or not agreement.signed_path(enrolled).exists():
        raise Http404
    return pdf(agreement.signed_path(enrolled), f"convention-{enrolled.reference}-signee.pdf")
