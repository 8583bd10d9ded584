"""Rules that look at what earlier deposits and imported nomenclatures hold, through the whole of a reception."""

import csv
import json

import pytest

from belvedere.engine.exchange.checks import CISIS, TEMPORARY
from belvedere.engine.exchange.sample import resident
from belvedere.observatory.exchange import intake, referentials
from belvedere.observatory.exchange.models import Alias, Concept, Deposit, Party, Person, Resource
from tests.exchange import SSIAD, deposit, rules_of

pytestmark = pytest.mark.django_db


def edited(raw: bytes, name: str, change) -> bytes:
    content = json.loads(raw)
    content["identifier"]["value"] = name
    change(content)
    return json.dumps(content, ensure_ascii=False).encode()


def resources(content: dict, kind: str) -> list[dict]:
    return [row["resource"] for row in content["entry"] if row["resource"]["resourceType"] == kind]


@pytest.fixture
def directory(tmp_path):
    """A directory of professionals that has none of the numbers of these tests: each is a remark."""
    from belvedere.observatory.exchange import directory as held

    path = tmp_path / "annuaire.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, held.COLUMNS, delimiter="|")
        writer.writeheader()
        writer.writerow(dict.fromkeys(held.COLUMNS, "") | dict(zip(held.COLUMNS, ("810003456786", "60", "Infirmier"), strict=False)))
    referentials.load(path, by="test")
    return "10101010102"


def warned(content: dict, count: int = 1) -> None:
    """Professionals whose number no directory has."""
    for rank in range(count):
        name = f"inconnu-{rank}"
        row = {"resourceType": "Practitioner", "id": name, "identifier": [{"system": "https://rpps.esante.gouv.fr", "value": valid_rpps(rank)}]}
        content["entry"].append({"fullUrl": f"Practitioner/{name}", "resource": row, "request": {"method": "POST", "url": "Practitioner"}})


def valid_rpps(rank: int) -> str:
    from belvedere.engine.exchange.identifiers import rpps_valid

    base = f"1{20_000_000 + rank:09d}"
    return next(base + str(digit) for digit in range(10) if rpps_valid(base + str(digit)))


def test_a_warning_does_not_silence_who_is_who(service, directory):
    """Two human beings never become one because a professional is missing from a directory."""
    assert intake.receive(service, deposit(range(1))).status == 200

    def stolen(content: dict) -> None:
        patient = resources(content, "Patient")[0]
        patient["identifier"][0]["value"] = resident(7).ins  # another person, under the first one's own number
        warned(content)

    answer = intake.receive(service, edited(deposit(range(1)), "vol", stolen))
    assert answer.status == 422 and "tddui-patient-05" in rules_of(answer)
    assert Person.objects.count() == 1 and not Alias.objects.exclude(own_name="").exists()


def test_a_hundred_warnings_hide_no_error(service, directory):
    def change(content: dict) -> None:
        content["entry"][:0] = []
        warned(content, 120)
        patient = resources(content, "Patient")[0]
        patient["birthDate"] = "2031-01-01"
        content["entry"].sort(key=lambda row: row["resource"]["resourceType"] != "Practitioner")

    answer = intake.receive(service, edited(deposit(range(1)), "cent", change))
    assert answer.status == 422 and answer.body["issue"][0]["details"]["coding"][0]["code"] == "tddui-patient-02"
    assert not Resource.objects.exists()


@pytest.fixture
def cisis(service):
    rows = [Concept(system=CISIS[0], valueset="JDV_T", code=code, display=code) for code in ("MED-1298", *(f"MED-{339 + rank}" for rank in range(6)))]
    rows.append(Concept(system="urn:oid:1.2.250.1.213.2.11", valueset="JDV_U", code="01", display="un"))
    Concept.objects.bulk_create(rows)
    referentials.forget()
    yield
    referentials.forget()


def coded(system: str, code: str):
    return lambda content: resources(content, "Encounter")[1].update(type=[{"coding": [{"system": system, "code": code}]}])


@pytest.mark.parametrize("system, code, status, rule", [
    (CISIS[0], "MED-1298", 200, None), (CISIS[1], "MED-1298", 200, None), (CISIS[0], "MED-99999", 422, "tddui-code-01"), (CISIS[1], "MED-99999", 422, "tddui-code-01"),
    ("https://autre.test", "MED-1298", 422, "tddui-code-01"), ("urn:oid:1.2.250.1.213.2.11", "01", 200, None), ("urn:oid:1.2.250.1.213.2.11", "ZZ", 200, "tddui-code-02"),
    ("urn:oid:1.2.250.1.213.9.99", "ZZ", 200, None), ("http://snomed.info/sct", "99999", 200, None),
])  # fmt: skip
def test_codes_of_what_was_imported(service, cisis, system, code, status, rule):
    answer = intake.receive(service, edited(deposit(range(1)), f"{system}-{code}", coded(system, code)))
    assert answer.status == status, answer.body
    told = rules_of(answer) if status != 200 else {remark["rule"] for remark in Deposit.objects.get().remarks}
    assert told == ({rule} if rule else set())


def stored(kind: str, profile: str = "") -> str:
    return f"{kind}/{Resource.objects.filter(type=kind, profile__startswith=profile, current=True).order_by('pk').first().uid}"


def only(content: dict, *kinds: str) -> None:
    content["entry"] = [row for row in content["entry"] if row["resource"]["resourceType"] in ("Organization", *kinds)]


def another_stay(content: dict, subject: str, **values) -> None:
    only(content, "Encounter")
    content["entry"] = [row for row in content["entry"] if "partOf" not in row["resource"]]
    stay = resources(content, "Encounter")[0]
    stay.update(id="autre-sejour", subject={"reference": subject}, **values)
    stay["identifier"][0]["value"] += "-autre"
    next(row for row in content["entry"] if row["resource"] is stay)["fullUrl"] = "Encounter/autre-sejour"


def test_a_second_open_stay_is_refused_whichever_way_its_person_is_named(service):
    assert intake.receive(service, deposit(range(1))).status == 200
    patient = stored("Patient")
    answer = intake.receive(service, edited(deposit(range(1)), "deux", lambda content: another_stay(content, patient)))
    assert answer.status == 422 and rules_of(answer) == {"tddui-encounter-05"}
    flagged = [{"coding": [dict(zip(("system", "code"), TEMPORARY, strict=True))]}]
    answer = intake.receive(service, edited(deposit(range(1)), "trois", lambda content: another_stay(content, patient, type=flagged)))
    assert answer.status == 200, answer.body


def test_a_deposit_that_closes_a_stay_may_open_the_next(service):
    assert intake.receive(service, deposit(range(1))).status == 200

    def turned(content: dict) -> None:
        another = json.loads(json.dumps(resources(content, "Encounter")[0]))
        resources(content, "Encounter")[0].update(period={"start": "2026-09-01", "end": "2026-09-30"}, status="finished")
        another.update(id="suivant", period={"start": "2026-10-01"})
        another["identifier"][0]["value"] += "-suivant"
        content["entry"].append({"fullUrl": "Encounter/suivant", "resource": another, "request": {"method": "POST", "url": "Encounter"}})

    answer = intake.receive(service, edited(deposit(range(1)), "suite", turned))
    assert answer.status == 200, answer.body


def test_a_stay_opened_meanwhile_is_told_and_never_a_passing_trouble(service, monkeypatch):
    """Between the rules and the writing another deposit opened a stay: the answer says which rule, at once."""
    assert intake.receive(service, deposit(range(1))).status == 200
    patient, known_to = stored("Patient"), referentials.known_to
    monkeypatch.setattr(referentials, "known_to", lambda party, deposited, named: __import__("dataclasses").replace(known_to(party, deposited, named), open_stay=lambda stay, deposited: False))  # fmt: skip
    answer = intake.receive(service, edited(deposit(range(1)), "deux", lambda content: another_stay(content, patient)))
    assert answer.status == 422 and rules_of(answer) == {"tddui-encounter-05"}
    assert answer.body["issue"][0]["expression"][0].endswith("period.end")


@pytest.mark.parametrize("start, status", [("2001-01-01", 422), ("2026-09-05", 200)])
def test_an_event_is_compared_with_the_stay_that_was_held(service, start, status):
    assert intake.receive(service, deposit(range(1))).status == 200
    stay, patient = stored("Encounter", "tddui-encounter-sejour"), stored("Patient")

    def alone(content: dict) -> None:
        only(content, "Encounter", "Practitioner")
        content["entry"] = [
            row for row in content["entry"] if row["resource"]["resourceType"] != "Encounter" or row["resource"]["id"].endswith("evt-0")
        ]
        resources(content, "Encounter")[0].update(partOf={"reference": stay}, subject={"reference": patient}, period={"start": start, "end": start})

    answer = intake.receive(service, edited(deposit(range(1)), "evenement", alone))
    assert answer.status == status, answer.body
    assert status == 200 or "tddui-encounter-03" in rules_of(answer)


def test_an_evaluation_is_compared_with_the_birth_that_was_held(service):
    assert intake.receive(service, deposit(range(1))).status == 200
    patient = stored("Patient")

    def alone(content: dict) -> None:
        only(content, "QuestionnaireResponse", "Practitioner")
        for row in resources(content, "QuestionnaireResponse"):
            row.update(subject={"reference": patient}, authored="1901-01-01")
            row.pop("encounter")

    assert rules_of(intake.receive(service, edited(deposit(range(1)), "grille", alone))) == {"tddui-questionnaire-10"}


def test_a_house_of_another_field_does_not_deposit(service):
    Party.objects.filter(finess=SSIAD).update(kind="620")
    service.refresh_from_db()
    assert rules_of(intake.receive(service, deposit(range(1)))) == {"tddui-organization-04"}
