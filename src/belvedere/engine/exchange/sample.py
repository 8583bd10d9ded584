"""Made-up deposits of a home nursing service, in the shape of the TDDUI guide: nobody in them exists. For demonstrations, tests and benchmarks."""

import datetime as dt
import random
from dataclasses import dataclass

from belvedere.engine.exchange.aggir import ADVERBS, GIR_OF_RANK, LINES, answers_of, rank
from belvedere.engine.exchange.profiles import PROFILE_ROOT

QUESTIONNAIRE = "https://interop.esante.gouv.fr/ig/fhir/tddui/Questionnaire/"
OWN = "https://identifiant-medicosocial-{}.esante.gouv.fr"  # identifiers that an establishment gives, by what they name
EVALUATION = OWN.format("evaluation")
CISIS = "https://smt.esante.gouv.fr/fhir/CodeSystem/terminologie-cisis"
FAMILIES = ("Aubry", "Besson", "Carlier", "Delmas", "Estève", "Faivre", "Garnier", "Hamel", "Imbert", "Jacquot", "Lamy", "Marchal")
GIVEN = {"female": ("Jeanne", "Odette", "Simone", "Lucie"), "male": ("Marcel", "Henri", "René", "Émile")}
SITUATIONS = ("incontinence", "incontinence-fec", "obesite", "trouble-cognitif", "trouble-personnalite", "soins-ide", "prise-charge-ide")


@dataclass(frozen=True)
class Resident:
    """A made-up person: INS of 15 characters, sex, birth, names."""

    ins: str
    sex: str
    born: dt.date
    family: str
    given: str


def resident(seed: int) -> Resident:
    """Person number `seed`, always the same one; the order number of its INS is its own."""
    draw = random.Random(seed)
    sex = draw.choice(("female", "male"))
    born = dt.date(draw.randint(1925, 1955), draw.randint(1, 12), draw.randint(1, 28))
    body = f"{1 if sex == 'male' else 2}{born.year % 100:02d}{born.month:02d}{draw.randint(1, 19):02d}{seed // 1000 % 1000:03d}{seed % 1000:03d}"
    return Resident(f"{body}{97 - int(body) % 97:02d}", sex, born, draw.choice(FAMILIES), draw.choice(GIVEN[sex]))


def _profiled(kind: str, profile: str, /, **content: object) -> dict:
    return {"resourceType": kind, "meta": {"profile": [PROFILE_ROOT + profile]}, **content}


def _aggir(draw: random.Random) -> tuple[str, list[dict]]:
    booleans, items = {}, []
    autonomy = draw.choice((0.1, 0.4, 0.7, 0.85, 0.95))  # of the person: its answers go together
    for parts in LINES.values():
        for part in parts:
            level = 4 if draw.random() < autonomy else draw.choice((0, 2))
            told = {adverb: place < level for place, adverb in enumerate(ADVERBS)}
            booleans.update({f"{part}-{adverb}": value for adverb, value in told.items()})
            items.append(
                {"linkId": part, "item": [{"linkId": f"{part}-{adverb}", "answer": [{"valueBoolean": value}]} for adverb, value in told.items()]}
            )
    grid = answers_of(booleans)
    assert grid is not None
    return f"MED-{338 + GIR_OF_RANK[rank(grid)]}", items


def stay_of(
    person: Resident, finess: str, *, seed: int, start: dt.date, end: dt.date | None = None, events: int = 3, agreed: bool | None = None
) -> list[dict]:
    """The resources of one person's stay: who, where, stay, events, AGGIR and situation; `agreed` adds its agreement or its refusal."""
    draw = random.Random(seed)
    code, grid = _aggir(draw)
    stay, subject, place = f"sejour-{seed}", {"reference": f"Patient/usager-{seed}"}, {"reference": "Organization/etablissement"}
    nurse = {"reference": "Practitioner/professionnel"}
    internal = f"3{finess}/{person.ins[:6]}-{seed}"
    period = {"start": start.isoformat(), **({"end": end.isoformat()} if end else {})}
    found = [
        _profiled("Patient", "tddui-patient-ins", id=f"usager-{seed}", identifier=[{"system": "urn:oid:1.2.250.1.213.1.4.8", "value": person.ins}, {"system": OWN.format("localusager"), "value": internal}], gender=person.sex, birthDate=person.born.isoformat(), name=[{"use": "official", "family": person.family, "given": [person.given]}]),
        _profiled("Encounter", "tddui-encounter-sejour", id=stay, identifier=[{"system": OWN.format("sejour"), "value": f"{internal}-SEJOUR-{seed}"}], status="finished" if end else "in-progress", **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HH"}}, subject=subject, period=period, serviceProvider=place),
    ]  # fmt: skip
    for number in range(events):
        day = min(start + dt.timedelta(days=3 * number + 1), end or dt.date.max)
        found.append(_profiled("Encounter", "tddui-encounter-evenement", id=f"{stay}-evt-{number}", identifier=[{"system": OWN.format("evenement"), "value": f"{internal}-EVN-{number}"}], status="finished", **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HH"}}, type=[{"coding": [{"system": CISIS, "code": "MED-1298"}]}], subject=subject, participant=[{"individual": nurse}], period={"start": f"{day}T10:30:00+01:00", "end": f"{day}T11:15:00+01:00"}, serviceProvider=place, partOf={"reference": f"Encounter/{stay}"}))  # fmt: skip
        found.append(_profiled("Task", "tddui-task-transport-professionnel", id=f"{stay}-trajet-{number}", identifier=[{"system": OWN.format("transportprofessionnel"), "value": f"{internal}-TPPro-{number}"}], status="completed", intent="order", **{"for": nurse}, encounter={"reference": f"Encounter/{stay}-evt-{number}"}, executionPeriod={"start": f"{day}T10:10:00+01:00", "end": f"{day}T10:30:00+01:00"}, owner=place))  # fmt: skip
    found.append(_profiled("QuestionnaireResponse", "tddui-questionnaire-response", id=f"{stay}-aggir", identifier={"system": EVALUATION, "value": f"{internal}-EVAL-{seed}"}, questionnaire=QUESTIONNAIRE + "tddui-questionnaire-aggir-pa-ssiad", status="completed", subject=subject, encounter={"reference": f"Encounter/{stay}"}, authored=start.isoformat(), source=nurse, item=[{"linkId": "resultat-eval", "answer": [{"valueCoding": {"system": CISIS, "code": code}, "item": grid}]}]))  # fmt: skip
    found.append(_profiled("QuestionnaireResponse", "tddui-questionnaire-response", id=f"{stay}-situation", identifier={"system": EVALUATION, "value": f"{internal}-EVAL-{seed}"}, questionnaire=QUESTIONNAIRE + "tddui-questionnaire-situation-ssiad", status="completed", subject=subject, encounter={"reference": f"Encounter/{stay}"}, authored=start.isoformat(), source=nurse, item=[{"linkId": name, "answer": [{"valueBoolean": draw.random() < 0.3}]} for name in SITUATIONS]))  # fmt: skip
    if agreed is not None:
        found.append(_profiled("Consent", "tddui-consent-accord", id=f"{stay}-accord", status="active", scope={"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}, category=[{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}], patient=subject, dateTime=start.isoformat(), performer=[subject], policyRule={"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN" if agreed else "OPTOUT"}]}))  # fmt: skip
    return found


def transaction(finess: str, name: str, identifier: str, resources: list[dict]) -> dict:
    """A transaction of these resources, with their establishment and professional."""
    shared = [
        _profiled("Organization", "tddui-organization", id="etablissement", identifier=[{"system": "https://finess.esante.gouv.fr", "value": finess}], name=name),
        _profiled("Practitioner", "tddui-practitioner", id="professionnel", identifier=[{"system": "https://rpps.esante.gouv.fr", "value": "10003456786"}], name=[{"family": "Durand", "given": ["Claire"]}]),
    ]  # fmt: skip
    entries = [
        {"fullUrl": f"{item['resourceType']}/{item['id']}", "resource": item, "request": {"method": "POST", "url": item["resourceType"]}}
        for item in (*shared, *resources)
    ]  # fmt: skip
    return {"resourceType": "Bundle", "type": "transaction", "identifier": {"system": "urn:belvedere:depots", "value": identifier}, "entry": entries}
