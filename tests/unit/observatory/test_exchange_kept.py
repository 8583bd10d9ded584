"""What is kept for good and what each trace says: words of persons, rights of what left, refusals, establishments as they were, one's own data."""

import datetime as dt
import json
import re

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from belvedere.engine.exchange import bag, matrix, pathos, plainly, seda
from belvedere.engine.exchange.sample import resident
from belvedere.observatory.exchange import archives, datasets, establishments, intake, keys, parties, portability, referentials, replies, telling
from belvedere.observatory.exchange.models import (
    KEPT_FOR_GOOD,
    Alias,
    Concept,
    Deposit,
    Establishment,
    Party,
    Person,
    Resource,
    RetentionRule,
    Stated,
)
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.notices.models import Notice
from tests.exchange import OTHER, SSIAD, bearer, deposit, establishment, institution, rules_of, say

pytestmark = pytest.mark.django_db
HEAD = "finess_ej,denomination_ej,siren,statut_juridique,finess_et,nom_et,categorie_ege,date_ouverture,date_fermeture,cog_commune"


@pytest.fixture
def service():
    return establishment()


def refused_by_the_database(act) -> None:
    with pytest.raises(DatabaseError, match="une volonté ne se change pas"), transaction.atomic():
        act()


def test_the_database_itself_keeps_what_persons_said(service):
    intake.receive(service, deposit(range(2), agreed={0: False}))
    said = Stated.objects.get()
    for change in ({"kind": "accord"}, {"recipient": "ARS"}, {"at": timezone.now()}, {"collected_by": "acteur-9"}, {"said_by": "representant"}):
        refused_by_the_database(lambda change=change: Stated.objects.filter(pk=said.pk).update(**change))
    refused_by_the_database(lambda: Stated.objects.filter(pk=said.pk).delete())
    if connection.vendor == "sqlite":
        columns = [field.column for field in Stated._meta.fields]
        row = [getattr(said, field.attname) for field in Stated._meta.fields]
        sql = f"INSERT OR REPLACE INTO exchange_stated ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"
        refused_by_the_database(lambda: connection.cursor().execute(sql, row))
    else:
        connection.cursor().execute("SET CONSTRAINTS ALL IMMEDIATE")  # what is pending would refuse before the guard
        refused_by_the_database(lambda: connection.cursor().execute("TRUNCATE exchange_stated CASCADE"))
    other = Person.objects.exclude(pk=said.person_id).get()
    refused_by_the_database(lambda: Stated.objects.filter(pk=said.pk).update(person=other))
    Alias.objects.create(token=said.person.token, person=other)
    Stated.objects.filter(pk=said.pk).update(person=other)  # a person recognised as another takes its words along, to that one alone
    guarded = set(re.findall(r"NEW\.(\w+)", KEPT_FOR_GOOD["exchange_stated"].allowed))
    assert guarded == {field.column for field in Stated._meta.fields}, "a new column is guarded too"


def test_who_speaks_for_a_protected_adult_is_kept(service):
    content = json.loads(deposit(range(2), agreed={0: True, 1: False}))
    relative = {"resourceType": "RelatedPerson", "id": "tutrice", "patient": {"reference": "Patient/usager-1"}, "name": [{"family": "Roy"}]}
    content["entry"].append(
        {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001", "resource": relative, "request": {"method": "POST", "url": "RelatedPerson"}}
    )
    consents = [entry["resource"] for entry in content["entry"] if entry["resource"]["resourceType"] == "Consent"]
    consents[1]["performer"] = [{"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"}]
    assert intake.receive(service, json.dumps(content).encode()).status == 200
    assert list(Stated.objects.order_by("pk").values_list("kind", "said_by")) == [("accord", "personne"), ("opposition", "representant")]
    exported = list(portability.contents(portability.package(portability.run(portability.ask(party=service, kind="massif", persons=[], by="x")))))
    assert sum(row["resourceType"] == "Consent" for row in exported) == 2
    patient = Resource.objects.filter(type="Patient", current=True).first()
    told = {**consents[0], "patient": {"reference": f"Patient/{patient.uid}"}, "performer": [{"type": "RelatedPerson", "display": "sa fille"}]}
    made = Client().post("/fhir/Consent", json.dumps(told), content_type="application/fhir+json", **bearer(service))
    assert made.status_code == 201 and Stated.objects.last().said_by == "representant"
    read = Client().get(f"/fhir/Consent/{made.json()['id']}", **bearer(service)).json()
    assert read["performer"] == [{"type": "RelatedPerson", "display": "son représentant"}]


@pytest.mark.django_db(transaction=True)
def test_whatever_left_says_by_which_rules_of_which_matrix(service, data_folder, monkeypatch):
    from belvedere.observatory.exchange import subscribing

    sidoba = institution("CNSA_SIDOBA")
    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    RetentionRule.objects.create(department="75", months=0, fate="conserver", since=dt.date(2020, 1, 1))
    subscribing.subscribe(party=sidoba, topic="sejour-clos", purpose="FINANCEMENT", endpoint="https://93.184.216.34/r", filters={}, level=2)
    monkeypatch.setattr(telling, "post", lambda *given: (200, {}))
    telling.deliver()
    intake.receive(service, deposit(range(1), name="clos", end=dt.date(2026, 9, 20)))
    telling.deliver()
    datasets.content(datasets.publish(code="ssiad-sidoba", period="2026-09", by="test"), by=sidoba.code)
    transfer = archives.prepare(party=service, person=archives.due(service, timezone.localdate())[0], by="test")
    archives.package(transfer, by="test")
    portability.run(portability.ask(party=service, kind="massif", persons=[], by="x"))
    rows = {row.rule for row in matrix.proposed().rows}
    for action in ("echange.notification", "echange.jeu", "echange.versement", "echange.export"):
        told = Entry.objects.filter(action=action, subject__startswith="usager:").get().detail
        assert told["rules"] and set(told["rules"]) <= rows, action
        assert told["matrix"] == matrix.proposed().version and told["grain"] == "NOMINATIF" and told["purpose"], action


def test_refusals_of_somebody_known_are_kept(service):
    ars, weak = institution("ARS", region="R11"), bearer(service, level=1)
    answers = [
        Client().post("/fhir", deposit(range(1)), content_type="application/fhir+json", **bearer(ars)),
        Client().post("/fhir", deposit(range(1)), content_type="application/fhir+json", **weak),
        Client().post("/fhir", b"{}", content_type="application/fhir+json", CONTENT_LENGTH=str(11 * 1024 * 1024), **bearer(service)),
        Client().get("/fhir/Patient", **bearer(ars), HTTP_X_GRAIN="AGREGE", HTTP_X_FINALITE="PILOTAGE"),
        Client().post("/api/v1/exchange/deposits", b"x", content_type="text/csv", **weak),
        Client().post("/api/v1/exchange/deposits", b"x", content_type="text/csv", CONTENT_LENGTH=str(11 * 1024 * 1024), **bearer(service)),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 413, 403, 403, 413]
    kept = Entry.objects.filter(action="echange.acces.refuse").order_by("pk")
    assert [(row.actor, row.detail["status"]) for row in kept] == [
        (ars.code, 403), (service.code, 403), (service.code, 413), (ars.code, 403), (service.code, 403), (service.code, 413)
    ]  # fmt: skip
    Client().get("/fhir/Patient", **bearer(ars))  # told by the reading itself, once
    assert kept.count() == 6 and Entry.objects.filter(action="echange.lecture.refusee").count() == 1


def picture(tmp_path, month: str, *rows: tuple[str, ...]):
    path = tmp_path / f"finess_ege_{month}.csv"
    path.write_text(
        "\n".join(
            [
                HEAD,
                *(
                    ",".join((entity, "X", "1", "60", number, name, kind, opened, closed, commune))
                    for entity, number, name, kind, opened, closed, commune in rows
                ),
            ]
        )
    )
    return path


def test_an_establishment_is_what_finess_said_that_day(tmp_path, service):
    may = picture(tmp_path, "202605", (OTHER, SSIAD, "SSIAD DU PARC", "354", "2001-02-03", "", "75112"), ("x", "123", "faux", "354", "", "", "75112"))
    july = picture(tmp_path, "202607", (SSIAD, SSIAD, "SSIAD DU PARC", "354", "2001-02-03", "2026-09-10", "69123"))
    assert referentials.load(may, by="test").rows == 1
    service.refresh_from_db()
    assert (service.entity, service.opened_on, service.name) == (OTHER, dt.date(2001, 2, 3), f"Établissement {SSIAD}")
    for path in (july, may, july):  # an older picture after a newer one changes nothing that is in force
        referentials.load(path, by="test")
    service.refresh_from_db()
    assert (service.entity, service.department, service.closed_on) == (SSIAD, "69", dt.date(2026, 9, 10))
    assert list(Establishment.objects.order_by("since").values_list("since", "department")) == [
        (dt.date(2026, 5, 1), "75"),
        (dt.date(2026, 7, 1), "69"),
    ]
    assert establishments.at(SSIAD, dt.date(2020, 1, 1)).department == "75", "before the first picture, as the first one said"
    moved = [row.detail for row in Entry.objects.filter(action="echange.acteur.finess").order_by("pk")]
    assert [set(row) & {"department", "entity", "opened_on", "closed_on"} for row in moved] == [
        {"entity", "opened_on"},
        {"department", "entity", "closed_on"},
    ]
    assert moved[1]["department"] == "75 → 69"
    assert intake.receive(service, deposit(range(1))).status == 200, "before it closed"
    later = json.loads(deposit(range(1), name="apres"))
    for entry in later["entry"]:
        if entry["resource"].get("period"):
            entry["resource"]["period"] = {name: value.replace("2026-09-0", "2026-09-1") for name, value in entry["resource"]["period"].items()}
    assert "tddui-organization-03" in rules_of(intake.receive(service, json.dumps(later).encode())), "closed since the 10th"
    told = Client().get(f"/api/v1/exchange/establishments/{SSIAD}?date=2026-06-01", **bearer(service)).json()
    assert (told["department"], told["since"], told["source"]) == ("75", "2026-05-01", "finess_ege_202605.csv")
    assert Client().get("/api/v1/exchange/establishments/999999999", **bearer(service)).status_code == 404


def test_a_new_establishment_waits_to_be_admitted(tmp_path):
    referentials.load(picture(tmp_path, "202605", (OTHER, OTHER, "EHPAD DES LILAS", "500", "1990-01-01", "", "69001")), by="test")
    assert Party.objects.filter(finess=OTHER, admitted=False, kind="500", region="R84").exists()


def test_pathos_is_taken_as_it_is_declared(service):
    def grid(code: str = "T2", link: str = "etat-7", system: str = pathos.SYSTEM) -> bytes:
        content = json.loads(deposit(range(1), name=f"{code}{link}{system[-3:]}"))
        found = next(entry["resource"] for entry in content["entry"] if "situation" in str(entry["resource"].get("questionnaire")))
        found["questionnaire"] = pathos.QUESTIONNAIRE
        found["item"] = [{"linkId": link, "answer": [{"valueCoding": {"system": system, "code": code}}]}]
        return json.dumps(content).encode()

    assert rules_of(intake.receive(service, grid("Z9"))) == {"tddui-questionnaire-11"}
    assert rules_of(intake.receive(service, grid("T2", "etat-51"))) == {"tddui-questionnaire-09"}
    assert rules_of(intake.receive(service, grid("T2", system="urn:autre"))) == {"tddui-questionnaire-11"}
    assert intake.receive(service, grid()).status == 200
    assert Resource.objects.get(facts__questionnaire="pathos").facts["pathos"] == {"7": "T2"}
    assert Concept.objects.filter(valueset=pathos.VALUESET).count() == 12
    told = Client().get(f"/fhir/CodeSystem/$lookup?system={pathos.SYSTEM}&code=M2").json()
    assert {"name": "display", "valueString": "Soins palliatifs"} in told["parameter"]


def test_a_person_reads_its_own_data_of_whoever_gave_the_link(service):
    other = establishment(OTHER)
    intake.receive(service, deposit(range(2), agreed={0: False}))
    intake.receive(other, deposit(range(1), number=OTHER))
    person = Resource.objects.get(type="Patient", establishment=other).person
    address = f"/echanges/mes-acces/{keys.give_link(person=person, party=service)}/donnees/"
    page = Client().get(address)
    text = page.content.decode()
    assert page.status_code == 200 and page["Cache-Control"] == "no-store"
    family = resident(0).family.upper()
    assert family in text and "à domicile" in text and "depuis le 1er septembre 2026" in text and "séjour" in text and "Encounter/" not in text, (
        "an opposition closes nothing to oneself"
    )
    assert "évaluation" not in text.lower() and "santé" in text, "health asks for more than a link, and the page says so"
    held = Client().get(address + "?format=json").json()
    places = {row["id"] for row in (entry["resource"] for entry in held["entry"])}
    assert places <= set(Resource.objects.filter(person=person, establishment=service).values_list("uid", flat=True)), (
        "nothing that another deposited"
    )
    assert not any(entry["resource"]["resourceType"] == "QuestionnaireResponse" for entry in held["entry"])
    told = Entry.objects.filter(action="echange.acces.personne").first()
    assert told.subject == f"usager:{person.pk}" and told.detail["rules"] == ["R013", "R015", "R017"] and told.detail["given_by"] == service.code
    assert Client().get("/echanges/mes-acces/inconnu/donnees/").status_code == 404
    said = Client().get(address.removesuffix("donnees/")).content.decode()
    assert "<b>opposition</b>, pour tous" in said and address in said


def test_words_of_a_statement_are_told_in_french(service):
    intake.receive(service, deposit(range(1)))
    person = Person.objects.get()
    say(person, "accord", service, recipient="CNSA_SIDOBA", purpose="FINANCEMENT", category="SANTE")
    text = Client().get(f"/echanges/mes-acces/{keys.give_link(person=person, party=service)}/").content.decode()
    assert "finalité financement, données santé, pour CNSA, SIDOBA" in text


def test_a_broken_contract_is_written_to_both_sides(service):
    sidoba = institution("CNSA_SIDOBA")
    content = json.loads(deposit(range(3)))
    for entry in content["entry"]:
        if entry["resource"]["resourceType"] == "Patient":
            entry["resource"].pop("birthDate")  # required by the contract
    assert intake.receive(service, json.dumps(content).encode()).status == 200
    made = datasets.publish(code="ssiad-sidoba", period="2026-09", by="test")
    assert made.state == "broken"
    notes = {note.to: note for note in Notice.objects.filter(kind="exchange_contract")}
    assert set(notes) == {service.contact, sidoba.contact}
    assert any("Année de naissance" in text for text in notes[service.contact].details["findings"])
    [(row, title, month, texts)] = datasets.noticed(service)
    assert row == made and any("Année de naissance" in text for text in texts) and title and month == "septembre 2026"
    assert datasets.noticed(establishment(OTHER)) == []


def test_archives_without_a_system_get_a_bag(service, data_folder, tmp_path):
    import bagit

    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    archives.set_rule(department="75", months=0, fate="trier", since=dt.date(2020, 1, 1), by="test", container="bagit")
    intake.receive(service, deposit(range(1), name="clos", end=dt.date(2026, 9, 20)))
    made = archives.prepare(party=service, person=archives.due(service, timezone.localdate())[0], by="test")
    raw = archives.package(made, by="test")
    for name, content in seda.members(raw).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    held = bagit.Bag(str(tmp_path / made.reference))
    assert held.is_valid() and held.info["External-Identifier"] == made.reference, "the library of the Library of Congress agrees"
    read = bag.read(raw)
    assert {"dossier.json", "rendu.pdf", "preuve.json"} <= set(read.pieces) and read.finess == SSIAD and read.archives == "AD-75"
    assert any(content == intake.original(Deposit.objects.get()) for content in read.pieces.values()), "byte for byte"
    done = replies.answer(made, dict.fromkeys(read.pieces, "OK"), by="test")
    assert done.state == "accepted"
    with pytest.raises(archives.TransferRefused, match="Un paquet"):
        archives.set_rule(department="75", months=0, fate="trier", since=dt.date(2020, 1, 1), by="test", container="tar")


@pytest.mark.parametrize(("change", "why"), [
    (lambda held: held | {"V/data/rendu.pdf": b"autre"}, "data/rendu.pdf : l’empreinte diffère"), (lambda held: held | {"V/data/plus": b"x"}, "data/plus : présent et non annoncé"),
    (lambda held: {name: value for name, value in held.items() if name != "V/data/rendu.pdf"}, "data/rendu.pdf : annoncé et absent"),
    (lambda held: held | {"V/bag-info.txt": b"External-Identifier: autre\n"}, "bag-info.txt : l’empreinte diffère"),
    (lambda held: {name: value for name, value in held.items() if "manifest-sha512" not in name}, "manifest-sha512.txt manque"),
    (lambda held: held | {"ailleurs": b"x"}, "hors du dossier"), (lambda held: held | {"V/manifest-sha512.txt": b"x y\n"}, "une ligne n’est pas une empreinte"),
])  # fmt: skip
def test_a_bag_that_was_touched_is_refused(change, why):
    import io
    import zipfile

    header = seda.Header("V", timezone.now(), SSIAD, "AD-75", "Dossier", dt.date(2026, 1, 1), dt.date(2026, 2, 1), "conserver")
    held = change(seda.members(bag.package(header, [seda.Piece("dossier.json", "Données", b"{}"), seda.Piece("rendu.pdf", "Rendu", b"%PDF")])))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in held.items():
            archive.writestr(name, content)
    with pytest.raises(seda.PackageRefused, match=re.escape(why)):
        bag.read(out.getvalue())


def test_a_service_s_month_is_one_file(service):
    lines = ["ins;sexe;naissance;nom;prenom;debut;fin;gir;evaluation;situations;trajets"]
    for rank in range(120):
        one = resident(rank)
        lines.append(f"{one.ins};{'F' if one.sex == 'female' else 'M'};{one.born};{one.family};{one.given};2026-09-01;;4;2026-09-02;-;20")
    made = Client().post("/api/v1/exchange/deposits", "\n".join(lines).encode(), content_type="text/csv", **bearer(service))
    assert made.status_code == 202 and sum(made.json()["counts"].values()) == 1 + 120 * 24
    same = json.loads(deposit(range(1), name="trop"))
    same["entry"] += same["entry"][:1] * 2_000
    assert rules_of(intake.receive(service, json.dumps(same).encode())) == {"tddui-bundle-02"}, "a transaction of the guide keeps its bound"


def test_nothing_is_left_out_of_what_is_said_plainly():
    resource = {
        "resourceType": "Observation", "id": "x", "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}, "inconnu": {"dedans": [1, 2.5]},
        "effectiveDateTime": "2026-02", "valueQuantity": {"value": 72, "unit": "/min"}, "subject": {"reference": "Patient/p"}, "note": [{"text": "calme"}],
    }  # fmt: skip
    assert plainly.lines(resource, lambda system, code: "Fréquence cardiaque" if code == "8867-4" else "") == [
        ("État", "définitif"), ("Objet", "Fréquence cardiaque (8867-4)"), ("inconnu, dedans", "1"), ("inconnu, dedans", "2,5"), ("Constaté le", "février 2026"), ("Valeur", "72 /min"),
        ("Usager", "Patient/p"), ("Remarque", "calme"),
    ]  # fmt: skip


SVS = """<?xml version="1.0" encoding="UTF-8"?><RetrieveValueSetResponse xmlns="urn:ihe:iti:svs:2008"><ValueSet id="1.2.3" displayName="JDV_Essai_CISIS" version="1">
<ConceptList><Concept code="A1" displayName="Ancien" codeSystem="1.2.250.1.213.1.1.4.322" dateValid="20200101000000" dateFin="20260601000000"/>
<Concept code="A2" displayName="Nouveau" codeSystem="1.2.250.1.213.1.1.4.322" dateValid="20260601000000" dateFin=""/></ConceptList></ValueSet></RetrieveValueSetResponse>"""


def test_a_value_set_is_read_as_the_agency_publishes_it(tmp_path):
    path = tmp_path / "JDV_Essai_CISIS.xml"
    path.write_text(SVS)
    assert [referentials.load(path, by="test").rows for _ in range(2)] == [2, 2] and Concept.objects.filter(valueset="JDV_Essai_CISIS").count() == 2
    told = Client().get("/fhir/ValueSet/$expand?url=JDV_Essai_CISIS&date=2026-05-31").json()
    assert [one["code"] for one in told["expansion"]["contains"]] == ["A1"]
    for text, why in (("<x/>", "aucun jeu de valeurs"), ("pas du XML", "XML illisible"), (SVS.replace('code="A1"', 'code=""'), "n’a pas de code"),
                      (SVS.replace("20200101", "20209901"), "month"), ("<!DOCTYPE a [<!ENTITY e 'x'>]>" + SVS.partition("?>")[2], "DOCTYPE")):  # fmt: skip
        path.write_text(text)
        with pytest.raises(referentials.ImportRefused, match=why):
            referentials.load(path, by="test")


@given(
    st.permutations([(2, "75", "354"), (4, "75", "354"), (6, "69", "500"), (7, "69", "354"), (9, "75", "354"), (11, "69", "354")]),
    st.lists(st.integers(0, 5), max_size=3),
)
@settings(max_examples=25, deadline=None)
def test_pictures_may_be_taken_in_any_order(order, again):
    """Whatever the order, and however often, each day is told by the last picture before it, and actors are what the newest one says."""
    with transaction.atomic():
        establishment()
        for month, department, kind in [*order, *(order[rank] for rank in again)]:
            row = dict.fromkeys(establishments.COLUMNS, "") | {
                "finess_et": SSIAD,
                "finess_ej": SSIAD,
                "nom_et": "X",
                "categorie_ege": kind,
                "cog_commune": department + "123",
            }
            establishments.load([row], "essai", dt.date(2026, month, 1), by="test")
        for month, department, kind in order:
            for day in (dt.date(2026, month, 1), dt.date(2026, month, 28)):
                told = establishments.at(SSIAD, day)
                assert (told.department, told.kind) == (department, kind), (order, again, month)
        party = Party.objects.get(finess=SSIAD)
        assert (party.department, party.kind) == ("69", "354")
        transaction.set_rollback(True)


@pytest.mark.parametrize(("name", "told"), [
    ("etalab-cs1100507-stock-20260315-0338.csv", dt.date(2026, 3, 15)), ("finess_2026-03-15.csv", dt.date(2026, 3, 15)), ("finess_ege_202607_echantillon.csv", dt.date(2026, 7, 1)),
])  # fmt: skip
def test_the_day_of_an_extraction_is_in_its_name(name, told):
    assert establishments.day_of(name) == told


def test_an_extraction_of_no_day_or_to_come_or_cut_short_is_refused(tmp_path):
    path = picture(tmp_path, "sans-date", (OTHER, OTHER, "X", "500", "", "", "69001"))
    for day, why in ((None, "ne dit pas le jour"), (timezone.localdate() + dt.timedelta(days=1), "n’existe pas encore")):
        with pytest.raises(referentials.ImportRefused, match=why):
            referentials.load(path, by="test", day=day)
    path.write_text(HEAD + f"\n{OTHER},X\n")
    with pytest.raises(referentials.ImportRefused, match="ligne 2"):
        referentials.load(path, by="test", day=dt.date(2026, 5, 1))


def test_admission_says_nothing_against_finess(tmp_path):
    referentials.load(picture(tmp_path, "202605", (OTHER, OTHER, "EHPAD", "500", "", "", "97411")), by="test")
    with pytest.raises(parties.PartyRefused, match="FINESS dit autre chose"):
        parties.admit(actor="ESMS_PRODUCTEUR", name="X", finess=OTHER, department="69", by="test")
    made, _ = parties.admit(actor="ESMS_PRODUCTEUR", name="X", finess=OTHER, by="test")
    assert (made.department, made.region, made.kind, made.entity) == ("974", "R04", "500", OTHER)


def test_the_dry_run_meets_the_rules_of_a_deposit(service):
    """What can only be seen while a deposit is made ready is seen by the dry run too, and nothing stays of it."""
    twin = json.loads(deposit(range(1), name="deux"))
    grid = next(entry for entry in twin["entry"] if entry["resource"]["resourceType"] == "QuestionnaireResponse")
    other = json.loads(json.dumps(grid))
    other["resource"]["id"], other["fullUrl"], other["resource"]["authored"] = "autre", "QuestionnaireResponse/autre", "2026-09-17"
    twin["entry"].append(other)
    raw = json.dumps(twin).encode()
    assert rules_of(intake.validate(service, raw)) == rules_of(intake.receive(service, raw)) == {"tddui-resource-05"}
    assert intake.receive(service, deposit(range(1))).status == 200
    clash = intake.validate(service, deposit(range(2)))
    assert clash.body["issue"][0]["code"] == "conflict" and intake.receive(service, deposit(range(2))).status == 409
    assert not Resource.objects.filter(person__in=Person.objects.exclude(resources__deposit__identifier="depot-1")).exists()
    before = (Person.objects.count(), Resource.objects.count(), Entry.objects.count())
    assert "serait accepté" in json.dumps(intake.validate(service, deposit(range(5, 9), name="essai")).body, ensure_ascii=False)
    assert (Person.objects.count(), Resource.objects.count(), Entry.objects.count()) == before


def test_resources_given_one_a_line_are_a_deposit(service):
    rows = [entry["resource"] for entry in json.loads(deposit(range(1)))["entry"]]
    raw = "\n".join(json.dumps(row) for row in rows).encode()
    made = Client().post("/api/v1/exchange/deposits", raw, content_type="application/x-ndjson", **bearer(service))
    assert made.status_code == 202 and made.json()["state"] == "accepted" and sum(made.json()["counts"].values()) == len(rows)


def test_health_that_hides_in_other_elements_is_not_told():
    """What an attacker planted below elements of another category, in labels, in words beside references, in the versions' own labels."""
    from belvedere.engine.exchange.profiles import categories, filtered, profiles
    from belvedere.engine.exchange.vocabulary import Category

    plan = {
        "resourceType": "CarePlan", "id": "p", "meta": {"versionId": "1", "security": [{"code": "HIV"}], "tag": [{"display": "SECRET"}], "source": "urn:SECRET"}, "status": "active",
        "intent": "plan", "subject": {"reference": "Patient/x", "display": "SECRET"}, "title": "projet",
        "activity": [{"progress": [{"text": "SECRET"}], "detail": {"status": "scheduled", "reasonCode": [{"text": "SECRET"}], "description": "SECRET", "kind": "Task"}}],
    }  # fmt: skip
    profile = profiles()["tddui-careplan-projet-personnalise"]
    assert Category.HEALTH in categories(profile, plan), "a path inside an element is decided too"
    told = filtered(profile, plan, {Category.ACCOMP})
    assert "SECRET" not in json.dumps(told) and "HIV" not in json.dumps(told)
    assert told["activity"] == [{"detail": {"status": "scheduled", "kind": "Task"}}] and told["meta"]["tag"][0]["code"] == "SUBSETTED"
    slot = {
        "resourceType": "Slot",
        "id": "s",
        "status": "busy",
        "start": "2026-09-01T08:00:00Z",
        "end": "2026-09-01T09:00:00Z",
        "comment": "SECRET",
        "schedule": {"reference": "Schedule/x"},
    }
    assert "SECRET" not in json.dumps(filtered(profiles()["tddui-slot-presence-absence"], slot, {Category.ADM}))
    whole = plan | {"text": {"div": "récit"}}
    assert categories(profile, whole) == set(Category) - {Category.TRACE}, "a narrative is decided by every category, and told to who has them all"
    assert filtered(profile, whole, categories(profile, whole)) == whole


def test_a_stay_without_end_as_software_writes_it_stops_no_page(service, data_folder):
    content = json.loads(deposit(range(1)))
    for entry in content["entry"]:
        if entry["resource"].get("type") and entry["resource"]["resourceType"] == "Encounter":
            entry["resource"]["period"]["end"] = "9999-12-31T23:59:59Z"
    if (made := intake.receive(service, json.dumps(content).encode())).status == 200:
        link = keys.give_link(person=Person.objects.get(), party=service)
        assert Client().get(f"/echanges/mes-acces/{link}/donnees/").status_code == 200
    else:
        assert rules_of(made)
    assert plainly.day("9999-12-31T23:59:59Z") == "9999-12-31T23:59:59Z"


def test_the_guards_come_back_after_a_table_is_made_anew(service):
    from belvedere.observatory.exchange.apps import keep_for_good
    from belvedere.observatory.journal import guards

    every = guards.TABLES | KEPT_FOR_GOOD
    assert guards.missing(connection, every) == []
    guards.lift(connection, KEPT_FOR_GOOD)
    assert set(guards.missing(connection, every)) == set(KEPT_FOR_GOOD)
    keep_for_good(None)
    assert guards.missing(connection, every) == []


def test_a_file_received_today_by_another_way_weighs_on_what_is_published(service):
    from belvedere.observatory.exchange import doubles
    from belvedere.observatory.exchange.models import Baseline

    institution("CNSA_SIDOBA")
    intake.receive(service, deposit(range(3)))
    made = datasets.publish(code="ssiad-sidoba", period="2026-09", by="test")
    held = seda.members(datasets.content(made, by="test"))["ssiad-sidoba-2026-09.csv"]
    doubles.keep(code="ssiad-sidoba", period="2026-09", raw=held, by="test")
    assert set(datasets.compared(code="ssiad-sidoba", period="2026-09", by="test")["ins"].values()) == {"equivalent", 3, 0}
    assert datasets.publish(code="ssiad-sidoba", period="2026-09", by="test").state == made.state
    better = held.decode().replace("2026-09-01;;", "2026-09-01;2026-09-30;", 1)
    doubles.keep(code="ssiad-sidoba", period="2026-09", raw=better.encode(), by="test")
    worse = datasets.publish(code="ssiad-sidoba", period="2026-09", by="test")
    assert worse.state == "remarks" and any(one["check"] == "non-regression" for one in worse.report["findings"])
    person = better.splitlines()[1].split(";")
    more = better + ";".join([person[0], "1" * 15, *person[2:]]) + "\r\n"
    doubles.keep(code="ssiad-sidoba", period="2026-09", raw=more.encode(), by="test")
    assert datasets.publish(code="ssiad-sidoba", period="2026-09", by="test").state == "broken", "somebody is missing"
    assert SSIAD.encode() not in bytes(Baseline.objects.get().content), "sealed"
    with pytest.raises(doubles.BaselineRefused):
        doubles.keep(code="ssiad-sidoba", period="2026-09", raw=b"a;b\n1;2\n", by="test")


def test_a_nomenclature_follows_its_file(tmp_path):
    path = tmp_path / "JDV_Essai_CISIS.xml"
    path.write_text(SVS)
    referentials.load(path, by="test")
    path.write_text(
        SVS.replace('dateFin="20260601000000"', 'dateFin="20260501000000"').replace(
            '<Concept code="A2" displayName="Nouveau" codeSystem="1.2.250.1.213.1.1.4.322" dateValid="20260601000000" dateFin=""/>', ""
        )
    )
    referentials.load(path, by="test")
    held = dict(Concept.objects.filter(valueset="JDV_Essai_CISIS").values_list("code", "until"))
    assert held == {"A1": dt.date(2026, 5, 1), "A2": timezone.localdate()}, "what the set no longer holds ends on the day it is known"


def test_whoever_received_is_told_what_to_erase(service, monkeypatch):
    """Though its right has closed since; and by mail when it has no subscription that says so."""
    from belvedere.engine.exchange.vocabulary import Grain, Purpose
    from belvedere.observatory.exchange import erasing, messages, reading, subscribing
    from belvedere.observatory.exchange.models import Delivery, Event, Subscription

    sidoba, resid = institution("CNSA_SIDOBA"), institution("CNAM_RESIDESMS")
    subscribing.subscribe(party=sidoba, topic="donnee-effacee", purpose="FINANCEMENT", endpoint="https://93.184.216.34/r", filters={}, level=2)
    intake.receive(service, deposit(range(1)))
    assert reading.search(sidoba, 2, Purpose.FUNDING, Grain.NAMED, "Patient").resources
    assert reading.search(resid, 2, Purpose.BILLING_CONTROL, Grain.NAMED, "Patient").resources or True
    person = Person.objects.get()
    say(person, "opposition", service)
    erasing.erase(person=person, party=service, by="test", why="demande")
    subscription = Subscription.objects.get()
    rows = [
        Delivery(subscription=subscription, event=event, number=rank) for rank, event in enumerate(Event.objects.filter(topic="donnee-effacee"), 1)
    ]
    told = messages.leaving(subscription, rows, timezone.now())
    assert told and all(one.focus and not one.withheld for one in told)
    stranger = Subscription(party=institution("DREES"), topic="donnee-effacee", purpose="STATISTIQUE", level=2)
    assert all(one.withheld for one in messages.leaving(stranger, rows, timezone.now())), "who received nothing learns nothing"
    assert not Notice.objects.filter(kind="exchange_erased", to=sidoba.contact).exists()
