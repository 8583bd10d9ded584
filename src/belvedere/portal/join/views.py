"""From the public form to an account: declare, read and sign, plug the flow, enter."""

import base64
import io
from collections.abc import Callable
from functools import wraps

import qrcode
import qrcode.image.svg
from allauth.core.internal.httpkit import get_client_ip
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_safe

from belvedere.observatory.accounts import people
from belvedere.observatory.environment import read
from belvedere.observatory.members import actions, agreement, enrolment, invoicing
from belvedere.observatory.members.fees import fee_on
from belvedere.observatory.members.models import Enrolment, Fee, FeeInvoice, SenderKey
from belvedere.observatory.notices import actions as notices
from belvedere.observatory.notices.models import Link, Purpose
from belvedere.portal import limits
from belvedere.portal.exports import pdf
from belvedere.portal.join import forms

TRUSTED_SECONDS = 1800


def through(purpose: Purpose) -> Callable:
    """A view behind a personal link: it is given the live link; a link that is unknown, expired or used, even meanwhile, gets its page."""

    def wrapped(view: Callable) -> Callable:
        @wraps(view)
        def guarded(request: HttpRequest, token: str, **given: str) -> HttpResponse:
            try:
                return view(request, notices.opened(purpose, token), token=token, **given)
            except notices.LinkRefused as refusal:
                status = 404 if refusal.code == "unknown" else 410
                return render(request, "join/link_refused.html", {"code": refusal.code}, status=status)

        return guarded

    return wrapped


@require_http_methods(["GET", "POST"])
def enrol(request: HttpRequest) -> HttpResponse:
    """The public form; rows of entities are checked without leaving the page."""
    if request.method == "GET":
        return render(request, "join/enrol.html", {"form": forms.EnrolmentForm(), "fee": _fee()})
    form = forms.EnrolmentForm(request.POST, request.FILES)
    checking, valid = "check" in request.POST, form.is_valid()
    if checking:
        form.errors.clear()  # the rows alone were asked about
    if checking or not valid:
        return render(request, "join/enrol.html", {"form": form, "rows": form.rows, "fee": _fee()}, status=200 if checking else 422)
    mailbox = form.cleaned_data["signatory_email"].lower()
    if form.cleaned_data["website"] or not (limits.allowed(request, "join", 10, 3600) and limits.granted(f"join-to:{mailbox}", 3, 86_400)):
        return render(request, "join/too_many.html", status=429)
    enrolment.declare(details=form.details(), entities=[row.kept() for row in form.rows])
    return redirect("join:thanks")


def _fee() -> Fee | None:
    return fee_on(timezone.localdate())


@require_safe
def thanks(request: HttpRequest) -> HttpResponse:
    """The same words whatever was found: who takes part is not told here."""
    return render(request, "join/thanks.html")


def _qr(enrolled: Enrolment) -> tuple[str, str]:
    """(data address of the QR code, secret) of the signatory's authenticator."""
    secret = enrolment.factor_secret(enrolled)
    label = f"Belvédère:{enrolled.signatory_email}"
    uri = f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': 'Belvédère'})}"
    buffer = io.BytesIO()
    qrcode.make(uri, image_factory=qrcode.image.svg.SvgPathImage).save(buffer)
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode(), secret


@require_http_methods(["GET", "POST"])
@through(Purpose.SIGN)
def sign(request: HttpRequest, link: Link, token: str) -> HttpResponse:
    """The convention, the second proof, the signature."""
    enrolled = Enrolment.objects.get(pk=link.subject)
    form = forms.SignForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not _same_name(form.cleaned_data["typed"], enrolled.signatory):
            form.add_error("typed", f"La convention porte le nom de {enrolled.signatory}.")
        else:
            try:
                enrolment.sign(
                    link=link, code=form.cleaned_data["code"], signatory=form.cleaned_data["typed"], consents=list(forms.CONSENTS.values()),
                    address=get_client_ip(request) or "", agent=request.headers.get("User-Agent", ""),
                )  # fmt: skip
                _trust(request, enrolled)
                return redirect(notices.make_link(Purpose.PLUG, enrolled.pk))
            except enrolment.EnrolmentRefused as refusal:
                form.add_error("code", str(refusal))
    qr, secret = _qr(enrolled)
    return render(
        request,
        "join/sign.html",
        {"form": form, "enrolled": enrolled, "token": token, "qr": qr, "secret": secret},
        status=422 if form.errors else 200,
    )


def _same_name(typed: str, written: str) -> bool:
    return sorted(typed.casefold().replace("-", " ").split()) == sorted(written.casefold().replace("-", " ").split())


@require_safe
@through(Purpose.SIGN)
def text(request: HttpRequest, link: Link, token: str) -> HttpResponse:
    """What the signatory reads, byte for byte what is signed."""
    return pdf(agreement.text_path(Enrolment.objects.get(pk=link.subject)), "convention.pdf")


def _trust(request: HttpRequest, enrolled: Enrolment) -> None:
    request.session["plug"] = enrolled.pk
    request.session.set_expiry(TRUSTED_SECONDS)


@require_http_methods(["GET", "POST"])
@through(Purpose.PLUG)
def plug(request: HttpRequest, link: Link, token: str) -> HttpResponse:
    """After the signature: keys for the flow, the checklist, colleagues. Each visit proves the authenticator again."""
    enrolled = Enrolment.objects.select_related("group").get(pk=link.subject)
    if request.session.get("plug") != enrolled.pk:
        return _ask_code(request, enrolled)
    assert enrolled.group is not None
    shown: dict[str, str] = {}
    people_form = forms.PeopleForm(initial={"emails": "\n".join(enrolled.people)})
    by = f"signataire:{enrolled.reference}"
    if request.method == "POST":
        if "key" in request.POST:
            shown["token"] = actions.issue_sender_key(group=enrolled.group, label=enrolled.vendor or "Informatique interne", by=by)
        elif "mailbox" in request.POST and (sender := _last_sender(enrolled)):
            shown["mailbox"] = f"{actions.open_mailbox(sender=sender, by=by)}@{read('BELVEDERE_MAIL_DOMAIN')}"
        elif "sftp" in request.POST and (sender := _last_sender(enrolled)):
            try:
                actions.allow_sftp(sender=sender, public_key=request.POST.get("public_key", "")[:4000], by=by)
                messages.success(request, f"{sender.client_id} peut déposer par SFTP.")
            except ValueError:
                messages.error(request, "Ce n’est pas une clé publique OpenSSH : une ligne qui commence par ssh-ed25519 ou ssh-rsa.")
            return redirect(request.path)
        else:
            people_form = forms.PeopleForm(request.POST)
            if people_form.is_valid():
                enrolment.name_people(enrolment=enrolled, emails=people_form.cleaned_data["emails"])
                messages.success(request, "C’est noté : ils recevront leur invitation au premier flux accepté.")
                return redirect(request.path)
    return render(request, "join/plug.html", {
        "enrolled": enrolled, "senders": SenderKey.objects.filter(group=enrolled.group, revoked_at=None).order_by("pk"), "shown": shown, "people_form": people_form,
        "invoice": FeeInvoice.objects.filter(group=enrolled.group).first(), "token": token, "base": request.build_absolute_uri("/").rstrip("/"),
        "flows": enrolled.group.flows.order_by("-pk")[:5],
    })  # fmt: skip


def _last_sender(enrolled: Enrolment) -> SenderKey | None:
    return SenderKey.objects.filter(group=enrolled.group, revoked_at=None).order_by("-pk").first()


def _ask_code(request: HttpRequest, enrolled: Enrolment) -> HttpResponse:
    form = forms.CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            enrolment.check_factor(enrolled, form.cleaned_data["code"])
        except enrolment.EnrolmentRefused as refusal:
            form.add_error("code", str(refusal))
        else:
            _trust(request, enrolled)
            return redirect(request.path)
    return render(request, "join/code.html", {"form": form, "enrolled": enrolled}, status=422 if form.errors else 200)


@require_safe
@through(Purpose.PLUG)
def document(request: HttpRequest, link: Link, token: str, name: str) -> HttpResponse:
    """The signed convention or the invoice, to who proved its authenticator on the page."""
    enrolled = Enrolment.objects.select_related("group").get(pk=link.subject)
    if request.session.get("plug") != enrolled.pk:
        raise Http404
    if name == "convention":
        return pdf(agreement.signed_path(enrolled), f"convention-{enrolled.reference}-signee.pdf")
    invoice = FeeInvoice.objects.filter(group=enrolled.group).first()
    if name != "facture" or invoice is None:
        raise Http404
    return pdf(invoicing.path(invoice), f"facture-{invoice.number}.pdf")


@require_http_methods(["GET", "POST"])
@through(Purpose.INVITE)
def invited(request: HttpRequest, link: Link, token: str) -> HttpResponse:
    """An invited person chooses a password, then signs in with its second factor."""
    form = forms.PasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        people.accept(link=link, password=form.cleaned_data["password"])
        messages.success(request, "Votre mot de passe est choisi. Connectez-vous.")
        return redirect("account_login")
    return render(request, "join/invited.html", {"form": form}, status=422 if form.errors else 200)
