"""A member's own figures, live: the only handle on facts that the portal has, and it opens one group's files.

Made from the signed-in person; nothing here takes a member or a group as an argument.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from threading import Lock

from django.core.cache import caches
from django.db.models import Max, Q, QuerySet

from belvedere import __version__
from belvedere.engine.indicators.own import OwnFigures, compute
from belvedere.engine.warehouse import engine
from belvedere.observatory import environment
from belvedere.observatory.accounts.models import User
from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.collect.coverage import months_by
from belvedere.observatory.collect.models import DataFile, Flow, ReturnFile
from belvedere.observatory.collect.vault import facts_path
from belvedere.observatory.members.models import Group, SenderKey
from belvedere.observatory.objections import register

AT_READING = 1_000_000  # lines counted while a reader waits, about three seconds


@dataclass(frozen=True)
class OwnFacts:
    """The entities of a signed-in person and their live files: its whole group's, or those it was given."""

    group: Group
    whole: bool
    _entities: tuple[int, ...]
    _objections: tuple[int, ...]
    _files: tuple[tuple[str, int], ...]  # name, lines
    _returned: tuple[str, ...]

    @classmethod
    def of(cls, user: object) -> "OwnFacts":
        """The handle of a person; PermissionDenied for one who has no own figures."""
        person: User = check(user, Action.SEE_OWN)
        group = person.group
        assert group is not None  # the database constraint of a member's person
        entities = tuple(person.seen_entities().order_by("pk").values_list("pk", flat=True))
        files = tuple(DataFile.objects.filter(member__in=entities, retired_at=None).order_by("pk").values_list("name", "rows"))
        returned = tuple(ReturnFile.objects.filter(member__in=entities).order_by("pk").values_list("name", flat=True))
        return cls(group, person.whole_group, entities, register.version(), files, returned)

    def figures(self, *anchors: str, wait: bool = False) -> OwnFigures:
        """Everything the position page needs, computed once per state of the group's data; `anchors` are last months (AAAA-MM) of periods to
        compare with. When there are too many lines to be counted while somebody waits, those of before the last flow, or none yet, marked `behind`:
        the treatment is counting (`warming`). With `wait`, always those of today."""
        key, last, whose = self._key(self._files, self._returned, anchors), self._key(anchors), (self._entities, anchors)
        with contextlib.suppress(KeyError):
            return _held(whose, key)
        if not wait and sum(lines for _, lines in self._files) > AT_READING:
            with contextlib.suppress(KeyError):
                return replace(_held(whose, caches["own"].get(last)), behind=True)
            return OwnFigures((), behind=True)
        found = self._computed(anchors)
        caches["own"].set(key, found)
        if (before := caches["own"].get(last)) not in (None, key):
            caches["own"].delete(before)
        caches["own"].set(last, key)
        return found

    def _key(self, *parts: object) -> str:
        columns = [item.name for item in fields(OwnFigures)]
        return sha256(repr((__version__, columns, str(facts_path("")), self._entities, self._objections, *parts)).encode()).hexdigest()

    def _computed(self, anchors: tuple[str, ...]) -> OwnFigures:
        paths, returned = [facts_path(name) for name, _ in self._files], [facts_path(name) for name in self._returned]
        settings = environment.compute()
        if sum(lines for _, lines in self._files) <= AT_READING:
            settings["address"] = engine.DUCKDB  # somebody may be waiting: a cluster takes longer to be asked than this to be counted
        connection = engine.connect(paths, groups={}, objected=register.standing(), materialise=True, returned=returned, **settings)
        try:
            return compute(connection, anchors)
        finally:
            connection.close()

    def flows(self) -> "list[Flow]":
        """The flows of these entities, newest first; whole-group people also see those that no entity could be read from."""
        return list(self._flows().select_related("member")[:500])

    def _flows(self) -> QuerySet[Flow]:
        # A flow follows its entity when that changes hands; one that no entity could be read from stays with its sender.
        own = Flow.objects.filter(Q(member__group=self.group) | Q(member=None, group=self.group))
        return own if self.whole else own.filter(member__in=self._entities)

    def flow(self, number: int) -> Flow | None:
        """One of these flows; None for any other's."""
        return self._flows().filter(pk=number).select_related("member", "duplicate_of").first()

    def simulated_returns(self) -> bool:
        """Whether some of the insurance's returns come from a simulator, which says so in its message zone."""
        return self._flows().filter(kind="noemie", software__contains="SIMULATEUR").exists()

    def senders(self) -> "list[SenderKey]":
        """The group's live sender keys, each with the date of its last flow."""
        if not self.whole:
            return list(SenderKey.objects.filter(member__in=self._entities, revoked_at=None).annotate(last=Max("flows__received_at")).order_by("pk"))
        return list(SenderKey.objects.filter(group=self.group, revoked_at=None).annotate(last=Max("flows__received_at")).order_by("pk"))

    def months_by_member(self) -> Mapping[str, set[str]]:
        """Months for which each entity sent accepted lines."""
        return months_by(
            "member__name",
            self._flows().filter(Q(files__retired_at=None) | Q(files__merged_into__isnull=False), files__isnull=False, period_from__isnull=False),
        )


MOST_HELD = 32  # readers whose figures a process keeps in memory: a large provider's weigh twenty megabytes
_latest: OrderedDict[object, tuple[str, OwnFigures]] = OrderedDict()
_turn = Lock()


def _held(whose: object, key: str | None) -> OwnFigures:
    """Figures that some process computed and kept; KeyError without them. Of each reader (`whose`) a new state takes the place of the one before, which
    nobody asks for again."""
    with _turn:
        if whose in _latest and _latest[whose][0] == key:
            _latest.move_to_end(whose)
            return _latest[whose][1]
    kept = caches["own"].get(key) if key else None
    if key is None or not isinstance(kept, OwnFigures):
        raise KeyError(key)
    with _turn:
        _latest[whose] = (key, kept)
        _latest.move_to_end(whose)
        while len(_latest) > MOST_HELD:
            _latest.popitem(last=False)
    return kept
