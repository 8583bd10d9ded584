"""Double runs: the file that a consumer receives today by another way, kept sealed, and each dataset of its period weighed against it (orchestrator reference
§4.7.7, recommendation 8.1.5: never worse than today)."""

import csv
import datetime as dt
import io
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from belvedere.engine.exchange import contracts
from belvedere.engine.exchange.contracts import Contract, Row
from belvedere.observatory.exchange import vault
from belvedere.observatory.exchange.models import Baseline
from belvedere.observatory.journal.actions import record

KEPT_DAYS = 90
MOST_BYTES = 200 * 1024 * 1024


class BaselineRefused(Exception):
    """The file cannot be compared; says why, in French."""


def read(contract: Contract, raw: bytes) -> list[Row]:
    """The rows of a consumer's file (CSV, `;`, the contract's columns). BaselineRefused."""
    if len(raw) > MOST_BYTES:
        raise BaselineRefused("Le fichier d’aujourd’hui dépasse 200 Mo.")
    try:
        rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig")), delimiter=";"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BaselineRefused("Le fichier d’aujourd’hui n’est pas un CSV en UTF-8.") from error
    if not rows or (missing := [name for name in contract.key if name not in rows[0]]):
        raise BaselineRefused(f"Le fichier d’aujourd’hui n’a pas les colonnes de la clé : {', '.join(missing if rows else contract.key)}.")
    return rows


@transaction.atomic
def keep(*, code: str, period: str, raw: bytes, by: str) -> None:
    """Keep the file of a period: every version made from now on is weighed against it. BaselineRefused."""
    contract = contracts.contracts().get(code)
    if contract is None:
        raise BaselineRefused("Ce jeu n’existe pas.")
    rows = read(contract, raw)
    Baseline.objects.update_or_create(
        code=code, period=period[:7], defaults={"content": vault.seal(raw, f"base:{code}:{period[:7]}"), "at": timezone.now()}
    )
    record(by=by, action="echange.jeu.base", subject=f"jeu:{code}:{period[:7]}", rows=len(rows))


def weighed(contract: Contract, period: str, rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Rows against the file that is kept for their period, item by item; {} when none is."""
    held = Baseline.objects.filter(code=contract.code, period=period).first()
    if held is None:
        return {}
    return contracts.compare(contract, rows, read(contract, vault.unseal(held.content, f"base:{held.code}:{held.period}")))


def forget() -> None:
    """Let go of files that are kept no longer."""
    Baseline.objects.filter(at__lt=timezone.now() - dt.timedelta(days=KEPT_DAYS)).delete()
