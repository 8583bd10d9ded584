"""What names a person and a resource, deposit after deposit, without naming them to anybody."""

import uuid
from collections.abc import Mapping
from typing import Any

from belvedere.engine.exchange import checks
from belvedere.observatory.exchange import vault
from belvedere.observatory.exchange.models import Party


def person_token(key: str) -> str:
    """The token of a person, from its INS or its number in an establishment."""
    return vault.token("usager", key)


def own_key(kind: str, resource: Mapping[str, Any], party: Party) -> str:
    """What tells a resource from the others of its establishment: its identifier, else the id that its software gave it."""
    if kind == "Patient":
        name = checks.person_key(resource, party.finess)
    else:
        held = resource.get("identifier")
        first = held[0] if isinstance(held, list) and held else held
        name = (
            f"{first.get('system', '')}|{first['value']}"
            if isinstance(first, Mapping) and first.get("value")
            else f"id|{resource.get('id') or uuid.uuid4()}"
        )
    return vault.token("ressource", f"{party.pk}|{kind}|{name}")
