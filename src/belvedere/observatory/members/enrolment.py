"""The way in: a provider declares itself, its signatory reads and signs, flows are plugged, the account opens by itself.

Whether a SIREN takes part already is never told to who types it: the answer is the same, and the people concerned hear of it.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from belvedere.observatory import pdfseal, tokens
from belvedere.observatory.accounts import factors, people
from belvedere.observatory.accounts.models import Role, User
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members import agreement, documents, invoicing
from belvedere.observatory.members.actions import enrol_group, revoke
from belvedere.observatory.members.models import Enrolment, EnrolmentState, Group, Member, SenderKey
from belvedere.observatory.members.models.joining import ENROLMENT_TRANSITIONS, OVER
from belvedere.observatory.notices import actions as notices
from belvedere.observatory.notices.models import Link, Purpose

MOST_TRIES = 10
REMIND_AFTER = (3, 10)  # days without signature
GIVE_UP_AFTER = 45
PUBLIC = "public"


class EnrolmentRefused(Exception):
    """Why an enrolment does not move, in French."""


def move(enrolment: Enrolment, state: EnrolmentState, *, by: str, **detail: object) -> None:
    """Change the state along the table of transitions, with its journal entry."""
    if state not in ENROLMENT_TRANSITIONS[enrolment.state]:
        raise EnrolmentRefused(f"Une adhésion « {enrolment.get_state_display()} » ne devient pas « {state.label} ».")
    enrolment.state = state
    enrolment.save()
    record(by=by, action=f"adhesion.{state}", subject=f"adhesion:{enrolment.reference}", **detail)


def _locked(enrolment: Enrolment) -> Enrolment:
    """The enrolment as it stands, held until the transaction ends: a signature and an operator's gesture never overwrite each other."""
    return Enrolment.objects.select_for_update(of=("self",)).get(pk=enrolment.pk)


def _taken(enrolment: Enrolment) -> bool:
    """Whether its SIREN, or one of its entities, takes part already."""
    entities = Member.objects.filter(finess__in=[int(row["finess"]) for row in enrolment.entities])
    groups = Group.objects.filter(siren=enrolment.siren)
    return entities.exists() or groups.exists() or Member.objects.filter(siren=enrolment.siren).exists()


def _other(enrolment: Enrolment) -> Enrolment | None:
    """Another enrolment of the same SIREN that is under way or active."""
    return Enrolment.objects.filter(siren=enrolment.siren).exclude(pk=enrolment.pk).exclude(state__in=(*OVER, EnrolmentState.HELD)).first()


@transaction.atomic
def declare(*, details: Mapping[str, object], entities: Sequence[Mapping[str, str]]) -> Enrolment:
    """Keep what the public form says and send the signatory its link; an enrolment that meets another one is held for the operator,
    and the one on record is told."""
    enrolment = Enrolment(
        reference=tokens.reference("A", 8),
        state=EnrolmentState.HELD,
        created_at=timezone.now(),
        text_version=agreement.VERSION,
        entities=list(entities),
        **details,
    )
    known = _other(enrolment)
    if known or _taken(enrolment):
        enrolment.held_for = "Ce SIREN, ou une de ces entités, prend déjà part à l’observatoire."
    enrolment.save()
    record(by=PUBLIC, action="adhesion.declaree", subject=f"adhesion:{enrolment.reference}", entities=len(entities), held=bool(enrolment.held_for))
    if not enrolment.held_for:
        send_agreement(enrolment=enrolment, by=PUBLIC)
        enrolment.refresh_from_db()
    elif known:
        notices.post("adhesion-deja-la", to=known.signatory_email, by=PUBLIC, name=known.name, reference=known.reference)
    return enrolment


@transaction.atomic
def send_agreement(*, enrolment: Enrolment, by: str) -> None:
    """Set the convention and send the signatory its link; EnrolmentRefused while another one stands in its way."""
    enrolment = _locked(enrolment)
    if _other(enrolment) or _taken(enrolment):
        raise EnrolmentRefused("Une autre adhésion porte ce SIREN ou l’une de ces entités : classez-la ou terminez-la d’abord.")
    enrolment.text_hash = agreement.write_text(enrolment, timezone.localdate())
    enrolment.held_for = ""
    move(enrolment, EnrolmentState.INVITED, by=by, text=enrolment.text_hash, version=enrolment.text_version)
    _post_link("convention", enrolment, Purpose.SIGN, by)


def _post_link(kind: str, enrolment: Enrolment, purpose: Purpose, by: str) -> None:
    notices.post(
        kind, to=enrolment.signatory_email, by=by, purpose=purpose, subject=enrolment.pk, name=enrolment.name, signatory=enrolment.signatory,
        reference=enrolment.reference,
    )  # fmt: skip


@transaction.atomic
def remind(*, enrolment: Enrolment, by: str) -> None:
    """Send the link again: the former one opens nothing any more."""
    enrolment = _locked(enrolment)
    kind, purpose = ("relance-signature", Purpose.SIGN) if enrolment.state == EnrolmentState.INVITED else ("relance-flux", Purpose.PLUG)
    if enrolment.state not in (EnrolmentState.INVITED, EnrolmentState.SIGNED):
        raise EnrolmentRefused("Cette adhésion n’attend rien de son signataire.")
    fresh = {"factor": "", "factor_tries": 0} if enrolment.state == EnrolmentState.INVITED else {"factor_tries": 0}
    Enrolment.objects.filter(pk=enrolment.pk).update(reminders=F("reminders") + 1, reminded_at=timezone.now(), **fresh)
    record(by=by, action="adhesion.relancee", subject=f"adhesion:{enrolment.reference}")
    _post_link(kind, enrolment, purpose, by)


def chase(now: dt.datetime | None = None) -> int:
    """Remind the signatories who wait, give up on those who never answered; returns how many were touched."""
    now, touched = now or timezone.now(), 0
    for enrolment in Enrolment.objects.filter(state=EnrolmentState.INVITED):
        age = (now - enrolment.created_at).days
        if age >= GIVE_UP_AFTER:
            cancel(enrolment=enrolment, by="relances", reason="sans réponse")
        elif enrolment.reminders < len(REMIND_AFTER) and age >= REMIND_AFTER[enrolment.reminders]:
            remind(enrolment=enrolment, by="relances")
        else:
            continue
        touched += 1
    return touched


@transaction.atomic
def cancel(*, enrolment: Enrolment, by: str, reason: str) -> None:
    """End an enrolment that leads nowhere; its link opens nothing any more, its keys neither, its entities leave."""
    enrolment = _locked(enrolment)
    _leave(enrolment, by)
    Link.objects.filter(purpose__in=(Purpose.SIGN, Purpose.PLUG), subject=enrolment.pk, used_at=None).update(used_at=timezone.now())
    move(enrolment, EnrolmentState.CANCELLED, by=by, reason=reason)


@transaction.atomic
def end(*, enrolment: Enrolment, by: str, reason: str) -> None:
    """End a membership: keys revoked, entities gone from today, accounts closed; what was published stays."""
    enrolment = _locked(enrolment)
    _leave(enrolment, by)
    move(enrolment, EnrolmentState.ENDED, by=by, reason=reason)


def _leave(enrolment: Enrolment, by: str) -> None:
    if enrolment.group is None:
        return
    for sender in SenderKey.objects.filter(group=enrolment.group, revoked_at=None):
        revoke(sender=sender, by=by)
    Member.objects.filter(group=enrolment.group, left_on=None).update(left_on=timezone.localdate())
    for user in User.objects.filter(group=enrolment.group, is_active=True):
        people.end(user=user, by=by)


def factor_secret(enrolment: Enrolment) -> str:
    """The signatory's authenticator secret, drawn at the first reading and kept encrypted."""
    if not enrolment.factor:
        enrolment.factor = factors.seal(factors.new_secret())
        Enrolment.objects.filter(pk=enrolment.pk).update(factor=enrolment.factor)
    return factors.unseal(enrolment.factor)


def check_factor(enrolment: Enrolment, code: str) -> None:
    """Prove control of the authenticator; EnrolmentRefused when the code is wrong, or was too often. Outside any transaction of the
    caller: a wrong code counts whatever becomes of the rest."""
    if enrolment.factor_tries >= MOST_TRIES:
        raise EnrolmentRefused("Trop de codes faux : demandez un nouveau lien à l’observatoire.")
    if not factors.matches(factor_secret(enrolment), code):
        Enrolment.objects.filter(pk=enrolment.pk).update(factor_tries=F("factor_tries") + 1)
        raise EnrolmentRefused("Ce code n’est pas celui du moment. Vérifiez l’heure de votre téléphone et retapez les six chiffres affichés.")


def sign(*, link: Link, code: str, signatory: str, consents: Sequence[str], address: str, agent: str) -> Enrolment:
    """Sign the convention with both proofs, the link and the code; EnrolmentRefused or LinkRefused without them."""
    check_factor(Enrolment.objects.get(pk=link.subject), code)
    return _sign(link, signatory, consents, address, agent)


@transaction.atomic
def _sign(link: Link, signatory: str, consents: Sequence[str], address: str, agent: str) -> Enrolment:
    """Evidence, seal, time-stamp, then the group, its members, the invoice and the way to plug the flow."""
    enrolment = Enrolment.objects.select_for_update(of=("self",)).get(pk=link.subject)
    if _taken(enrolment):
        raise EnrolmentRefused("Une de ces entités vient d’être inscrite par ailleurs : écrivez à l’observatoire, rien n’est signé.")
    text = agreement.text_path(enrolment).read_bytes()
    now = timezone.now()
    evidence = {
        "reference": enrolment.reference, "convention": enrolment.text_version, "text_sha256": enrolment.text_hash, "company": enrolment.name,
        "siren": enrolment.siren, "signatory": enrolment.signatory, "title": enrolment.signatory_title, "typed_name": signatory,
        "mailbox": enrolment.signatory_email, "mailbox_proof": f"lien personnel n° {link.pk}, envoyé le {link.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "second_proof": "code d’une application d’authentification (TOTP, RFC 6238)", "consents": list(consents), "address": address, "agent": agent[:200],
        "at": now.isoformat(),
    }  # fmt: skip
    notices.use(link)
    sealed = pdfseal.seal(text, evidence, name=enrolment.signatory, reason="Convention d’adhésion")
    documents.keep(agreement.signed_path(enrolment).name, sealed)
    group = enrol_group(
        name=_free_name(enrolment), federation=enrolment.federation, by=f"signataire:{enrolment.reference}", siren=enrolment.siren, verified=False,
        members=[_member(row, timezone.localdate(now)) for row in enrolment.entities],
    )  # fmt: skip
    enrolment.group, enrolment.signed_at, enrolment.evidence = group, now, evidence
    move(enrolment, EnrolmentState.SIGNED, by=f"signataire:{enrolment.reference}", text=enrolment.text_hash)
    invoicing.bill_if_due(group=group, day=timezone.localdate(now), by="adhésion")
    _post_link("bienvenue", enrolment, Purpose.PLUG, f"signataire:{enrolment.reference}")
    return enrolment


def _free_name(enrolment: Enrolment) -> str:
    return enrolment.name if not Group.objects.filter(name=enrolment.name).exists() else f"{enrolment.name} ({enrolment.siren})"


def _member(row: Mapping[str, str], day: dt.date) -> dict[str, object]:
    return {
        "name": row["name"], "siren": row["siren"], "siret": row.get("siret", ""), "finess": int(row["finess"]), "department": row["department"],
        "norm": row.get("norm") or "FR", "joined_on": day,
    }  # fmt: skip


@transaction.atomic
def name_people(*, enrolment: Enrolment, emails: Sequence[str]) -> None:
    """Note who is to be invited when the account opens."""
    enrolment.people = list(dict.fromkeys(email.lower() for email in emails))[:50]
    enrolment.save(update_fields=["people"])
    record(by=f"signataire:{enrolment.reference}", action="adhesion.invites", subject=f"adhesion:{enrolment.reference}", people=len(enrolment.people))


def hold(groups: Collection[int]) -> None:
    """Take the enrolments that a flow of these groups may end, before the journal's head: who changes one holds it first too."""
    list(Enrolment.objects.select_for_update(of=("self",)).filter(group__in=groups, state=EnrolmentState.SIGNED).order_by("pk").values_list("pk"))


def first_flow(group: Group) -> User | None:
    """At the first accepted flow of a group, its account opens and its people are invited; inside the flow's own transaction."""
    enrolment = Enrolment.objects.select_for_update(of=("self",)).filter(group=group, state=EnrolmentState.SIGNED).first()
    if enrolment is None:
        return None
    move(enrolment, EnrolmentState.ACTIVE, by="reception")
    Link.objects.filter(purpose=Purpose.PLUG, subject=enrolment.pk, used_at=None).update(used_at=timezone.now())
    opened: User | None = None
    if not User.objects.filter(email__iexact=enrolment.signatory_email).exists():
        opened = people.invite(by="reception", email=enrolment.signatory_email, role=Role.MEMBER_ADMIN, group=group, whole_group=True)
        factors.give(opened, factor_secret(enrolment))
    else:
        record(by="reception", action="adhesion.sans_administrateur", subject=f"adhesion:{enrolment.reference}")
    Enrolment.objects.filter(pk=enrolment.pk).update(factor="")  # it is the account's now
    for email in enrolment.people:
        if not User.objects.filter(email__iexact=email).exists():
            people.invite(by="reception", email=email, role=Role.MEMBER_READER, group=group, whole_group=True)
    return opened


@transaction.atomic
def add_entities(*, group: Group, rows: Sequence[Mapping[str, str]], day: dt.date, by: User) -> list[Member]:
    """Entities join a group from a day on."""
    if Member.objects.filter(finess__in=[int(row["finess"]) for row in rows]).exists():
        raise EnrolmentRefused("Une de ces entités ne peut pas être ajoutée : écrivez à l’observatoire.")
    made = [Member(group=group, **_member(row, day)) for row in rows]
    for member in made:
        member.save()
    record(by=by.actor, action="entites.ajoutees", subject=f"groupe:{group.pk}", members=[member.pk for member in made], day=day.isoformat())
    return made


@transaction.atomic
def remove_entity(*, member: Member, day: dt.date, by: User) -> None:
    """An entity leaves on a day: its flows are refused from then on, its past stays."""
    if member.joined_on and day < member.joined_on:
        raise EnrolmentRefused("Une entité ne peut pas sortir avant d’être entrée.")
    member.left_on = day
    member.save(update_fields=["left_on"])
    record(by=by.actor, action="entite.sortie", subject=f"entite:{member.pk}", day=day.isoformat())
