"""What leaves by the lot: datasets and their contracts, masked counts, archive packages, portable exports."""

import csv
import datetime as dt
import io
import json
import zipfile

import pytest
from django.test import Client
from django.utils import timezone
from lxml import etree

from belvedere.engine.exchange import comparing, contracts, matrix, seda
from belvedere.engine.exchange.items import items, redundancy
from belvedere.engine.exchange.sample import resident
from belvedere.engine.exchange.vocabulary import Statement
from belvedere.observatory import pdfseal, stamping
from belvedere.observatory.exchange import aggregates, archives, datasets, erasing, intake, monthly, policy, portability
from belvedere.observatory.exchange.models import Dataset, Event, Person, Resource, RetentionRule, Stated
from belvedere.observatory.journal.actions import broken_at
from belvedere.observatory.journal.models import Entry
from tests.conftest import SHARED
from tests.exchange import OTHER, SSIAD, bearer, deposit, establishment, finess, institution, say

pytestmark = pytest.mark.django_db
PERIOD = "2026-09"


@pytest.fixture
def service():
    return establishment()


def told(raw: bytes, name: str) -> list[dict[str, str]]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return list(csv.DictReader(io.StringIO(archive.read(name).decode("utf-8-sig")), delimiter=";"))


def test_the_ssiad_dataset_is_what_was_deposited(service):
    consumer = institution("CNSA_SIDOBA")
    intake.receive(service, deposit(range(5)))
    made = datasets.publish(code="ssiad-sidoba", period=PERIOD, by="test")
    assert (made.state, made.rows, made.report["exclusions"]) == ("sound", 5, {})
    rows = told(datasets.content(made, by=consumer.code), "ssiad-sidoba-2026-09.csv")
    assert {row["ins"] for row in rows} == {resident(rank).ins for rank in range(5)}
    assert all(row["gir"] in "123456" and row["trajets"] == "3" and row["finess"] == SSIAD for row in rows)
    traced = told(datasets.content(made, by=consumer.code), "provenance.csv")
    for line in traced:
        for address in line["ressources"].split():
            path, _, number = address.partition("@")
            kind, uid, _, version = path.split("/")
            assert Resource.objects.filter(type=kind, uid=uid, version=version, deposit_id=number).exists(), "every value is traceable"
    assert Entry.objects.filter(action="echange.jeu", subject__startswith="usager:").count() == 10
    assert Event.objects.filter(topic="jeu-publie").count() == 1


def test_rights_close_items_and_rows(service):
    institution("CNAM_RESIDESMS")
    institution("CNSA_SIDOBA")
    home = establishment(finess("75000009"), kind="500")
    intake.receive(service, deposit(range(2)))
    intake.receive(home, deposit(range(2, 4), number=home.finess))
    assert datasets.publish(code="ssiad-sidoba", period=PERIOD, by="test").rows == 2, "home nursing services alone"
    assert datasets.publish(code="resid-esms", period=PERIOD, by="test").rows == 4
    assert datasets.publish(code="resid-esms", period=PERIOD, by="test").version == 2
    with pytest.raises(datasets.DatasetRefused, match="AAAA-MM"):
        datasets.publish(code="resid-esms", period="septembre", by="test")
    with pytest.raises(datasets.DatasetRefused, match="Aucun séjour"):
        datasets.publish(code="resid-esms", period="2020-01", by="test")


def test_a_dataset_s_readings_are_told_for_those_who_were_in_it(service):
    """Whoever comes after the dataset was frozen is not said to have been read."""
    consumer = institution("CNSA_SIDOBA")
    intake.receive(service, deposit(range(2)))
    made = datasets.publish(code="ssiad-sidoba", period=PERIOD, by="test")
    frozen = {f"usager:{person.pk}" for person in Person.objects.all()}
    intake.receive(service, deposit(range(2, 5), name="d2"))
    datasets.content(made, by=consumer.code)
    assert set(Entry.objects.filter(action="echange.jeu", subject__startswith="usager:").values_list("subject", flat=True)) == frozen
    assert "people" not in told_report(datasets.content(made, by=consumer.code))


def told_report(raw: bytes) -> dict:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return json.loads(archive.read("rapport-qualite.json"))


def test_trips_are_those_of_the_month_and_each_category_asks_the_person(service):
    institution("CNSA_SIDOBA")
    intake.receive(service, deposit(range(2)))
    september, october = (datasets.publish(code="ssiad-sidoba", period=period, by="test") for period in (PERIOD, "2026-10"))
    trips = lambda made: {row["trajets"] for row in told(datasets.content(made, by="test"), f"ssiad-sidoba-{made.period}.csv")}  # noqa: E731
    assert (trips(september), trips(october)) == ({"3"}, {"0"})


def test_a_category_that_a_person_closes_leaves_its_items(service, monkeypatch):
    """The contract's row asks for consent on health data alone: the opposition to these takes the GIR away, the stay remains."""
    consumer, asked = institution("CNSA_SIDOBA"), []
    intake.receive(service, deposit(range(2)))
    plain = policy.consent_of

    def asking(person, source, at, rows=None):
        def ask(purpose, category, recipients):
            asked.append(category)
            return plain(person, source, at, rows)(purpose, category, recipients)

        return ask

    rows = matrix.write(matrix.proposed()).splitlines()
    head = rows[0].split(",")
    changed = [line if not line.startswith("R021,") else replaced(line, head, "consent", "NON_OPPOSE") for line in rows]
    made = policy.propose(rows="\n".join(changed), reason="essai", by="personne:1")
    policy.decide(proposal=made, approve=True, by="personne:2")
    person = Person.objects.order_by("pk").first()
    say(person, "opposition", service, category="SANTE")
    monkeypatch.setattr(policy, "consent_of", asking)
    built = datasets.build(contracts.contracts()["ssiad-sidoba"], consumer, PERIOD, timezone.now())
    girs = dict(zip(built.people, (row["gir"] for row in built.rows), strict=True))
    assert girs.pop(person.pk) == "" and all(girs.values()) and "SANTE" in asked


def replaced(line: str, head: list[str], column: str, value: str) -> str:
    held = next(csv.reader([line]))
    held[head.index(column)] = value
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(held)
    return out.getvalue()


def test_a_broken_contract_blocks_and_tells_both_sides(service):
    consumer = institution("CNSA_SIDOBA")
    raw = json.loads(deposit(range(4)))
    for entry in raw["entry"]:
        if entry["resource"]["resourceType"] == "Patient":
            entry["resource"].pop("gender")
            entry["resource"]["identifier"] = entry["resource"]["identifier"][1:]
    intake.receive(service, json.dumps(raw).encode())
    made = datasets.publish(code="ssiad-sidoba", period=PERIOD, by="test")
    assert (made.state, made.rows, bytes(made.content)) == ("broken", 0, b"")
    assert any("INS" in finding["text"] for finding in made.report["findings"])
    assert made.report["league"] == [{"software": "Soins+", "findings": 2}]
    assert set(Event.objects.filter(topic="contrat-rompu").values_list("establishment", flat=True)) == {service.pk, consumer.pk}
    with pytest.raises(datasets.DatasetRefused):
        datasets.content(made, by=consumer.code)


def test_a_sure_drop_of_completeness_breaks_the_contract():
    contract = contracts.contracts()["ssiad-sidoba"]
    row = dict.fromkeys((item.name for item in contract.items), "1") | {"finess": SSIAD}
    before = {"gir": [960, 1000]}
    fallen = [row] * 910 + [row | {"gir": ""}] * 90
    assert [finding.level for finding in contracts.completeness(contract, fallen, before)] == ["broken"]
    assert contracts.completeness(contract, fallen[:19] + fallen[-1:], before) == [], "twenty rows say nothing sure"
    assert contracts.drop_bound((960, 1000), (960, 1000)) < 0 < contracts.drop_bound((960, 1000), (800, 1000))


def test_freshness_volume_and_keys():
    contract = contracts.contracts()["resid-esms"]
    assert contracts.freshness(contract, {"a": 3, "b": 90, "c": 10})[0].establishments == ("b",)
    assert contracts.freshness(contract, {"a": 90, "b": 90, "c": 10})[0].level == "broken"
    rows = [{"finess": "a", "ins": str(rank), "debut": "x"} for rank in range(100)]
    assert contracts.volume(rows, {"a": 100.0}) == [] and contracts.volume(rows, {"a": 200.0})[0].establishments == ("a",)
    assert contracts.volume(rows[:5], {"a": 20.0, "b": 20.0})
    assert contracts.integrity(contract, [*rows, rows[0]], 101, {})[0].level == "broken"
    assert contracts.integrity(contract, rows, 101, {})[0].level == "broken" and contracts.integrity(contract, rows, 101, {"opposition": 1}) == []


def test_compared_with_the_file_received_today(service):
    contract = contracts.contracts()["ssiad-sidoba"]
    ours = [{"finess": "a", "ins": str(rank), "debut": "x", "gir": "2", "sexe": "male"} for rank in range(10)]
    theirs = [row | {"gir": "", "sexe": "female" if row["ins"] == "3" else "male"} for row in ours]
    found = contracts.compare(contract, ours, theirs)
    assert (found["gir"]["status"], found["sexe"]["status"], found["debut"]["status"]) == ("mieux", "moins bien", "equivalent")


def test_counts_are_masked_by_the_observatory_s_engine(service):
    ars = institution("ARS", region="R11")
    places = [service, *(establishment(finess(f"7500001{rank}")) for rank in range(5))]
    for rank, place in enumerate(places):
        intake.receive(place, deposit(range(rank * 12, rank * 12 + 12), number=place.finess, agreed={rank * 12: False}))
    made = aggregates.propose(consumer=ars, by="test")
    found = {(cell.territory, cell.gir, cell.sex): cell.persons for cell in aggregates.cells(made)}
    assert found["*", "*", "*"] == 66, "72 persons less six who oppose"
    assert any(value is None for value in found.values()) and all(value is None or value == 0 or value >= 11 for value in found.values())
    for sex in ("*", "F", "M"):
        told_ = [found["*", gir, sex] for gir in ("1", "2", "3", "4", "5", "6", "ND")]
        assert sum(value is None for value in told_) != 1 or found["*", "*", sex] is None, "a single masked cell would be had by subtraction"
    with pytest.raises(aggregates.AggregateRefused, match="déjà figés"):
        aggregates.propose(consumer=ars, by="test")
    Dataset.objects.filter(pk=made.pk).update(period="2026-01")  # a month later
    again = aggregates.propose(consumer=ars, by="test")
    before = {key for key, value in found.items() if value is None}
    assert before <= {(cell.territory, cell.gir, cell.sex) for cell in aggregates.cells(again) if cell.persons is None}, "what was masked stays so"
    with pytest.raises(aggregates.AggregateRefused):
        aggregates.propose(consumer=institution("DNS_MATURIN"), by="test")


def test_two_persons_let_counts_out(service):
    """What one produced another lets out; before, the institution reads nothing of it."""
    ars = institution("ARS", region="R11")
    intake.receive(service, deposit(range(14)))
    made = aggregates.propose(consumer=ars, by="personne:1")
    path = f"/api/v1/exchange/datasets/{made.code}/{made.period}/{made.version}"
    assert Client().get(path, **bearer(ars)).status_code == 404 and Client().get("/api/v1/exchange/datasets", **bearer(ars)).json() == []
    with pytest.raises(aggregates.AggregateRefused, match="autre personne"):
        aggregates.decide(dataset=made, approve=True, by="personne:1")
    aggregates.decide(dataset=made, approve=True, by="personne:2")
    assert Client().get(path, **bearer(ars)).status_code == 200 and Event.objects.filter(topic="jeu-publie", establishment=ars).count() == 1
    with pytest.raises(aggregates.AggregateRefused, match="déjà décidés"):
        aggregates.decide(dataset=made, approve=False, by="personne:3")
    Dataset.objects.filter(pk=made.pk).update(period="2026-01")
    declined = aggregates.decide(dataset=aggregates.propose(consumer=ars, by="personne:1"), approve=False, by="personne:2")
    assert declined.state == "declined" and aggregates.propose(consumer=ars, by="personne:1").version == 3, "a declined month may be produced again"
    assert len(Client().get("/api/v1/exchange/datasets", **bearer(ars)).json()) == 1


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
        archives.answer(made, {"dossier.json": "OK"}, by="test")
    archives.answer(made, dict.fromkeys(read.pieces, "OK"), by=made.archives.code)
    made.refresh_from_db()
    assert archives.purge(made, by="test") > 5
    assert not Resource.objects.filter(person=closed, erased=False).exists() and Resource.objects.filter(erased=False).exists()
    assert bytes(closed.resources.first().content) == b"" and broken_at() is None, "the journal's chain outlives the contents"
    assert Event.objects.filter(topic="donnee-effacee").count() == Resource.objects.filter(person=closed, current=True).count()


def test_nothing_that_came_after_the_transfer_is_purged_with_it(service, closed):
    made = archives.prepare(party=service, person=closed, by="test")
    pieces = seda.read(archives.package(made, by="ad")).pieces
    archives.answer(made, dict.fromkeys(pieces, "OK"), by="ad")
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
    assert len(json.loads(pieces["rendu.pdf"] and pieces["dossier.json"])["entry"]) == 5


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
    made = archives.answer(made, units, by="ad")
    assert made.state == "refused"
    with pytest.raises(archives.TransferRefused):
        archives.purge(made, by="test")
    assert archives.due(service, timezone.localdate()) == [closed], "it may be prepared again"


def altered(raw: bytes, name: str, change) -> bytes:
    held = seda.members(raw)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for key, content in held.items():
            archive.writestr(key, change(content) if key == name else content)
    return out.getvalue()


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


def test_an_export_taken_back_elsewhere_is_the_same_set(service):
    intake.receive(service, deposit(range(4), agreed={0: True}))
    made = portability.ask(party=service, kind="massif", persons=[], by="test")
    assert (made.state, made.due_at - made.asked_at) == ("acknowledged", dt.timedelta(days=30))
    portability.run_due()
    made.refresh_from_db()
    raw = portability.package(made)
    assert made.report["counts"]["Patient"] == 4 and made.kept_until - timezone.now() > dt.timedelta(days=89)
    # The establishment changes software: an empty platform is played by taking everything away.
    Event.objects.all().delete()
    Resource.objects.all().delete()
    for lot in portability.lots(raw):
        answer = intake.receive(service, lot, software="Autre DUI")
        assert answer.status == 200, answer.body
    again = portability.ask(party=service, kind="massif", persons=[], by="test")
    portability.run_due()
    again.refresh_from_db()
    assert again.report["set"] == made.report["set"] and again.report["counts"] == made.report["counts"]
    assert Resource.objects.filter(current=True).count() == sum(made.report["counts"].values())


def test_one_person_s_export_is_made_at_once_and_holds_it_alone(service):
    intake.receive(service, deposit(range(3)))
    patient = Resource.objects.filter(type="Patient").first()
    made = portability.ask(party=service, kind="unitaire", persons=[patient.uid], by="test")
    assert made.state == "done" and made.report["persons"] == 1 and made.report["counts"]["Patient"] == 1
    raw = portability.package(made)
    with pytest.raises(seda.PackageRefused, match="empreinte"):
        portability.lots(altered(raw, "export/Patient.ndjson", lambda content: content.replace(b"male", b"femal")))
    other = establishment(OTHER)
    with pytest.raises(portability.ExportRefused):
        portability.ask(party=other, kind="unitaire", persons=[patient.uid], by="test")
    for kind, persons in (("unitaire", []), ("cible", []), ("massif", ["x"])):
        with pytest.raises(portability.ExportRefused):
            portability.ask(party=service, kind=kind, persons=persons, by="test")


def test_an_export_holds_no_other_person_and_what_was_said_by_telephone(service):
    """Statements written otherwise than by a deposit leave as Consents, so that the next software knows them."""
    intake.receive(service, deposit(range(2)))
    patient = Resource.objects.filter(type="Patient").order_by("pk").first()
    say(patient.person, "opposition", service, purpose="STATISTIQUE")
    made = portability.ask(party=service, kind="unitaire", persons=[patient.uid], by="test")
    raw = portability.package(made)
    assert made.report["counts"]["Consent"] == 1
    others = Resource.objects.exclude(person=patient.person).exclude(person=None).values_list("uid", flat=True)
    held = b"".join(seda.members(raw).values()).decode(errors="replace")
    assert not any(uid in held for uid in others)
    for rows in (Event, Resource, Stated):
        rows.objects.all().delete()
    for lot in portability.lots(raw):
        assert intake.receive(service, lot).status == 200
    said = Stated.objects.get()
    assert (said.kind, said.purpose) == ("opposition", "STATISTIQUE")


def test_erasing_voids_the_exports_that_hold_the_person(service):
    intake.receive(service, deposit(range(2)))
    patient = Resource.objects.filter(type="Patient").first()
    made = portability.ask(party=service, kind="unitaire", persons=[patient.uid], by="test")
    erasing.erase(person=patient.person, party=service, by="test", why="demande")
    made.refresh_from_db()
    assert bytes(made.package or b"") == b""
    with pytest.raises(portability.ExportRefused):
        portability.package(made)
    told_ = set(Event.objects.filter(topic="donnee-effacee").values_list("person", flat=True))
    assert told_ == {patient.person_id}


def test_the_fingerprint_sees_a_changed_value_and_not_new_names(service):
    intake.receive(service, deposit(range(2)))
    contents = [intake.content_of(row) for row in Resource.objects.all()]
    renamed = json.loads(json.dumps(contents).replace(contents[0]["id"], "autre"))
    assert comparing.fingerprint(contents) == comparing.fingerprint(renamed[::-1])
    changed = json.loads(json.dumps(contents).replace("MED-34", "MED-35").replace('"male"', '"other"').replace('"female"', '"other"'))
    assert comparing.fingerprint(contents) != comparing.fingerprint(changed)


def test_the_catalogue_says_what_is_asked_several_times():
    told_ = redundancy(items())
    assert told_.items == len(items()) >= 30 and told_.repeated > 20 and 0.5 < told_.saved < 0.8
    assert sum(item.entries for item in items()) == told_.entries


def test_statements_before_anything_else_of_the_same_deposit(service):
    drees = institution("DREES")
    intake.receive(service, deposit(range(2), agreed={0: False}))
    person = Resource.objects.filter(type="Consent").get().person
    assert person and policy.said(person.statements.all())[0].kind == Statement.OPPOSITION
    assert Event.objects.order_by("pk").first().topic == "consentement-modifie"
    assert drees.code.startswith("acteur-") and Dataset.objects.count() == 0
