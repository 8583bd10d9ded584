"""The FHIR face of the exchange hub: one table of operations, that the router follows and that the conformance statement is made of."""

import gzip
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from belvedere.api.exchange.auth import Calling, calling
from belvedere.engine.exchange.rules import Remark, outcome
from belvedere.engine.exchange.strict import MOST_BYTES, Malformed, parse
from belvedere.observatory.journal.actions import note

MEDIA = "application/fhir+json"
UNTOLD = (401, 404, 405)  # every other refusal of somebody known is kept by the journal


class Problem(Exception):
    """A refusal as an OperationOutcome: HTTP status, FHIR issue type, French sentence; `traced`: whether the journal was told already."""

    def __init__(self, status: int, issue: str, text: str, *, traced: bool = False) -> None:
        super().__init__(text)
        self.status, self.issue, self.text, self.traced = status, issue, text, traced


@dataclass
class Call:
    """One call: the request, who calls (None on open operations), the parts of its address, its body when it has one."""

    request: HttpRequest
    caller: Calling | None
    parts: dict[str, str]
    raw: bytes = b""

    @property
    def by(self) -> Calling:
        if self.caller is None:
            raise Problem(401, "login", "Jeton absent, inconnu ou fermé : envoyez Authorization: Bearer bvx_….")
        return self.caller

    def content(self) -> dict:
        """The body as a strict JSON object."""
        try:
            return parse(self.raw)
        except Malformed as error:
            raise Problem(400, "structure", Remark(error.rule, "").about.message) from error


Handler = Callable[[Call], HttpResponse]


@dataclass(frozen=True)
class Operation:
    """One operation: method, address below the base, what it does (for the statement), its handler; `open` needs no token."""

    method: str
    pattern: str
    interaction: str
    doc: str
    handler: Handler
    open: bool = False
    params: tuple[tuple[str, str], ...] = ()  # (name, FHIR type) of what its search takes

    @property
    def regex(self) -> re.Pattern[str]:
        return _regex(self.pattern)


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    shapes = {"type": r"[A-Z][A-Za-z]{2,40}", "id": r"[A-Za-z0-9.\-]{1,64}", "version": r"\d{1,9}"}
    return re.compile(
        "".join(f"(?P<{part[1:-1]}>{shapes[part[1:-1]]})" if part[:1] == "{" else re.escape(part) for part in re.split(r"(\{\w+\})", pattern))
    )


def answer(content: dict, status: int = 200, **headers: str) -> HttpResponse:
    """A FHIR answer; nothing of it may be kept by anybody in between."""
    made = HttpResponse(
        json.dumps(_without_empty(content) if "resourceType" in content else content, ensure_ascii=False),
        status=status,
        content_type=f"{MEDIA}; charset=utf-8",
    )
    made["Cache-Control"] = "no-store"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    return made


def _without_empty(value: object) -> object:
    """A value without the empty lists that R4 does not write (§2.6.2), however deep."""
    if isinstance(value, dict):
        return {name: _without_empty(item) for name, item in value.items() if item != []}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value


def _body(request: HttpRequest) -> bytes:
    length = request.headers.get("Content-Length") or "0"
    if not length.isdecimal() or len(length) > 12 or int(length) > MOST_BYTES:
        raise Problem(413, "too-long", "Le dépôt dépasse 10 Mo : découpez-le en plusieurs transactions.")
    raw = request.read(MOST_BYTES + 1)
    if request.headers.get("Content-Encoding", "").lower() == "gzip":
        try:
            # A small body may open into a large one: no more is opened than is taken.
            raw = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(raw, MOST_BYTES + 1)
        except (zlib.error, gzip.BadGzipFile) as error:
            raise Problem(400, "structure", "Le corps annonce gzip et n’en est pas.") from error
    if len(raw) > MOST_BYTES:
        raise Problem(413, "too-long", "Le dépôt dépasse 10 Mo : découpez-le en plusieurs transactions.")
    return raw


def _refusal(problem: Problem) -> HttpResponse:
    made = outcome([])
    made["issue"] = [{"severity": "error", "code": problem.issue, "diagnostics": problem.text}]
    answered = answer(made, problem.status)
    if problem.status == 401:
        answered["WWW-Authenticate"] = 'Bearer realm="belvedere"'
    return answered


@csrf_exempt
def serve(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Find the operation of an address and run it; every refusal is an OperationOutcome."""
    from belvedere.api.exchange.operations import OPERATIONS

    rest = rest.strip("/")
    caller, asked = None, ""
    try:
        allowed = set()
        for operation in OPERATIONS:
            if found := operation.regex.fullmatch(rest):
                if operation.method != request.method:
                    allowed.add(operation.method)
                    continue
                caller, asked = calling(request), f"{operation.method} {operation.pattern or 'Bundle'}"
                if caller is None and not operation.open:
                    raise Problem(401, "login", "Jeton absent, inconnu ou fermé : envoyez Authorization: Bearer bvx_….")
                raw = _body(request) if request.method in ("POST", "PUT") else b""
                return operation.handler(Call(request, caller, found.groupdict(), raw))
        if allowed:
            refused = _refusal(Problem(405, "not-supported", f"Cette adresse se lit avec {', '.join(sorted(allowed))}."))
            refused["Allow"] = ", ".join(sorted(allowed))
            return refused
        raise Problem(404, "not-found", "Cette adresse n’existe pas : voyez /fhir/metadata.")
    except Problem as problem:
        if caller is not None and problem.status not in UNTOLD and not problem.traced:
            # Not its sentence: it may repeat what was typed, somebody's name perhaps, and the journal forgets nothing.
            note(by=caller.party.code, action="echange.acces.refuse", subject=f"fhir:{asked}", status=problem.status, issue=problem.issue)
        return _refusal(problem)
