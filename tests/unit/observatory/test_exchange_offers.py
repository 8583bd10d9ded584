"""Offers of the national register of resources: an extraction in the guide's shape, dated, partial, sensitive units left out."""

import datetime as dt
import json

import pytest
from django.test import Client

from belvedere.observatory.exchange import intake, offers, referentials
from belvedere.observatory.exchange.models import Offer
from tests.exchange import OTHER, SSIAD, START, bearer, deposit, establishment

pytestmark = pytest.mark.django_db
ROR = "https://interop.esante.gouv.fr/ig/fhir/ror/StructureDefinition/"
NOS = "https://mos.esante.gouv.fr/NOS"


def coded(name: str, code: str) -> dict:
    return {"coding": [{"system": f"{NOS}/TRE_{name}/FHIR/TRE-{name}", "code": code}]}


def extraction(
    number: str = "OFFRE-1", *, updated: str = "2025-03-01", places: int = 40, sensitive: bool = False, closed: str = "", finess: str = SSIAD
) -> dict:
    """A searchset of one offer, its inner organization, the establishment that this is part of, and where it is given."""
    count = [
        {"url": "capacityType", "valueCodeableConcept": coded("R330-NatureCapacite", "01")}, {"url": "capacityStatus", "valueCodeableConcept": coded("R331-StatutCapacite", "01")},
        {"url": "nbCapacity", "valueInteger": places},
    ]  # fmt: skip
    service = {
        "resourceType": "HealthcareService", "id": "1", "meta": {"lastUpdated": f"{updated}T10:00:00+01:00"}, "identifier": [{"system": "urn:oid:1.2", "value": number}],
        "extension": [{"url": ROR + "ror-meta-creation-date", "valueDateTime": "2020-01-15T08:00:00+01:00"}, {"url": ROR + "ror-healthcareservice-sensitive-unit", "valueBoolean": sensitive}],
        "providedBy": {"reference": "Organization/interne"}, "name": "Soins infirmiers à domicile", "type": [coded("R227-ChampActivite", "03")],
        "specialty": [coded("R211-ActiviteOperationnelle", "191")], "characteristic": [coded("R213-ModePriseEnCharge", "46")], "location": [{"reference": "Location/9"}],
    } | ({"notAvailable": [{"description": "fermeture", "during": {"start": closed}}]} if closed else {})  # fmt: skip
    rows = [
        service, {"resourceType": "Organization", "id": "interne", "partOf": {"reference": "Organization/eg"}},
        {"resourceType": "Organization", "id": "eg", "identifier": [{"system": "https://finess.esante.gouv.fr", "value": finess}]},
        {"resourceType": "Location", "id": "9", "extension": [{"url": ROR + "ror-location-supported-capacity", "extension": count}]},
        {"resourceType": "Practitioner", "id": "7", "name": [{"family": "NOM"}]},
    ]  # fmt: skip
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": row} for row in rows]}


def take(folder, content: dict, name: str = "ror.json") -> int:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return referentials.load(path, by="test").rows


def test_an_offer_is_read_with_its_establishment_and_places(tmp_path):
    assert take(tmp_path, extraction()) == 1
    held = Offer.objects.get()
    assert (held.finess, held.mode, held.field, held.activity, held.capacity) == (SSIAD, "46", "03", "191", 40)
    assert held.since == dt.date(2020, 1, 15)
    lines = tmp_path / "ror.ndjson"
    lines.write_text("\n".join(json.dumps(entry["resource"]) for entry in extraction("OFFRE-2")["entry"]), encoding="utf-8")
    assert referentials.load(lines, by="test").rows == 1 and Offer.objects.count() == 2


def test_what_changed_begins_anew_and_what_it_was_stays(tmp_path):
    take(tmp_path, extraction())
    take(tmp_path, extraction())
    assert Offer.objects.count() == 1, "the same extraction again changes nothing"
    take(tmp_path, extraction(updated="2026-02-01", places=55))
    assert [row.capacity for day in ("2025-06-01", "2026-03-01") for row in offers.at(SSIAD, dt.date.fromisoformat(day))] == [40, 55]
    take(tmp_path, extraction(updated="2025-07-01", places=1))
    assert Offer.objects.count() == 2, "an older extraction changes nothing"
    take(tmp_path, extraction("OFFRE-9"))
    assert len(offers.at(SSIAD, dt.date(2026, 3, 1))) == 2, "what a partial extraction lacks is left as it was"


@pytest.mark.parametrize(
    "content",
    [
        {"resourceType": "Bundle", "entry": []}, {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "HealthcareService", "meta": "x"}}]}, extraction("A\0B"),
        {"resourceType": "Bundle", "entry": [{}]}, {"entry": 3}, extraction(finess="750000000"), extraction(""),
    ],
    ids=["empty", "no object where one is", "null character", "no resource", "no bundle", "wrong key of FINESS", "no identifier"],
)  # fmt: skip
def test_what_is_no_extraction_is_refused_whole(tmp_path, content):
    with pytest.raises(referentials.ImportRefused, match="extraction du ROR"):
        take(tmp_path, content)
    assert not Offer.objects.exists()


def spans() -> list[tuple]:
    return [(str(row.since), str(row.until), row.capacity) for row in Offer.objects.order_by("since")]


def test_a_closure_told_late_ends_what_was_open(tmp_path):
    take(tmp_path, extraction())
    take(tmp_path, extraction(closed="2026-01-01", updated="2026-02-01"))
    assert spans() == [("2020-01-15", "2026-01-01", 40)]
    take(tmp_path, extraction(updated="2026-05-01"))
    assert spans() == [("2020-01-15", "2026-01-01", 40), ("2026-05-01", "9999-12-31", 40)], "open again from the day it is told, not meanwhile"


def test_an_unchanged_extraction_still_keeps_older_ones_out(tmp_path):
    take(tmp_path, extraction())
    take(tmp_path, extraction(updated="2025-09-01"))
    take(tmp_path, extraction(updated="2025-07-01", places=1))
    assert spans() == [("2020-01-15", "9999-12-31", 40)]


def test_what_only_a_place_says_is_taken_and_so_is_a_second_word_of_the_day(tmp_path):
    take(tmp_path, extraction())
    content = extraction(places=55)
    content["entry"][3]["resource"]["meta"] = {"lastUpdated": "2026-02-01T09:00:00+01:00"}
    take(tmp_path, content)
    content["entry"][3]["resource"]["meta"]["lastUpdated"] = "2026-02-01T23:30:00+01:00"
    content["entry"][3]["resource"]["extension"][0]["extension"][2]["valueInteger"] = 60
    take(tmp_path, content)
    assert spans() == [("2020-01-15", "2026-02-01", 40), ("2026-02-01", "9999-12-31", 60)]


def test_what_is_no_text_is_left_and_town_practices_too(tmp_path):
    content = extraction()
    content["entry"][0]["resource"]["name"] = {"text": "x"}
    content["entry"].append(
        {
            "resource": content["entry"][0]["resource"]
            | {"id": "2", "identifier": [{"value": "VILLE"}], "providedBy": {"reference": "Organization/ville"}}
        }
    )
    take(tmp_path, content)
    assert [(row.number, row.name) for row in Offer.objects.all()] == [("OFFRE-1", "")]


def test_counts_of_one_place_that_overlap_are_not_added(tmp_path):
    content = extraction()
    place = content["entry"][3]["resource"]
    place["extension"] = [*place["extension"], place["extension"][0]]
    take(tmp_path, content)
    assert Offer.objects.get().capacity == 40


def test_a_sensitive_unit_is_never_kept(tmp_path):
    take(tmp_path, extraction(sensitive=True))
    assert not Offer.objects.exists()
    take(tmp_path, extraction())
    take(tmp_path, extraction(sensitive=True, updated="2026-02-01"))
    assert not Offer.objects.exists(), "what was told before goes too"


@pytest.mark.parametrize("national", ["1" + SSIAD, "392131725800020"])
def test_the_finess_is_read_beside_the_national_identifier(tmp_path, national):
    """The guide writes both, in either order; the legal entity that the establishment is part of has one of its own."""
    content = extraction()
    content["entry"][2]["resource"] |= {
        "identifier": [{"system": "urn:oid:1.2.250.1.71.4.2.2", "value": national}, {"system": "https://finess.esante.gouv.fr", "value": SSIAD}], "partOf": {"reference": "Organization/ej"},
    }  # fmt: skip
    content["entry"].append(
        {"resource": {"resourceType": "Organization", "id": "ej", "identifier": [{"system": "https://finess.esante.gouv.fr", "value": OTHER}]}}
    )
    take(tmp_path, content)
    assert Offer.objects.get().finess == SSIAD


def test_a_stay_outside_any_offer_is_remarked_and_taken(tmp_path, data_folder):
    service = establishment()
    assert not intake.receive(service, deposit(range(1))).deposit.remarks, "nothing is known of its offers yet"
    take(tmp_path, extraction(closed="2026-01-01", updated="2026-02-01"))
    made = intake.receive(service, deposit(range(1, 2), name="apres")).deposit
    assert made.state == "remarks" and {remark["rule"] for remark in made.remarks} == {"tddui-encounter-08"}
    take(tmp_path, extraction("OFFRE-2"))
    assert not intake.receive(service, deposit(range(2, 3), name="ouvert")).deposit.remarks
    assert offers.opened(SSIAD)(dt.date(2019, 1, 1)) is None, "before the register told anything, nothing is said"


def test_the_api_tells_offers_at_a_date(tmp_path):
    service = establishment()
    take(tmp_path, extraction())
    ask = lambda **query: Client().get("/api/v1/exchange/offers", query, **bearer(service))  # noqa: E731
    told = ask(finess=SSIAD, date=START.isoformat()).json()
    assert told[0]["capacity"] == 40 and told[0]["until"] is None
    assert ask(finess=SSIAD, date="2019-01-01").json() == [] and ask(finess="<script>").status_code == 422
    assert Client().get("/api/v1/exchange/offers", {"finess": SSIAD}).status_code == 401
