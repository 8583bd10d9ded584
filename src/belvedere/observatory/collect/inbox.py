"""The watched folder of the server: one sub-folder per member, named by its FINESS; receipts come back in `accuses`."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

from belvedere.observatory.collect import reception, vault
from belvedere.observatory.members.models import Member

logger = logging.getLogger(__name__)
SETTLE_AGE = 2.0  # seconds a dropped file must rest before it is taken, so that half a copy is not
PIECE = 1024 * 1024


def pieces(path: Path) -> Iterator[bytes]:
    """A file by pieces."""
    with path.open("rb") as stream:
        while piece := stream.read(PIECE):
            yield piece


def _take(path: Path) -> int:
    """Receive one dropped file; 1 if it was taken."""
    number = path.parent.name
    resting = path.is_file() and not path.name.startswith(".") and time.time() - path.stat().st_mtime >= SETTLE_AGE
    if not resting or not number.isdecimal():
        return 0
    member = Member.objects.select_related("group").filter(finess=int(number)).first()
    if member is None:
        return 0
    # The key ties the row to this very file: taken twice by two workers, or again after a crash, it is one flow.
    stat = path.stat()
    key = f"folder:{stat.st_ino}:{stat.st_ctime_ns}:{stat.st_size}"
    reception.receive(group=member.group, sealed=pieces(path), channel="folder", file_name=path.name, key=key, member=member)
    path.unlink(missing_ok=True)
    return 1


def take() -> int:
    """Receive the files dropped in the watched folder; returns how many were taken."""
    taken = 0
    if not vault.inbox().is_dir():
        return 0
    for path in sorted(vault.inbox().glob("*/*")):
        try:
            taken += _take(path)
        except reception.Busy:
            break  # they stay where they are and are taken later
        except reception.KeyReused:
            logger.error("dossier surveillé : un fichier porte la clé d’un autre")
        except OSError as error:  # another worker took it, or it cannot be read: the others go on
            logger.warning("dossier surveillé : %s", error.strerror)
    return taken
