"""Closed files that leave for their department, and the packages they travel in."""

import datetime as dt
import io
import json
import zipfile

import pytest
from django.test import Client
from django.utils import timezone
from lxml import etree

from belvedere.engine.exchange import seda, seda_messages
from belvedere.engine.exchange.sample import resident
from belvedere.observatory import pdfseal, stamping
from belvedere.observatory.exchange import archives, erasing, intake, monthly, replies
from belvedere.observatory.exchange.models import Deposit, Event, Party, Person, Resource, RetentionRule
from belvedere.observatory.journal.actions import broken_at
from belvedere.observatory.journal.models import Entry
from tests.conftest import SHARED
from tests.exchange import SSIAD, altered, bearer, deposit, institution

pytestmark = pytest.mark.django_db


@pytest.fixture
def closed(service):
    """A person whose stay ended eleven years ago, and one who is still there."""
    stamping.create_keys()
    intake.receive(service, deposit(range(1), name="clos", end=dt.date(2026, 9, 20)))
    intake.receive(service, deposit(range(1, 2), name="ouvert"))
    RetentionRule.objects.create(department="75", months=0, fate="conserver", since=dt.date(2020, 1, 1))
    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    return Resource.objects.get(profile="tddui-encounter-sejour", facts__end="2026-09-20").person


def schema_of_seda(version: str = "2.3") -> etree.XMLSchema:
    folder = SHARED / "exchange" / "seda" / "xsd"

    class Local(etree.Resolver):
        def resolve(self, url, public, context):
            name = url.rsplit("/", 1)[-1]
            return self.resolve_filename(str(folder / name), context) if (folder / name).exists() else None

    parser = etree.XMLParser()
    parser.resolvers.add(Local())
    return etree.XMLSchema(etree.parse(str(folder / f"seda-{version}-main.xsd"), parser))


def test_a_closed_file_goes_to_its_department_and_is_purged_only_after_its_reply(service, closed):
    assert archives.due(service, timezone.localdate()) == [closed]
    with pytest.raises(archives.TransferRefused):
        archives.prepare(party=service, person=Person.objects.exclude(pk=closed.pk).get(), by="test")
    made = archives.prepare(party=service, person=closed, by="test")
    with pytest.raises(archives.TransferRefused):
        archives.purge(made, by="test")
    raw = archives.package(made, by=made.archives.code)
    read = seda.read(raw)
    assert {"dossier.json", "rendu.pdf", "preuve.json"} < set(read.pieces) and read.finess == SSIAD
    original = next(content for name, content in read.pieces.items() if name.startswith("depot-"))
    assert original == deposit(range(1), name="clos", end=dt.date(2026, 9, 20)), "byte for byte"
    status = pdfseal.status(read.pieces["rendu.pdf"])
    assert status.intact and status.valid and "dossier" in pdfseal.evidence_of(read.pieces["rendu.pdf"])
    if (SHARED / "exchange").exists():
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            schema_of_seda().assertValid(etree.fromstring(archive.read("manifest.xml")))
    made.refresh_from_db()
    with pytest.raises(archives.TransferRefused):
        replies.answer(made, {"dossier.json": "OK"}, by="test")
    replies.answer(made, dict.fromkeys(read.pieces, "OK"), by=made.archives.code)
    made.refresh_from_db()
    assert archives.purge(made, by="test") > 5
    assert not Resource.objects.filter(person=closed, erased=False).exists() and Resource.objects.filter(erased=False).exists()
    assert bytes(closed.resources.first().content) == b"" and broken_at() is None, "the journal's chain outlives the contents"
    assert Event.objects.filter(topic="donnee-effacee").count() == Resource.objects.filter(person=closed, current=True).count()


def test_nothing_that_came_after_the_transfer_is_purged_with_it(service, closed):
    made = archives.prepare(party=service, person=closed, by="test")
    pieces = seda.read(archives.package(made, by="ad")).pieces
    replies.answer(made, dict.fromkeys(pieces, "OK"), by="ad")
    again = intake.receive(service, deposit(range(1), name="rectifie", end=dt.date(2026, 9, 21)))
    assert again.status == 200
    made.refresh_from_db()
    with pytest.raises(archives.TransferRefused, match="depuis ce versement"):
        archives.purge(made, by="test")
    assert Resource.objects.filter(person=closed, erased=False).exists()


def test_versions_and_deposits_of_any_kind_are_archived(service):
    stamping.create_keys()
    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    RetentionRule.objects.create(department="75", months=0, fate="conserver", since=dt.date(2020, 1, 1))
    who = resident(0)
    cells = [
        who.ins,
        "F" if who.sex == "female" else "M",
        who.born.isoformat(),
        who.family,
        who.given,
        "2026-09-01",
        "2026-09-10",
        "2",
        "2026-09-01",
        "-",
        "1",
    ]
    for end in ("2026-09-10", "2026-09-12"):
        cells[6] = end
        raw = (";".join(monthly.COLUMNS) + "\n" + ";".join(cells)).encode()
        assert intake.receive(service, monthly.to_bundle(raw, SSIAD), original=raw, channel="csv").status == 200
    made = archives.prepare(party=service, person=Person.objects.get(), by="test")
    pieces = seda.read(archives.package(made, by="ad")).pieces
    assert [name.rsplit(".", 1)[1] for name in pieces if name.startswith("depot-")] == ["csv", "csv"]
    older = json.loads(pieces["versions.json"])["entry"]
    assert [row["resource"]["period"]["end"] for row in older] == ["2026-09-10"]
    assert len(json.loads(pieces["rendu.pdf"] and pieces["dossier.json"])["entry"]) == 6


def test_a_second_person_of_the_monthly_file_is_another(service):
    """Two lines of a file, and the next month's with them in another order: each keeps its own resources."""

    def line(rank: int, trips: int) -> str:
        who = resident(rank)
        sex = "F" if who.sex == "female" else "M"
        return ";".join([who.ins, sex, who.born.isoformat(), who.family, who.given, "2026-09-01", "", "2", "2026-09-01", "-", str(trips)])

    for order in ((0, 1), (1, 0), (1,)):
        raw = "\n".join([";".join(monthly.COLUMNS), *(line(rank, rank + 1) for rank in order)]).encode()
        answer = intake.receive(service, monthly.to_bundle(raw, SSIAD), original=raw)
        assert answer.status == 200, answer.body
    counted = Resource.objects.filter(type="Task", current=True).values_list("person").order_by("person").distinct()
    assert counted.count() == 2 and Resource.objects.filter(current=False).count() == 0, "nothing is taken for a rectification"
    assert Resource.objects.filter(type="Task").count() == 3


def test_a_refused_transfer_keeps_the_source(service, closed):
    made = archives.prepare(party=service, person=closed, by="test")
    units = dict.fromkeys(seda.read(archives.package(made, by="ad")).pieces, "OK") | {"rendu.pdf": "KO"}
    made.refresh_from_db()
    made = replies.answer(made, units, by="ad")
    assert made.state == "refused"
    with pytest.raises(archives.TransferRefused):
        archives.purge(made, by="test")
    assert archives.due(service, timezone.localdate()) == [closed], "it may be prepared again"


def messages_of(made, read, code="OK", agency="", about="", **outcomes):
    """(acknowledgement, reply) of the archives, judged by the standard's schema where it is there."""
    told = {"identifier": f"AD75-{code}", "at": timezone.now(), "about": about or made.reference, "agency": agency or read.archives}
    both = seda_messages.acknowledgement(**told), seda_messages.reply(**told, code=code, outcomes=outcomes)
    if (SHARED / "exchange").exists():
        for message in both:
            schema_of_seda().assertValid(etree.fromstring(message))
    return both


def test_archives_answer_with_the_standard_s_messages(service, closed):
    made = archives.prepare(party=service, person=closed, by="test")
    read = seda.read(archives.package(made, by="ad"))
    acknowledged, accepted = messages_of(made, read, AU0="OK", AU1="OK")
    made.refresh_from_db()
    made = replies.hear(made, acknowledged, by="ad")
    assert made.state == "acknowledged"
    with pytest.raises(archives.TransferRefused):
        archives.purge(made, by="test")
    made = replies.hear(made, accepted, by="ad")
    assert made.state == "accepted" and {unit["answer"] for unit in made.reply["units"]} == {"OK"} and len(made.reply["units"]) == made.units
    assert replies.hear(made, accepted, by="ad").state == "accepted", "the same message again changes nothing"
    assert replies.message_of(made) == accepted and accepted not in bytes(made.message)
    with pytest.raises(archives.TransferRefused, match="ne passe pas"):
        replies.hear(made, messages_of(made, read, "KO")[1], by="ad")
    assert archives.purge(made, by="test") > 5


def test_a_reply_that_refuses_says_what_and_why(service, closed):
    made = archives.prepare(party=service, person=closed, by="test")
    read = seda.read(archives.package(made, by="ad"))
    unit = next(unit for unit, name in read.units.items() if name == "rendu.pdf")
    refused = messages_of(made, read, "KO", **{unit: "KO"})[1]
    refused = refused.replace(b"<Outcome>", b"<EventDetail>Police absente, dossier de Mme DURAND</EventDetail><Outcome>")
    if (SHARED / "exchange").exists():
        schema_of_seda().assertValid(etree.fromstring(refused))
    made.refresh_from_db()
    made = replies.hear(made, refused, by="ad")
    assert made.state == "refused"
    assert [row["unit"] for row in made.reply["units"] if row["answer"] == "KO"] == ["rendu.pdf"]
    assert replies.explained(made) == [(unit, "Police absente, dossier de Mme DURAND")]
    assert "DURAND" not in json.dumps(made.reply) and not Entry.objects.filter(detail__icontains="DURAND").exists(), (
        "what archives write stays sealed"
    )


BAD_MESSAGES = {
    "SEDA 2.3 est attendu": lambda made, read: b"<a/>",
    "illisible": lambda made, read: b"OK",
    "DOCTYPE": lambda made, read: b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>',
    "1 Mo": lambda made, read: b" " * (seda_messages.MOST_BYTES + 1),
    "répond à": lambda made, read: messages_of(made, read, about="V-AUTRE")[1],
    "vient de": lambda made, read: messages_of(made, read, agency="AD-13")[1],
    "ReplyCode vaut": lambda made, read: messages_of(made, read, "PEUT-ETRE")[1],
    "ReplyCode manque": lambda made, read: messages_of(made, read)[1].replace(b"<ReplyCode>OK</ReplyCode>", b""),
    "se contredit": lambda made, read: messages_of(made, read, AU1="KO")[1],
    "Outcome vaut": lambda made, read: messages_of(made, read, AU1="BOF")[1],
    "pas d’unité": lambda made, read: messages_of(made, read, AU99="OK")[1],
}


@pytest.mark.parametrize("why", BAD_MESSAGES)
def test_a_message_that_cannot_be_read_changes_nothing(service, closed, why):
    made = archives.prepare(party=service, person=closed, by="test")
    read = seda.read(archives.package(made, by="ad"))
    made.refresh_from_db()
    with pytest.raises(archives.TransferRefused, match=why):
        replies.hear(made, BAD_MESSAGES[why](made, read), by="ad")
    made.refresh_from_db()
    assert (made.state, made.reply, bytes(made.message)) == ("sent", {}, b"")


def test_bad_packages_are_refused_each_with_its_reason():
    header = seda.Header("V-1", timezone.now(), SSIAD, "AD-75", "Dossier", dt.date(2026, 1, 1), dt.date(2026, 2, 1), "conserver")
    good = seda.package(header, [seda.Piece("dossier.json", "Données", b"{}")])
    assert seda.read(good).titles == {"dossier.json": "Données"}
    with pytest.raises(seda.PackageRefused, match="empreinte"):
        seda.read(altered(good, "Content/dossier.json", lambda content: b"[]"))
    with pytest.raises(seda.PackageRefused, match="ZIP"):
        seda.read(b"PK non")
    for name in ("../fuite", "/etc/passwd", "a/../../b", "C:\\x"):
        slip = io.BytesIO()
        with zipfile.ZipFile(slip, "w") as archive:
            archive.writestr(name, b"x")
        with pytest.raises(seda.PackageRefused, match="sortirait"):
            seda.read(slip.getvalue())
    bomb = b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>'
    with pytest.raises(seda.PackageRefused, match="DOCTYPE"):
        seda.read(altered(good, "manifest.xml", lambda content: bomb))
    more = io.BytesIO(good)
    with zipfile.ZipFile(more, "a") as archive:
        archive.writestr("Content/autre.json", b"{}")
    with pytest.raises(seda.PackageRefused, match="non annoncé"):
        seda.read(more.getvalue())


def test_the_standard_s_own_samples():
    folder = SHARED / "exchange" / "seda" / "samples"
    if not folder.exists():
        pytest.skip("shared/data absent : les manifestes d’exemple ne sont pas là")
    assert schema_of_seda().validate(etree.parse(str(folder / "minimal_seda23.manifest.xml")))
    assert schema_of_seda("2.1").validate(etree.parse(str(folder / "ok468.manifest.xml")))
    # "ko468" differs from "ok468" by a title and blanks alone: what refuses it is an archival profile, not the standard's schema.
    assert schema_of_seda("2.1").validate(etree.parse(str(folder / "ko468.manifest.xml")))
    broken = (
        (folder / "minimal_seda23.manifest.xml").read_bytes().replace(b"<ArchivalAgency>", b"<Agence>").replace(b"</ArchivalAgency>", b"</Agence>")
    )
    assert not schema_of_seda().validate(etree.fromstring(broken))


def test_a_deposit_that_says_nothing_new_of_a_person_speaks_of_it_all_the_same(service, closed):
    """The same content under another identifier changes no resource: its bytes name the person, and go with it or stay out of others' packages."""
    both = deposit(range(2), name="encore", end=dt.date(2026, 9, 20))
    assert intake.receive(service, both).status == 200
    other = Person.objects.exclude(pk=closed.pk).get()
    again = Deposit.objects.get(identifier="encore")
    assert not Resource.objects.filter(deposit=again, person=closed).exists(), "nothing new of it"
    made = archives.prepare(party=service, person=other, by="test")
    assert both not in seda.read(archives.package(made, by="ad")).pieces.values(), "another's bytes in this one's package"
    assert intake.original(again) == both
    erasing.erase(person=closed, party=service, by="test", why="demande")
    again.refresh_from_db()
    assert intake.original(again) == b"", "the erased person was still in the bytes of a deposit"


def test_a_shared_original_leaves_byte_for_byte_with_the_last_of_its_persons(service):
    stamping.create_keys()
    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    RetentionRule.objects.create(department="75", months=0, fate="conserver", since=dt.date(2020, 1, 1))
    shared = deposit(range(2), name="deux", end=dt.date(2026, 9, 20))
    intake.receive(service, shared)
    first, second = archives.due(service, timezone.localdate())
    made = archives.prepare(party=service, person=first, by="test")
    pieces = seda.read(archives.package(made, by="ad")).pieces
    assert shared not in pieces.values(), "the archives do not hold the second person yet"
    replies.answer(made, dict.fromkeys(pieces, "OK"), by="ad")
    last = archives.prepare(party=service, person=second, by="test")
    assert shared in seda.read(archives.package(last, by="ad")).pieces.values()


def test_what_came_after_a_transfer_is_not_taken_for_held(service):
    stamping.create_keys()
    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    RetentionRule.objects.create(department="75", months=0, fate="conserver", since=dt.date(2020, 1, 1))
    intake.receive(service, deposit(range(1), name="un", end=dt.date(2026, 9, 20)))
    made = archives.prepare(party=service, person=Person.objects.get(), by="test")
    replies.answer(made, dict.fromkeys(seda.read(archives.package(made, by="ad")).pieces, "OK"), by="ad")
    later = deposit(range(2), name="deux", end=dt.date(2026, 9, 21))
    assert intake.receive(service, later).status == 200
    second = Person.objects.exclude(pk=made.person_id).get()
    last = archives.prepare(party=service, person=second, by="test")
    assert later not in seda.read(archives.package(last, by="ad")).pieces.values()


def test_each_department_says_its_formats_units_and_access(service, closed):
    today = timezone.localdate()
    for wrong in ({"formats": ["docx"]}, {"formats": ["json"]}, {"grain": "feuille"}, {"access": "deux mots"}):
        with pytest.raises(archives.TransferRefused):
            archives.set_rule(department="75", months=0, fate="conserver", since=today, by="test", **wrong)
    archives.set_rule(
        department="75", months=0, fate="trier", since=dt.date(2026, 1, 1), by="test", formats=["json", "pdf"], grain="dossier", access="AR-25"
    )
    made = archives.prepare(party=service, person=closed, by="test")
    raw = archives.package(made, by="ad")
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        manifest = etree.fromstring(archive.read("manifest.xml"))
    if (SHARED / "exchange").exists():
        schema_of_seda().assertValid(manifest)
    read = seda.read(raw)
    assert read.units == {"AU0": ""} and len(read.pieces) == made.units > 3
    assert manifest.findtext(f".//{{{seda.NAMESPACE}}}AccessRule/{{{seda.NAMESPACE}}}Rule") == "AR-25"
    _, refused = messages_of(made, read, "KO", AU0="KO")
    made.refresh_from_db()
    made = replies.hear(made, refused, by="ad")
    assert made.state == "refused" and {unit["answer"] for unit in made.reply["units"]} == {"KO"}, "the only unit is every piece"
    again = archives.prepare(party=service, person=closed, by="test")
    archives.package(again, by="ad")
    again.refresh_from_db()
    again = replies.answer(again, dict.fromkeys(read.pieces, "OK"), by="ad")
    assert again.state == "accepted" and {unit["answer"] for unit in again.reply["units"]} == {"OK"}


def test_archives_that_do_not_take_an_original_s_format_get_nothing(service):
    stamping.create_keys()
    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    archives.set_rule(department="75", months=0, fate="conserver", since=dt.date(2020, 1, 1), by="test", formats=["json", "pdf"])
    who = resident(0)
    cells = [who.ins, "F", who.born.isoformat(), who.family, who.given, "2026-09-01", "2026-09-10", "2", "2026-09-01", "-", "1"]
    raw = (";".join(monthly.COLUMNS) + "\n" + ";".join(cells)).encode()
    intake.receive(service, monthly.to_bundle(raw, SSIAD), original=raw, channel="csv")
    with pytest.raises(archives.TransferRefused, match="ne prennent pas ce format : depot-"):
        archives.prepare(party=service, person=Person.objects.get(), by="test")


def test_the_whole_transfer_over_the_api(service, closed):
    """The establishment's software prepares it and decides of the purge, the archives' answers."""
    archive, client = Party.objects.get(actor="ARCHIVES_DEPARTEMENTALES"), Client()

    def call(path: str, party, body: dict | None = None, **options):
        headers = bearer(party, **options)
        return client.post(f"/api/v1/exchange/transfers{path}", json.dumps(body or {}), content_type="application/json", **headers)

    assert call("", service, {"number": resident(0).ins}, level=1).status_code == 403
    assert call("", service, {"number": "inconnu"}).status_code == 404 and call("", archive, {"number": resident(0).ins}).status_code == 404
    refused = call("", service, {"number": resident(1).ins})
    assert refused.status_code == 422 and "clos" in refused.json()["message"]
    made = call("", service, {"number": resident(0).ins}).json()
    assert made["state"] == "prepared" and call(f"/{made['reference']}/purge", service).status_code == 422, "not before the archives accepted"
    raw = client.get(f"/api/v1/exchange/transfers/{made['reference']}/package", **bearer(archive)).content
    assert call(f"/{made['reference']}/reply", archive, {"units": dict.fromkeys(seda.read(raw).pieces, "OK")}).status_code == 200
    assert call(f"/{made['reference']}/purge", archive).status_code == 404, "the archives decide of nothing"
    assert call(f"/{made['reference']}/purge", service).json()["versions"] > 5
    assert not Resource.objects.filter(person=closed, erased=False).exists() and broken_at() is None
