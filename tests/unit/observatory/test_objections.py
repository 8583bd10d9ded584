"""Objections: out of the next query, out of the files and their old versions, out of later flows, and no way to ask who is known."""

import datetime as dt

import pyarrow.parquet as pq
import pytest
from django.core.cache import cache
from django.test import Client

from belvedere.cli import main
from belvedere.engine.b2.keys import nir_key
from belvedere.engine.sector.billing import month_file, month_lines
from belvedere.observatory.accounts.models import Role
from belvedere.observatory.collect import reception, vault, worker
from belvedere.observatory.collect.models import DataFile
from belvedere.observatory.journal.actions import broken_at
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.members.own import OwnFacts
from belvedere.observatory.objections import actions, proof, purge
from belvedere.observatory.objections.models import Kind, Objection, Request
from tests.flows import sector
from tests.members import send
from tests.people import person


def patient_of(rank: int):
    """(identity as typed, pseudonym) of the first patient that a provider bills."""
    people = sector().population
    episode = int(month_lines(sector(), rank, 0)["episode"][0])
    who = int(people.patient[episode])
    nir = bytes(people.nir[who]).decode()
    birth = f"{int(people.birth_date[who]):06d}"
    typed = {"nir": f"{nir}{nir_key(nir):02d}", "birth": f"{birth[4:6]}/{birth[2:4]}/19{birth[:2]}", "rank": "1"}
    return typed, actions.patient(**typed).pseudonym()


def rows_of(token: int) -> int:
    """Lines of a person in every file on the disk, old versions included."""
    return sum(pq.read_table(path)["patient"].to_pylist().count(token) for path in vault.facts_path("").rglob("*.parquet"))


def lines_seen(groups) -> int:
    user = person(Role.MEMBER_ADMIN, group=groups[0])
    figures = OwnFacts.of(user).figures()
    return sum(figures.measure("lines", period=month) for month in figures.months)


@pytest.fixture
def told(groups):
    """The first provider's flows, and one of its patients."""
    first = next(rank for rank, provider in enumerate(sector().providers) if groups[0].members.filter(finess=provider.finess).exists())
    send(groups, sector(), range(2), [first])
    return first, *patient_of(first)


def test_an_objection_hides_then_erases_then_filters(groups, told, data_folder):
    first, typed, token = told
    assert rows_of(token) > 0
    before = lines_seen(groups)
    request = actions.object_to(actions.patient(**typed))
    after = lines_seen(groups)
    assert before - after == rows_of(token) > 0
    assert main(["objections", "prove", request.reference, "--data", str(data_folder)]) == 2
    assert purge.due()
    counts = purge.run(grace=0)
    assert counts["lines"] == before - after and counts["destroyed"] == counts["rewritten"] > 0
    assert DataFile.objects.filter(destroyed=True).count() == counts["destroyed"], "what is destroyed is not looked for again"
    assert rows_of(token) == 0 and lines_seen(groups) == after
    assert main(["objections", "prove", request.reference, "--data", str(data_folder)]) == 0
    request.objection.refresh_from_db()
    assert request.objection.purged_at and not purge.due()
    send(groups, sector(), [2], [first])
    assert any(int(sector().population.patient[e]) for e in month_lines(sector(), first, 2)["episode"])
    assert rows_of(token) == 0
    purge.run(grace=0)
    assert main(["objections", "prove", request.reference, "--data", str(data_folder)]) == 0
    assert broken_at() is None


def test_one_more_objection_reads_its_own_bucket_of_persons(groups, told, monkeypatch):
    """Persons who were looked for in a file already are not looked for in it again; the others of its bucket stay."""
    first, typed, token = told
    actions.object_to(actions.patient(**typed))
    purge.run(grace=0)
    purge.run(grace=0)  # the files that the first one wrote are looked at too
    monkeypatch.setattr(purge, "LOOKBACK", 0)
    people = {path: pq.read_table(path)["patient"].to_pylist() for path in vault.facts_path("").rglob("*.parquet")}
    held = sorted({one for rows in people.values() for one in rows})
    other = next(one for one in held if one % 16 != token % 16)
    Objection.objects.create(pseudonym=other)
    asked, true_read = [], pq.read_table
    monkeypatch.setattr(pq, "read_table", lambda path, *args, **kwargs: asked.append(kwargs.get("filters")) or true_read(path, *args, **kwargs))
    counts = purge.run(grace=0)
    monkeypatch.setattr(pq, "read_table", true_read)
    assert [("patient_bucket", "in", [other % 16])] in asked and [("patient_bucket", "in", sorted({token % 16, other % 16}))] not in asked
    assert rows_of(other) == 0 and counts["lines"] == sum(rows.count(other) for rows in people.values())
    assert all(rows_of(one) == sum(rows.count(one) for rows in people.values()) for one in held[:40] if one != other)
    # A file that comes after is asked for everybody.
    send(groups, sector(), [2], [first])
    asked.clear()
    monkeypatch.setattr(pq, "read_table", lambda path, *args, **kwargs: asked.append(kwargs.get("filters")) or true_read(path, *args, **kwargs))
    purge.run(grace=0)
    assert [("patient_bucket", "in", sorted({token % 16, other % 16}))] in asked


def test_files_stay_whole_when_a_worker_replaces_one_during_the_purge(groups, told, monkeypatch):
    _, typed, token = told
    actions.object_to(actions.patient(**typed))
    row = DataFile.objects.filter(retired_at=None).first()
    true_read = pq.read_table

    def replaced_meanwhile(path, *args, **kwargs):
        table = true_read(path, *args, **kwargs)
        DataFile.objects.filter(pk=row.pk).update(retired_at=dt.datetime.now(dt.UTC))
        return table

    monkeypatch.setattr(pq, "read_table", replaced_meanwhile)
    purge.run(grace=0)
    monkeypatch.setattr(pq, "read_table", true_read)
    assert Objection.objects.get().purged_at is None, "what changed under the purge is looked at again"
    purge.run(grace=0)
    assert Objection.objects.get().purged_at and rows_of(token) == 0


def test_an_objection_made_again_during_a_purge_is_not_marked_as_done(groups, told, monkeypatch):
    _, typed, _ = told
    request = actions.object_to(actions.patient(**typed))
    purge.run(grace=0)
    actions.withdraw(reference=request.reference, identity=actions.patient(**typed))
    true_destroy = purge._destroy_retired

    def objects_meanwhile(grace):
        actions.object_to(actions.patient(**typed))
        return true_destroy(grace)

    monkeypatch.setattr(purge, "_destroy_retired", objects_meanwhile)
    purge.run(grace=0)
    assert Objection.objects.get().purged_at is None and purge.due()


def test_a_withdrawal_lets_new_care_in_and_brings_nothing_back(groups, told):
    first, typed, token = told
    request = actions.object_to(actions.patient(**typed))
    purge.run(grace=0)
    with pytest.raises(actions.ObjectionRefused):
        actions.withdraw(reference="O-AAAA-AAAA", identity=actions.patient(**typed))
    with pytest.raises(actions.ObjectionRefused):
        actions.withdraw(reference=request.reference, identity=actions.prescriber("123456789"))
    actions.withdraw(reference=request.reference, identity=actions.patient(**typed), day=sector().month(2))
    assert rows_of(token) == 0
    send(groups, sector(), range(3), [first])
    days = [
        day
        for path in vault.facts_path("").rglob("*.parquet")
        for who, day in zip(*(pq.read_table(path)[c].to_pylist() for c in ("patient", "act_date")), strict=True)
        if who == token
    ]
    assert all(day >= sector().month(2) for day in days)


def test_a_prescriber_becomes_unknown_and_the_care_stays(groups, told, data_folder):
    name = DataFile.objects.filter(retired_at=None).first().name
    table = pq.read_table(vault.facts_path(name))
    token = next(value for value in table["prescriber"].to_pylist() if value)
    before = lines_seen(groups)
    objection = Objection.objects.create(kind=Kind.PRESCRIBER, pseudonym=token)
    request = Request.objects.create(reference="O-TEST-0001", objection=objection, at=dt.datetime.now(dt.UTC))
    purge.run(grace=0)
    assert lines_seen(groups) == before
    assert proof.prove(request).places == []
    assert all(token not in pq.read_table(path)["prescriber"].to_pylist() for path in vault.facts_path("").rglob("*.parquet"))


def test_the_proof_looks_at_logs_backups_and_every_table(groups, told, data_folder, tmp_path_factory, monkeypatch):
    _, typed, token = told
    request = actions.object_to(actions.patient(**typed))
    purge.run(grace=0)
    assert proof.prove(request).places == []
    (data_folder / "serve.log").write_text(f"patient {token} seen")
    backups = tmp_path_factory.mktemp("backups")
    (backups / "old.bin").write_bytes(b"\0" * 100 + token.to_bytes(8, "little"))
    monkeypatch.setenv("BELVEDERE_BACKUPS", str(backups))
    Entry.objects.count()
    from belvedere.observatory.journal.actions import note

    note(by="x", action="y", subject="z", leak=token)
    places = " ".join(proof.prove(request).places)
    assert "serve.log" in places and "old.bin" in places and "journal_entry" in places


@pytest.mark.parametrize(
    ("field", "value"), [("nir", "1 50"), ("nir", "150077500100199"), ("birth", "1950-03-07"), ("birth", "45/03/1950"), ("rank", "0"), ("rank", "x")]
)
def test_what_is_typed_wrong_is_told_beside_the_field(db, data_folder, field, value):
    good = {"nir": f"1500775001001{nir_key('1500775001001'):02d}", "birth": "07/03/1950", "rank": "1"}
    actions.patient(**good)
    with pytest.raises(actions.ObjectionRefused) as refusal:
        actions.patient(**good | {field: value})
    assert refusal.value.where == field
    cache.clear()
    answer = Client().post("/patients/opposition/patient/", good | {field: value})
    assert answer.status_code == 422
    assert good["nir"].encode() not in answer.content, "what was typed never comes back in a page"


def test_the_answer_is_the_same_for_the_known_and_the_unknown(groups, told, data_folder):
    _, known, _ = told
    unknown = {"nir": f"1500775001001{nir_key('1500775001001'):02d}", "birth": "07/03/1950", "rank": "1"}
    cache.clear()
    pages = []
    for typed in (known, unknown, known):
        answer = Client().post("/patients/opposition/patient/", typed)
        reference = Request.objects.latest("pk").reference
        pages.append((answer.status_code, answer.content.replace(reference.encode(), b"REF")))
    assert len(set(pages)) == 1 and pages[0][0] == 200
    assert Request.objects.count() == 3 and Objection.objects.count() == 2
    text = repr(list(Request.objects.values())) + repr(list(Entry.objects.values())) + repr(list(Objection.objects.values()))
    assert known["nir"][:13] not in text and unknown["nir"][:13] not in text


def test_one_address_may_not_try_for_ever(db, data_folder):
    cache.clear()
    typed = {"nir": f"1500775001001{nir_key('1500775001001'):02d}", "birth": "07/03/1950", "rank": "1"}
    statuses = [Client().post("/patients/opposition/patient/", typed).status_code for _ in range(12)]
    assert statuses[:10] == [200] * 10 and statuses[-1] == 429
    cache.clear()


def test_the_proof_pdf_is_sealed_and_names_nobody(db, data_folder):
    from belvedere.observatory import pdfseal

    cache.clear()
    request = actions.object_to(actions.patient(f"1500775001001{nir_key('1500775001001'):02d}", "07/03/1950", "1"))
    document = Client().get(f"/patients/preuve/{request.reference}.pdf").content
    status = pdfseal.status(document)
    assert status.intact and status.valid and status.trusted
    assert Client().get("/patients/preuve/O-AAAA-AAAA.pdf").status_code == 404


def test_a_flow_whose_every_line_is_objected_to_is_accepted_and_kept_nowhere(groups, told, monkeypatch):
    from belvedere.engine.b2.envelope import seal
    from belvedere.observatory.collect import keyring

    first, *_ = told
    people = sector().population
    for who in {int(people.patient[int(e)]) for e in month_lines(sector(), first, 2)["episode"]}:
        nir = bytes(people.nir[who]).decode()
        birth = f"{int(people.birth_date[who]):06d}"
        identity = actions.Identity(Kind.PATIENT, nir=nir, birth=birth, rank=1)
        Objection.objects.get_or_create(kind=Kind.PATIENT, pseudonym=identity.pseudonym())
    before = DataFile.objects.count()
    flow = reception.receive(group=groups[0], sealed=seal(month_file(sector(), first, 2), keyring.certificate()), channel="api", file_name="f")
    worker.drain()
    flow.refresh_from_db()
    assert flow.state in ("accepted", "remarks") and flow.lines > 0, "the receipt tells nobody apart"
    assert DataFile.objects.count() == before
