"""The exchange hub: deposits, what may be read of them, and the trace that each reading leaves."""

import datetime as dt
import json

import pytest

from belvedere.engine.exchange.vocabulary import Grain, Purpose
from belvedere.observatory.exchange import intake, policy, reading
from belvedere.observatory.exchange.models import Deposit, Event, MatrixVersion, Person, Resource, Stated
from belvedere.observatory.journal.models import Entry
from tests.exchange import OTHER, SSIAD, deposit, establishment, institution, say

pytestmark = pytest.mark.django_db


@pytest.fixture
def sidoba():
    return institution("CNSA_SIDOBA")


def take(party, raw, **options):
    answer = intake.receive(party, raw, **options)
    assert answer.status == 200, answer.body
    return answer


def read(party, kind, purpose=Purpose.FUNDING, grain=Grain.NAMED, level=2, **options):
    return reading.search(party, level, purpose, grain, kind, **options)


def test_a_deposit_is_stored_whole_with_its_receipt(service):
    raw = deposit(range(3))
    answer = take(service, raw, software="Soins+ 4.2")
    assert answer.headers["Recepisse"] == answer.deposit.reference
    assert len(answer.body["entry"]) == answer.deposit.resources.count() == 32
    assert all(entry["response"]["status"].startswith("201") for entry in answer.body["entry"])
    assert intake.original(answer.deposit) == raw, "byte for byte"
    assert Person.objects.count() == 3
    entry = Entry.objects.get(subject=f"depot:{answer.deposit.reference}")
    assert (entry.detail["resources"], entry.detail["persons"], entry.pk) == (32, 3, answer.deposit.place)
    for row in Resource.objects.filter(type="Encounter"):
        content = intake.content_of(row)
        target = content["subject"]["reference"].split("/")
        assert Resource.objects.get(type=target[0], uid=target[1]).person == row.person


def test_no_identity_lies_in_the_database(service):
    take(service, deposit(range(2)))
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM exchange_resource")
        stored = repr(cursor.fetchall())
        cursor.execute("SELECT * FROM exchange_deposit")
        stored += repr(cursor.fetchall())
        cursor.execute("SELECT * FROM exchange_person")
        stored += repr(cursor.fetchall())
    from belvedere.engine.exchange.sample import resident

    for rank in range(2):
        person = resident(rank)
        for text in (person.ins, person.ins[:13], person.family, person.given, person.born.isoformat()):
            assert text not in stored


def test_the_same_deposit_again_is_answered_as_before(service):
    raw = deposit(range(1))
    first, again = take(service, raw), intake.receive(service, raw)
    assert (again.status, again.headers["X-Deja-Recu"], again.body) == (200, "1", first.body)
    changed = intake.receive(service, deposit(range(2)))
    assert changed.status == 409 and Deposit.objects.count() == 1
    assert intake.receive(service, deposit(range(2)), key="autre").status == 200


def test_an_identifier_that_holds_somebody_s_number_is_not_kept(service):
    from belvedere.engine.exchange.sample import resident

    name = f"3{SSIAD}/{resident(0).ins}-1"
    take(service, deposit(range(1), name=name))
    assert resident(0).ins[:13] not in Deposit.objects.get().identifier
    assert intake.receive(service, deposit(range(1), name=name)).headers["X-Deja-Recu"] == "1"


@pytest.mark.parametrize("agreed, told", [(False, 2), (None, 3)])
def test_who_opposes_is_read_by_nobody_but_where_the_law_says_so(service, agreed, told):
    steering, payer = institution("DREES"), institution("CNAM_RESIDESMS")
    take(service, deposit(range(3), agreed={} if agreed is None else {1: agreed}))
    assert len(read(steering, "Patient", Purpose.STATISTICS, Grain.PSEUDONYM).resources) == told
    assert len(read(payer, "Patient", Purpose.BILLING_CONTROL).resources) == 3, "the row asks nothing of the person"


def test_express_agreement_opens_one_file_to_one_recipient(service):
    other = establishment(OTHER)
    from tests.exchange import EHPAD

    third = establishment(EHPAD, kind="500")
    for party in (other, third):
        party.actor = "ESMS_DESTINATAIRE"
        party.save()
    take(service, deposit(range(2)))
    assert not read(other, "Patient", Purpose.CARE).resources
    person = Resource.objects.filter(type="Patient").first().person
    say(person, "accord", service, recipient=other.code)
    seen = read(other, "Patient", Purpose.CARE)
    assert len(seen.resources) == 1 and seen.rules == {"R010"}
    assert not read(third, "Patient", Purpose.CARE).resources
    say(person, "retrait", service, recipient=other.code)
    assert not read(other, "Patient", Purpose.CARE).resources


def test_elements_of_a_forbidden_category_leave_and_say_so(service, sidoba):
    raw = json.loads(deposit(range(1)))
    stay = next(entry["resource"] for entry in raw["entry"] if entry["resource"]["id"] == "sejour-0")
    stay["reasonCode"] = [{"text": "chute"}]
    take(service, json.dumps(raw).encode())
    seen = read(sidoba, "Encounter")
    assert [row["meta"]["tag"][0]["code"] for row in seen.resources] == ["SUBSETTED"]
    assert "reasonCode" not in seen.resources[0] and seen.resources[0]["period"]
    own = read(service, "Encounter", Purpose.CARE)
    assert any("reasonCode" in row for row in own.resources)


def test_reads_need_a_purpose_and_leave_a_trace(service, sidoba):
    take(service, deposit(range(2)))
    before = Entry.objects.count()
    assert "finalité" in read(sidoba, "Patient", purpose=None).reason
    assert read(sidoba, "CarePlan").reason
    assert Entry.objects.filter(action="echange.lecture.refusee").count() == 2
    seen = read(sidoba, "QuestionnaireResponse")
    assert len(seen.resources) == 4
    traces = Entry.objects.filter(action="echange.lecture", pk__gt=before)
    assert {entry.subject for entry in traces} == {f"usager:{person.pk}" for person in Person.objects.all()}
    assert traces[0].detail["purpose"] == "FINANCEMENT" and traces[0].detail["rules"] == ["R021"]


def test_unknown_and_forbidden_are_answered_alike(service, sidoba):
    take(service, deposit(range(1)))
    task = Resource.objects.filter(profile="tddui-encounter-evenement").first()
    forbidden = reading.one(sidoba, 2, Purpose.FUNDING, Grain.NAMED, "Encounter", task.uid)
    unknown = reading.one(sidoba, 2, Purpose.FUNDING, Grain.NAMED, "Encounter", "00000000-0000-0000-0000-000000000000")
    assert not forbidden.resources and not unknown.resources


def test_pseudonyms_name_nobody_and_cannot_be_joined(service):
    drees, cnsa = institution("DREES"), institution("CNSA_SIDOBA")
    take(service, deposit(range(2)))
    one = read(drees, "Patient", Purpose.STATISTICS, Grain.PSEUDONYM).resources
    two = read(cnsa, "Patient", Purpose.STEERING, Grain.PSEUDONYM).resources
    assert {row["id"] for row in one}.isdisjoint({row["id"] for row in two})
    assert all(set(row) <= {"resourceType", "id", "meta", "gender", "birthDate"} and len(row["birthDate"]) == 4 for row in (*one, *two))
    stays = read(drees, "Encounter", Purpose.STATISTICS, Grain.PSEUDONYM).resources
    assert {row["subject"]["reference"] for row in stays} == {f"Patient/{row['id']}" for row in one}, "references still join within one consumer"


def test_health_data_ask_for_a_structure_certificate(service, sidoba):
    take(service, deposit(range(1)))
    assert not read(sidoba, "QuestionnaireResponse", level=1).resources
    assert read(sidoba, "Patient", level=1).resources


def test_a_rectification_is_a_new_version_and_is_told(service):
    take(service, deposit(range(1)))
    take(service, deposit(range(1), name="depot-2", end=dt.date(2026, 10, 1)))
    stay = Resource.objects.get(profile="tddui-encounter-sejour", current=True)
    assert (stay.version, stay.facts["end"]) == (2, "2026-10-01")
    assert set(Event.objects.filter(deposit__identifier="depot-2").values_list("topic", flat=True)) == {"sejour-clos"}, (
        "what is said again is not told again"
    )
    assert Person.objects.count() == 1


def test_one_person_in_two_establishments_is_one_person(service):
    other = establishment(OTHER)
    take(service, deposit(range(1)))
    take(other, deposit(range(1), number=OTHER))
    assert Person.objects.count() == 1 and Resource.objects.filter(type="Patient", current=True).count() == 2


def test_a_second_open_stay_is_refused(service):
    take(service, deposit(range(1)))
    raw = json.loads(deposit(range(1), name="depot-2").replace(b"sejour-0", b"sejour-bis").replace(b"-SEJOUR-0", b"-SEJOUR-bis"))
    answer = intake.receive(service, json.dumps(raw).encode())
    assert answer.status == 422 and "tddui-encounter-05" in json.dumps(answer.body)


def test_a_refused_deposit_keeps_no_content_and_tells_its_sender(service):
    raw = json.loads(deposit(range(1)))
    raw["entry"][2]["resource"]["birthDate"] = "1700-01-01"
    answer = intake.receive(service, json.dumps(raw).encode())
    assert answer.status == 422
    made = Deposit.objects.get()
    assert (made.state, bytes(made.original), Resource.objects.count(), Person.objects.count(), Stated.objects.count()) == ("refused", b"", 0, 0, 0)
    assert Event.objects.get().topic == "depot-refuse"
    assert Entry.objects.get(action="echange.depot.refuse").detail["rules"] == ["tddui-patient-02"]
    assert intake.receive(service, deposit(range(1))).status == 200, "the identifier may serve again"


def test_two_persons_change_the_matrix(service, sidoba):
    from belvedere.engine.exchange.matrix import proposed, write

    take(service, deposit(range(1)))
    rows = "\n".join(line for line in write(proposed()).splitlines() if not line.startswith(("R019", "R020", "R021")))
    made = policy.propose(rows=rows, reason="La CNSA n’a plus cet usage.", by="personne:1")
    with pytest.raises(policy.PolicyRefused):
        policy.decide(proposal=made, approve=True, by="personne:1")
    assert read(sidoba, "Patient").resources
    policy.decide(proposal=made, approve=True, by="personne:2")
    assert not read(sidoba, "Patient").resources
    version = MatrixVersion.objects.get()
    assert policy.judge(version.valid_from).matrix.version == version.version
    assert policy.judge(made.proposed_at).matrix.version == proposed().version, "a past decision is explained by the matrix of its time"
    with pytest.raises(policy.PolicyRefused):
        policy.decide(proposal=made, approve=False, by="personne:3")


def test_the_dry_run_stores_nothing(service):
    answer = intake.validate(service, deposit(range(1)))
    assert "serait accepté" in json.dumps(answer.body, ensure_ascii=False)
    assert not Deposit.objects.exists() and not Entry.objects.exists()


def test_a_deposit_of_another_establishment_is_refused(service):
    answer = intake.receive(service, deposit(range(1), number=OTHER))
    assert answer.status == 422 and "tddui-organization-02" in json.dumps(answer.body)
    assert service.finess == SSIAD
