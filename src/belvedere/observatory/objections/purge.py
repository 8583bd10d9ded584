"""Erase from the files what the queries leave out already: live files rewritten, the former versions destroyed at once.

A file is written before the old one goes, and both change hands in one transaction: whatever dies, no line is lost and the
next run starts again where this one stood.
"""

import datetime as dt
import logging
from collections.abc import Iterable

import pyarrow.parquet as pq
from django.core.cache import caches
from django.db import transaction
from django.db.models import F, Max, Q
from django.utils import timezone

from belvedere.engine.privacy.pseudonyms import BUCKETS
from belvedere.engine.warehouse import files
from belvedere.engine.warehouse.objected import Objected
from belvedere.observatory.collect import vault
from belvedere.observatory.collect.models import DataFile, Flow, ReturnFile
from belvedere.observatory.environment import read
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members.models import Member
from belvedere.observatory.objections import register
from belvedere.observatory.objections.models import Objection

logger = logging.getLogger(__name__)
LOOKBACK = 500  # files of transactions that were under way when the last number was read
MERGED_SECONDS = 3600.0  # files that compaction merged hold nothing to erase: a long computation may still read them
GRACE_SECONDS = 60.0  # a reading that opened its list of files just before still finds them; a longer one begins again (`computing.draft`)


def due(now: dt.datetime | None = None) -> bool:
    """Whether files are to be looked at: an objection that is not purged yet, or files that came since it was."""
    now = now or timezone.now()
    last = DataFile.objects.aggregate(last=Max("pk"))["last"] or 0
    # Once more after the last file: one of a lower number may have been committed after the purge looked.
    behind = Q(checked_until__lt=last) | Q(confirmed_until__lt=F("checked_until"))
    return Objection.objects.filter(Q(purged_at=None) | (Q(checked_at__lt=now - _every()) & behind)).exists()


def _every() -> dt.timedelta:
    return dt.timedelta(minutes=float(read("BELVEDERE_PURGE_MINUTES")))


def run(grace: float = GRACE_SECONDS) -> dict[str, int]:
    """One purge: every file that came since each objection was last checked. Returns files read, rewritten and destroyed, lines gone."""
    # What is marked at the end is what stood before the list was read, and has not changed since.
    seen = list(Objection.objects.values_list("pk", "until", "checked_until", "checked_at"))
    objected, since = register.standing(), min((checked for _, _, checked, _ in seen), default=None)
    looked_for = {checked: register.standing(checked) for checked in {checked for _, _, checked, _ in seen}}
    counts = {"read": 0, "rewritten": 0, "lines": 0, "destroyed": 0}
    if since is None:
        return counts
    last = DataFile.objects.aggregate(last=Max("pk"))["last"] or 0
    settled = True
    for row in DataFile.objects.filter(pk__gt=max(since - LOOKBACK, 0), retired_at=None).order_by("pk").iterator():
        counts["read"] += 1
        # Who was looked for in a file already is not looked for again: one new objection reads its own bucket of persons.
        fresh_to_it = looked_for[max(checked for checked in looked_for if checked - LOOKBACK < row.pk)]
        gone = _rewrite(row, objected, fresh_to_it)
        settled &= gone is not None
        counts["rewritten"] += bool(gone)
        counts["lines"] += gone or 0
    left, counts["destroyed"] = _destroy_retired(grace)
    if counts["rewritten"]:
        caches["own"].clear()  # figures that were computed with the lines that went
    if any(checked == 0 for _, _, checked, _ in seen):
        counts["destroyed"] += _destroy_kept_sealed()
    if settled:
        now = timezone.now()
        with transaction.atomic():
            fresh = 0
            for pk, until, checked, looked in seen:
                row = Objection.objects.filter(pk=pk, until=until, checked_until=checked)
                fresh += 0 if left else row.filter(purged_at=None).update(purged_at=now)
                confirmed = {"confirmed_until": checked} if looked and looked < now - _every() else {}
                row.update(checked_until=last, checked_at=now, **confirmed)
            if fresh or counts["rewritten"] or counts["destroyed"]:
                record(by="purge", action="opposition.purgee", subject="faits", objections=fresh, **counts)
    return counts


def _rewrite(row: DataFile, objected: Objected, fresh_to_it: Objected) -> int | None:
    """Take away what was objected to, where anybody of `fresh_to_it` is there; lines gone, 0 when nothing had to, None when a worker changed the file
    meanwhile."""
    path = vault.facts_path(row.name)
    try:
        # Three columns of twenty-three decide; most files hold nobody who objected, and nothing more of them is read. A merged file lies by buckets of
        # persons: the groups of rows of the other buckets are not read either.
        buckets = fresh_to_it.buckets()
        asked = [("patient_bucket", "in", buckets)] if buckets and len(buckets) <= BUCKETS // 2 else None
        if not fresh_to_it.touches(pq.read_table(path, columns=["patient", "act_date", "prescriber"], filters=asked)):
            return 0
        table = pq.read_table(path)
    except FileNotFoundError:
        return None  # a flow replaced it just now: its successor is looked at next time
    kept = objected.without(table)
    made = None
    if len(kept):
        stem = row.name.removesuffix(".parquet").partition("-p")[0]
        name = f"{stem}-p{timezone.now():%Y%m%d%H%M%S%f}.parquet"
        size = files.write(kept, vault.facts_path(name))
        made = DataFile(
            flow_id=row.flow_id, member_id=row.member_id, name=name, rows=len(kept), size=size, first_day=row.first_day, last_day=row.last_day,
            low_number=row.low_number, high_number=row.high_number,
        )  # fmt: skip
    try:
        with transaction.atomic():
            Member.objects.select_for_update(of=("self",), no_key=True).get(pk=row.member_id)
            if not DataFile.objects.filter(pk=row.pk, retired_at=None).update(retired_at=timezone.now()):
                raise _Changed
            if made:
                made.save()
    except _Changed:
        if made:  # nothing was committed; any other failure may follow a commit, and leaves the file to the sweeper
            vault.facts_path(made.name).unlink(missing_ok=True)
        return None
    return len(table) - len(kept) or 1


def expire(day: dt.date, grace: float = GRACE_SECONDS) -> int:
    """Retire the files whose care is older than the years that lines are kept; returns how many."""
    limit = (day - dt.date(1970, 1, 1)).days - round(float(read("BELVEDERE_KEEP_YEARS")) * 365.25)
    with transaction.atomic():
        old_files = DataFile.objects.filter(retired_at=None, last_day__lt=limit)
        members = set(old_files.values_list("member", flat=True))
        list(
            Member.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=members).order_by("pk").values_list("pk")
        )  # before files, as a settlement
        count = old_files.update(retired_at=timezone.now())
        if count:
            record(by="conservation", action="faits.expires", subject="faits", files=count)
        old = ReturnFile.objects.filter(flow__period_to__lt=day - dt.timedelta(days=round(float(read("BELVEDERE_KEEP_YEARS")) * 365.25)))
        names = list(old.values_list("name", flat=True))
        if names:
            old.delete()
            record(by="conservation", action="paiements.expires", subject="paiements", files=len(names))
    _destroy_retired(grace)
    return count


def _destroy_kept_sealed() -> int:
    """Sealed flows that were kept after their treatment hold the person too: they go with the first purge that follows."""
    gone = 0
    for name in Flow.objects.exclude(settled_at=None).exclude(sealed_name="").values_list("sealed_name", flat=True).iterator():
        path = vault.sealed_path(name)
        if path.exists():
            path.unlink(missing_ok=True)
            gone += 1
    return gone


class _Changed(Exception):
    """The file was retired by a worker while it was read."""


def _destroy_retired(grace: float) -> tuple[int, int]:
    """(old versions that still lie on the disk, those destroyed now)."""
    limit = timezone.now() - dt.timedelta(seconds=grace)
    left, destroyed, gone = 0, 0, list[int]()
    standing = DataFile.objects.exclude(retired_at=None).filter(destroyed=False)
    rows: Iterable[tuple[int, str, dt.datetime, int | None]] = standing.values_list("pk", "name", "retired_at", "merged_into")
    merged = limit - dt.timedelta(seconds=MERGED_SECONDS if grace else 0)
    for pk, name, retired, into in rows:
        path = vault.facts_path(name)
        if not path.exists():
            gone.append(pk)
        elif retired <= (limit if into is None else merged):
            path.unlink(missing_ok=True)
            destroyed += 1
            gone.append(pk)
        else:
            left += 1
    for first in range(0, len(gone), 500):
        DataFile.objects.filter(pk__in=gone[first : first + 500]).update(destroyed=True)  # not looked for at every purge to come
    return left, destroyed
