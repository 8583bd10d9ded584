"""Who calls the exchange hub: a party by its token or its certificate, and the professional behind it; for a purpose, at a grain."""

import re
from dataclasses import dataclass

from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.security import HttpBearer

from belvedere.engine.exchange.access import PERSON_SUBSTANTIAL, STRUCTURE
from belvedere.engine.exchange.credentials import CredentialRefused, thumbprint
from belvedere.engine.exchange.vocabulary import Grain, Purpose
from belvedere.observatory.exchange import credentials, keys
from belvedere.observatory.exchange.models import Party
from belvedere.observatory.journal.actions import behind, note


@dataclass(frozen=True)
class Calling:
    """The party that calls, how well it was identified, why it reads and how finely; `person` is the token of the professional whom the act is
    imputed to (""; the structure alone). The software is recorded, never an authorisation."""

    party: Party
    level: int
    purpose: Purpose | None
    grain: Grain
    software: str
    person: str = ""


def _word(text: str | None, words: type[Purpose] | type[Grain]) -> Purpose | Grain | None:
    return next((word for word in words if word == (text or "").strip().upper()), None)


def _known(request: HttpRequest) -> tuple[Party, int, str, str] | None:
    """(party, level, person, software) of a request's token and certificate; None when they open nothing."""
    try:
        given = credentials.certificate(request.headers)
    except CredentialRefused:
        return None
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if not scheme:
        party = credentials.party_of(given) if given is not None else None
        return (party, STRUCTURE, "", "") if party is not None else None
    if scheme.lower() != "bearer":
        return None
    if key := keys.key_of(token, thumbprint(given) if given is not None else ""):
        return key.party, key.level, "", ""
    found = credentials.opened(token, given)
    return (found.party, PERSON_SUBSTANTIAL, found.person, found.software) if found is not None else None


def calling(request: HttpRequest) -> Calling | None:
    """Who calls, from the certificate, `Authorization`, `X-Finalite` and `X-Grain` (NOMINATIF unless said); None when nothing opens."""
    known = _known(request)
    if known is None:
        return None
    party, level, person, named = known
    behind.set({"level": level} | ({"person": person} if person else {}))
    purpose, grain = _word(request.headers.get("X-Finalite"), Purpose), _word(request.headers.get("X-Grain"), Grain)
    software = named or " ".join(filter(None, (request.headers.get("X-Logiciel", ""), request.headers.get("X-Logiciel-Version", ""))))
    software = software if _SOFTWARE.fullmatch(software) else ""
    return Calling(
        party, level, purpose if isinstance(purpose, Purpose) else None, grain if isinstance(grain, Grain) else Grain.NAMED, software[:80], person
    )


WEAK = "Un certificat de structure est attendu."
# A product and its version. The journal forgets nothing: words in number, or a run of digits, may be somebody.
_SOFTWARE = re.compile(r"(?!.*\d{6})[\w.+-]{1,30}( [\w.+-]{1,20}){0,3}")


class PartyToken(HttpBearer):
    """The same on the operations of the API that are not FHIR: a token, or a structure's certificate without one."""

    def __call__(self, request: HttpRequest) -> Calling | None:
        return calling(request)

    def authenticate(self, request: HttpRequest, token: str) -> Calling | None:
        return calling(request)


class StructureToken(PartyToken):
    """A structure whose certificate was verified: what leaves by the lot holds health data."""

    def __call__(self, request: HttpRequest) -> Calling | None:
        found = calling(request)
        if found is None or found.level >= STRUCTURE:
            return found
        note(by=found.party.code, action="echange.acces.refuse", subject=f"api:{request.method}", status=403, reason=WEAK)
        raise HttpError(403, WEAK)
