"""Consultations of rights by lots: each file has its own result, only failures are asked again, and a lot given twice is one lot."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict

from django.db import IntegrityError, transaction
from django.utils import timezone

from belvedere.engine.services.results import results
from belvedere.engine.services.rights import Answer, Question
from belvedere.observatory.exchange import vault
from belvedere.observatory.journal.actions import record
from belvedere.observatory.services.adapters import RightsService
from belvedere.observatory.services.models import LotState, RightsLot
from belvedere.observatory.tokens import reference

MOST = 1_000
OUTSIDE, SILENT = ("50", "51"), 20  # answers of an outside that fails; how many in a row say that it is down


class LotRefused(Exception):
    """The lot cannot be taken; says why, in French."""


def _digest(asked: Sequence[Question]) -> str:
    return hashlib.sha256(json.dumps([asdict(one) | {"day": one.day.isoformat()} for one in asked]).encode()).hexdigest()


def open_lot(*, site: str, given: str, asked: Sequence[Question], by: str) -> RightsLot:
    """Take a lot of at most 1 000 files; the same reference with the same files is the same lot. LotRefused: empty, too many, or another content."""
    if not asked or len(asked) > MOST:
        raise LotRefused(f"Un lot a de 1 à {MOST} dossiers.")
    digest = vault.token("lot", _digest(asked))
    before = RightsLot.objects.filter(site=site, given=given).first()
    if before is None:
        name = reference("L", 4, 4)
        try:
            with transaction.atomic():
                made = RightsLot.objects.create(
                    reference=name, site=site, given=given[:80], total=len(asked), digest=digest, content=_sealed(name, asked, {})
                )
                record(by=by, action="services.lot", subject=f"lot:{name}", total=len(asked), site=site)
            return made
        except IntegrityError:
            before = RightsLot.objects.get(site=site, given=given)
    if before.digest != digest:
        raise LotRefused("Cette référence a déjà servi à un autre lot.")
    return before


def _sealed(name: str, asked: Sequence[Question], answers: dict[int, str]) -> bytes:
    rows = [asdict(one) | {"day": one.day.isoformat(), "code": answers.get(at, "")} for at, one in enumerate(asked)]
    return vault.seal(json.dumps(rows).encode(), f"lot:{name}")


def lines(lot: RightsLot) -> list[dict]:
    """The files of a lot in clear, in memory, each with its result code ("" before it was asked)."""
    return json.loads(vault.unseal(lot.content, f"lot:{lot.reference}"))


def run(lot: RightsLot, service: RightsService, *, by: str, say: Callable[[int, int], None] = lambda done, total: None) -> dict[int, Answer]:
    """Ask what has no useful answer yet; returns the answers obtained, by place. The lot is done, or done with failures."""
    held = lines(lot)
    asked = [
        Question(one["site"], one["agent"], one["nir"], timezone.datetime.fromisoformat(one["day"]).date(), one["key"], one["born"], one["rank"])
        for one in held
    ]
    waiting = [at for at, one in enumerate(held) if not _useful(one["code"])]
    RightsLot.objects.filter(pk=lot.pk).update(state=LotState.RUNNING, started_at=timezone.now())
    found: dict[int, Answer] = {}
    silent = 0
    for rank, at in enumerate(waiting, 1):
        found[at] = service.consult(asked[at])
        say(rank, len(waiting))
        silent = silent + 1 if found[at].code in OUTSIDE else 0
        if silent >= SILENT:
            break  # the outside is down: the rest is asked with the failures
    codes = {at: one["code"] for at, one in enumerate(held)} | {at: answer.code for at, answer in found.items()}
    counted = Counter(codes.values())
    useful = sum(count for code, count in counted.items() if _useful(code))
    with transaction.atomic():
        lot.content, lot.results, lot.useful = _sealed(lot.reference, asked, codes), dict(sorted(counted.items())), useful
        lot.state, lot.finished_at = (LotState.DONE if useful == lot.total else LotState.PARTLY), timezone.now()
        lot.save()
        record(by=by, action="services.lot.fini", subject=f"lot:{lot.reference}", asked=len(waiting), useful=useful, results=lot.results)
    return found


def _useful(code: str) -> bool:
    held = results().get(("CDRI", code))
    return held is not None and held.useful
