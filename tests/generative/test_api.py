"""Schemathesis against the API: whatever is asked, an answer of its description and never a failure of ours."""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from belvedere.observatory.exchange.models import Party
from belvedere.observatory.members.actions import issue_sender_key
from belvedere.observatory.members.models import Federation
from belvedere.observatory.wsgi import application
from tests.exchange import bearer, establishment
from tests.flows import sector
from tests.members import enrolled

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
HUB = "/api/v1/exchange/"
schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)
some = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


def fault(case, authorization: str) -> str:
    """What is wrong with the answer to a call, "" for nothing; an answer that is not as described raises."""
    answer = case.call(headers={"Authorization": authorization})
    case.validate_response(answer, checks=CHECKS)
    # The services of the billing world are not plugged in here, and that is told.
    return f"{case.method} {case.formatted_path} {answer.status_code}" if answer.status_code >= 500 and answer.json()["code"] != "P503" else ""


@pytest.fixture
def token(db, data_folder):
    """A member's software."""
    groups = enrolled(sector(), [Federation.objects.create(name="FédéPSAD")])
    return issue_sender_key(group=groups[0], label="essai", by="test")


@pytest.mark.django_db
@schema.exclude(path_regex=HUB).parametrize()
@some
def test_every_operation_of_the_observatory_holds(case, token):
    assert fault(case, f"Bearer {token}") == ""


@pytest.mark.django_db
@schema.include(path_regex=HUB).parametrize()
@some
def test_every_operation_of_the_hub_holds(case, db, data_folder):
    assert fault(case, bearer(Party.objects.first() or establishment())["HTTP_AUTHORIZATION"]) == ""
