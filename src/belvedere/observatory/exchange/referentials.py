"""Dated nomenclatures: imported from official files, asked at a date."""

import csv
import datetime as dt
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from belvedere.engine.exchange import valuesets
from belvedere.engine.exchange.bundle import Deposited, Entry
from belvedere.engine.exchange.checks import CISIS as CISIS_NAMES
from belvedere.engine.exchange.checks import MED, Known, person_key
from belvedere.engine.exchange.matrix import ALWAYS, NEVER
from belvedere.engine.exchange.seda import PackageRefused
from belvedere.observatory.environment import read
from belvedere.observatory.exchange import directory, establishments, facts, offers
from belvedere.observatory.exchange.models import Concept, Party, Person, Resource
from belvedere.observatory.exchange.naming import own_key, own_names, person_token
from belvedere.observatory.journal.actions import record

SERAFIN = "https://smt.esante.gouv.fr/fhir/CodeSystem/serafin-ph"
AGENCY = "urn:oid:1.2.250.1.213."
# Codes of CISIS of which the value sets make the whole: one that is in none does not exist. Items of the evaluations of the CDA guide are in none.
ITEMS = re.compile(r"MED-(129\d|130\d|1310)")
GIR_SET = "JDV_GIR_CISIS"
CISIS, CISIS_OID = CISIS_NAMES
BATCH = 2_000


class ImportRefused(Exception):
    """The file cannot be taken; says which line and why, in French."""


@dataclass(frozen=True)
class Imported:
    """What an import did."""

    name: str
    rows: int


def _valuesets(rows: Iterable[Mapping[str, str]], source: str) -> Iterator[Concept]:
    for row in rows:
        since, until = valuesets.day(row["dateValid"]) or ALWAYS, valuesets.day(row["dateFin"]) or NEVER
        yield Concept(
            system=_system(row["codeSystem"]), valueset=row["valueset"], code=row["code"], display=row["display"][:300], since=since, until=until, source=source
        )  # fmt: skip


def _system(oid: str) -> str:
    return CISIS if oid == CISIS_OID.removeprefix("urn:oid:") else f"urn:oid:{oid}"


def _published(path: Path) -> Iterator[Concept]:
    for one in valuesets.read(path.read_bytes()):
        yield Concept(
            system=_system(one.system), valueset=one.valueset[:120], code=one.code[:60], display=one.display[:300], since=one.since, until=one.until,
            source=path.name[:120],
        )  # fmt: skip


def _keep(concepts: Iterable[Concept]) -> int:
    made = list({(one.valueset, one.system, one.code, one.since): one for one in concepts}.values())
    Concept.objects.bulk_create(
        made, batch_size=BATCH, update_conflicts=True, unique_fields=["valueset", "system", "code", "since"],
        update_fields=["display", "parent", "until", "source"],
    )  # fmt: skip
    _close(made)
    return len(made)


def _close(told: list[Concept]) -> None:
    """End what a set no longer holds, on the day it is known; what a file says of a code takes the place of what an earlier one said from that day on."""
    spans: dict[str, dict[tuple[str, str], list[dt.date]]] = {}
    for one in told:
        spans.setdefault(one.valueset, {}).setdefault((one.system, one.code), []).append(one.since)
    today = timezone.localdate()
    for name, codes in spans.items():
        changed, gone = [], []
        for row in Concept.objects.filter(valueset=name):
            since = codes.get((row.system, row.code))
            if since is not None and row.since in since:
                continue
            end = min(since) if since else max(today, row.since)
            if row.since >= end and since:
                gone.append(row.pk)
            elif row.until > end:
                row.until = end
                changed.append(row)
        Concept.objects.filter(pk__in=gone).delete()
        Concept.objects.bulk_update(changed, ["until"], batch_size=BATCH)


def _serafin(rows: Iterable[Mapping[str, str]], source: str) -> Iterator[Concept]:
    """The tree of SERAFIN-PH; `dateValid` and `dateFin` where the file has them, as value sets do."""
    for row in rows:
        since, until = (valuesets.day(row.get(name) or "") for name in ("dateValid", "dateFin"))
        yield Concept(
            system=SERAFIN, valueset=row["jdv"], code=row["code"], display=row["libelle"][:300], parent=row["parent"], since=since or ALWAYS, until=until or NEVER,
            source=source,
        )  # fmt: skip


# What tells a file by its columns.
READERS = {
    ("valueset", "code", "codeSystem", "display", "dateValid", "dateFin"): _valuesets,
    ("code", "parent", "bloc", "libelle", "jdv"): _serafin,
}


# Files that are read whole, and what each suffix promises.
_ROR = "une extraction du ROR (Bundle de HealthcareService, ou une ressource par ligne)"
WHOLE: dict[str, tuple[Callable[[Path], int], str]] = {
    ".xml": (lambda path: _keep(_published(path)), "un jeu de valeurs de l’ANS (RetrieveValueSetResponse)"), ".json": (offers.load, _ROR), ".ndjson": (offers.load, _ROR),
}  # fmt: skip


@transaction.atomic
def load(path: Path, *, by: str, day: dt.date | None = None) -> Imported:
    """Import an official file, told by its columns: value sets, SERAFIN-PH tree, FINESS extraction (of a `day`, else the one in its name), directory of
    professionals; in XML, value sets as the ANS publishes them; in JSON, an extraction of the register of resources. The same file again changes nothing.
    ImportRefused."""
    suffix = path.suffix.lower()
    if suffix in WHOLE:
        read_whole, expected = WHOLE[suffix]
        try:
            count = read_whole(path)
        except (ValueError, PackageRefused) as error:
            raise ImportRefused(f"{path.name} : {error}. Attendu : {expected}.") from error
        return _told(path, count, by)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            piped = "|" in stream.readline()
            stream.seek(0)
            rows = csv.DictReader(stream, delimiter="|", quoting=csv.QUOTE_NONE) if piped else csv.DictReader(stream)
            columns = set(rows.fieldnames or ())
            if columns >= set(directory.COLUMNS):
                count = directory.load(rows, path.name)
            elif columns >= set(establishments.COLUMNS):
                count = establishments.load(rows, path.name[:120], day or establishments.day_of(path.name), by=by)
            else:
                reader = next((made for names, made in READERS.items() if columns >= set(names)), None)
                if reader is None:
                    raise ImportRefused(f"{path.name} : colonnes inconnues ({', '.join(sorted(columns))[:120]}).")
                count = _keep(reader(rows, path.name))
    except (UnicodeDecodeError, csv.Error, KeyError, ValueError) as error:
        raise ImportRefused(f"{path.name} : {error}. Exportez-le de nouveau en CSV UTF-8.") from error
    return _told(path, count, by)


def _told(path: Path, count: int, by: str) -> Imported:
    forget()
    record(by=by, action="echange.nomenclature", subject=f"fichier:{path.name}"[:120], rows=count)
    return Imported(path.name, count)


def at(day: dt.date) -> QuerySet[Concept]:
    """The concepts in force on a day."""
    return Concept.objects.filter(since__lte=day, until__gt=day)


_known_codes: dict[tuple[str, str], list[tuple[dt.date, dt.date]]] = {}
_read_at = 0.0
FRESH_SECONDS = 60  # another process may have imported a nomenclature


def _codes() -> dict[tuple[str, str], list[tuple[dt.date, dt.date]]]:
    """When each code of the systems of the agency is valid. Read from memory, at most a minute old."""
    global _read_at
    if time.monotonic() - _read_at > FRESH_SECONDS or not _read_at:
        _known_codes.clear()
        rows = Concept.objects.filter(Q(system=CISIS) | Q(system__startswith=AGENCY))
        for system, name, since, until in rows.values_list("system", "code", "since", "until"):
            _known_codes.setdefault((system, name), []).append((since, until))
            _known_codes.setdefault((system, ""), [])  # some code of it is held
        _read_at = time.monotonic()
    return _known_codes


def _coded(system: str, code: str, day: dt.date) -> bool | None:
    """Whether a code exists on a day; None for one that no value set held speaks of."""
    if system not in (CISIS, CISIS_OID) and not system.startswith(AGENCY):
        return None
    held, name = _codes(), CISIS if system == CISIS_OID else system
    spans = held.get((name, code)) if code else None
    if spans is None:
        return False if name == CISIS and MED.match(code) and not ITEMS.fullmatch(code) and (CISIS, "") in held else None
    return any(since <= day < until for since, until in spans)


def _listed(system: str, code: str) -> bool:
    """False for a code of a system of the agency, some codes of which are held, that none of its value sets has."""
    if not system.startswith(AGENCY) or system == CISIS_OID:
        return True
    held = _codes()
    return (system, "") not in held or (system, code) in held


def forget() -> None:
    """Read the nomenclatures again at the next question."""
    global _read_at
    _read_at = 0.0


def displays() -> Callable[[str, str], str]:
    """The words of a code, asked of the nomenclatures once each; "" for a code that none holds."""

    @lru_cache(maxsize=4_000)
    def named(system: str, code: str) -> str:
        name = CISIS if system == CISIS_OID else system
        return Concept.objects.filter(system=name, code=code).order_by("-since").values_list("display", flat=True).first() or ""

    return named


def serafin(code: str, day: dt.date) -> bool | None:
    """True for a leaf of SERAFIN-PH on a day, False for a node, None for no code of it (or no tree held that day: then every code is a leaf)."""
    tree = at(day).filter(system=SERAFIN)
    if not tree.filter(code=code).exists():
        return None if tree.exists() else True
    return not tree.filter(parent=code).exists()


def _held(party: Party, deposited: Deposited) -> dict[str, Resource]:
    """What earlier deposits hold at the addresses that this one gives as subject or as stay, by uid."""
    told = {
        reference["reference"].rpartition("/")[2]
        for entry in deposited.entries
        for name in ("subject", "partOf")
        if isinstance(reference := entry.resource.get(name), Mapping)
        and isinstance(reference.get("reference"), str)
        and deposited.target(reference) is None
    }
    rows = Resource.objects.filter(uid__in=told, establishment=party, current=True, erased=False).defer("content") if told else ()
    return {row.uid: row for row in rows}


def known_to(party: Party, deposited: Deposited, named: Mapping[str, Person]) -> Known:
    """What the rules ask of the outside, for a depositor and its deposit; `named`: the persons of its tokens, as `naming.named_in` gives them."""
    keys = {person_key(entry.resource, party.finess) for entry in deposited.of_type("Patient")}
    tokens = {person_token(key): key for key in keys if key}
    people = {key: named[token] for token, key in tokens.items() if token in named}
    stored = _held(party, deposited)
    concerned = {person.pk for person in people.values()} | {row.person_id for row in stored.values() if row.person_id}
    names = own_names(Person.objects.filter(pk__in=concerned)) if concerned else {}
    open_keys: dict[int, set[str]] = {}
    if concerned:
        rows = Resource.objects.filter(person__in=concerned, establishment=party, profile="tddui-encounter-sejour", current=True, erased=False)
        for number, key, told in rows.values_list("person", "own_key", "facts"):
            if facts.opens(told):
                open_keys.setdefault(number, set()).add(key)

    def at(address: str, kind: str) -> dict[str, Any]:
        row = stored.get(address.rpartition("/")[2])
        return row.facts if row and row.type == kind else {}

    def period(address: str) -> tuple[str, str] | None:
        told = at(address, "Encounter")
        return (told.get("start", ""), told.get("end", "")) if told else None

    def open_stay(stay: Entry, deposited: Deposited) -> bool:
        subject = stay.resource.get("subject") or {}
        patient = deposited.target(subject)
        row = stored.get(str(subject.get("reference", "")).rpartition("/")[2])
        person = people.get(person_key(patient.resource, party.finess)) if patient else None
        number = person.pk if person else row.person_id if row else None
        if not number or number not in open_keys:
            return False
        # What this deposit says of a stay takes the place of what was held: it may close it.
        own = {own_key("Encounter", entry.resource, party, names[number]) for entry in deposited.of_profile("tddui-encounter-sejour")}
        return bool(open_keys[number] - own)

    return Known(
        party.finess, timezone.localdate(), lambda day: establishments.kind_of(party, day), coded=_coded, listed=_listed, serafin=serafin, professional=directory.known, offered=offers.opened(party.finess),
        open_between=lambda finess: (party.opened_on, party.closed_on), open_stay=open_stay, period=period, born=lambda address: at(address, "Patient").get("year", ""),
        recompute_gir=read("BELVEDERE_AGGIR") == "1",
    )  # fmt: skip
