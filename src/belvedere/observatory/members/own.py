"""A member's own figures, live: the only handle on facts that the portal has, and it opens one group's files.

Made from the signed-in person; nothing here takes a member or a group as an argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from django.db.models import Max

from belvedere.engine.indicators import own as figures
from belvedere.engine.warehouse import engine
from belvedere.observatory.accounts.models import User
from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.collect.models import DataFile, Flow
from belvedere.observatory.collect.vault import facts_path
from belvedere.observatory.members.models import Group, SenderKey
from belvedere.observatory.objections.models import Objection


@dataclass(frozen=True)
class OwnFacts:
    """The group of a signed-in person and its live files."""

    group: Group
    _version: tuple[int, int, int]
    _paths: tuple[Path, ...]

    @classmethod
    def of(cls, user: object) -> "OwnFacts":
        """The handle of a person; PermissionDenied for one who has no own figures."""
        person: User = check(user, Action.SEE_OWN)
        group = person.group
        assert group is not None  # the database constraint of a member's person
        rows = list(DataFile.objects.filter(member__group=group, retired_at=None).order_by("pk").values_list("pk", "name"))
        last = rows[-1][0] if rows else 0
        version = (last, len(rows), Objection.objects.count())
        return cls(group, version, tuple(facts_path(name) for _, name in rows))

    def figures(self, *anchors: str) -> figures.OwnFigures:
        """Everything the position page needs, computed once per state of the group's data; `anchors`
        are last months (AAAA-MM) of periods to compare with."""
        return _figures(self.group.pk, self._version, self._paths, anchors)

    def flows(self) -> "list[Flow]":
        """The group's flows, newest first."""
        return list(Flow.objects.filter(group=self.group).select_related("member")[:500])

    def flow(self, number: int) -> Flow | None:
        """One of the group's flows; None for any other's."""
        return Flow.objects.filter(group=self.group, pk=number).select_related("member", "duplicate_of").first()

    def senders(self) -> "list[SenderKey]":
        """The group's live sender keys, each with the date of its last flow."""
        return list(SenderKey.objects.filter(group=self.group, revoked_at=None).annotate(last=Max("flows__received_at")).order_by("pk"))

    def months_by_member(self) -> Mapping[str, set[str]]:
        """Months for which each entity sent accepted lines."""
        found: dict[str, set[str]] = {}
        rows = Flow.objects.filter(group=self.group, files__retired_at=None, files__isnull=False, period_from__isnull=False)
        for name, first, last in rows.values_list("member__name", "period_from", "period_to"):
            months = found.setdefault(name, set())
            rank = first.year * 12 + first.month - 1
            while rank <= last.year * 12 + last.month - 1:
                months.add(f"{rank // 12}-{rank % 12 + 1:02d}")
                rank += 1
        return found


@lru_cache(maxsize=256)
def _figures(group: int, version: tuple[int, int, int], paths: tuple[Path, ...], anchors: tuple[str, ...]) -> figures.OwnFigures:
    objections = np.array(list(Objection.objects.values_list("pseudonym", flat=True)), dtype=np.int64)
    connection = engine.connect(paths, groups={}, objections=objections, threads=2, materialise=True)
    try:
        return figures.compute(connection, anchors)
    finally:
        connection.close()
