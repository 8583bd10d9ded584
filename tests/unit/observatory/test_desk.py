"""A reader's desk: baskets that mean something, rules that ring over three months, each person its own."""

import pytest

from belvedere.engine.indicators import signals
from belvedere.observatory.accounts.models import Role
from belvedere.observatory.desk import actions
from belvedere.observatory.desk.models import AlertRule, Basket
from belvedere.observatory.journal.models import Entry
from tests.people import browsing, person


class Flat:
    """Own figures of 24 months: 100 patients a month, and 80 in the last three."""

    months = tuple(f"{2024 + rank // 12}-{rank % 12 + 1:02d}" for rank in range(24))

    def measure(self, name, **codes):
        return 80 if codes["period"] in self.months[-3:] else 100


def test_a_rule_rings_on_three_months_against_the_same_a_year_before(groups):
    reader = person(Role.MEMBER_READER, group=groups[0])
    assert signals.year_change(Flat(), "patients", "*") == pytest.approx(-0.2)
    for direction, percent in (("down", 10), ("up", 10), ("both", 25)):
        actions.keep_rule(reader, indicator="patients", product="*", direction=direction, percent=percent)
    told = actions.readings(reader, Flat())
    assert [reading.rings for reading in told] == [True, False, False]
    assert "Patients suivis, toutes familles : baisse de plus de 10" in told[0].text
    short = Flat()
    short.months = Flat.months[-12:]
    assert all(reading.change is None and not reading.rings for reading in actions.readings(reader, short))


@pytest.mark.parametrize("codes, why", [
    (["84"], "au moins deux"), (["R84", "69"], "deux fois"), (["69", "ZZ"], "au moins deux"), ([], "au moins deux"),
])  # fmt: skip
def test_a_basket_that_would_say_something_false_is_refused(groups, codes, why):
    page = browsing(person(Role.MEMBER_READER, group=groups[0])).post("/mes-reglages/paniers/", {"name": "Ouest", "codes": codes})
    assert page.status_code == 422 and why in page.content.decode() and not Basket.objects.exists()


def test_a_basket_is_kept_offered_replaced_and_removed_by_its_owner_alone(groups):
    owner, other = (person(Role.MEMBER_ADMIN, group=group) for group in groups[:2])
    for codes in (["69", "38"], ["69", "38", "01"]):
        assert browsing(owner).post("/mes-reglages/paniers/", {"name": "Rhône et voisins", "codes": codes}).status_code == 302
    basket = Basket.objects.get()
    assert basket.codes == "01,38,69" and Entry.objects.filter(action="panier.garde").count() == 2
    assert "Rhône et voisins" in browsing(owner).get("/mes-reglages/").content.decode()
    assert "Rhône et voisins" not in browsing(other).get("/mes-reglages/").content.decode()
    assert browsing(other).post(f"/mes-reglages/panier/{basket.pk}/retirer/").status_code == 404
    assert browsing(owner).post(f"/mes-reglages/panier/{basket.pk}/retirer/").status_code == 302 and not Basket.objects.exists()


def test_a_federation_has_baskets_and_no_alert(federations):
    analyst = browsing(person(Role.ANALYST, federation=federations[0]))
    assert "Mes alertes" not in analyst.get("/mes-reglages/").content.decode()
    assert analyst.post("/mes-reglages/paniers/", {"name": "Sommeil et souffle", "codes": ["PPC", "OXY"]}).status_code == 302
    assert Basket.objects.get().kind == "product"
    refused = analyst.post("/mes-reglages/alertes/", {"indicator": "patients", "product": "*", "direction": "down", "percent": 5})
    assert refused.status_code == 403 and not AlertRule.objects.exists()


def test_a_basket_leads_only_to_what_adds_up():
    """Every indicator that the desk offers for a basket answers for several zones: no link of it ends in a refusal."""
    from belvedere.engine.indicators.definitions import catalogue
    from belvedere.engine.indicators.measures import MEASURES
    from belvedere.portal.desk.views import READS

    assert all(MEASURES[catalogue()[name].formula["of"]].additive for name in READS)
