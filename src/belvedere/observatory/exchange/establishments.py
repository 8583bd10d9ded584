"""Establishments as the extractions of FINESS told them, dated: what one was stays readable after it moved, changed category or hands, or closed.

An extraction is a picture of a day. What differs from the picture before begins on that day; the same picture again changes nothing, an older one only fills in
what came before. The actors of the hub follow the picture in force: category, territory, legal entity, opening and closing are FINESS's to say, not ours.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping

from django.utils import timezone

from belvedere.engine.exchange.identifiers import finess_valid
from belvedere.engine.exchange.matrix import ALWAYS, NEVER
from belvedere.engine.nomenclature.territories import region_of
from belvedere.observatory.exchange.models import Establishment, Party
from belvedere.observatory.journal.actions import record

COLUMNS = ("finess_ej", "finess_et", "nom_et", "categorie_ege", "date_ouverture", "date_fermeture", "cog_commune")
BATCH = 2_000
SAYS = ("name", "kind", "department", "region", "entity", "opened_on", "closed_on")
FOLLOWED = tuple(name for name in SAYS if name != "name")  # an actor keeps the name that the operator gave it
_MONTH = re.compile(r"(?<!\d)(20\d\d)-?(0[1-9]|1[0-2])(?!\d)")


def day_of(name: str) -> dt.date:
    """The day of an extraction by its file name (finess_ege_202607.csv: 1 July 2026), else today."""
    found, today = _MONTH.search(name), timezone.localdate()
    return min(dt.date(int(found[1]), int(found[2]), 1), today) if found else today


def _date(text: str) -> dt.date | None:
    return dt.date.fromisoformat(text[:10]) if text.strip() else None


def _told(row: Mapping[str, str], regions: Mapping[str, str]) -> dict[str, object]:
    commune = row["cog_commune"]
    department = commune[:3] if commune.startswith("97") else commune[:2]
    return {
        "name": row["nom_et"][:160], "kind": row["categorie_ege"][:4], "department": department, "region": regions.get(department, ""), "entity": row["finess_ej"][:9],
        "opened_on": _date(row["date_ouverture"]), "closed_on": _date(row["date_fermeture"]),
    }  # fmt: skip


def load(rows: Iterable[Mapping[str, str]], source: str, day: dt.date, *, by: str) -> int:
    """Take an extraction of a day, inside the caller's transaction; how many establishments it tells of. ValueError for a date that is none."""
    regions = region_of()
    told = {row["finess_et"]: _told(row, regions) for row in rows if finess_valid(row["finess_et"])}
    held: dict[str, list[Establishment]] = {}
    for row in Establishment.objects.order_by("since").iterator():
        if row.finess in told:
            held.setdefault(row.finess, []).append(row)
    changed: list[Establishment] = []
    # Decided upon until now by what the operator said of them: that stays what they were then.
    made = [
        Establishment(finess=party.finess, since=ALWAYS, until=day, source="admission", **{name: getattr(party, name) for name in SAYS})
        for party in Party.objects.filter(admitted=True).exclude(finess="") if party.finess in told and party.finess not in held
    ]  # fmt: skip
    for number, says in told.items():
        _take(number, says, held.get(number, []), day, source, made, changed)
    Establishment.objects.bulk_update(changed, [*SAYS, "until", "source"], batch_size=BATCH)  # before those that begin where these end
    Establishment.objects.bulk_create(made, batch_size=BATCH)
    _follow(told, by=by)
    return len(told)


def _take(
    number: str, says: Mapping[str, object], held: list[Establishment], day: dt.date, source: str, made: list[Establishment], changed: list[Establishment],
) -> None:  # fmt: skip
    """Write what an extraction of a day tells of an establishment among the rows that are held, the oldest first."""
    current = next((row for row in held if row.since <= day < row.until), None)
    if current is not None and all(getattr(current, name) == value for name, value in says.items()):
        return
    if current is not None and current.since == day:
        for name, value in (says | {"source": source}).items():
            setattr(current, name, value)
        changed.append(current)
        return
    until = current.until if current is not None else held[0].since if held else NEVER
    if current is not None:
        current.until = day
        changed.append(current)
    made.append(Establishment(finess=number, since=day, until=until, source=source, **says))


def _follow(told: Iterable[str], *, by: str) -> None:
    """Let the actors be what the picture in force says; an establishment that nobody admitted waits, ready to be."""
    today = timezone.localdate()
    now = {row.finess: row for row in Establishment.objects.filter(since__lte=today, until__gt=today).iterator()}
    parties = {party.finess: party for party in Party.objects.exclude(finess="")}
    fresh, moved = [], []
    for number in told:
        row, party = now.get(number), parties.get(number)
        if row is None:
            continue
        if party is None:
            fresh.append(Party(actor="ESMS_PRODUCTEUR", finess=number, admitted=False, **{name: getattr(row, name) for name in SAYS}))
            continue
        differs = [name for name in FOLLOWED if getattr(party, name) != getattr(row, name) and (getattr(row, name) or name == "closed_on")]
        for name in differs:
            setattr(party, name, getattr(row, name))
        if differs:
            moved.append(party)
            if party.admitted:
                record(by=by, action="echange.acteur.finess", subject=party.code, changed=differs)
    Party.objects.bulk_create(fresh, batch_size=BATCH)
    Party.objects.bulk_update(moved, FOLLOWED, batch_size=BATCH)


def at(finess: str, day: dt.date) -> Establishment | None:
    """An establishment as the extraction in force on a day told it; before the first one, as the first one did."""
    rows = Establishment.objects.filter(finess=finess)
    return rows.filter(since__lte=day).order_by("-since").first() or rows.order_by("since").first()
