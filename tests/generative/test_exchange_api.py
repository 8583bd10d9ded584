"""Schemathesis against the exchange hub's API: whatever is asked, an answer of the description and never a failure of ours."""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from belvedere.observatory.wsgi import application
from tests.exchange import bearer, establishment

schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application).include(path_regex="/api/v1/exchange/")


@pytest.mark.django_db
@schema.parametrize()
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_holds(case, db):
    from belvedere.observatory.exchange.models import Party

    party = Party.objects.first() or establishment()
    headers = {"Authorization": bearer(party)["HTTP_AUTHORIZATION"]}
    answer = case.call(headers=headers)
    assert answer.status_code < 500, (case.method, case.path, answer.status_code)
