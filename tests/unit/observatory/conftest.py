"""A group that may send, and another that may not see it."""

import pytest

from belvedere.observatory.members.actions import enrol_group
from belvedere.observatory.members.models import Federation
from tests.flows import sector


@pytest.fixture
def federations(db):
    return [Federation.objects.create(name=name) for name in ("FédéPSAD", "UNPDM", "UPSADI")]


@pytest.fixture
def groups(federations, data_folder):
    """The sector's groups and their members."""
    made = []
    for number in sorted({p.group for p in sector().providers}):
        own = [p for p in sector().providers if p.group == number]
        members = [{"name": p.name, "siren": p.siren, "finess": p.finess, "department": p.home, "norm": p.norm} for p in own]
        made.append(enrol_group(name=own[0].group_name, federation=federations[0], members=members, by="test"))
    return made
