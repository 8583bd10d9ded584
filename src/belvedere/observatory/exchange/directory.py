"""Professionals by their RPPS number, from the public extraction of the national directory (Annuaire Santé, `PS_LibreAcces_Personne_activite`):
the number and the profession, never a name.

A number is known from the day of the import that brought it to that of the extraction that no longer holds it; one that comes back begins anew."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from django.utils import timezone

from belvedere.engine.exchange.identifiers import rpps_valid
from belvedere.engine.exchange.matrix import NEVER
from belvedere.observatory.exchange.models import Concept

SYSTEM, VALUESET = "https://rpps.esante.gouv.fr", "RPPS"
COLUMNS = ("Identification nationale PP", "Code profession", "Libellé profession")
BATCH = 2_000
CUT_SHORT, LOST = 1_000, 0.2  # past so many numbers held, an extraction that lacks this share of them was cut short
_NATIONAL = "8"  # what stands before a RPPS number in a national identification


def load(rows: Iterable[Mapping[str, str]], source: str) -> int:
    """Take an extraction, a row a professional and place of work; how many professionals it holds. ValueError for one that was cut short."""
    today = timezone.localdate()
    given = {number: work[:300] for number, work in _professionals(rows)}
    held = set(Concept.objects.filter(valueset=VALUESET, until=NEVER).values_list("code", flat=True))
    gone = held - given.keys()
    if not given or (len(held) >= CUT_SHORT and len(gone) > LOST * len(held)):
        raise ValueError(f"{len(given)} professionnels lus pour {len(held)} tenus : l’extraction est incomplète, rien n’est changé")
    for lot in _lots(sorted(gone)):
        Concept.objects.filter(valueset=VALUESET, until=NEVER, code__in=lot).update(until=today)
    for lot in _lots(sorted(given.keys() - held)):
        made = [
            Concept(system=SYSTEM, valueset=VALUESET, code=number, display=given[number], since=today, until=NEVER, source=source) for number in lot
        ]
        Concept.objects.bulk_create(
            made, update_conflicts=True, unique_fields=["valueset", "system", "code", "since"], update_fields=["display", "until", "source"]
        )
    return len(given)


def _professionals(rows: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for row in rows:
        number, work = row["Identification nationale PP"], row["Libellé profession"]
        if not number or work is None:
            raise ValueError("une ligne est coupée")
        if number[:1] == _NATIONAL and rpps_valid(number[1:]):
            yield number[1:], work


def _lots(numbers: Iterable[str]) -> Iterator[list[str]]:
    waiting = iter(numbers)
    while lot := list(islice(waiting, BATCH)):
        yield lot


def known(number: str, day: dt.date) -> bool | None:
    """Whether the directory holds a RPPS number on a day; None when no directory was taken in, or when the day is before the first that was."""
    held = Concept.objects.filter(valueset=VALUESET)
    return held.filter(code=number, since__lte=day, until__gt=day).exists() or (False if held.filter(since__lte=day).exists() else None)
