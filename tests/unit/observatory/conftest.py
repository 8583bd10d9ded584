"""A group that may send, and another that may not see it."""

import pytest

from belvedere.observatory.members.models import Federation
from tests.flows import sector
from tests.members import enrolled


@pytest.fixture
def federations(db):
    return [Federation.objects.create(name=name) for name in ("FédéPSAD", "UNPDM", "UPSADI")]


@pytest.fixture
def groups(federations, data_folder):
    """The sector's groups and their members."""
    return enrolled(sector(), federations[:1])
