"""Professionals by their RPPS number, from the public extraction of the national directory (Annuaire Santé, `PS_LibreAcces_Personne_activite`):
the number and the profession, never a name. A number that a later extraction no longer holds is closed on the day of its import."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from django.utils import timezone

from belvedere.engine.exchange.identifiers import rpps_valid
from belvedere.engine.exchange.matrix import ALWAYS, NEVER
from belvedere.observatory.exchange.models import Concept

SYSTEM, VALUESET = "https://rpps.esante.gouv.fr", "RPPS"
COLUMNS = ("Identification nationale PP", "Code profession", "Libellé profession")
BATCH = 2_000
_NATIONAL = "8"  # what stands before a RPPS number in a national identification


def load(rows: Iterable[Mapping[str, str]], source: str) -> int:
    """Take an extraction, a row a professional and place of work; how many professionals it holds."""
    whole = Concept.objects.filter(valueset=VALUESET)
    whole.update(source="")
    concepts = _concepts(rows, source)
    while lot := list(islice(concepts, BATCH)):
        Concept.objects.bulk_create(
            list({concept.code: concept for concept in lot}.values()), update_conflicts=True, unique_fields=["valueset", "system", "code", "since"],
            update_fields=["display", "until", "source"],
        )  # fmt: skip
    whole.filter(source="", until=NEVER).update(until=timezone.localdate())
    return whole.filter(source=source).count()


def _concepts(rows: Iterable[Mapping[str, str]], source: str) -> Iterator[Concept]:
    for row in rows:
        number = row["Identification nationale PP"]
        if number[:1] == _NATIONAL and rpps_valid(number[1:]):
            yield Concept(
                system=SYSTEM, valueset=VALUESET, code=number[1:], display=row["Libellé profession"][:300], since=ALWAYS, until=NEVER, source=source
            )


def known(number: str, day: dt.date) -> bool | None:
    """Whether the directory holds a RPPS number on a day; None when no directory was taken in."""
    held = Concept.objects.filter(valueset=VALUESET)
    return held.filter(code=number, until__gt=day).exists() or (None if not held.exists() else False)
