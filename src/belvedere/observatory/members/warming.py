"""Own figures computed before their readers come: each account's, once its group's data has changed and nothing waits to be treated."""

from django.db.models import Max

from belvedere.observatory.accounts.models import OF_MEMBERS, User
from belvedere.observatory.collect.models import DataFile, Flow, ReturnFile
from belvedere.observatory.members.own import OwnFacts
from belvedere.observatory.objections import register
from belvedere.observatory.publication import frozen

_seen: tuple[object, ...] = ()


def run() -> int:
    """Compute what is missing; returns how many people's figures were looked at. Stops as soon as a flow waits: senders come first."""
    global _seen
    release = frozen.current()
    people = User.objects.filter(role__in=OF_MEMBERS, is_active=True).order_by("pk")
    files = DataFile.objects.aggregate(last=Max("pk"), retired=Max("retired_at"))
    state = (*files.values(), ReturnFile.objects.aggregate(last=Max("pk"))["last"], register.version(), release and release.label, people.count())
    if state == _seen:
        return 0
    done = 0
    for person in people:
        if Flow.objects.filter(settled_at=None).exists():
            return done
        OwnFacts.of(person).figures(*((release.until,) if release else ()), wait=True)
        done += 1
    _seen = state
    return done
