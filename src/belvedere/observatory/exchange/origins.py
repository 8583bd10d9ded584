"""Where each version of a resource comes from, as FHIR Provenance: the deposit that brought it, who made it, what it did."""

from typing import Any

from belvedere.engine.exchange.vocabulary import Grain
from belvedere.observatory.exchange import vault
from belvedere.observatory.exchange.models import Party, Resource
from belvedere.observatory.exchange.reading import Seen

ACTIVITY = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
ROLE = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
FINESS = "https://finess.esante.gouv.fr"


def of(party: Party, grain: Grain, seen: Seen) -> list[dict[str, Any]]:
    """A Provenance for each version that was shown. Under pseudonyms, neither the establishment nor its deposit is named."""
    rows = Resource.objects.select_related("deposit", "establishment").in_bulk(seen.rows)
    return [
        _told(party, grain, rows[pk], f"{told['resourceType']}/{told['id']}/_history/{rows[pk].version}")
        for pk, told in zip(seen.rows, seen.resources, strict=True)
    ]


def _told(party: Party, grain: Grain, row: Resource, target: str) -> dict[str, Any]:
    named, deposit = grain == Grain.NAMED, row.deposit
    author = {"identifier": {"system": FINESS, "value": row.establishment.finess}} if named else {"display": "Établissement déposant"}
    software = [{"type": _coded(ROLE, "assembler"), "who": {"display": deposit.software}}] if named and deposit.software else []
    number = deposit.reference if named else vault.pseudonym(party.code, f"depot:{deposit.reference}")
    return {
        "resourceType": "Provenance", "id": vault.pseudonym(party.code, f"provenance:{row.pk}"), "target": [{"reference": target}],
        "recorded": deposit.received_at.isoformat(), "activity": _coded(ACTIVITY, "CREATE" if row.version == 1 else "UPDATE"),
        "agent": [{"type": _coded(ROLE, "author"), "who": author}, *software],
        "entity": [{"role": "source", "what": {"identifier": {"value": number}, "display": "Dépôt"}}],
    }  # fmt: skip


def _coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}
