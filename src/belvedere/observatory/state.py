"""The state of a running observatory in a few figures, for who watches it: none of them names anybody."""

import datetime as dt
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count, Min, Sum
from django.utils import timezone

from belvedere.observatory.collect.models import DataFile, Flow, ReturnFile
from belvedere.observatory.environment import data_dir, read
from belvedere.observatory.journal.models import Entry, TreeHead
from belvedere.observatory.notices.models import Notice
from belvedere.observatory.objections.models import Objection
from belvedere.observatory.publication.models import Release, ReleaseState

WAIT_SECONDS = 300.0  # of the oldest waiting flow
HEAD_SECONDS = 600.0  # of entries under no signed head
PURGE_SECONDS = 3600.0 * 24


@dataclass(frozen=True)
class Alarm:
    """Something that somebody must look at: what, and what to do."""

    name: str
    text: str


def figures(now: dt.datetime | None = None) -> dict[str, float]:
    """Queue, warehouse, disk, journal, messages, objections; durations in seconds, sizes in bytes."""
    now = now or timezone.now()
    age = lambda at: max(0.0, (now - at).total_seconds()) if at else 0.0  # noqa: E731
    waiting = Flow.objects.filter(settled_at=None).aggregate(count=Count("pk"), oldest=Min("received_at"))
    live = DataFile.objects.filter(retired_at=None).aggregate(files=Count("pk"), lines=Sum("rows"), size=Sum("size"))
    head = TreeHead.objects.order_by("-size").first()
    unsigned = Entry.objects.filter(pk__gt=head.size if head else 0).order_by("pk").first()
    release = Release.objects.filter(state=ReleaseState.PUBLISHED).order_by("-published_at").first()
    return {
        "flows_waiting": waiting["count"], "flow_oldest_seconds": age(waiting["oldest"]),
        "flows_failed": Flow.objects.filter(settled_at=None, failures__gt=0).count(),
        "files": live["files"], "lines": live["lines"] or 0, "bytes": live["size"] or 0, "return_files": ReturnFile.objects.count(),
        "disk_free_bytes": shutil.disk_usage(data_dir()).free, "journal_unsigned_seconds": age(unsigned.at) if unsigned else 0.0,
        "messages_waiting": Notice.objects.filter(sent_at=None).count(),
        "objection_oldest_seconds": age(Objection.objects.filter(purged_at=None).aggregate(at=Min("at"))["at"]),
        "release_seconds": age(release.published_at) if release else 0.0,
    }  # fmt: skip


def alarms(found: Mapping[str, float]) -> list[Alarm]:
    """What in these figures calls for somebody."""
    limit = int(read("BELVEDERE_MIN_FREE_MB")) * 1_048_576
    checks = (
        (found["flow_oldest_seconds"] > WAIT_SECONDS, "file", "Un flux attend depuis plus de cinq minutes : un traitement tourne-t-il (belvedere worker) ?"),
        (found["flows_waiting"] > int(read("BELVEDERE_QUEUE_LIMIT")) / 2, "file-longue", "La file dépasse la moitié de sa limite : ajoutez des traitements."),
        (found["disk_free_bytes"] < 4 * limit, "disque", "Le disque est presque plein : les dépôts seront bientôt priés de revenir."),
        (found["journal_unsigned_seconds"] > HEAD_SECONDS, "journal", "Des entrées du journal n’ont pas de tête signée depuis dix minutes."),
        (found["objection_oldest_seconds"] > PURGE_SECONDS, "opposition", "Une opposition n’est pas purgée depuis un jour : voyez « belvedere objections purge »."),
    )  # fmt: skip
    return [Alarm(name, text) for wrong, name, text in checks if wrong]
