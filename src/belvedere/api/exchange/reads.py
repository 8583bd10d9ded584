"""Depositing and reading resources."""

import datetime as dt

from django.http import HttpResponse

from belvedere.api.exchange.fhir import Call, Problem, answer
from belvedere.engine.exchange.access import STRUCTURE
from belvedere.engine.exchange.moments import moment
from belvedere.engine.exchange.profiles import types
from belvedere.engine.exchange.vocabulary import Actor, Grain
from belvedere.observatory.exchange import intake, messages, origins, reading

MOST_COUNT = 200


def _producer(call: Call) -> None:
    if call.by.party.actor not in (Actor.PRODUCER, Actor.RECEIVER) or not call.by.party.finess:
        raise Problem(403, "forbidden", "Seul un établissement dépose des données.")
    if call.by.level < STRUCTURE:
        raise Problem(
            403, "forbidden", "Un dépôt porte des données de santé : un jeton de niveau 1 ne dépose pas. Liez-le à un certificat de structure."
        )


def deposit(call: Call) -> HttpResponse:
    """Take a TDDUI transaction."""
    _producer(call)
    if len(key := call.request.headers.get("Idempotency-Key", "")) > 200:
        raise Problem(400, "value", "Idempotency-Key dépasse 200 caractères.")
    made = intake.receive(call.by.party, call.raw, key=key, software=call.by.software, imputed=call.by.person)
    return answer(made.body, made.status, **{name.replace("-", "_"): value for name, value in made.headers.items()})


def validate(call: Call) -> HttpResponse:
    """The same controls, nothing stored."""
    _producer(call)
    return answer(intake.validate(call.by.party, call.raw, key=call.request.headers.get("Idempotency-Key", "")[:200]).body)


def _grain(call: Call) -> Grain:
    if call.by.grain not in reading.READABLE:
        raise Problem(403, "forbidden", "Ce grain ne se lit pas ressource par ressource : voyez les jeux et les agrégats (/api/v1/exchange).")
    return call.by.grain


def _kind(call: Call) -> str:
    """The type in the address; 404 when none of that name is held."""
    kind = call.parts["type"]
    if kind not in types():
        raise Problem(404, "not-supported", "Ce type de ressource n’est pas tenu ici.")
    return kind


def one(call: Call) -> HttpResponse:
    """A resource, with the elements that the caller may read. Unknown and forbidden give the same answer."""
    kind, version = _kind(call), call.parts.get("version")
    seen = reading.one(
        call.by.party, call.by.level, call.by.purpose, _grain(call), kind, call.parts["id"], int(version) if version else None, imputed=call.by.person
    )
    if not seen.resources:
        raise Problem(403, "forbidden", seen.reason, traced=True)
    held = seen.resources[0].get("meta", {}).get("versionId", "1")
    return answer(seen.resources[0], ETag=f'W/"{held}"')


def history(call: Call) -> HttpResponse:
    """Every version of a resource that the caller may read."""
    seen = reading.history(call.by.party, call.by.level, call.by.purpose, _grain(call), _kind(call), call.parts["id"], imputed=call.by.person)
    if not seen.resources:
        raise Problem(403, "forbidden", seen.reason, traced=True)
    entries = [{"resource": row} for row in seen.resources]
    return answer({"resourceType": "Bundle", "type": "history", "total": len(entries), "entry": entries})


def provenance(call: Call) -> HttpResponse:
    """Where the versions of a resource that the caller may read come from."""
    kind, _, uid = call.request.GET.get("target", "").partition("/")
    if set(call.request.GET) != {"target"} or kind not in types() or not uid:
        raise Problem(400, "value", "Une cible est attendue : target=Type/identifiant.")
    seen = reading.history(call.by.party, call.by.level, call.by.purpose, _grain(call), kind, uid[:64], imputed=call.by.person)
    if not seen.resources:
        raise Problem(403, "forbidden", seen.reason, traced=True)
    entries = [{"resource": row, "search": {"mode": "match"}} for row in origins.of(call.by.party, call.by.grain, seen)]
    return answer({"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries})


def search(call: Call) -> HttpResponse:
    """Resources of one type: `patient`, `_lastUpdated=ge…`, `_count`, and `_apres` for the next page."""
    given, kind = call.request.GET, _kind(call)
    unknown = set(given) - {"patient", "subject", "_lastUpdated", "_count", "_apres"}
    if unknown:
        raise Problem(400, "not-supported", f"Paramètre inconnu : {sorted(unknown)[0][:40]}.")
    since: dt.datetime | None = None
    if text := given.get("_lastUpdated"):
        since = moment(text.removeprefix("ge"))
        if not text.startswith("ge") or since is None:
            raise Problem(400, "value", "_lastUpdated s’écrit ge suivi d’une date.")
    count = given.get("_count", "50")
    if not count.isdecimal() or len(count) > 6:
        raise Problem(400, "value", "_count est un nombre.")
    seen = reading.search(
        call.by.party, call.by.level, call.by.purpose, _grain(call), kind, patient=(given.get("patient") or given.get("subject") or "").removeprefix("Patient/"),
        since=since, after=given.get("_apres", ""), count=min(max(int(count), 1), MOST_COUNT), imputed=call.by.person,
    )  # fmt: skip
    if not seen.open:
        raise Problem(403, "forbidden", seen.reason, traced=True)
    links = [{"relation": "self", "url": call.request.build_absolute_uri()}]
    if seen.more:
        query = given.copy()
        query["_apres"] = seen.more
        links.append({"relation": "next", "url": f"{messages.base()}/{kind}?{query.urlencode()}"})
    entries = [
        {"fullUrl": f"{messages.base()}/{row['resourceType']}/{row['id']}", "resource": row, "search": {"mode": "match"}} for row in seen.resources
    ]
    return answer({"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries})
