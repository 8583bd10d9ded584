"""Establishments as the extractions of FINESS told them, dated: what one was stays readable after it moved, changed category or hands, or closed.

An extraction is a picture of a day. A row says what an establishment is from a picture on, until the next row: whatever the order in which pictures are taken, each day is
told by the last picture before it. The establishments that are actors of the hub follow the newest one: category, territory, legal entity, opening and closing are
FINESS's to say, not ours; what they were decided upon before is kept (`Formerly`).
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping

from django.db.models import Q
from django.utils import timezone

from belvedere.engine.exchange.identifiers import finess_valid
from belvedere.engine.exchange.vocabulary import Actor
from belvedere.engine.nomenclature.territories import region_of
from belvedere.observatory.exchange.models import Establishment, Formerly, Party, Picture
from belvedere.observatory.journal.actions import record

COLUMNS = ("finess_ej", "finess_et", "nom_et", "categorie_ege", "date_ouverture", "date_fermeture", "cog_commune")
BATCH = 2_000
SAYS = ("name", "kind", "department", "region", "entity", "opened_on", "closed_on")
FOLLOWED = tuple(name for name in SAYS if name != "name")  # an actor keeps the name that the operator gave it
DECIDED_UPON = ("kind", "department", "region")
HOMES = (Actor.PRODUCER, Actor.RECEIVER)
_DAY = re.compile(r"(?<!\d)(20\d\d)-?(0[1-9]|1[0-2])(?:-?(0[1-9]|[12]\d|3[01]))?(?!\d)")


def day_of(name: str) -> dt.date:
    """The day of an extraction by its file name (…-20260315-0338.csv; finess_ege_202607.csv: 1 July 2026). ValueError for a name that says none: an old file
    would pass for the present."""
    found = _DAY.search(name)
    if found is None:
        raise ValueError("le nom ne dit pas le jour de cette extraction FINESS : donnez-le (--day AAAA-MM-JJ)")
    return _day(f"{found[1]}-{found[2]}-{found[3] or '01'}")


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"« {text[:10]} » n’est pas une date AAAA-MM-JJ") from error


def _told(row: Mapping[str, str], regions: Mapping[str, str]) -> dict[str, object]:
    commune = row["cog_commune"]
    department = commune[:3] if commune.startswith("97") else commune[:2]
    return {
        "name": row["nom_et"][:160], "kind": row["categorie_ege"][:4], "department": department, "region": regions.get(department, ""), "entity": row["finess_ej"][:9],
        "opened_on": _day(row["date_ouverture"][:10]) if row["date_ouverture"] else None,
        "closed_on": _day(row["date_fermeture"][:10]) if row["date_fermeture"] else None,
    }  # fmt: skip


def load(rows: Iterable[Mapping[str, str]], source: str, day: dt.date, *, by: str) -> int:
    """Take an extraction of a day, inside the caller's transaction; how many establishments it tells of. A line without commune or category says nothing.
    ValueError: a line cut short, a date that is none, a day to come."""
    if day > timezone.localdate():
        raise ValueError(f"une extraction du {day:%d/%m/%Y} n’existe pas encore")
    regions, told = region_of(), dict[str, dict[str, object]]()
    for line, row in enumerate(rows, 2):
        if any(row.get(name) is None for name in COLUMNS):
            raise ValueError(f"la ligne {line} n’a pas toutes ses colonnes")
        if finess_valid(row["finess_et"]) and row["cog_commune"] and row["categorie_ege"]:
            told[row["finess_et"]] = _told(row, regions)
    after = Picture.objects.filter(day__gt=day).order_by("day").values_list("day", flat=True).first()
    held: dict[str, list[Establishment]] = {}
    for one in Establishment.objects.order_by("since").iterator():
        if one.finess in told:
            held.setdefault(one.finess, []).append(one)
    made: list[Establishment] = []
    changed: list[Establishment] = []
    for number, says in told.items():
        _take(number, says, held.get(number, []), day, after, source, made, changed)
    Establishment.objects.bulk_update(changed, [*SAYS, "source"], batch_size=BATCH)
    Establishment.objects.bulk_create(made, batch_size=BATCH)
    Picture.objects.update_or_create(day=day, defaults={"source": source})
    _follow(told, by=by)
    return len(told)


def _take(
    number: str, says: Mapping[str, object], held: list[Establishment], day: dt.date, after: dt.date | None, source: str, made: list[Establishment],
    changed: list[Establishment],
) -> None:  # fmt: skip
    """Write what a picture says of an establishment among its rows, the oldest first; what the picture `after` it said still holds from that day on."""
    before = next((row for row in reversed(held) if row.since <= day), None)
    if before is not None and all(getattr(before, name) == value for name, value in says.items()):
        return
    if after is not None and before is not None and not any(row.since == after for row in held):
        again = {name: getattr(before, name) for name in (*SAYS, "finess", "source")}
        made.append(Establishment(since=after, **again))
    if before is not None and before.since == day:
        for name, value in (says | {"source": source}).items():
            setattr(before, name, value)
        changed.append(before)
        return
    made.append(Establishment(finess=number, since=day, source=source, **says))


def _in_force(numbers: Iterable[str]) -> dict[str, Establishment]:
    """The last row of each of these establishments."""
    wanted, found = set(numbers), dict[str, Establishment]()
    for row in Establishment.objects.order_by("since").iterator():
        if row.finess in wanted:
            found[row.finess] = row
    return found


def _follow(told: Iterable[str], *, by: str) -> None:
    """Let the establishments that are actors be what the newest picture says; one that nobody admitted waits, ready to be."""
    parties = {party.finess: party for party in Party.objects.exclude(finess="")}
    fresh, moved, was = [], [], []
    for number, row in _in_force(told).items():
        party = parties.get(number)
        if party is None:
            fresh.append(Party(actor=Actor.PRODUCER, finess=number, admitted=False, **{name: getattr(row, name) for name in SAYS}))
        elif party.actor in HOMES and (
            differs := {name: (getattr(party, name), getattr(row, name)) for name in FOLLOWED if getattr(party, name) != getattr(row, name)}
        ):
            was.append(as_now(party))
            for name, (_, value) in differs.items():
                setattr(party, name, value)
            moved.append(party)
            if party.admitted:
                record(
                    by=by,
                    action="echange.acteur.finess",
                    subject=party.code,
                    **{name: f"{old or ''} → {new or ''}" for name, (old, new) in differs.items()},
                )
    Party.objects.bulk_create(fresh, batch_size=BATCH)
    Formerly.objects.bulk_create(was, batch_size=BATCH)
    Party.objects.bulk_update(moved, FOLLOWED, batch_size=BATCH)


def as_now(party: Party) -> Formerly:
    """What an actor is decided upon until this instant, to be kept before it changes."""
    return Formerly(party=party, until=timezone.now(), **{name: getattr(party, name) for name in DECIDED_UPON})


def as_then(party: Party, at: dt.datetime | None) -> Party | Formerly:
    """An actor as decisions took it at an instant of the past; as it is, without one."""
    return (Formerly.objects.filter(party=party, until__gt=at).order_by("until").first() if at else None) or party


def at(finess: str, day: dt.date) -> Establishment | None:
    """An establishment as the last extraction of a day told it; before the first one, as the first one did."""
    rows = list(Establishment.objects.filter(finess=finess).order_by("since")) if finess else []
    return next((row for row in reversed(rows) if row.since <= day), rows[0] if rows else None)


def kind_of(party: Party, day: dt.date) -> str:
    """The category of an actor's establishment on a day; what its admission says when no extraction spoke of it."""
    row = at(party.finess, day)
    return row.kind if row else party.kind


def of_kinds(kinds: Iterable[str], day: dt.date) -> Q:
    """The actors whose establishment was of some categories on a day, as a condition on `establishment`."""
    wanted, now, then = set(kinds), dict(Party.objects.exclude(finess="").values_list("finess", "kind")), dict[str, str]()
    for finess, kind in Establishment.objects.filter(since__lte=day).order_by("since").values_list("finess", "kind").iterator():
        then[finess] = kind
    moved = {finess: kind in wanted for finess, kind in then.items() if now.get(finess, kind) != kind}  # few
    came, left = ([finess for finess, inside in moved.items() if inside is side] for side in (True, False))
    return (Q(establishment__kind__in=wanted) & ~Q(establishment__finess__in=left)) | Q(establishment__finess__in=came)
