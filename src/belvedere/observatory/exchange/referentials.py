"""Dated nomenclatures: imported from official files, asked at a date."""

import csv
import datetime as dt
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from belvedere.engine.exchange.bundle import Deposited
from belvedere.engine.exchange.checks import Known, person_key
from belvedere.engine.exchange.identifiers import finess_valid
from belvedere.engine.exchange.matrix import ALWAYS, NEVER
from belvedere.engine.nomenclature.territories import region_of
from belvedere.observatory.environment import read
from belvedere.observatory.exchange import directory, offers
from belvedere.observatory.exchange.models import Concept, Party, Resource
from belvedere.observatory.exchange.naming import found, own_key, own_names, person_token
from belvedere.observatory.journal.actions import record

SERAFIN = "https://smt.esante.gouv.fr/fhir/CodeSystem/serafin-ph"
CISIS = "https://smt.esante.gouv.fr/fhir/CodeSystem/terminologie-cisis"
# Systems of which every value set that we hold makes the whole: a code that is in none does not exist.
GIR_SET = "JDV_GIR_CISIS"
BATCH = 2_000


class ImportRefused(Exception):
    """The file cannot be taken; says which line and why, in French."""


@dataclass(frozen=True)
class Imported:
    """What an import did."""

    name: str
    rows: int


def _day(text: str) -> dt.date | None:
    digits = text[:8] if text[:8].isdecimal() else text[:10].replace("-", "")
    return dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if len(digits) == 8 else None


def _valuesets(rows: Iterable[Mapping[str, str]], source: str) -> Iterator[Concept]:
    for row in rows:
        system = CISIS if row["codeSystem"] == "1.2.250.1.213.1.1.4.322" else f"urn:oid:{row['codeSystem']}"
        yield Concept(system=system, valueset=row["valueset"], code=row["code"], display=row["display"][:300], since=_day(row["dateValid"]) or ALWAYS, until=_day(row["dateFin"]) or NEVER, source=source)  # fmt: skip


def _serafin(rows: Iterable[Mapping[str, str]], source: str) -> Iterator[Concept]:
    for row in rows:
        yield Concept(system=SERAFIN, valueset=row["jdv"], code=row["code"], display=row["libelle"][:300], parent=row["parent"], source=source)


# What tells a file by its columns.
READERS = {
    ("valueset", "code", "codeSystem", "display", "dateValid", "dateFin"): _valuesets,
    ("code", "parent", "bloc", "libelle", "jdv"): _serafin,
}
ESTABLISHMENTS = ("finess_et", "nom_et", "categorie_ege", "date_ouverture", "date_fermeture", "cog_commune")


@transaction.atomic
def load(path: Path, *, by: str) -> Imported:
    """Import an official file, told by its columns: value sets, SERAFIN-PH tree, FINESS extraction, directory of professionals; in JSON, an extraction of
    the register of resources. The same file again changes nothing. ImportRefused."""
    if path.suffix.lower() in (".json", ".ndjson"):
        try:
            count = offers.load(path)
        except ValueError as error:
            raise ImportRefused(
                f"{path.name} : {error}. Attendu : une extraction du ROR (Bundle de HealthcareService, ou une ressource par ligne)."
            ) from error
        record(by=by, action="echange.nomenclature", subject=f"fichier:{path.name}"[:120], rows=count)
        return Imported(path.name, count)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            piped = "|" in stream.readline()
            stream.seek(0)
            rows = csv.DictReader(stream, delimiter="|", quoting=csv.QUOTE_NONE) if piped else csv.DictReader(stream)
            columns = set(rows.fieldnames or ())
            if columns >= set(directory.COLUMNS):
                count = directory.load(rows, path.name)
            elif columns >= set(ESTABLISHMENTS):
                count = _establishments(rows)
            else:
                reader = next((made for names, made in READERS.items() if columns >= set(names)), None)
                if reader is None:
                    raise ImportRefused(f"{path.name} : colonnes inconnues ({', '.join(sorted(columns))[:120]}).")
                made = list({(c.valueset, c.system, c.code, c.since): c for c in reader(rows, path.name)}.values())
                Concept.objects.bulk_create(
                    made, batch_size=BATCH, update_conflicts=True, unique_fields=["valueset", "system", "code", "since"],
                    update_fields=["display", "parent", "until", "source"],
                )  # fmt: skip
                count = len(made)
    except (UnicodeDecodeError, csv.Error, KeyError, ValueError) as error:
        raise ImportRefused(f"{path.name} : {error}. Exportez-le de nouveau en CSV UTF-8.") from error
    forget()
    record(by=by, action="echange.nomenclature", subject=f"fichier:{path.name}"[:120], rows=count)
    return Imported(path.name, count)


def _establishments(rows: Iterable[Mapping[str, str]]) -> int:
    regions, made = region_of(), []
    for row in rows:
        number = row["finess_et"]
        if finess_valid(number):
            department = row["cog_commune"][:3] if row["cog_commune"].startswith("97") else row["cog_commune"][:2]
            made.append(Party(
                actor="ESMS_PRODUCTEUR", name=row["nom_et"][:160], finess=number, kind=row["categorie_ege"], department=department, region=regions.get(department, ""),
                opened_on=_day(row["date_ouverture"]), closed_on=_day(row["date_fermeture"]), admitted=False,
            ))  # fmt: skip
    known = set(Party.objects.exclude(finess="").values_list("finess", flat=True))
    Party.objects.bulk_create([party for party in made if party.finess not in known], batch_size=BATCH)
    return len(made)


def at(day: dt.date) -> QuerySet[Concept]:
    """The concepts in force on a day."""
    return Concept.objects.filter(since__lte=day, until__gt=day)


_known_codes: dict[tuple[str, str], list[tuple[dt.date, dt.date]]] = {}
_read_at = 0.0
FRESH_SECONDS = 60  # another process may have imported a nomenclature


def _coded(system: str, code: str, day: dt.date) -> bool | None:
    """Whether a code of a system exists on a day; None for a system of which no whole set is held. Read from memory, at most a minute old."""
    global _read_at
    if system != CISIS or not code.startswith("MED-"):
        return None
    if time.monotonic() - _read_at > FRESH_SECONDS or not _read_at:
        _known_codes.clear()
        for held, name, since, until in Concept.objects.filter(system=CISIS).values_list("system", "code", "since", "until"):
            _known_codes.setdefault((held, name), []).append((since, until))
        _read_at = time.monotonic()
    spans = _known_codes.get((system, code))
    return None if spans is None else any(since <= day < until for since, until in spans)


def forget() -> None:
    """Read the nomenclatures again at the next question."""
    global _read_at
    _read_at = 0.0


def serafin(code: str) -> bool | None:
    """True for a leaf of SERAFIN-PH, False for a node, None for no code of it (or no tree held: then every code is a leaf)."""
    tree = Concept.objects.filter(system=SERAFIN)
    if tree.filter(parent=code).exists():
        return False
    return True if tree.filter(code=code).exists() or not tree.exists() else None


def known_to(party: Party, deposited: Deposited) -> Known:
    """What the rules ask of the outside, for a depositor and its deposit."""
    keys = {person_key(entry.resource, party.finess) for entry in deposited.of_type("Patient")}
    tokens = {person_token(key): key for key in keys if key}
    people = {tokens[token]: person for token, person in found(tokens).items()}
    names = own_names(people.values())
    held: dict[int, set[str]] = {}
    if people:
        rows = Resource.objects.filter(
            person__in=people.values(), establishment=party, profile="tddui-encounter-sejour", current=True, erased=False, facts__end=""
        )
        for number, key in rows.values_list("person", "own_key"):
            held.setdefault(number, set()).add(key)

    def open_stay(key: str, stay: Mapping) -> bool:
        person = people.get(key)
        return person is not None and bool(held.get(person.pk, set()) - {own_key("Encounter", stay, party, names[person.pk])})

    return Known(
        party.finess, timezone.localdate(), coded=_coded, serafin=serafin, professional=directory.known, offered=offers.opened(party.finess),
        open_between=lambda finess: (party.opened_on, party.closed_on), open_stay=open_stay, recompute_gir=read("BELVEDERE_AGGIR") == "1",
    )  # fmt: skip
