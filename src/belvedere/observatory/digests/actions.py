"""Write the monthly letter after a release: what left its habit, in words; computed when it is sent, so that no figure waits in the database."""

import datetime as dt

from django.core import signing
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from belvedere.engine.indicators import signals
from belvedere.engine.indicators.definitions import catalogue
from belvedere.engine.nomenclature.products import families
from belvedere.observatory.accounts.models import OF_MEMBERS, User
from belvedere.observatory.desk import actions as desk
from belvedere.observatory.digests.models import EVERYTHING, Muted, Sent
from belvedere.observatory.environment import read
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members.own import OwnFacts
from belvedere.observatory.notices.actions import post
from belvedere.observatory.publication import frozen
from belvedere.observatory.publication.models import Release, ReleaseState

KIND = "lettre"
SALT = "belvedere.lettre"
MOST = 6  # lines of a letter: the strongest
NEWS_DAYS = 31
AGAIN_DAYS = 400  # life of a mute link


def post_due(limit: int = 50) -> int:
    """Write the letters of the latest release to members' people who have not had theirs, for a month: who joins later has no news
    in it. How many were written."""
    recent = timezone.now() - dt.timedelta(days=NEWS_DAYS)
    release = Release.objects.filter(state=ReleaseState.PUBLISHED, published_at__gte=recent).order_by("-published_at").first()
    if release is None:
        return 0
    people = User.objects.filter(role__in=OF_MEMBERS, is_active=True).exclude(sent__release=release).exclude(muted__indicator=EVERYTHING)
    written = 0
    for person in people.order_by("pk")[:limit]:
        with transaction.atomic():
            _, fresh = Sent.objects.get_or_create(release=release, person=person, defaults={"at": timezone.now()})
            if fresh:
                post(KIND, to=person.email, by="lettre", person=person.pk, release=release.label)
                written += 1
    return written


def compose(details: dict) -> dict[str, object]:
    """What a letter says: signals in words, out of how many figures, and the links that mute them. Nothing but what its reader may see."""
    person = User.objects.get(pk=details["person"])
    found = frozen.labelled(details["release"])
    release = found[1] if found else None
    own = OwnFacts.of(person).figures(*((release.until,) if release else ()), wait=True)
    told, examined = signals.watch(own, release) if own.months else ([], 0)
    rung = [reading for reading in desk.readings(person, own) if reading.rings]
    muted = set(Muted.objects.filter(person=person).values_list("indicator", flat=True))
    heard = [signal for signal in told if signal.indicator not in muted][:MOST]
    base = read("BELVEDERE_PUBLIC_URL")
    lines = [{"text": sentence(signal), "mute": base + mute_path(person, signal.indicator)} for signal in heard]
    return {
        "rung": [f"{reading.text} : {_percent(reading.change)} sur un an." for reading in rung if reading.change is not None],
        "lines": lines, "examined": examined, "count": len(heard), "release": details["release"], "until": own.months[-1] if own.months else "",
        "stop": base + mute_path(person, EVERYTHING), "muted": sorted(catalogue()[name].label for name in muted if name in catalogue()),
    }  # fmt: skip


def sentence(signal: signals.Signal) -> str:
    """« Patients suivis, Oxygénothérapie : +12 % sur trois mois (marché : +2 %). »"""
    where = families().get(signal.product, "toutes familles")
    market = f" (marché : {_percent(signal.market)})" if signal.market is not None else " (marché : non publié)"
    return f"{catalogue()[signal.indicator].label}, {where} : {_percent(signal.change)} sur trois mois par rapport à votre habitude{market}."


def _percent(ratio: float) -> str:
    return f"{ratio * 100:+.0f}".replace("-", "\u2212") + "\u00a0%"


def mute_path(person: User, indicator: str) -> str:
    """The signed address that mutes an indicator for a person."""
    return reverse("mute", args=[signing.dumps([person.pk, indicator], salt=SALT)])


def asked(token: str) -> tuple[User, str] | None:
    """(person, indicator) of a signed address; None when it is forged, old, or nobody's."""
    try:
        number, indicator = signing.loads(token, salt=SALT, max_age=AGAIN_DAYS * 86400)
    except signing.BadSignature:
        return None
    person = User.objects.filter(pk=number, is_active=True).first()
    return (person, indicator) if person and indicator in (EVERYTHING, *signals.WATCHED) else None


@transaction.atomic
def mute(person: User, indicator: str) -> None:
    """Say no more of an indicator to a person."""
    _, fresh = Muted.objects.get_or_create(person=person, indicator=indicator, defaults={"at": timezone.now()})
    if fresh:
        record(by=person.actor, action="lettre.tue", subject=f"personne:{person.pk}", indicator=indicator)


@transaction.atomic
def hear(person: User, indicator: str) -> None:
    """Hear of an indicator again."""
    if Muted.objects.filter(person=person, indicator=indicator).delete()[0]:
        record(by=person.actor, action="lettre.reprise", subject=f"personne:{person.pk}", indicator=indicator)
