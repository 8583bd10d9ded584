"""What a crash may leave behind: files that no row names, receipts that were not handed back."""

import contextlib
import datetime as dt
import logging
import time
from pathlib import Path

from django.db import OperationalError, connection
from django.db.models import Q
from django.utils import timezone

from belvedere.observatory.collect import receipts
from belvedere.observatory.collect.models import SETTLED, DataFile, Flow, ReturnFile, Upload
from belvedere.observatory.environment import data_dir, read

logger = logging.getLogger(__name__)
GRACE_SECONDS = 3600.0  # an hour is longer than any write between a file and its row
SEEN_SECONDS = 600.0  # between two looks at an orphan
UPLOAD_HOURS = 24


_seen: dict[str, float] = {}  # orphans of the last sweep, by the time that only goes forward


def _old(path: Path, seconds: float) -> bool:
    try:
        return path.is_file() and time.time() - path.stat().st_mtime > seconds
    except FileNotFoundError:
        return False


def _orphan(path: Path, grace: float, seen: dict[str, float]) -> bool:
    """Whether a file that no row names may go: old by its date, and an orphan since an earlier sweep of this process. Dates are set by clocks, another
    machine's or this one's before it jumped, and none of them is believed alone."""
    if not _old(path, grace):
        return False
    seen[str(path)] = _seen.get(str(path), time.monotonic())
    return time.monotonic() - seen[str(path)] >= min(grace, SEEN_SECONDS)


def destroy_settled() -> int:
    """Delete the sealed files of flows settled for longer than they are kept: whoever settled them may have died before it could. Returns how many."""
    root, gone = data_dir() / "sealed", 0
    names = [path.name for path in root.glob("*")] if root.is_dir() else []
    limit = timezone.now() - dt.timedelta(hours=int(read("BELVEDERE_KEEP_SEALED_HOURS")))
    for first in range(0, len(names), 500):
        settled = Flow.objects.filter(sealed_name__in=names[first : first + 500], state__in=SETTLED, settled_at__lte=limit)
        for name in settled.values_list("sealed_name", flat=True):
            (root / name).unlink(missing_ok=True)
            gone += 1
    return gone


def sweep(grace: float = GRACE_SECONDS) -> int:
    """Delete orphans older than `grace` seconds; returns how many files went."""
    gone = destroy_settled()
    waiting = set(Flow.objects.exclude(state__in=SETTLED).values_list("sealed_name", flat=True))
    kept_since = timezone.now() - dt.timedelta(hours=int(read("BELVEDERE_KEEP_SEALED_HOURS")))
    if int(read("BELVEDERE_KEEP_SEALED_HOURS")):
        waiting |= set(Flow.objects.filter(settled_at__gt=kept_since).values_list("sealed_name", flat=True))
    # A file retired just now may still be read by who listed it.
    recent = timezone.now() - dt.timedelta(seconds=grace)
    live = set(DataFile.objects.filter(Q(retired_at=None) | Q(retired_at__gt=recent)).values_list("name", flat=True))
    live |= set(ReturnFile.objects.values_list("name", flat=True))
    uploads = set(Upload.objects.filter(flow=None, started_at__gt=timezone.now() - dt.timedelta(hours=UPLOAD_HOURS)).values_list("name", flat=True))
    seen: dict[str, float] = {}
    for folder, kept in (("sealed", waiting), ("facts", live), ("incoming", uploads), ("spill", set())):
        root = data_dir() / folder
        for path in root.rglob("*") if root.is_dir() else ():
            if str(path.relative_to(root)) not in kept and _orphan(path, grace, seen):
                path.unlink(missing_ok=True)
                gone += 1
    _seen.clear()
    _seen.update(seen)
    Upload.objects.filter(started_at__lte=timezone.now() - dt.timedelta(hours=UPLOAD_HOURS)).delete()
    return gone


def statistics() -> None:
    """Bring the statistics that the database plans its queries by up to date; nobody waits for it."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            with contextlib.suppress(OperationalError):  # somebody writes: tomorrow will do
                cursor.execute("PRAGMA analysis_limit = 1000")
                cursor.execute("PRAGMA optimize")
        else:
            cursor.execute("ANALYZE")


def hand_back_receipts(limit: int = 50) -> int:
    """Write the receipts that senders by folder or SFTP have not been given yet; returns how many."""
    rows = Flow.objects.filter(handed_back=False, state__in=SETTLED).select_related("group", "member", "sender")[:limit]
    for flow in rows:
        try:
            receipts.hand_back(flow)
        except OSError as error:  # one receipt that cannot be written must not hold the others
            logger.error("accusé %s non déposé : %s", flow.pk, error.strerror)
    return len(rows)
