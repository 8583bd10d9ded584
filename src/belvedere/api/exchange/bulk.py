"""`$export` of the FHIR face: asked, polled, taken file by file (FHIR Bulk Data, asynchronous pattern)."""

from django.http import HttpResponse

from belvedere.api.exchange.fhir import Call, Problem, answer
from belvedere.engine.exchange.moments import moment
from belvedere.engine.exchange.profiles import types
from belvedere.engine.exchange.rules import outcome
from belvedere.observatory.exchange import bulk, messages, reading
from belvedere.observatory.exchange.models import Bulk, BulkState

LINES = "application/fhir+ndjson"


def kick_off(call: Call) -> HttpResponse:
    """Ask for everything that the caller may read, of `_type` (all without it), changed since `_since`."""
    given = call.request.GET
    if unknown := set(given) - {"_type", "_since", "_outputFormat"}:
        raise Problem(400, "not-supported", f"Paramètre inconnu : {sorted(unknown)[0][:40]}.")
    if "respond-async" not in call.request.headers.get("Prefer", ""):
        raise Problem(400, "required", "L’export se fait à part : envoyez Prefer: respond-async.")
    if given.get("_outputFormat", LINES) not in (LINES, "application/ndjson", "ndjson"):
        raise Problem(400, "not-supported", f"Un seul format : {LINES}.")
    wanted = [name for name in given.get("_type", "").split(",") if name] or sorted(types())
    if strange := sorted(set(wanted) - types()):
        raise Problem(400, "not-supported", f"Ce type de ressource n’est pas tenu ici : {strange[0][:40]}.")
    since = moment(given["_since"]) if "_since" in given else None
    if "_since" in given and since is None:
        raise Problem(400, "value", "_since est un instant FHIR.")
    by = call.by
    if by.purpose is None:
        raise Problem(403, "forbidden", "Dites votre finalité (X-Finalite).")
    if by.grain not in reading.READABLE:
        raise Problem(403, "forbidden", "Ce grain ne se lit pas ressource par ressource : voyez les jeux et les agrégats (/api/v1/exchange).")
    try:
        made = bulk.ask(
            party=by.party, level=by.level, person=by.person, purpose=by.purpose, grain=by.grain, types=wanted, since=since, request=call.request.build_absolute_uri()
        )  # fmt: skip
    except bulk.BulkRefused as error:
        refused = answer(outcome([], str(error)), 429)
        refused["Retry-After"] = "120"
        return refused
    accepted = answer(outcome([], f"Export {made.reference} demandé : interrogez l’adresse de Content-Location."), 202)
    accepted["Content-Location"] = f"{messages.base()}/$export-status/{made.reference}"
    return accepted


def _found(call: Call) -> Bulk:
    row = Bulk.objects.select_related("party").filter(party=call.by.party, reference=call.parts["id"][:16]).exclude(state=BulkState.EXPIRED).first()
    # What was listed for a professional is taken by that one: its list is what it could read.
    if row is None or call.by.level < row.level or call.by.person != row.person:
        raise Problem(404, "not-found", "Cet export n’existe pas, n’est plus gardé, ou n’est pas à vous.")
    return row


def status(call: Call) -> HttpResponse:
    """Where an export stands: 202 while it is made, then the list of its files."""
    row = _found(call)
    if row.state == BulkState.WAITING:
        waiting = answer(outcome([], "Export en cours."), 202)
        waiting["X-Progress"], waiting["Retry-After"] = f"{row.done_types}/{len(row.types)} types", "10"
        return waiting
    files = [
        {"type": file.type, "url": f"{messages.base()}/$export-file/{row.reference}/{file.type}/{file.part}", "count": file.count}
        for file in row.files.order_by("type", "part").defer("rows")
    ]
    made = answer({
        "transactionTime": row.asked_at.isoformat(), "request": row.request, "requiresAccessToken": True, "output": files, "error": [],
        "extension": {"refused": row.refused},
    })  # fmt: skip
    made["Content-Type"] = "application/json"
    if row.done_at:
        made["Expires"] = (row.done_at + bulk.KEPT).strftime("%a, %d %b %Y %H:%M:%S GMT")
    return made


def take(call: Call) -> HttpResponse:
    """The lines of a part of a type."""
    told = bulk.lines(_found(call), call.parts["type"], int(call.parts["version"]), level=call.by.level, person=call.by.person)
    if told is None:
        raise Problem(404, "not-found", "Cet export n’a pas de fichier de ce type, ou il n’est pas prêt.")
    raw, left_out = told
    made = HttpResponse(raw, content_type=LINES)
    made["Cache-Control"], made["X-Omises"] = "no-store", str(left_out)
    return made


def drop(call: Call) -> HttpResponse:
    """Cancel an export, or let go of its files."""
    bulk.drop(_found(call))
    return answer(outcome([], "Export abandonné."), 202)
