"""What leaves by the lot: datasets and their contracts, masked counts."""

import argparse
import csv
import io
import json
import zipfile

import pytest
from django.utils import timezone

from belvedere.cli import exchange
from belvedere.engine.exchange import contracts, matrix
from belvedere.engine.exchange.items import items, redundancy
from belvedere.engine.exchange.sample import resident
from belvedere.engine.exchange.vocabulary import Statement
from belvedere.observatory.exchange import aggregates, datasets, intake, policy
from belvedere.observatory.exchange.models import Dataset, Event, Person, Resource
from belvedere.observatory.journal.models import Entry
from tests.exchange import SSIAD, deposit, establishment, finess, institution, say

pytestmark = pytest.mark.django_db
PERIOD = "2026-09"


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


def test_a_value_that_is_not_what_was_deposited_blocks_the_dataset(service):
    institution("CNSA_SIDOBA")
    intake.receive(service, deposit(range(5)))
    grid = next(row for row in Resource.objects.filter(type="QuestionnaireResponse") if "gir" in row.facts)
    Resource.objects.filter(pk=grid.pk).update(facts=grid.facts | {"gir": 1 + grid.facts["gir"] % 6})
    made = datasets.publish(code="ssiad-sidoba", period=PERIOD, by="test")
    assert made.state == "broken" and not made.content
    assert [(row["check"], list(row["establishments"])) for row in made.report["findings"]] == [("integrite", [SSIAD])]


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


def test_a_category_that_fills_less_is_told_and_small_ones_are_pooled():
    contract = contracts.contracts()["ssiad-sidoba"]
    item = next(item for item in contract.items if 0 < item.least < 1 and item.name not in contract.key)
    whole = {each.name: "1" for each in contract.items}
    rows = [whole | {"finess": "home"}] * 4000 + [whole | {"finess": "far", item.name: ""}] * 35 + [whole | {"finess": "one", item.name: ""}] * 3
    kinds = {"home": "354", "far": "500", "one": "182"}
    assert {kind: len(held) for kind, held in contracts.by_category(rows, kinds).items()} == {"354": 4000, "500": 35, "": 3}
    found = contracts.completeness(contract, rows, {}, kinds)
    assert [finding.level for finding in found] == ["remarks"] and "dans chaque catégorie" in found[0].text and "hébergement" in found[0].text
    assert contracts.drop_bound((960, 1000), (960, 1000)) < 0 < contracts.drop_bound((960, 1000), (800, 1000))


def test_freshness_volume_and_keys():
    contract = contracts.contracts()["ssiad-sidoba"]
    assert contracts.freshness(contract, {"a": 3, "b": 90, "c": 10})[0].establishments == ("b",)
    assert contracts.freshness(contract, {"a": 90, "b": 90, "c": 10})[0].level == "broken"
    rows = [{"finess": "a", "ins": str(rank), "debut": "x"} for rank in range(100)]
    assert contracts.volume(rows, {"a": 100.0}) == [] and contracts.volume(rows, {"a": 200.0})[0].establishments == ("a",)
    assert contracts.volume(rows[:5], {"a": 20.0, "b": 20.0})
    assert contracts.integrity(contract, [*rows, rows[0]], 101, {})[0].level == "broken"
    assert contracts.integrity(contract, rows, 101, {})[0].level == "broken" and contracts.integrity(contract, rows, 101, {"opposition": 1}) == []


def test_a_dataset_is_compared_with_the_file_received_today(service, capsys, monkeypatch, tmp_path):
    """The command, on a file whose GIR is missing for one person and wrong for another."""
    institution("CNSA_SIDOBA")
    intake.receive(service, deposit(range(3)))
    made = datasets.publish(code="ssiad-sidoba", period=PERIOD, by="test")
    rows = told(datasets.content(made, by="test"), f"ssiad-sidoba-{PERIOD}.csv")
    rows[0]["gir"] = ""
    path = tmp_path / "aujourd-hui.csv"
    written = lambda: "\n".join([";".join(rows[0]), *(";".join(row.values()) for row in rows)]) + "\n"  # noqa: E731
    path.write_text(written(), encoding="utf-8-sig")
    monkeypatch.setattr(exchange, "_start", lambda options: None)
    parser = argparse.ArgumentParser()
    exchange.register(parser.add_subparsers())
    run = lambda *words: (lambda options: options.run(options))(parser.parse_args(["exchange", "compare", *words]))  # noqa: E731
    assert run("ssiad-sidoba", PERIOD, str(path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("gir")).split() == ["gir", "mieux", "3", "1", "0", "0"]
    rows[1]["trajets"] = "9"
    path.write_text(written(), encoding="utf-8-sig")
    assert run("ssiad-sidoba", PERIOD, str(path)) == 2, "a trip counted otherwise is for the worse until somebody looks"
    path.write_text("a;b\n1;2\n", encoding="utf-8")
    assert run("ssiad-sidoba", PERIOD, str(path)) == 2 and "clé" in capsys.readouterr().err
    assert run("ssiad-sidoba", "2020-01", str(path)) == 2


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
    made = aggregates.propose(by="test")
    found = {(cell.territory, cell.gir, cell.sex): cell.persons for cell in aggregates.cells(made, ars)}
    assert found["R11", "*", "*"] == 66, "72 persons less six who oppose"
    assert any(value is None for value in found.values()) and all(value is None or value >= 11 for value in found.values())
    for sex in ("*", "F", "M"):
        told_ = [found["R11", gir, sex] for gir in ("1", "2", "3", "4", "5", "6", "ND")]
        assert sum(value is None for value in told_) != 1 or found["R11", "*", sex] is None, "a single masked cell would be had by subtraction"
    with pytest.raises(aggregates.AggregateRefused, match="déjà figés"):
        aggregates.propose(by="test")
    Dataset.objects.filter(pk=made.pk).update(period="2026-01", state="sound")  # a month later, nobody having come or left
    again = aggregates.propose(by="test")
    before = {key for key, value in found.items() if value is None}
    assert before == {(cell.territory, cell.gir, cell.sex) for cell in aggregates.cells(again, ars) if cell.persons is None}, (
        "what was masked stays so"
    )


def test_counts_that_nobody_may_read_are_not_made(service):
    institution("DNS_MATURIN")
    intake.receive(service, deposit(range(12)))
    with pytest.raises(aggregates.AggregateRefused, match="Aucune institution"):
        aggregates.propose(by="test")


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
