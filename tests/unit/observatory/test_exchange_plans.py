"""What a deposit asks of the database stays small whatever its establishment has deposited before."""

import pytest
from django.db import connection

from belvedere.observatory.exchange.models import Resource

pytestmark = pytest.mark.django_db


def test_the_stays_of_three_persons_are_not_looked_for_among_all_those_of_their_house():
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL choisit d’après ses statistiques : une table vide n’y dit rien")
    asked = Resource.objects.filter(person__in=[1, 2, 3], establishment=1, profile="tddui-encounter-sejour", current=True, erased=False)
    assert "person_id=? AND establishment_id=? AND profile=?" in asked.explain()


def test_the_versions_in_force_are_found_by_their_key():
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL choisit d’après ses statistiques : une table vide n’y dit rien")
    asked = Resource.objects.filter(own_key__in=["a", "b"], establishment=1, current=True)
    assert "own_key=?" in asked.explain()
