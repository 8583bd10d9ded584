"""The objections as the warehouse applies them, and a version that changes with them."""

import datetime as dt
import hashlib
import json
import os
from pathlib import Path

from django.db import transaction
from django.db.models import Count, Max

from belvedere.engine.warehouse import objected
from belvedere.engine.warehouse.objected import Objected
from belvedere.observatory.environment import data_dir, read
from belvedere.observatory.journal.actions import record
from belvedere.observatory.objections.models import Kind, Objection

_DAY_ZERO = dt.date(1970, 1, 1)


def standing(checked: int | None = None) -> Objected:
    """Whose lines are left out now; of those looked for up to the file `checked` at most, when it is given."""
    patients, prescribers = [], []
    held = Objection.objects.all() if checked is None else Objection.objects.filter(checked_until__lte=checked)
    for kind, pseudonym, until in held.values_list("kind", "pseudonym", "until"):
        if kind == Kind.PATIENT:
            patients.append((pseudonym, (until - _DAY_ZERO).days if until else None))
        elif until is None:
            prescribers.append(pseudonym)
    return objected.of(patients, prescribers)


def version() -> tuple[int, int, int]:
    """Changes whenever `standing` does: objections, those withdrawn, the last one."""
    found = Objection.objects.aggregate(all=Count("pk"), last=Max("pk"))
    until = hashlib.sha256(repr(list(Objection.objects.exclude(until=None).order_by("pk").values_list("pk", "until"))).encode()).digest()
    return found["all"], int.from_bytes(until[:6], "big"), found["last"] or 0


def path() -> Path:
    """The register: a copy of the list, kept wherever a lost disk would not take it."""
    return Path(read("BELVEDERE_REGISTER") or data_dir() / "objections.register")


def note(objection: Objection) -> None:
    """Add an objection's state to the register once its transaction is done."""
    row = {"kind": objection.kind, "pseudonym": objection.pseudonym, "until": objection.until.isoformat() if objection.until else None}

    def append() -> None:
        with os.fdopen(os.open(path(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as stream:
            stream.write(json.dumps(row) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    transaction.on_commit(append)


@transaction.atomic
def replay(register: Path) -> int:
    """Apply a register to a restored list; returns how many objections changed. The last word on a person holds."""
    changed = 0
    for line in register.read_text().splitlines():
        row = json.loads(line)
        until = dt.date.fromisoformat(row["until"]) if row["until"] else None
        objection, made = Objection.objects.get_or_create(kind=row["kind"], pseudonym=row["pseudonym"], defaults={"until": until})
        if made or objection.until != until:
            objection.until, objection.purged_at, objection.checked_until = until, None, 0
            objection.save()
            changed += 1
    record(by="restauration", action="opposition.rejouee", subject="oppositions", changed=changed)
    return changed
