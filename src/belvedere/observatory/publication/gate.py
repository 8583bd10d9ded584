"""The gate: a release goes out when its thresholds hold, its audits are clean and the three federations have said yes.

Words are blind: a federation sees the others' only when all have spoken. A refusal has a reason and may be taken back.
"""

import datetime as dt
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from belvedere.observatory import environment
from belvedere.observatory.accounts.models import User
from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members.models import Federation, Group, Member
from belvedere.observatory.printing import integer
from belvedere.observatory.publication import computing
from belvedere.observatory.publication.computing import GateClosed
from belvedere.observatory.publication.models import RELEASE_TRANSITIONS, Approval, Release, ReleaseState, StandingApproval, Thresholds, Verdict, Word

FEDERATIONS = 3
W = TypeVar("W", bound=Word)


def thresholds(day: dt.date | None = None) -> Thresholds:
    """What a release must reunite on a day: the last dated row, else the settings."""
    found = Thresholds.objects.filter(valid_from__lte=day or timezone.localdate()).first()
    if found:
        return found
    read = environment.read
    return Thresholds(
        valid_from=dt.date(2000, 1, 1), members=int(read("BELVEDERE_GATE_MEMBERS")), groups=int(read("BELVEDERE_GATE_GROUPS")),
        lines=int(read("BELVEDERE_GATE_LINES")), patients=int(read("BELVEDERE_GATE_PATIENTS")), biggest=float(read("BELVEDERE_GATE_BIGGEST")),
    )  # fmt: skip


@transaction.atomic
def set_thresholds(*, by: User, valid_from: dt.date, **fields: float) -> Thresholds:
    """Fix what releases must reunite from a date to come on: nobody lowers the bar for what waits before it today."""
    check(by, Action.MANAGE_GATE)
    if valid_from <= timezone.localdate():
        raise GateClosed("Donnez une date à venir : les seuils en vigueur ne se récrivent pas.")
    made, _ = Thresholds.objects.update_or_create(valid_from=valid_from, defaults=fields)
    record(by=by.actor, action="seuils.fixes", subject=f"seuils:{made.valid_from}", **fields)
    return made


def shortfalls(release: Release) -> list[str]:
    """The thresholds that a release does not reach, without telling by how much."""
    floor = thresholds()
    found = []
    for value, least, words in (
        (release.groups, floor.groups, "{} groupes au moins sont nécessaires"), (release.members, floor.members, "{} entités au moins sont nécessaires"),
        (release.lines, floor.lines, "{} lignes au moins sont nécessaires"), (release.patients, floor.patients, "{} patients au moins sont nécessaires"),
    ):  # fmt: skip
        if value < least:
            found.append("Seuil non atteint : " + words.format(integer(least)) + ".")
    if release.biggest > floor.biggest:
        found.append("Seuil dépassé : un groupe pèse trop dans l’ensemble.")
    return found


def reasons(release: Release) -> list[str]:
    """What keeps a release from going out, besides the federations' words."""
    found = []
    if release.leaks:
        found.append(f"L’audit relève {len(release.leaks)} fuites.")
    basis = [earlier.label for earlier in computing.published() if earlier.pk != release.pk]
    if release.basis != basis and release.state == ReleaseState.DRAFT:
        found.append("Une autre publication est parue depuis : celle-ci doit être recalculée à sa suite.")
    if release.fresh_groups < computing.parameters().holdings:
        found.append(f"Les mois nouveaux réunissent {release.fresh_groups} groupes, il en faut {computing.parameters().holdings}.")
    found += [f"Publication gelée : {why}." for why in absent()]
    return found + missing_federations() + shortfalls(release)


def absent() -> list[str]:
    """The thresholds that the providers who take part today do not reach, whatever a release holds."""
    floor, present = thresholds(), Member.objects.present().filter(group__verified_at__isnull=False)
    found = []
    if present.count() < floor.members:
        found.append(f"moins de {floor.members} entités prennent part à l’observatoire")
    if Group.objects.filter(members__in=present).distinct().count() < floor.groups:
        found.append(f"moins de {floor.groups} groupes prennent part à l’observatoire")
    return found


def frozen_because() -> list[str]:
    """Why nothing newer may go out now. The last release stays."""
    found = absent()
    last, published = Release.objects.order_by("-pk").first(), Release.objects.filter(state=ReleaseState.PUBLISHED).first()
    if not found and last and published and last.pk > published.pk and last.state == ReleaseState.DRAFT and shortfalls(last):
        found.append(f"la publication {last.label} n’atteint pas les seuils")
    return found


def move(release: Release, state: ReleaseState) -> None:
    """Change a release's state along the table of transitions."""
    if state not in RELEASE_TRANSITIONS[release.state]:
        raise GateClosed(f"Une publication « {release.get_state_display()} » ne devient pas « {state.label} ».")
    release.state = state


def hold() -> None:
    """One decision at a time: two sets of figures must not go out unlinked. Inside the caller's transaction."""
    # Not their keys: whoever refers to a federation meanwhile checks its foreign key on these very rows.
    list(Federation.objects.select_for_update(of=("self",), no_key=True).order_by("pk"))


def word(*, verdict: Verdict, reason: str, by: User | None, standing: bool, against: list[str]) -> dict[str, Any]:
    """The fields of a federation's word; GateClosed for a refusal without a reason, or a yes to what may not go out."""
    if verdict == Verdict.NO and not reason.strip():
        raise GateClosed("Un refus se motive : dites aux autres fédérations ce qui doit changer.")
    if against:
        raise GateClosed(" ".join(against))
    return {"verdict": verdict, "reason": reason.strip(), "by": by, "at": timezone.now(), "standing": standing}


def speaker(by: User | None, *, standing: bool) -> str:
    """Whom the journal names for a word."""
    return by.actor if by else "accord permanent" if standing else "démonstration"


def motive(reason: str) -> str:
    """Why figures are withdrawn or set aside; GateClosed when nothing is said."""
    if not reason.strip():
        raise GateClosed("Dites pourquoi : le motif reste affiché.")
    return reason.strip()[:400]


def all_said_yes(words: QuerySet[Any]) -> bool:
    """Whether every federation said yes."""
    return words.filter(verdict=Verdict.YES).count() == Federation.objects.count()


def seen_by(federation: Federation, words: QuerySet[W], *, over: bool) -> tuple[W | None, list[tuple[Federation, W]]]:
    """(its own word, everybody's): the others' stay blind until all have spoken or the review is over."""
    said = {one.federation_id: one for one in words}
    federations = Federation.objects.order_by("pk")
    open_to_all = over or len(said) == len(federations)
    return said.get(federation.pk), [(each, said[each.pk]) for each in federations if open_to_all and each.pk in said]


def missing_federations() -> list[str]:
    """Why the gate cannot open to anything: it wants three federations."""
    found = Federation.objects.count()
    return [] if found >= FEDERATIONS else [f"Le verrou veut {FEDERATIONS} fédérations : {found} inscrites."]


@transaction.atomic
def decide(
    *, release: Release, federation: Federation, by: User | None, verdict: Verdict = Verdict.YES, reason: str = "", standing: bool = False
) -> Release:
    """A federation's word; the last yes of all publishes the release. GateClosed when the release is not open to words."""
    hold()
    release = Release.objects.select_for_update(of=("self",)).get(pk=release.pk)
    if release.state != ReleaseState.DRAFT:
        raise GateClosed("Cette publication n’attend plus d’avis.")
    said = word(verdict=verdict, reason=reason, by=by, standing=standing, against=reasons(release) if verdict == Verdict.YES else [])
    Approval.objects.update_or_create(release=release, federation=federation, defaults=said)
    action = "publication.validee" if verdict == Verdict.YES else "publication.refusee"
    record(by=speaker(by, standing=standing), action=action, subject=f"publication:{release.label}", federation=federation.name, standing=standing)
    if all_said_yes(release.approvals.all()):
        move(release, ReleaseState.PUBLISHED)
        release.published_at = timezone.now()
        release.save(update_fields=["state", "published_at"])
        record(by="verrou", action="publication.publiee", subject=f"publication:{release.label}", digest=release.digest)
    return release


def words_for(release: Release, federation: Federation) -> tuple[Approval | None, list[tuple[Federation, Approval]]]:
    """(its own word, everybody's): the others' stay blind until all have spoken or the review is over."""
    return seen_by(federation, release.approvals.select_related("federation"), over=release.state != ReleaseState.DRAFT)


@transaction.atomic
def give_standing(*, federation: Federation, series: str, by: User) -> StandingApproval:
    """Approve a whole series beforehand: its releases whose thresholds and audits hold."""
    given, made = StandingApproval.objects.get_or_create(
        federation=federation, series=series, withdrawn_at=None, defaults={"by": by, "at": timezone.now()}
    )
    if made:
        record(by=by.actor, action="accord.donne", subject=f"federation:{federation.pk}", series=series)
    return given


@transaction.atomic
def withdraw_standing(*, federation: Federation, series: str, by: User) -> None:
    """Take a standing approval back: the next releases wait for a word again."""
    if StandingApproval.objects.filter(federation=federation, series=series, withdrawn_at=None).update(withdrawn_at=timezone.now()):
        record(by=by.actor, action="accord.retire", subject=f"federation:{federation.pk}", series=series)


def speak_for_standing(release: Release) -> None:
    """Say yes for the federations that approved the series, if the release may go out at all."""
    if reasons(release):
        return
    for standing in StandingApproval.objects.filter(series=release.series, withdrawn_at=None).select_related("federation"):
        decide(release=release, federation=standing.federation, by=None, standing=True)


@transaction.atomic
def end(*, release: Release, by: User, reason: str) -> Release:
    """Withdraw a published release, or set a draft aside: it stays readable, with the reason."""
    check(by, Action.MANAGE_GATE)
    release = Release.objects.select_for_update(of=("self",)).get(pk=release.pk)
    why = motive(reason)
    move(release, ReleaseState.WITHDRAWN if release.state == ReleaseState.PUBLISHED else ReleaseState.REFUSED)
    release.ended_at, release.ended_for = timezone.now(), why
    release.save(update_fields=["state", "ended_at", "ended_for"])
    record(
        by=by.actor,
        action=f"publication.{'retiree' if release.state == ReleaseState.WITHDRAWN else 'ecartee'}",
        subject=f"publication:{release.label}",
        reason=release.ended_for,
    )
    return release
