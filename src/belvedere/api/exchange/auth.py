"""Who calls the exchange hub: a party by its token, for a purpose, at a grain."""

from dataclasses import dataclass

from django.http import HttpRequest
from ninja.security import HttpBearer

from belvedere.engine.exchange.access import STRUCTURE
from belvedere.engine.exchange.vocabulary import Grain, Purpose
from belvedere.observatory.exchange import keys
from belvedere.observatory.exchange.models import Party, PartyKey


@dataclass(frozen=True)
class Calling:
    """The party that calls, how well it was identified, why it reads and how finely; the software is recorded, never an authorisation."""

    party: Party
    level: int
    purpose: Purpose | None
    grain: Grain
    software: str


def _word(text: str | None, words: type[Purpose] | type[Grain]) -> Purpose | Grain | None:
    return next((word for word in words if word == (text or "").strip().upper()), None)


def calling(request: HttpRequest) -> Calling | None:
    """Who calls, from `Authorization`, `X-Finalite` and `X-Grain` (NOMINATIF unless said); None without an open token."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    key = keys.key_of(token) if scheme.lower() == "bearer" else None
    if key is None:
        return None
    purpose, grain = _word(request.headers.get("X-Finalite"), Purpose), _word(request.headers.get("X-Grain"), Grain)
    software = " ".join(filter(None, (request.headers.get("X-Logiciel", ""), request.headers.get("X-Logiciel-Version", ""))))
    return Calling(
        key.party, key.level, purpose if isinstance(purpose, Purpose) else None, grain if isinstance(grain, Grain) else Grain.NAMED, software[:80]
    )


class PartyToken(HttpBearer):
    """The same token on the operations of the API that are not FHIR."""

    def authenticate(self, request: HttpRequest, token: str) -> PartyKey | None:
        return keys.key_of(token)


class StructureToken(HttpBearer):
    """A token given to a structure whose certificate was verified: what leaves by the lot holds health data."""

    def authenticate(self, request: HttpRequest, token: str) -> PartyKey | None:
        key = keys.key_of(token)
        return key if key is not None and key.level >= STRUCTURE else None
