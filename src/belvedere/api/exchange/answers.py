"""What the operations of the hub beside FHIR answer alike: whose call it is, nothing there, a refusal with its reason."""

from django.http import HttpRequest
from ninja import Status

from belvedere.api.schemas import Problem
from belvedere.observatory.exchange.models import Party

PAGE = 100
PERIOD = r"^20\d{2}-(0[1-9]|1[0-2])$"
PRINTED = r"^[^\x00-\x1f\x7f]*$"  # what the journal and PostgreSQL take: no control character
NOT_FOUND = Problem(code="X404", message="Cet objet n’existe pas, ou n’est pas à vous.", remedy="Vérifiez la référence.")


def party_of(request: HttpRequest) -> Party:
    """The party that the token let in."""
    return request.auth.party


def refused(error: Exception) -> Status:
    """A refusal in the words of whoever refused."""
    return Status(422, Problem(code="X422", message=str(error), remedy="Corrigez la demande, puis renvoyez-la."))
