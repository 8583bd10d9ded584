"""The study of what was received: metadata kept at settlement, registries with their journal, frozen issues, vendors' links."""

import datetime as dt

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from belvedere.engine.b2.envelope import seal
from belvedere.engine.study.errors import StudyError
from belvedere.engine.study.market import Period
from belvedere.engine.study.tiers import MASKED, PUBLIC
from belvedere.observatory.accounts.models import Role
from belvedere.observatory.collect import keyring, queue, reception, worker
from belvedere.observatory.collect.models import Flow
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.members.models import Federation
from belvedere.observatory.services.models import Call
from belvedere.observatory.study import issues, registries
from belvedere.observatory.study.models import FlowMark, Issue, RegistryRow, VendorKey
from tests.flows import a_file, sector
from tests.people import browsing, person

pytestmark = pytest.mark.django_db


def send(groups, provider: int, month: int = 0, **options) -> Flow:
    who = sector().providers[provider]
    group = next(one for one in groups if one.members.filter(finess=who.finess).exists())
    reception.receive(group=group, sealed=seal(a_file(provider, month), keyring.certificate()), channel="api", **options)
    return worker.settle(queue.claim())


def test_metadata_of_a_counted_flow_are_kept_and_no_others(groups):
    flow = send(groups, 0, crypto="001#COFFRE#2.1#A#2")
    mark = FlowMark.objects.get()
    who = sector().providers[0]
    assert (mark.flow, mark.site, mark.invoices, mark.algorithm, mark.crypto) == (flow, f"{who.finess:09d}", flow.invoices, "AES", "COFFRE 2.1")
    assert mark.vendor_text == who.vendor and f"{mark.month:%Y-%m}" == "2025-02"
    send(groups, 1, test=True)
    send(groups, 0)  # the same content again
    assert FlowMark.objects.count() == 1, "tests and doubles are not counted"


@pytest.mark.parametrize("header, told", [("001#COFFRE#2.1#A#2", "COFFRE 2.1"), ("", ""), ("x", ""), ("1#<b>#2;DROP", "b 2DROP"), ("1##3", "3")])
def test_the_encryption_header(header, told):
    assert reception.product(header) == told


def test_registries_are_verified_and_each_change_is_told():
    row = registries.add(table="produits", values={"id": "AG1", "editeur": "ALPHA", "type": "GAP"}, by="t")
    registries.change(row=row, values=row.values | {"nom": "Alpha 2"}, by="t")
    with pytest.raises(StudyError) as raised:
        registries.add(table="fusions", values={"editeur": "A", "devient": "B", "le": "hier"}, by="t")
    assert raised.value.code == "M103"
    with pytest.raises(StudyError):
        registries.add(table="flux", values={}, by="t")
    registries.withdraw(row=row, by="t")
    assert list(Entry.objects.filter(action__startswith="etude.registre").order_by("pk").values_list("action", flat=True)) == [
        f"etude.registre.{name}" for name in ("ajoute", "change", "retire")
    ]
    assert Entry.objects.get(action="etude.registre.change").detail["before"]["nom"] == ""


def test_a_registry_from_a_file_is_all_or_nothing(tmp_path):
    path = tmp_path / "cibles.csv"
    path.write_text("service;finess_geo;du\nCDRI;750000001;2020-01-01\nCDRI;750000002;\n")
    assert registries.replace(table="cibles", path=path, by="t") == 2
    path.write_text("service;finess_geo;du\nCDRI;750000003;2020-01-01\nCDRI;750000004;jamais\n")
    with pytest.raises(StudyError) as raised:
        registries.replace(table="cibles", path=path, by="t")
    assert "ligne 3" in raised.value.where
    assert sorted(row.values["finess_geo"] for row in RegistryRow.objects.all()) == ["750000001", "750000002"]


@pytest.fixture
def received(groups):
    for provider in range(6):
        for month in range(2):
            send(groups, provider, month, crypto="001#COFFRE#2.1#A#2")
    Call.objects.create(
        service="CDRI",
        at=timezone.make_aware(dt.datetime(2025, 3, 4)),
        site=f"{sector().providers[0].finess:09d}",
        software="X",
        regime="01",
        result="00",
        milliseconds=20,
    )
    registries.add(table="evenements", values={"le": "2025-02-03", "titre": "Un éditeur change de nom", "source": "presse"}, by="t")
    return issues.publish(by="t", period=Period(dt.date(2025, 2, 1), dt.date(2025, 3, 1)))


def test_a_frozen_study_of_what_was_received(received):
    told = {one.definition.code: one for one in issues.read(received, PUBLIC)}
    assert {row[0]: row[1] for row in told["T01"].rows} == {"PSAD": 6, "Ensemble": 6}
    assert all(column.name not in ("invoices", "unknown") for one in told.values() for column in one.columns), (
        "providers entrusted their flows: no volume for the public"
    )
    assert {row[1] for row in told["T08m"].rows} == {"AES"} and told["T13"].rows[0][1] == "Un éditeur change de nom"
    vendor = sector().providers[0].vendor
    own = {one.definition.code: one for one in issues.read(received, vendor)}["T03n"]
    row = dict(zip([column.name for column in own.columns], own.rows[0], strict=True))
    clients = sum(one.vendor == vendor for one in sector().providers)
    assert row["sites"] == clients and (clients >= 3 or row["invoices"] == MASKED)
    assert issues.read(received, "PERSONNE") is None


def test_what_the_registry_says_of_an_establishment_stands(groups):
    """A provider that opened during the period is a creation, as the registry says, not the beginning of something unknown."""
    for provider in (0, 1):
        for month in (1, 2) if provider else (0, 1, 2):
            send(groups, provider, month)
    site = f"{sector().providers[1].finess:09d}"
    registries.add(table="etablissements", values={"finess_geo": site, "categorie": "PSAD", "du": "2025-03-01"}, by="t")
    Flow.objects.filter(member__finess=sector().providers[0].finess).first().mark.__class__.objects.filter(
        site=f"{sector().providers[0].finess:09d}", month="2025-02-01"
    ).update(month="2024-03-01")
    made = issues.publish(by="t", period=Period(dt.date(2025, 3, 1), dt.date(2025, 4, 1)))
    told = {one.definition.code: one for one in issues.read(made, PUBLIC)}
    assert [row[:3] for row in told["T01b"].rows] == [("PSAD", "création", 1)]


def test_what_is_frozen_does_not_move(received, groups):
    before = Issue.objects.get().tiers
    send(groups, 0, 2)
    with pytest.raises(issues.IssueRefused, match="déjà figée"):
        issues.publish(by="t", period=Period(received.low, received.high))
    assert Issue.objects.get().tiers == before
    later = issues.publish(by="t")
    assert (later.low, later.high) == (dt.date(2024, 5, 1), dt.date(2025, 4, 1)) and issues.latest() == later


def test_nothing_received_nothing_frozen():
    with pytest.raises(issues.IssueRefused, match="Aucun flux"):
        issues.publish(by="t")
    assert "Aucune étude" in Client().get("/etude/").content.decode()
    assert Client().get("/etude/etude.pdf").status_code == 404


def test_the_page_and_its_files(received):
    page = Client().get("/etude/").content.decode()
    assert "Établissements en télétransmission" in page and "Un éditeur change de nom" in page and received.version in page
    assert Client().get("/etude/etude.pdf").content[:5] == b"%PDF-" and Client().get("/etude/etude.xlsx").content[:2] == b"PK"
    assert Client().get("/etude/etude.exe").status_code == 404


def test_a_vendor_s_link_opens_its_own_rows_until_it_is_closed(received):
    names = sorted(set(received.tiers) - {PUBLIC})
    token = issues.open_key(vendor=names[0], by="t")
    answer = Client().get(f"/etude/editeur/{token}/")
    page = answer.content.decode()
    assert (
        answer["Referrer-Policy"] == "no-referrer"
        and names[0] in page
        and "version de " + names[0] in page.lower().replace(names[0].lower(), names[0])
    )
    assert token not in str(VendorKey.objects.values())
    assert Client().get(f"/etude/editeur/{token}/etude.pdf").status_code == 200
    issues.close_key(VendorKey.objects.get(), by="t")
    assert Client().get(f"/etude/editeur/{token}/").status_code == 404 and Client().get("/etude/editeur/bve_faux/").status_code == 404


def test_the_operator_keeps_registries_and_freezes(received):
    someone = browsing(person(Role.OPERATOR))
    assert "Registres" in someone.get("/exploitation/etude/").content.decode()
    for address in ("produits", "alias", "cibles"):
        assert someone.get(f"/exploitation/etude/{address}/").status_code == 200
    assert someone.get("/exploitation/etude/flux/").status_code == 404
    someone.post("/exploitation/etude/produits/", {"id": "AG1", "editeur": "ALPHA", "type": "GAP"})
    row = RegistryRow.objects.get(table="produits")
    assert someone.post(f"/exploitation/etude/produits/{row.pk}/", {"id": "AG1", "editeur": "", "type": "GAP"}).status_code == 422
    assert someone.post(f"/exploitation/etude/produits/{row.pk}/", {"id": "AG1", "editeur": "BETA", "type": "GAP"}).status_code == 302
    assert RegistryRow.objects.get(pk=row.pk).values["editeur"] == "BETA"
    wrong = someone.post("/exploitation/etude/cibles/", {"file": SimpleUploadedFile("c.csv", b"service\nCDRI\n")})
    assert wrong.status_code == 422 and "M102" in wrong.content.decode()
    assert (
        someone.post(f"/exploitation/etude/produits/{row.pk}/", {"withdraw": "1"}).status_code == 302
        and not RegistryRow.objects.filter(pk=row.pk).exists()
    )
    vendor = next(name for name in received.tiers if name != PUBLIC)
    page = someone.post("/exploitation/etude/liens/", {"vendor": vendor}, follow=True).content.decode()
    assert "/etude/editeur/bve_" in page and "bve_" not in someone.get("/exploitation/etude/").content.decode(), "shown once"
    someone.post("/exploitation/etude/liens/", {"close": VendorKey.objects.get().pk})
    assert VendorKey.objects.get().closed_at
    for address in ("figer", "liens"):
        assert someone.get(f"/exploitation/etude/{address}/").status_code in (404, 405)
    assert "déjà figée" in someone.post("/exploitation/etude/figer/", follow=True).content.decode() or Issue.objects.count() == 2
    member = browsing(person(Role.ANALYST, federation=Federation.objects.first()))
    assert member.get("/exploitation/etude/").status_code == 403
