"""Changing the hub's keys: a new one seals from now on, what lies under the old ones is sealed anew, then they are destroyed.

The key that makes tokens of persons does not change: every link between deposits and every pseudonym already told rests on it."""

import base64
import contextlib
import datetime as dt
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from django.db import models, transaction

from belvedere.observatory.exchange import counted, credentials, vault
from belvedere.observatory.exchange.models import Baseline, Dataset, Deposit, Export, Resource, Subscription, Transfer
from belvedere.observatory.journal.actions import note
from belvedere.observatory.keyfiles import keys_dir, strict, write_secret
from belvedere.observatory.services.models import RightsLot

OLD_ENOUGH = 3600  # seconds: no process still writes under a key that was replaced so long ago


class RotationRefused(Exception):
    """Old keys cannot be destroyed yet; says why, in French."""


@dataclass(frozen=True)
class Sealed:
    """A column of sealed contents, and what each row's is bound to."""

    model: type[models.Model]
    column: str
    about: Callable[[Any], str]
    text: bool = False  # kept as base64
    lot: int = 500  # contents of a transaction, all in memory: few of what may be large


SEALED = (
    Sealed(Resource, "content", lambda row: row.uid), Sealed(Deposit, "original", lambda row: f"depot:{row.reference}", lot=20),
    Sealed(Dataset, "content", lambda row: f"jeu:{row.code}:{row.period}:{row.version}", lot=5), Sealed(Dataset, "counted", counted.about, lot=5), Sealed(Export, "package", lambda row: f"export:{row.reference}", lot=1),
    Sealed(Transfer, "package", lambda row: f"versement:{row.reference}", lot=1), Sealed(Transfer, "message", lambda row: f"reponse:{row.reference}", lot=20), Sealed(Subscription, "secrets", lambda row: f"abonnement:{row.uid}", text=True),
    Sealed(Baseline, "content", lambda row: f"base:{row.code}:{row.period}", lot=5), Sealed(RightsLot, "content", lambda row: f"lot:{row.reference}", lot=5),
)  # fmt: skip


def begin(*, by: str) -> int:
    """A new key seals from now on, in every process; tokens are signed by a new key too. The number of the new sealing key."""
    held = sorted(map(vault.number_of, keys_dir().glob(vault.LATER.format(number="*"))))
    number = (held[-1] if held else 0) + 1
    write_secret(keys_dir() / vault.LATER.format(number=number), os.urandom(vault.KEY))
    signing = credentials.new_signing_key()
    note(by=by, action="echange.cle.nouvelle", subject="cles", sealing=number, signing=signing)
    return number


def seal_anew(lost: list[str] | None = None) -> Iterator[tuple[str, int]]:
    """Seal under the newest key what lies under older ones; (table, contents sealed anew so far) after each lot. Stopped, it goes on where it was. What no
    key opens is added to `lost`, and left."""
    lost = [] if lost is None else lost
    for sealed in SEALED:
        done, last = 0, 0
        name = str(sealed.model._meta.verbose_name_plural)
        while True:
            with transaction.atomic():
                rows = list(sealed.model._default_manager.select_for_update(of=("self",)).filter(pk__gt=last).order_by("pk")[: sealed.lot])
                for row in rows:
                    stored = getattr(row, sealed.column)
                    if not stored:
                        continue
                    raw = base64.b64decode(stored) if sealed.text else bytes(stored)
                    try:
                        fresh = vault.sealed_anew(raw, sealed.about(row))
                    except InvalidTag:  # damaged: the others go on, and the old key stays
                        lost.append(f"{row._meta.label}:{row.pk}")
                        continue
                    if fresh is not None:
                        setattr(row, sealed.column, base64.b64encode(fresh).decode() if sealed.text else fresh)
                        row.save(update_fields=[sealed.column])
                        done += 1
            if not rows:
                break
            last = rows[-1].pk
            yield name, done


def finish(*, now: float, by: str) -> int:
    """Destroy the keys that nothing is sealed under any more; how many. RotationRefused while another process might still use them."""
    later = sorted(keys_dir().glob(vault.LATER.format(number="*")), key=vault.number_of)
    if not later:
        raise RotationRefused("Aucune clé n’a été remplacée : lancez d’abord le renouvellement sans --finish.")
    if (age := now - later[-1].stat().st_mtime) < OLD_ENOUGH:
        raise RotationRefused(f"La nouvelle clé a {age / 60:.0f} minutes : attendez une heure, qu’aucun processus n’écrive plus sous l’ancienne.")
    if len(later) == 1 and (keys_dir() / vault.FIRST).stat().st_mtime > later[-1].stat().st_mtime:
        raise RotationRefused("Le dernier renouvellement est déjà terminé : il n’y a pas d’ancienne clé à détruire.")
    lost: list[str] = []
    left = {name: count for name, count in seal_anew(lost) if count}
    if lost:
        raise RotationRefused(
            f"{len(lost)} contenus ne s’ouvrent plus sous aucune clé ({', '.join(lost[:5])}) : restaurez-les ou effacez-les avant de détruire les anciennes."
        )
    if left:
        note(by=by, action="echange.cle.reprise", subject="cles", **{"rows": sum(left.values())})
    gone = 0
    for path in later[:-1]:
        path.unlink()
        gone += 1
    # The first file also makes tokens: its sealing half is replaced by one that seals nothing.
    first = keys_dir() / vault.FIRST
    raw = strict(first)
    draft = first.with_suffix(".next")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    write_secret(draft, os.urandom(vault.KEY) + raw[vault.KEY :])
    os.replace(draft, first)
    credentials.forget_signing_keys(dt.datetime.fromtimestamp(now, dt.UTC))
    note(by=by, action="echange.cle.detruite", subject="cles", keys=gone + 1)
    return gone + 1
