"""The bulk export: what a search would give, all of it, decided again; stopped, erased, opposed, refused."""

import json

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from belvedere.observatory.exchange import bulk, chores, intake, naming, reading
from belvedere.observatory.exchange.erasing import erase
from belvedere.observatory.exchange.models import Bulk, BulkFile, BulkState, Party, Person, Resource
from belvedere.observatory.journal.models import Entry
from tests.exchange import OTHER, bearer, deposit, establishment, institution, say

pytestmark = pytest.mark.django_db
ASYNC = {"HTTP_PREFER": "respond-async"}


@pytest.fixture
def service():
    made = establishment()
    assert intake.receive(made, deposit(range(5))).status == 200
    return made


@pytest.fixture
def drees():
    return bearer(institution("DREES")) | {"HTTP_X_FINALITE": "STATISTIQUE", "HTTP_X_GRAIN": "PSEUDONYME"}


def get(path: str, headers: dict):
    return Client().get(path.replace("http://testserver", ""), **headers)


def exported(headers: dict, query: str = "_type=Patient,Encounter") -> dict[str, list[dict]]:
    asked = get(f"/fhir/$export?{query}", headers | ASYNC)
    assert asked.status_code == 202, asked.content
    where = "/fhir/" + asked["Content-Location"].split("/fhir/")[1]
    waiting = get(where, headers)
    assert waiting.status_code == 202 and "X-Progress" in waiting
    chores.run()
    told = get(where, headers).json()
    found = {}
    for file in told["output"]:
        answer = get("/fhir/" + file["url"].split("/fhir/")[1], headers)
        assert answer["Content-Type"] == "application/fhir+ndjson"
        rows = [json.loads(line) for line in answer.content.splitlines()]
        assert len(rows) == file["count"]
        found.setdefault(file["type"], []).extend(rows)
    return found


@pytest.mark.parametrize(("page", "part"), [(500, 20_000), (1, 2)], ids=["one file a type", "parts"])
def test_what_a_search_gives_is_what_an_export_gives(service, drees, monkeypatch, page, part):
    monkeypatch.setattr(bulk, "PAGE", page)
    monkeypatch.setattr(bulk, "PART", part)
    say(Person.objects.first(), "opposition", service)
    found = exported(drees)
    for kind, rows in found.items():
        searched = [entry["resource"] for entry in get(f"/fhir/{kind}?_count=200", drees).json()["entry"]]
        assert rows == searched, kind
    assert len(found["Patient"]) == 4, "who opposes is in no file"
    text = json.dumps(found)
    assert not any(uid in text for uid in Resource.objects.values_list("uid", flat=True)), "addresses are this reader's alone"
    assert Entry.objects.filter(action="echange.lecture", subject__startswith="usager:").count() >= 4
    since = exported(drees, f"_type=Patient&_since={timezone.now().isoformat().replace('+', '%2B')}")
    assert since == {}


def test_a_file_is_what_stands_when_it_is_taken(service, drees):
    """Rectified, opposed, erased since it was listed: the version in force, less those whom it may no longer tell of."""
    exported(drees)
    made = Bulk.objects.latest("pk")
    where = f"/fhir/$export-file/{made.reference}/Patient/1"
    rectified = json.loads(deposit(range(1), name="rectification"))
    next(row["resource"] for row in rectified["entry"] if row["resource"]["resourceType"] == "Patient")["birthDate"] = "1931-01-01"
    assert intake.receive(service, json.dumps(rectified).encode()).status == 200
    taken = get(where, drees)
    assert len(taken.content.splitlines()) == 5 and taken["X-Omises"] == "0" and b"1931" in taken.content
    people = list(Person.objects.order_by("pk"))
    say(people[-1], "opposition", service)
    erase(person=people[0], party=service, by="test", why="demande")
    taken = get(where, drees)
    assert len(taken.content.splitlines()) == 3 and taken["X-Omises"] == "2"


def test_two_workers_on_one_export_skip_no_type(service, drees, monkeypatch):
    """A lease that ended while its worker was frozen: the second does the same type, the first goes on without skipping the next."""
    get("/fhir/$export?_type=Encounter,Patient,QuestionnaireResponse", drees | ASYNC)
    real, seen = bulk._write, []

    def write(made, kind):
        why = real(made, kind)
        seen.append(kind)
        if len(seen) == 1:
            monkeypatch.setattr(bulk, "_write", killed)
            with pytest.raises(KeyboardInterrupt):
                bulk.run(Bulk.objects.get())
            monkeypatch.setattr(bulk, "_write", write)
        return why

    def killed(made, kind):
        if kind != "Encounter":
            raise KeyboardInterrupt
        return real(made, kind)

    monkeypatch.setattr(bulk, "_write", write)
    made = bulk.run(Bulk.objects.get())
    assert made.state == BulkState.DONE and set(made.files.values_list("type", flat=True)) == {"Encounter", "Patient", "QuestionnaireResponse"}


def test_the_rules_told_of_a_person_are_those_that_let_it_be_read(service):
    """The journal says of each what permitted it, and asked again it says the same."""
    home = establishment(OTHER)
    assert intake.receive(home, deposit(range(5, 7), number=OTHER)).status == 200
    reader = institution("CNSA_SIDOBA")
    headers = bearer(reader) | {"HTTP_X_FINALITE": "FINANCEMENT"}
    assert get("/fhir/Patient?_count=200", headers).status_code == 200
    for entry in Entry.objects.filter(action="echange.lecture", subject__startswith="usager:"):
        assert set(entry.detail["rules"]) == reading.explained(entry)


def test_a_file_holds_nothing_and_its_reader_is_traced_when_it_is_taken(service, drees):
    get("/fhir/$export?_type=Patient", drees | ASYNC)
    chores.run()
    assert not Entry.objects.filter(action="echange.lecture").exists(), "made, nobody has read it"
    made = Bulk.objects.get()
    assert {name for name in vars(made.files.get()) if not name.startswith("_")} == {"id", "bulk_id", "type", "part", "count", "rows"}
    assert get(f"/fhir/$export-file/{made.reference}/Patient/1", drees).status_code == 200
    assert Entry.objects.filter(action="echange.lecture", subject__startswith="usager:").count() == 5
    say(Person.objects.first(), "opposition", service)
    again = get(f"/fhir/$export-file/{made.reference}/Patient/1", drees)
    assert len(again.content.splitlines()) == 4 and again["X-Omises"] == "1", "who opposes since is left out, and it is said"
    assert Entry.objects.filter(action="echange.lecture", subject__startswith="usager:").count() == 9


def agreed(actor: str, purpose: str, service, **territory) -> tuple[Party, dict[str, str]]:
    made = institution(actor, **territory)
    for person in Person.objects.all():
        say(person, "accord", service, recipient=actor)
    return made, bearer(made) | {"HTTP_X_FINALITE": purpose, "HTTP_X_GRAIN": "NOMINATIF"}


def test_a_file_follows_the_territory_of_its_reader(service):
    Resource.objects.update(facts={"decision": True})  # nothing that is deposited says it yet: the row that asks for it is closed otherwise
    council, headers = agreed("MDPH", "ACCOMPAGNEMENT", service, department="75")
    assert len(exported(headers, "_type=Patient")["Patient"]) == 5
    Party.objects.filter(pk=council.pk).update(department="69")
    closed = get(f"/fhir/$export-file/{Bulk.objects.get().reference}/Patient/1", headers)
    assert (closed.content, closed["X-Omises"]) == (b"", "5") and Entry.objects.filter(action="echange.lecture.refusee").exists()


def test_a_file_follows_its_persons_when_two_become_one(service):
    team, headers = agreed("ESMS_DESTINATAIRE", "ACCOMPAGNEMENT", service)
    assert len(exported(headers, "_type=Patient")["Patient"]) == 5
    where = f"/fhir/$export-file/{Bulk.objects.get().reference}/Patient/1"
    kept, other = Person.objects.order_by("pk")[:2]
    with transaction.atomic():
        naming._merge(other, kept, service)
    assert len(get(where, headers).content.splitlines()) == 5
    say(kept, "opposition", service, recipient=team.actor)
    assert len(get(where, headers).content.splitlines()) == 3, "what the one says closes the data of both"


def test_what_was_listed_for_a_professional_is_not_taken_by_another(service, drees):
    get("/fhir/$export?_type=Patient", drees | ASYNC)
    chores.run()
    Bulk.objects.update(person="p" * 32)
    made = Bulk.objects.get()
    for path in (f"/fhir/$export-status/{made.reference}", f"/fhir/$export-file/{made.reference}/Patient/1"):
        assert get(path, drees).status_code == 404


def test_exports_that_are_kept_are_counted(service, drees, monkeypatch):
    monkeypatch.setattr(bulk, "MOST_KEPT", 2)
    for _ in range(2):
        exported(drees, "_type=Patient")
    full = get("/fhir/$export?_type=Patient", drees | ASYNC)
    assert full.status_code == 429 and "gardés" in full.content.decode()


def test_one_that_fails_does_not_stop_those_behind_it(service, drees, monkeypatch, caplog):
    for _ in range(2):
        get("/fhir/$export?_type=Patient", drees | ASYNC)
    first, second = Bulk.objects.order_by("asked_at")
    real = bulk._write
    monkeypatch.setattr(bulk, "_write", lambda made, kind: real(made, kind) if made.pk == second.pk else 1 / 0)
    chores.run()
    first.refresh_from_db(), second.refresh_from_db()
    assert (first.state, second.state) == (BulkState.WAITING, BulkState.DONE) and "ZeroDivisionError" in caplog.text


def test_somebody_erased_while_it_is_made_is_in_no_file(service, drees, monkeypatch):
    get("/fhir/$export?_type=Encounter,Patient", drees | ASYNC)
    real, calls = reading.search, []

    def search(*given, **named):
        calls.append(given[4])
        seen = real(*given, **named)
        if calls == ["Encounter", "Patient"]:
            erase(person=Person.objects.first(), party=service, by="test", why="demande")
        return seen

    monkeypatch.setattr(bulk.reading, "search", search)
    made = bulk.run(Bulk.objects.get())
    assert calls == ["Encounter", "Patient"]
    raw, left_out = bulk.lines(made, "Patient", level=2)
    assert (raw.count(b"\n"), left_out) == (4, 1)


def test_it_is_taken_up_where_it_was_stopped(service, drees, monkeypatch):
    get("/fhir/$export?_type=Encounter,Patient", drees | ASYNC)
    real, calls = reading.search, []

    def search(*given, **named):
        calls.append(given[4])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*given, **named)

    monkeypatch.setattr(bulk.reading, "search", search)
    with pytest.raises(KeyboardInterrupt):
        bulk.run(Bulk.objects.get())
    assert bulk.run(Bulk.objects.get()).state == BulkState.DONE and calls == ["Encounter", "Patient", "Patient"]


def test_every_way_not_to_have_it(service, drees):
    base = "/fhir/$export"
    for query, headers, status in (
        ("", {}, 400), ("?_type=Nothing", ASYNC, 400), ("?_since=hier", ASYNC, 400), ("?_outputFormat=csv", ASYNC, 400), ("?_typeFilter=x", ASYNC, 400),
        ("", ASYNC | {"HTTP_X_GRAIN": "AGREGE"}, 403), ("", ASYNC | {"HTTP_X_FINALITE": ""}, 403),
    ):  # fmt: skip
        answer = get(base + query, drees | headers)
        assert answer.status_code == status and answer.json()["resourceType"] == "OperationOutcome", (query, answer.content)
    assert Client().get(base, **ASYNC).status_code == 401
    forbidden = exported(bearer(institution("CNAM_SIPIL")) | {"HTTP_X_FINALITE": "STATISTIQUE"}, "_type=Patient")
    assert forbidden == {} and Bulk.objects.latest("pk").refused["Patient"]
    assert Entry.objects.filter(action="echange.lecture.refusee", subject="Patient").count() == 1
    for _ in range(bulk.MOST_WAITING):
        assert get(base + "?_type=Patient", drees | ASYNC).status_code == 202
    full = get(base + "?_type=Patient", drees | ASYNC)
    assert full.status_code == 429 and full["Retry-After"]
    made = Bulk.objects.filter(state=BulkState.WAITING).first()
    where = f"/fhir/$export-status/{made.reference}"
    assert get(where, bearer(service)).status_code == 404, "somebody else's"
    assert Client().delete(where, **drees).status_code == 202 and get(where, drees).status_code == 404


def test_files_are_let_go_after_a_day(service, drees):
    exported(drees)
    Bulk.objects.update(done_at=timezone.now() - bulk.KEPT * 2)
    chores.run()
    assert Bulk.objects.get().state == BulkState.EXPIRED and not BulkFile.objects.exists()
