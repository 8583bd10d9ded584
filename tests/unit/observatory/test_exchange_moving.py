"""A change of software, file by file: what is the same, what differs, who is missing; stopped and taken up again; and who may not."""

import json

import pytest
from django.db import transaction
from django.test import Client

from belvedere.engine.exchange import bundle, comparing
from belvedere.engine.exchange.seda import PackageRefused
from belvedere.observatory.accounts.models import Role
from belvedere.observatory.exchange import intake, moving, naming
from belvedere.observatory.exchange.erasing import erase
from belvedere.observatory.exchange.models import Deposit, Export, FileState, Move, MoveState, Party, Person
from belvedere.observatory.journal.models import Entry
from tests.exchange import OTHER, bearer, deposit, establishment
from tests.people import browsing, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def service():
    made = establishment(software="Ancien 3")
    assert intake.receive(made, deposit(range(4))).status == 200
    return made


def renamed(raw: bytes, change=None) -> bytes:
    """The same data as another software writes them: other addresses, another order; `change` alters resources."""
    content = json.loads(raw)
    names = {entry["fullUrl"]: f"urn:uuid:00000000-0000-4000-8000-{rank:012d}" for rank, entry in enumerate(content["entry"])}
    for entry in content["entry"]:
        for key in (entry["fullUrl"], f"{entry['resource']['resourceType']}/{entry['resource'].get('id', '')}"):
            names.setdefault(key, names[entry["fullUrl"]])
        entry["resource"].pop("id", None)
    text = json.dumps(content, ensure_ascii=False)
    for old in sorted(names, key=len, reverse=True):
        text = text.replace(json.dumps(old), json.dumps(names[old]))
    content = json.loads(text)
    for entry in content["entry"]:
        if change:
            change(entry["resource"])
    content["entry"] = content["entry"][::-1]
    return json.dumps(content, ensure_ascii=False).encode()


def test_a_change_from_end_to_end(service):
    deposits = Deposit.objects.count()
    move = moving.start(party=service, software="Nouveau 1", by="test")
    assert moving.progress(move) == {"awaited": 4, "same": 0, "differs": 0}
    first = moving.take(move, renamed(deposit(range(2), name="lot-1")), by="test")
    assert (first.same, first.differs, first.strangers, first.remarks) == (2, 0, 0, ())

    def aged(resource):
        if resource["resourceType"] == "Patient":
            resource["birthDate"] = "1931-01-01"

    second = moving.take(move, renamed(deposit(range(2, 3), name="lot-2"), aged), by="test")
    assert (second.same, second.differs) == (0, 1)
    row = move.files.get(state=FileState.DIFFERS)
    kinds = {gap["type"]: gap for gap in row.gaps}
    assert list(kinds) == ["Patient"], "what only leads to the patient does not differ by itself"
    assert kinds["Patient"]["elements"] == ["birthDate"] and "1931" not in json.dumps(row.gaps), "elements are told, never values"
    stranger = moving.take(move, renamed(deposit(range(7, 8), name="lot-3")), by="test")
    assert (stranger.same, stranger.differs, stranger.strangers) == (0, 0, 1)
    with pytest.raises(moving.MoveRefused, match="2 dossiers ne sont pas identiques"):
        moving.close(move, by="test")
    assert moving.take(move, renamed(deposit(range(2, 4), name="lot-4")), by="test").same == 2, "taken up again, corrected"
    assert moving.close(move, by="test").state == MoveState.DONE
    assert Party.objects.get(pk=service.pk).software == "Nouveau 1"
    assert Deposit.objects.count() == deposits, "nothing of the lots was kept"
    assert Entry.objects.filter(action__startswith="echange.changement").count() == 6
    with pytest.raises(moving.MoveRefused, match="plus en cours"):
        moving.take(move, deposit(range(1)), by="test")


def test_what_is_missing_from_a_file_is_said(service):
    move = moving.start(party=service, software="Nouveau", by="test")
    content = json.loads(deposit(range(1), name="court"))
    stay = [entry for entry in content["entry"] if entry["resource"]["resourceType"] == "QuestionnaireResponse"]
    content["entry"] = [entry for entry in content["entry"] if entry not in stay]
    assert stay and moving.take(move, json.dumps(content).encode(), by="test").differs == 1
    gap = next(gap for gap in move.files.get(state=FileState.DIFFERS).gaps if gap["type"] == "QuestionnaireResponse")
    assert (gap["expected"], gap["found"], gap["missing"], gap["extra"]) == (len(stay), 0, len(stay), 0)


def test_a_stay_that_leads_elsewhere_is_seen(service):
    """Every resource is there, alike; one leads to another person's stay."""
    before = comparing.plain(bundle.read(json.loads(deposit(range(1))))[0])
    stay = next(row for row in before if row["resourceType"] == "Encounter")
    twin = stay | {"id": "autre", "status": "finished"}
    other = [*before, twin]
    moved = json.loads(json.dumps(other))
    task = next(row for row in moved if f"Encounter/{stay['id']}" in json.dumps(row) and row["resourceType"] != "Encounter")
    changed = json.loads(json.dumps(task).replace(f"Encounter/{stay['id']}", "Encounter/autre"))
    moved[moved.index(task)] = changed
    (gap,) = comparing.gaps(other, moved)
    assert (gap.type, gap.missing, gap.extra, gap.elements) == (task["resourceType"], 0, 0, ("reference",))
    assert comparing.gaps(other, other[::-1]) == []


def test_a_lot_that_breaks_the_rules_changes_nothing(service):
    move = moving.start(party=service, software="Nouveau", by="test")
    told = moving.take(move, b'{"resourceType": "Bundle", "type": "batch"}', by="test")
    assert [remark.rule for remark in told.remarks] == ["tddui-bundle-01"]
    assert Move.objects.get().lots == 0 and moving.progress(move)["awaited"] == 4


def test_persons_who_become_one_during_the_change_are_one_file(service):
    move = moving.start(party=service, software="Nouveau", by="test")
    kept, other = Person.objects.order_by("pk")[:2]
    assert moving.take(move, renamed(deposit(range(4), name="lot-1")), by="test").same == 4
    addresses = set(move.files.filter(person__in=(kept, other)).values_list("address", flat=True))
    with transaction.atomic():
        naming._merge(other, kept, service)
    row = move.files.get(person=kept)
    assert (
        {row.address, *row.also} == addresses and row.state == FileState.AWAITED and moving.progress(move) == {"awaited": 1, "same": 2, "differs": 0}
    )
    assert moving.take(move, renamed(deposit(range(4), name="lot-2")), by="test").same == 3, "both parts of the file were found"
    moving.close(move, by="test", drop=True)
    again = moving.start(party=service, software="Nouveau", by="test")
    assert again.files.count() == 3 and len(again.files.get(person=kept).also) == 1


def test_stays_that_lead_to_one_another_do_not_stop_an_export():
    rows = [
        {"resourceType": "Encounter", "id": "a", "partOf": {"reference": "Encounter/b"}}, {"resourceType": "Encounter", "id": "b", "partOf": {"reference": "Encounter/a"}},
        {"resourceType": "Task", "id": "t", "encounter": {"reference": "https://dui.test/fhir/Encounter/c/_history/2"}},
        {"resourceType": "Encounter", "id": "c", "subject": {"reference": "https://dui.test/fhir/Patient/p"}},
    ]  # fmt: skip
    by_address = {comparing.address(row): row for row in rows}
    assert [comparing.patient_of(row, by_address) for row in rows] == ["", "", "Patient/p", "Patient/p"]


def test_what_cannot_be_written_or_read_again_is_refused(service, monkeypatch):
    with pytest.raises(moving.MoveRefused, match="affichent pas"):
        moving.start(party=service, software="Nou\x00veau", by="test")
    move = moving.start(party=service, software="Nouveau", by="test")
    with pytest.raises(moving.MoveRefused, match="affichent pas"):
        moving.close(move, by="test", reason="parti\x07")
    erase(person=Person.objects.first(), party=service, by="test", why="demande")
    with pytest.raises(moving.MoveRefused, match="plus gardé"):
        moving.take(move, renamed(deposit(range(1))), by="test")
    assert moving.names(move) == {}

    def refused(raw):
        raise PackageRefused("plus de 200 Mo")

    moving.close(move, by="test", drop=True)
    monkeypatch.setattr(moving.portability, "contents", refused)
    with pytest.raises(moving.MoveRefused, match="200 Mo"):
        moving.start(party=service, software="Autre", by="test")
    assert Move.objects.filter(state=MoveState.OPEN).count() == 0


def test_a_change_that_is_dropped_keeps_no_package(service):
    move = moving.start(party=service, software="Nouveau", by="test")
    moving.close(move, by="test", drop=True)
    export = Export.objects.get(pk=move.export_id)
    assert export.state == "expired" and bytes(export.package) == b""


def test_many_resources_that_differ_are_compared_in_time():
    """A file of thousands: each is not compared with every other."""
    rows = [{"resourceType": "Task", "id": f"t{rank}", "note": [{"text": f"{rank}"}], "subject": {"reference": "Patient/p"}} for rank in range(3_000)]
    calls = 0

    class Counted(dict):
        def get(self, *given):
            nonlocal calls
            calls += 1
            return super().get(*given)

    (gap,) = comparing.gaps(rows, [Counted(row | {"note": [{"text": f"autre {row['id']}"}]}) for row in rows])
    assert (gap.expected, gap.found, gap.missing, gap.extra, gap.elements) == (3_000, 3_000, 0, 0, ("note",))
    assert calls < 400_000


def test_one_change_at_a_time_and_none_of_nothing(service):
    with pytest.raises(moving.MoveRefused, match="Nommez"):
        moving.start(party=service, software="  ", by="test")
    with pytest.raises(moving.MoveRefused, match="rien déposé"):
        moving.start(party=establishment(OTHER), software="X", by="test")
    move = moving.start(party=service, software="X", by="test")
    with pytest.raises(moving.MoveRefused, match="déjà en cours"):
        moving.start(party=service, software="Y", by="test")
    moving.close(move, by="test", drop=True)
    assert Party.objects.get(pk=service.pk).software == "Ancien 3"
    assert moving.start(party=service, software="Y", by="test").files.count() == 4


def test_over_the_api(service):
    client, asked = Client(), bearer(service)
    base = "/api/v1/exchange/moves"
    made = client.post(base, json.dumps({"software": "Nouveau"}), content_type="application/json", **asked)
    assert made.status_code == 201
    where = f"{base}/{made.json()['reference']}"
    lot = client.post(f"{where}/lots", renamed(deposit(range(4), name="tout")), content_type="application/fhir+json", **asked)
    assert lot.status_code == 200 and lot.json()["same"] == 4
    told = client.get(where, **asked).json()
    assert told["files"] == {"awaited": 0, "same": 4, "differs": 0} and told["state"] == "open"
    assert client.post(f"{where}/close", "{}", content_type="application/json", **asked).json()["state"] == "done"
    bad = client.post(f"{where}/lots", b"{}", content_type="application/fhir+json", **asked)
    assert bad.status_code == 422 and bad.json()["code"] == "X422"
    other = bearer(establishment(OTHER))
    assert (
        client.get(where, **other).status_code == 404
        and client.post(f"{where}/lots", b"{}", content_type="application/json", **other).status_code == 404
    )
    assert client.post(base, json.dumps({"software": "Y"}), content_type="application/json", **bearer(service, level=1)).status_code == 403


def test_on_the_screen(service):
    client = browsing(person(Role.ESTABLISHMENT, party=service))
    page = client.post("/echanges/changement/", {"software": "Nouveau 1"}, follow=True)
    assert page.status_code == 200 and "4 dossiers attendus" in page.content.decode()
    move = Move.objects.get()
    from django.core.files.uploadedfile import SimpleUploadedFile

    given = [SimpleUploadedFile("a.json", renamed(deposit(range(3), name="a"))), SimpleUploadedFile("b.json", b"{}")]
    page = client.post(f"/echanges/changement/{move.reference}/", {"lots": given}, follow=True).content.decode()
    assert "3 dossiers identiques" in page and "b.json" in page
    rows = client.get(f"/echanges/changement/{move.reference}.csv").content.decode()
    assert rows.count("Identique") == 3 and rows.count("Attendu") == 1
    page = client.post(f"/echanges/changement/{move.reference}/", {"close": "1"}, follow=True).content.decode()
    assert "dites ce qui le justifie" in page
    page = client.post(f"/echanges/changement/{move.reference}/", {"close": "1", "reason": "Parti en août"}, follow=True).content.decode()
    assert "Parti en août" in page and "Terminé" in page
    other = browsing(person(Role.ESTABLISHMENT, party=establishment(OTHER)))
    assert other.get(f"/echanges/changement/{move.reference}/").status_code == 404
