"""The monthly file of a service (CSV), read as a deposit: the same facts by another door give the same resources.

Its layout is ours: ins;sexe;naissance;nom;prenom;debut;fin;gir;evaluation;situations;trajets."""

import csv
import datetime as dt
import io
import json

from belvedere.engine.exchange.profiles import PROFILE_ROOT
from belvedere.engine.exchange.sample import CISIS, EVALUATION, OWN, QUESTIONNAIRE, SITUATIONS
from belvedere.engine.exchange.strict import MOST_BYTES, digest
from belvedere.observatory.exchange import vault

COLUMNS = ("ins", "sexe", "naissance", "nom", "prenom", "debut", "fin", "gir", "evaluation", "situations", "trajets")
MOST_ROWS = 300
MOST_RESOURCES = 8_000  # other establishments wait while one is written
HOME = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HH"}
PLACE, UNTOLD = {"reference": "Organization/etablissement"}, {"display": "Professionnel non transmis"}
SEXES = {"F": "female", "M": "male", "": "unknown"}


class FileRefused(Exception):
    """The file cannot be read; says the line and why, in French."""


def _profiled(kind: str, profile: str, /, **content: object) -> dict:
    return {"resourceType": kind, "meta": {"profile": [PROFILE_ROOT + profile]}, **content}


def _stay(line: int, row: dict[str, str], finess: str) -> list[dict]:
    try:
        start = dt.date.fromisoformat(row["debut"])
        trips = int(row["trajets"] or 0)
        gir = int(row["gir"]) if row["gir"] else 0
        if not 0 <= gir <= 6 or not 0 <= trips <= 200 or row["sexe"] not in SEXES:
            raise ValueError
    except ValueError as error:
        # A cell is not repeated: one that is out of its column may be a name.
        raise FileRefused(f"Ligne {line} : debut s’écrit AAAA-MM-JJ, gir va de 1 à 6, trajets de 0 à 200, sexe est F ou M.") from error
    subject, stay = {"reference": f"Patient/u{line}"}, f"s{line}"
    own = f"3{finess}/{vault.token('mensuel', row['ins'])[:12]}-{row['debut']}"  # whoever reads it has no key to try numbers with
    found = [
        _profiled("Patient", "tddui-patient-ins", id=f"u{line}", identifier=[{"system": "urn:oid:1.2.250.1.213.1.4.8", "value": row["ins"]}], gender=SEXES[row["sexe"]], birthDate=row["naissance"], name=[{"use": "official", "family": row["nom"], "given": [row["prenom"]]}]),
        _profiled("Encounter", "tddui-encounter-sejour", id=stay, identifier=[{"system": OWN.format("sejour"), "value": own}], status="finished" if row["fin"] else "in-progress", **{"class": HOME}, subject=subject, period={"start": row["debut"], **({"end": row["fin"]} if row["fin"] else {})}, serviceProvider=PLACE),
    ]  # fmt: skip
    day = row["evaluation"] or start.isoformat()
    said = {"status": "completed", "subject": subject, "author": UNTOLD, "encounter": {"reference": f"Encounter/{stay}"}, "authored": day}
    named = lambda part: {"system": EVALUATION, "value": f"{own}-{part}-{day}"}  # noqa: E731
    if gir:
        found.append(_profiled("QuestionnaireResponse", "tddui-questionnaire-response", id=f"g{line}", identifier=named("aggir"), questionnaire=QUESTIONNAIRE + "tddui-questionnaire-aggir-pa-ssiad", **said, item=[{"linkId": "resultat-eval", "answer": [{"valueCoding": {"system": CISIS, "code": f"MED-{338 + gir}"}}]}]))  # fmt: skip
    if row["situations"]:
        held = [] if row["situations"] == "-" else row["situations"].split("|")
        found.append(_profiled("QuestionnaireResponse", "tddui-questionnaire-response", id=f"q{line}", identifier=named("situation"), questionnaire=QUESTIONNAIRE + "tddui-questionnaire-situation-ssiad", **said, item=[{"linkId": name, "answer": [{"valueBoolean": name in held}]} for name in (*SITUATIONS, *(name for name in held if name not in SITUATIONS))]))  # fmt: skip
    event = max(row["debut"], min(day, row["fin"] or day))
    if trips:  # the file counts trips and names no professional: they hang on one event, that lies in the stay
        found.append(_profiled("Encounter", "tddui-encounter-evenement", id=f"{stay}-e", identifier=[{"system": OWN.format("evenement"), "value": f"{own}-EVN-{event}"}], status="finished", **{"class": HOME}, subject=subject, period={"start": event, "end": event}, serviceProvider=PLACE, partOf={"reference": f"Encounter/{stay}"}))  # fmt: skip
    for rank in range(trips):
        found.append(_profiled("Task", "tddui-task-transport-professionnel", id=f"{stay}-t{rank}", identifier=[{"system": OWN.format("transportprofessionnel"), "value": f"{own}-TPPro-{event}-{rank}"}], status="completed", intent="order", **{"for": UNTOLD}, encounter={"reference": f"Encounter/{stay}-e"}, executionPeriod={"start": event, "end": event}))  # fmt: skip
    return found


def to_bundle(raw: bytes, finess: str) -> bytes:
    """The file as a transaction of one establishment. FileRefused: unreadable, a column missing, too many lines, a value that is none."""
    if len(raw) > MOST_BYTES:
        raise FileRefused("Le fichier dépasse 10 Mo : découpez-le.")
    try:
        rows = csv.DictReader(io.StringIO(raw.decode("utf-8-sig")), delimiter=";", strict=True)
        missing = set(COLUMNS) - set(rows.fieldnames or ())
        if missing:
            raise FileRefused(f"Colonnes absentes : {', '.join(sorted(missing))}.")
        lines = list(rows)
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileRefused("Le fichier n’est pas un CSV « ; » en UTF-8.") from error
    if not lines or len(lines) > MOST_ROWS:
        raise FileRefused(f"Un fichier a de 1 à {MOST_ROWS} lignes.")
    if any(None in row or None in row.values() for row in lines):
        raise FileRefused("Une ligne n’a pas le nombre de colonnes de l’en-tête.")
    trips = sum(int(row["trajets"]) for row in lines if row["trajets"].isdecimal() and len(row["trajets"]) < 4)
    if trips + 6 * len(lines) > MOST_RESOURCES:  # before anything is made of it
        raise FileRefused(f"Le fichier dirait plus de {MOST_RESOURCES} ressources (une par trajet) : découpez-le par personnes.")
    resources = [resource for line, row in enumerate(lines, 2) for resource in _stay(line, row, finess)]
    place = _profiled(
        "Organization", "tddui-organization", id="etablissement", identifier=[{"system": "https://finess.esante.gouv.fr", "value": finess}]
    )
    entries = [
        {"fullUrl": f"{item['resourceType']}/{item['id']}", "resource": item, "request": {"method": "POST", "url": item["resourceType"]}}
        for item in (place, *resources)
    ]
    return json.dumps(
        {"resourceType": "Bundle", "type": "transaction", "identifier": {"value": f"csv-{digest(raw)[:24]}"}, "entry": entries}, ensure_ascii=False
    ).encode()
