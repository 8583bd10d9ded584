"""The rules of deposits: the guide's examples pass, each mutation of them is told by its own rule."""

import copy
import datetime as dt
import json
from dataclasses import replace

import pytest

from belvedere.engine.exchange import bundle, checks, sample, statements, structure
from belvedere.engine.exchange.profiles import profiles
from belvedere.engine.exchange.rules import Remark, kept, outcome, refuses, rules
from tests.conftest import SHARED
from tests.exchange import OTHER, SSIAD

EXAMPLES = SHARED / "exchange"
OUTSIDE = ("tddui-reference-01",)  # nothing is stored here: the rules of references say so
TODAY = dt.date(2026, 11, 22)
here = pytest.mark.skipif(not EXAMPLES.exists(), reason="shared/data absent : les exemples des guides ne sont pas là")


def told(content: dict, known: checks.Known | None = None) -> set[str]:
    deposited, remarks = bundle.read(content)
    remarks = remarks or structure.check(deposited)
    remarks = remarks or bundle.unresolved(deposited, lambda address: None) + checks.check(deposited, known or KNOWN)
    assert outcome(remarks)["issue"]
    return {remark.rule for remark in remarks}


def coded(system: str, code: str, day: dt.date) -> bool | None:
    return code in ("MED-1298", *checks.GIRS) if code.startswith("MED-") else None


KNOWN = checks.Known(SSIAD, TODAY, coded=coded, serafin=lambda code, day: {"1.1": False, "1.1.1": True}.get(code), recompute_gir=True)


def a_deposit() -> dict:
    rows = sample.stay_of(sample.resident(1), SSIAD, seed=1, start=dt.date(2026, 9, 1), agreed=True)
    plan = {"resourceType": "CarePlan", "id": "projet", "identifier": [{"system": "urn:projets", "value": "1"}], "status": "active", "intent": "plan", "title": "Projet", "subject": {"reference": "Patient/usager-1"}}  # fmt: skip
    need = {"resourceType": "ServiceRequest", "id": "besoin", "identifier": [{"system": "urn:besoins", "value": "1"}], "basedOn": [{"reference": "CarePlan/projet"}], "status": "active", "intent": "order", "subject": {"reference": "Patient/usager-1"}, "code": {"coding": [{"system": "https://smt.esante.gouv.fr/fhir/CodeSystem/serafin-ph", "code": "1.1.1"}]}}  # fmt: skip
    return sample.transaction(SSIAD, "Service", "d", [*rows, need, plan])


def test_a_sound_deposit_has_no_remark():
    assert told(a_deposit()) == set()


def around_examples() -> tuple[list[dict], list[dict]]:
    """(the guide's examples, what they lead to)."""
    folder = EXAMPLES / "fhir" / "tddui"
    resources = [
        json.loads((folder / name).read_text())
        for name in ("encounter_evenement.json", "questionnaireresponse_aggir_pa.json", "questionnaireresponse_situation_ssiad.json")
    ]
    around = [
        {"resourceType": "Patient", "id": "tddui-patient-ins-example", "identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.8", "value": sample.resident(3).ins}], "name": [{"use": "official", "family": "Example"}], "gender": "female", "birthDate": "1940-01-01"},
        {"resourceType": "Encounter", "id": "tddui-encounter-sejour-example", "identifier": [{"system": sample.OWN.format("sejour"), "value": "s"}], "serviceProvider": {"reference": "Organization/tddui-organization-example"}, "status": "in-progress", "class": {"system": checks.ACT, "code": "HH"}, "subject": {"reference": "Patient/tddui-patient-ins-example"}, "period": {"start": "2023-01-02"}},
        {"resourceType": "Organization", "id": "tddui-organization-example", "identifier": [{"system": "https://finess.esante.gouv.fr", "value": SSIAD}]},
        {"resourceType": "Practitioner", "id": "tddui-practitioner-example", "identifier": [{"system": "https://rpps.esante.gouv.fr", "value": "10003456786"}]},
    ]  # fmt: skip
    return resources, around


def holding(example: dict, others: list[dict]) -> dict:
    """A transaction whose first resource is an example."""
    content = sample.transaction(SSIAD, "Service", "d", [example, *others])
    content["entry"] = [entry for entry in content["entry"] if entry["resource"]["id"] not in ("etablissement", "professionnel")]
    return content


@here
def test_the_guides_examples_pass():
    folder = EXAMPLES / "fhir" / "tddui"
    resources, around = around_examples()
    for resource in resources:
        event = [resources[0]] if resource is not resources[0] else []
        assert told(holding(resource, [*around, *event])) == set(), resource["id"]
    assert len({resource["id"] for resource in resources}) == 3
    consent = json.loads((EXAMPLES / "fhir" / "sdo" / "ESMSConsent.json").read_text())
    assert structure.problems(consent) == [] and statements.consent_rule(consent) == "OPTIN"
    slices = json.loads((folder / "tddui_bundle_slices.json").read_text())["slices"]
    assert {(row["profil"], row["ressource"]) for row in slices} == {(profile.name, profile.type) for profile in profiles().values()}


def entry(content: dict, kind: str, rank: int = 0) -> dict:
    return [row for row in content["entry"] if row["resource"]["resourceType"] == kind][rank]


def change(path: str, value: object = None):
    """A mutation: `Type[rank].element.element` set to a value, or taken away when it is None."""

    def apply(content: dict) -> None:
        head, *steps = path.split(".")
        kind, _, rank = head.partition("[")
        at = entry(content, kind, int(rank[:-1] or 0) if rank else 0)["resource"]
        for step in steps[:-1]:
            at = at[int(step)] if step.isdecimal() else at[step]
        last = steps[-1]
        if value is None:
            del at[int(last) if last.isdecimal() else last]
        else:
            at[int(last) if last.isdecimal() else last] = value

    return apply


def request(**given):
    return lambda content: content["entry"][2]["request"].update(given)


def doubled(content: dict) -> None:
    content["entry"].append(copy.deepcopy(content["entry"][3]))


def without_place(content: dict) -> None:
    content["entry"] = [row for row in content["entry"] if row["resource"]["resourceType"] != "Organization"]


def twice(content: dict) -> None:
    items = entry(content, "QuestionnaireResponse")["resource"]["item"]
    items.append(copy.deepcopy(items[0]))


def circle(content: dict) -> None:
    first, second = entry(content, "Encounter", 1)["resource"], entry(content, "Encounter", 2)["resource"]
    first["partOf"], second["partOf"] = {"reference": f"Encounter/{second['id']}"}, {"reference": f"Encounter/{first['id']}"}


def slot(content: dict) -> None:
    """A presence of nobody: its calendar names no person."""
    calendar = {"resourceType": "Schedule", "id": "calendrier", "actor": [{"reference": "Organization/etablissement"}]}
    presence = {"resourceType": "Slot", "id": "presence", "schedule": {"reference": "Schedule/calendrier"}, "status": "busy", "start": "2026-09-01T08:00:00Z", "end": "2026-09-01T09:00:00Z"}  # fmt: skip
    for one in (calendar, presence):
        content["entry"].append(
            {"fullUrl": f"{one['resourceType']}/{one['id']}", "resource": one, "request": {"method": "POST", "url": one["resourceType"]}}
        )


def coded_line(content: dict) -> None:
    aggir_of = entry(content, "QuestionnaireResponse")["resource"]
    aggir_of["item"][0]["answer"][0]["item"].append(
        {"linkId": "deplacer-dehors", "answer": [{"valueCoding": {"system": "http://hl7.org/fhir/sid/icf", "code": "qf7"}}]}
    )


def ends_after(content: dict) -> None:
    entry(content, "Encounter")["resource"]["period"]["end"] = "2026-09-20"
    entry(content, "Encounter", 1)["resource"]["period"]["end"] = "2026-11-20"


def another_open(content: dict) -> None:
    stay = copy.deepcopy(entry(content, "Encounter"))
    stay["resource"]["id"], stay["fullUrl"] = "sejour-bis", "Encounter/sejour-bis"
    stay["resource"]["identifier"][0]["value"] += "bis"
    content["entry"].append(stay)


MUTATIONS = [
    (lambda content: content.update(type="batch"), "tddui-bundle-01"), (lambda content: content.update(entry=[]), "tddui-bundle-03"), (request(method="PUT"), "tddui-bundle-04"),
    (request(url="Encounter"), "tddui-bundle-04"), (lambda content: content["entry"].append({"resource": {"resourceType": "Basic"}, "request": {"method": "POST", "url": "Basic"}}), "tddui-bundle-05"),
    (doubled, "tddui-bundle-06"), (without_place, "tddui-bundle-07"), (change("Patient.naissance", "1940"), "tddui-resource-01"), (change("Patient.birthDate", 1940), "tddui-resource-01"),
    (change("Encounter.status", "fini"), "tddui-encounter-06"), (change("Patient.meta.profile", ["https://x/tddui-encounter-sejour"]), "tddui-resource-02"),
    (change("Encounter.subject.reference", "Patient/personne"), "tddui-reference-01"), (change("Task.for.reference", "urn:uuid:0"), "tddui-reference-01"), (circle, "tddui-reference-03"),
    (change("Patient.identifier"), "tddui-patient-01"), (change("Patient.identifier.0.value", "299999999999999"), "tddui-patient-ins-01"),
    (change("Patient.identifier.0.system", "urn:oid:1.2.250.1.213.1.4.2"), "tddui-patient-ins-02"), (change("Patient.birthDate", "2031-01-01"), "tddui-patient-02"),
    (change("Patient.birthDate", "1850-01-01"), "tddui-patient-02"), (change("Patient.name.0.use", "usual"), "tddui-patient-03"), (change("Patient.gender", "f"), "tddui-patient-04"),
    (change("Organization.identifier.0.value", "123"), "tddui-organization-01"), (change("Organization.identifier.0.value", OTHER), "tddui-organization-02"),
    (change("Encounter.period"), "tddui-encounter-01"), (change("Encounter[1].period.end", "2020-01-01"), "tddui-encounter-02"), (change("Encounter[1].period", {"start": "2020-01-01"}), "tddui-encounter-03"),
    (change("Encounter.subject"), "tddui-encounter-04"), (change("Encounter.period.start", "1901-01-01"), "tddui-encounter-07"), (change("QuestionnaireResponse.questionnaire"), "tddui-questionnaire-01"),
    (change("QuestionnaireResponse.item.0.answer.0.valueCoding.code", "MED-1298"), "tddui-questionnaire-02"), (change("QuestionnaireResponse.authored"), "tddui-questionnaire-04"),
    (twice, "tddui-questionnaire-05"),
    (change("QuestionnaireResponse.authored", "2031-01-01"), "tddui-questionnaire-06"), (change("QuestionnaireResponse.subject"), "tddui-questionnaire-07"),
    (change("QuestionnaireResponse.questionnaire", "https://x/autre"), "tddui-questionnaire-08"), (change("QuestionnaireResponse.item.0.linkId", "autre"), "tddui-questionnaire-09"),
    (change("QuestionnaireResponse.authored", "1901-01-01"), "tddui-questionnaire-10"), (coded_line, "tddui-questionnaire-11"), (change("Encounter.class.code", "ZZZ"), "tddui-encounter-09"),
    (change("Patient.identifier.1.system"), "tddui-resource-04"), (ends_after, "tddui-encounter-03"), (change("Encounter.period.end", 12345), "tddui-resource-01"),
    (change("QuestionnaireResponse.status", "bidon"), "tddui-resource-01"), (change("Task.intent", "bidon"), "tddui-resource-01"), (change("Encounter.subject", {}), "tddui-resource-01"), (change("Encounter.subject", {"display": "X"}), "tddui-encounter-04"),
    (another_open, "tddui-encounter-05"), (change("Encounter[1].type.0.coding.0.system", "https://x"), "tddui-code-01"), (lambda content: content.update(identifier=[1]), "tddui-resource-01"),
    (change("ServiceRequest.code.coding.0.code", "9.9"), "tddui-serafin-01"), (change("ServiceRequest.code.coding.0.code", "1.1"), "tddui-serafin-02"),
    (change("Encounter[1].type.0.coding.0.code", "MED-99999"), "tddui-code-01"), (change("Consent.performer"), "tddui-consent-01"), (change("Consent.dateTime"), "tddui-consent-02"),
    (change("Consent.policyRule.coding.0.code", "PEUT-ETRE"), "tddui-consent-03"), (change("Consent.provision", {"type": "deny"}), "tddui-consent-04"),
    (change("Consent.provision", {"class": [{"code": "SANTE"}, {"code": "ADM"}]}), "tddui-consent-04"), (change("Consent.provision", {"purpose": [{"code": "AUTRE"}]}), "tddui-consent-04"),
    (change("Consent.provision", {"securityLabel": [{"code": "R"}]}), "tddui-consent-04"), (slot, "tddui-reference-04"), (change("QuestionnaireResponse.item.0.answer.0.item.0.item.0.answer"), "tddui-questionnaire-12"),
    (change("QuestionnaireResponse.source.reference", "Patient/usager-1"), "tddui-questionnaire-13"), (change("QuestionnaireResponse.source"), "tddui-questionnaire-14"),
    (change("Encounter[1].type.0.coding.0.code"), "tddui-encounter-10"), (change("Encounter[1].type.0.coding.0", {"system": "https://smt.esante.gouv.fr/terminologie-SERAFINPH", "code": "9.9"}), "tddui-serafin-01"), (change("CarePlan.title"), "tddui-profile-01"), (change("Encounter.identifier"), "tddui-profile-01"),
    (change("Encounter[1].period", {"start": "2026-09-02"}), "tddui-profile-01"), (lambda content: entry(content, "Encounter", 1)["resource"]["identifier"].append({"system": "urn:x", "value": "2"}), "tddui-profile-02"),
    (change("Encounter[1].identifier.0.system", "urn:x"), "tddui-profile-03"), (change("Task.for.reference", "Patient/usager-1"), "tddui-profile-04"), (change("Encounter.serviceProvider.reference", "Patient/usager-1"), "tddui-profile-04"), (change("Practitioner.identifier.0.value", "10003456787"), "tddui-practitioner-01"),
]  # fmt: skip


OF_EXAMPLES = [
    ("Encounter.status", "fini", "tddui-encounter-06"), ("Encounter.subject", None, "tddui-encounter-04"), ("Encounter.subject.reference", "Patient/personne", "tddui-reference-01"),
    ("Encounter.period", None, "tddui-encounter-01"), ("Encounter.period.end", "2001-01-01", "tddui-encounter-02"), ("Encounter.inconnu", "x", "tddui-resource-01"), ("Encounter.meta", {"profile": ["https://x/tddui-patient-ins"]}, "tddui-resource-02"),
    ("QuestionnaireResponse.questionnaire", None, "tddui-questionnaire-01"), ("QuestionnaireResponse.authored", None, "tddui-questionnaire-04"), ("QuestionnaireResponse.authored", "2031-01-01", "tddui-questionnaire-06"),
    ("QuestionnaireResponse.subject", None, "tddui-questionnaire-07"), ("QuestionnaireResponse.inconnu", "x", "tddui-resource-01"),
]  # fmt: skip


@here
@pytest.mark.parametrize(("path", "value", "rule"), OF_EXAMPLES, ids=[f"{rule}-{rank}" for rank, (_, _, rule) in enumerate(OF_EXAMPLES)])
def test_each_mutation_of_an_example_is_told_by_its_rule(path, value, rule):
    resources, around = around_examples()
    for example in resources:
        if example["resourceType"] == path.partition(".")[0]:
            event = [resources[0]] if example is not resources[0] else []
            content = copy.deepcopy(holding(example, [*around, *event]))
            change(path, value)(content)
            assert rule in told(content), (example["id"], told(content))


@here
def test_an_item_answered_twice_in_an_example_is_told():
    resources, around = around_examples()
    content = copy.deepcopy(holding(resources[1], [*around, resources[0]]))
    twice(content)
    assert told(content) == {"tddui-questionnaire-05"}


@pytest.mark.parametrize("mutation, rule", MUTATIONS, ids=[f"{rank}-{rule}" for rank, (_, rule) in enumerate(MUTATIONS)])
def test_each_mutation_is_told_by_its_rule(mutation, rule):
    content = a_deposit()
    mutation(content) if rule != "tddui-questionnaire-05" else content["entry"][-4]["resource"]["item"].append(
        {"linkId": "resultat-eval", "answer": [{"valueBoolean": True}]}
    )
    if rule == "tddui-questionnaire-05":
        aggir_of = next(row["resource"] for row in content["entry"] if "aggir" in row["resource"].get("questionnaire", ""))
        aggir_of["item"].append(copy.deepcopy(aggir_of["item"][0]))
    assert rule in told(content)


def test_a_reference_to_another_type():
    content = a_deposit()
    content["entry"][2]["fullUrl"] = "https://dui.test/Encounter/x"
    entry(content, "Encounter")["resource"]["subject"]["reference"] = "https://dui.test/Encounter/x"
    assert "tddui-reference-02" in told(content)


def test_a_gir_that_differs_is_a_remark():
    content = a_deposit()
    coding = entry(content, "QuestionnaireResponse")["resource"]["item"][0]["answer"][0]["valueCoding"]
    coding["code"] = next(code for code in checks.GIRS if code != coding["code"])
    assert told(content) == {"tddui-questionnaire-03"} and rules()["tddui-questionnaire-03"].severity == "warning"
    assert told(content, replace(KNOWN, recompute_gir=False)) == set(), "off by default"


@pytest.mark.parametrize("said, kind, at", [
    ({"dateTime": "2026-09-01"}, "accord", "2026-09-01T00:00:00+02:00"), ({"dateTime": "2026"}, "accord", "2026-01-01T00:00:00+01:00"),
    ({"dateTime": "2026-09-01", "policyRule": {"coding": [{"code": "OPTOUT"}]}}, "opposition", "2026-09-01T23:59:59+02:00"),
    ({"dateTime": "2026-09-01T10:00:00+02:00", "status": "inactive"}, "retrait", "2026-09-01T10:00:00+02:00"),
    ({"dateTime": "9999-12-31"}, "accord", "2026-11-22T00:00:00+00:00"),
])  # fmt: skip
def test_what_a_consent_says_and_from_when(said, kind, at):
    """A day alone begins with it for an agreement and ends with it for what closes; nothing holds from later than now."""
    terms = statements.consent_terms({"status": "active", "policyRule": {"coding": [{"code": "OPTIN"}]}} | said)
    assert terms and (terms.kind, terms.at(dt.datetime(2026, 11, 22, tzinfo=dt.UTC)).isoformat()) == (kind, dt.datetime.fromisoformat(at).isoformat())


@pytest.mark.parametrize("provision", [
    "tout", {"actor": [{"role": {"text": "x"}, "reference": {"display": "Mme Durand"}}]}, {"actor": [1]}, {"provision": [{}]}, {"purpose": [{"code": "SOIN"}, {"code": "AUDIT"}]},
])  # fmt: skip
def test_a_consent_that_cannot_be_told_exactly_is_not_read(provision):
    said = {"status": "active", "dateTime": "2026-09-01", "policyRule": {"coding": [{"code": "OPTIN"}]}, "provision": provision}
    assert statements.consent_terms(said) is None
    assert statements.consent_terms(said | {"provision": {}, "policyRule": "OPTIN"}) is None


def test_an_establishment_closed_that_day():
    assert told(a_deposit(), replace(KNOWN, open_between=lambda finess: (dt.date(2026, 10, 1), None))) == {"tddui-organization-03"}
    assert told(a_deposit(), replace(KNOWN, open_stay=lambda stay, deposited: True)) == {"tddui-encounter-05"}
    assert (
        told(a_deposit(), replace(KNOWN, kind=lambda day: "999")) == {"tddui-organization-04"}
        and told(a_deposit(), replace(KNOWN, kind=lambda day: "354")) == set()
    )
    temporary = a_deposit()
    entry(temporary, "Encounter")["resource"]["type"] = [{"coding": [dict(zip(("system", "code"), checks.TEMPORARY, strict=True))]}]
    assert told(temporary, replace(KNOWN, open_stay=lambda stay, deposited: True)) == set(), "a temporary stay lies inside another"
    another_open(temporary)
    assert told(temporary) == set(), "both are temporary"


def test_codes_are_judged_at_the_day_of_what_bears_them():
    """A need at the day it was told, a professional at the day of the first stay or today: who has gone since was there then."""
    asked: list[dt.date] = []
    known = replace(KNOWN, serafin=lambda code, day: asked.append(day) or True)
    content = a_deposit()
    entry(content, "ServiceRequest")["resource"]["authoredOn"] = "2025-03-04"
    assert told(content, known) == set() and asked == [dt.date(2025, 3, 4)]
    gone = replace(KNOWN, professional=lambda number, day: day < dt.date(2026, 10, 1))
    assert told(a_deposit(), gone) == set()
    assert told(a_deposit(), replace(KNOWN, professional=lambda number, day: False)) == {"tddui-practitioner-02"}


def test_what_lies_outside_is_asked_for_what_was_held_before():
    """A stay, and a birth, that an earlier deposit told."""
    content = a_deposit()
    event = entry(content, "Encounter", 1)["resource"]
    event["partOf"]["reference"] = "Encounter/00000000-0000-0000-0000-000000000001"
    assert told(content, replace(KNOWN, period=lambda address: ("2026-09-01", "2026-09-30") if address.endswith("1") else None)) == set(OUTSIDE)
    assert told(content, replace(KNOWN, period=lambda address: ("2026-10-01", ""))) == {"tddui-encounter-03", *OUTSIDE}
    assert told(content, replace(KNOWN, period=lambda address: ("2026-08-01", "2026-08-30"))) == {"tddui-encounter-03", *OUTSIDE}


def test_a_code_that_no_value_set_has_is_a_remark():
    assert "tddui-code-02" in told(a_deposit(), replace(KNOWN, listed=lambda system, code: False)) and rules()["tddui-code-02"].severity == "warning"


def test_no_number_of_warnings_hides_an_error():
    remarks = [Remark("tddui-practitioner-02", str(rank)) for rank in range(300)] + [Remark("tddui-organization-02", "x")]
    assert refuses(kept(remarks)) and len(kept(remarks)) == 100 and kept(remarks)[0].rule == "tddui-organization-02"


def test_every_rule_is_met_by_a_test():
    met = {rule for _, rule in MUTATIONS} | {"tddui-questionnaire-03", "tddui-organization-03", "tddui-encounter-05", "tddui-reference-02"}
    met |= {"tddui-resource-05"}  # of keys that are made beside the rules: tests/unit/observatory/test_exchange_truth.py
    met |= {"tddui-patient-05", "tddui-resource-03"}  # of what earlier deposits hold: tests/unit/observatory/test_exchange_people.py
    met |= {"tddui-organization-04", "tddui-code-02"}
    met |= {"tddui-cda-01"}  # of a document: tests/generative/test_cda_mutations.py
    met |= {"tddui-practitioner-02"}  # of a directory that was taken in: tests/unit/observatory/test_fhir.py
    met |= {"tddui-encounter-08"}  # of a register that was taken in: tests/unit/observatory/test_exchange_offers.py
    by_http = {rule for rule in rules() if rule.startswith("tddui-json-")} | {"tddui-bundle-02"}
    assert set(rules()) - met - by_http == set()


def test_a_contained_resource_of_no_type_is_told():
    """The models look its type up, and fail in their own way."""
    content = a_deposit()
    entry(content, "Encounter")["resource"]["contained"] = [{"resourceType": "Basicx", "id": "x"}]
    assert told(content) == {"tddui-resource-01"}
