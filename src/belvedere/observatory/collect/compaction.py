"""Compaction: the many small files of a provider's quarter become one, sorted so that a page, a month's cube and a purge touch little.

Readers are never in the way: files are immutable, the new one is listed and the old ones retired in one transaction, and what a reader opened
stays on the disk for its grace. Two rules keep invoices counted once: a quarter at most is merged, or as many days astride two, because a number may be
used again later (`ledger.SAME_PERIOD_DAYS`), and only flows that came before every flow still under way, because which of two versions stands hangs on that.
"""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from django.db import transaction
from django.db.models import Max, Min
from django.utils import timezone

from belvedere.engine.warehouse import files
from belvedere.engine.warehouse.ledger import SAME_PERIOD_DAYS
from belvedere.engine.warehouse.schema import FACTS
from belvedere.observatory.collect import vault
from belvedere.observatory.collect.models import DataFile, Flow
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members.models import Member

LEAST = 4  # files of a quarter that are worth merging
MOST_LINES = 1_500_000  # of one merged file: about 500 MB while it is sorted and written
SETTLED_SINCE = dt.timedelta(hours=1)
ORDER = [("period", "ascending"), ("patient_bucket", "ascending"), ("flow_id", "ascending"), ("record", "ascending")]


@dataclass
class Compacted:
    """Files merged, and those that came of them; lines; merges given up because a flow changed a file meanwhile."""

    merged: int = 0
    made: int = 0
    lines: int = 0
    conflicts: int = 0


def quarter(day: int) -> tuple[int, int]:
    """(year, quarter) of a day since 1970."""
    date = dt.date(1970, 1, 1) + dt.timedelta(days=day)
    return date.year, (date.month - 1) // 3


def candidates(now: dt.datetime | None = None) -> list[list[DataFile]]:
    """Live files that may be merged, by provider and quarter, the most files first."""
    limit = (now or timezone.now()) - SETTLED_SINCE
    oldest = Flow.objects.filter(settled_at=None).aggregate(pk=Min("pk"))["pk"]
    newest = Flow.objects.filter(settled_at__lte=limit).aggregate(pk=Max("pk"))["pk"] or 0
    barrier = min(newest, oldest - 1) if oldest else newest
    found: dict[tuple[int, tuple[int, int]], list[DataFile]] = defaultdict(list)
    astride: dict[int, list[DataFile]] = defaultdict(list)
    for row in DataFile.objects.filter(retired_at=None, flow_id__lte=barrier, rows__lt=MOST_LINES).order_by("pk"):
        if (first := quarter(row.first_day)) == quarter(row.last_day):
            found[row.member_id, first].append(row)
        elif row.last_day - row.first_day <= SAME_PERIOD_DAYS:
            astride[row.member_id].append(row)
    groups = [*found.values(), *(rows for held in astride.values() for rows in _together(held))]
    return sorted((rows for rows in groups if len(rows) >= LEAST), key=len, reverse=True)


def _together(rows: list[DataFile]) -> list[list[DataFile]]:
    """Files that lie astride two quarters, by runs that no number can come back in."""
    found: list[list[DataFile]] = []
    for row in sorted(rows, key=lambda row: (row.first_day, row.last_day)):
        if not found or max(row.last_day, *(one.last_day for one in found[-1])) - found[-1][0].first_day > SAME_PERIOD_DAYS:
            found.append([])
        found[-1].append(row)
    return found


def run(now: dt.datetime | None = None) -> Compacted:
    """Merge whatever is worth it."""
    done = Compacted()
    for rows in candidates(now):
        chosen: list[DataFile] = []
        for row in rows:
            if sum(item.rows for item in chosen) + row.rows <= MOST_LINES:
                chosen.append(row)
        if len(chosen) >= LEAST:
            merge(chosen, done)
    return done


def merge(rows: list[DataFile], done: Compacted) -> DataFile | None:
    """One file out of several of a provider; None when one of them changed meanwhile: nothing was done then."""
    tables = []
    for row in rows:
        try:
            tables.append(pq.read_table(vault.facts_path(row.name), schema=FACTS))
        except FileNotFoundError:
            done.conflicts += 1
            return None
    table = pa.concat_tables(tables)
    tables.clear()
    table = table.sort_by(ORDER)
    last = max(row.flow_id for row in rows)
    name = f"{last // 1000:06d}/{last}-m{timezone.now():%Y%m%d%H%M%S%f}.parquet"
    size = files.write(table, vault.facts_path(name))
    made = DataFile(
        flow_id=last, member_id=rows[0].member_id, name=name, rows=len(table), size=size, first_day=min(row.first_day for row in rows),
        last_day=max(row.last_day for row in rows), low_number=min(row.low_number for row in rows), high_number=max(row.high_number for row in rows),
    )  # fmt: skip
    try:
        with transaction.atomic():
            Member.objects.select_for_update(of=("self",), no_key=True).get(pk=made.member_id)
            made.save()
            wanted = [row.pk for row in rows]
            if DataFile.objects.filter(pk__in=wanted, retired_at=None).update(retired_at=timezone.now(), merged_into=made) != len(wanted):
                raise _Changed
            DataFile.objects.filter(merged_into__in=wanted).update(merged_into=made)
            record(by="conservation", action="faits.fondus", subject=f"entite:{made.member_id}", files=len(rows), lines=len(table))
    except _Changed:
        # Whatever else goes wrong may go wrong after the commit: the file is then left, listed or swept as an orphan.
        vault.facts_path(name).unlink(missing_ok=True)
        done.conflicts += 1
        return None
    done.merged, done.made, done.lines = done.merged + len(rows), done.made + 1, done.lines + len(table)
    return made


class _Changed(Exception):
    """A flow or a purge retired one of the files while they were read."""
