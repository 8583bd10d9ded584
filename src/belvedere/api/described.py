"""The API as it describes itself: what the frameworks refuse is told as a problem of the catalogue, and the description names these answers too."""

import json
from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from belvedere.api.schemas import PROBLEMS, Problem, problem

PROBLEM, REFUSAL = "application/problem+json", "#/components/schemas/Problem"
PLACES = {"query": "paramètre", "path": "adresse", "header": "en-tête", "body": "corps", "form": "formulaire", "file": "fichier", "cookie": "témoin"}
MOST_PLACES = 5


NULL = "Adresse illisible : elle contient un caractère nul."


def _place(error: dict[str, Any]) -> str:
    kind, *names = (str(part) for part in error.get("loc", ()))
    # Of a body, the first name is ours. The others are the caller's: what is shown of them is short, and holds no value.
    told = ".".join(name[:40] for name in (names[1:] if kind in ("body", "form") and len(names) > 1 else names)[-2:])
    return f"{PLACES.get(kind, kind)} {told}".strip()


class DescribedAPI(NinjaAPI):
    """A NinjaAPI whose refusals are problems, documented with each operation."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_exception_handler(ValidationError, self._misshapen)
        self.add_exception_handler(HttpError, self._refused)
        self.add_exception_handler(Http404, self._absent)

    def _tell(self, request: HttpRequest, told: Problem, status: int) -> HttpResponse:
        return self.create_response(request, told.dict(), status=status)

    def _misshapen(self, request: HttpRequest, error: Any) -> HttpResponse:
        places = list(dict.fromkeys(_place(one) for one in error.errors))[:MOST_PLACES]
        told = problem("D422")
        told.message = f"{told.message} À revoir : {', '.join(places)}." if places else told.message
        return self._tell(request, told, 422)

    def _refused(self, request: HttpRequest, error: Any) -> HttpResponse:
        code = "P401" if error.status_code == 401 else f"D{error.status_code}"
        answer = self._tell(request, problem(code if code in PROBLEMS else "D400"), error.status_code)
        if error.status_code == 401:
            answer["WWW-Authenticate"] = 'Bearer realm="belvedere"'
        return answer

    def _absent(self, request: HttpRequest, error: Any) -> HttpResponse:
        return self._tell(request, problem("D404"), 404)

    def get_openapi_schema(self, **options: Any) -> Any:
        """The OpenAPI description, with what any call may be refused for."""
        schema = super().get_openapi_schema(**options)
        schema["components"].setdefault("schemas", {}).setdefault("Problem", Problem.model_json_schema())
        for path, calls in schema["paths"].items():
            for call in calls.values():
                for status in _refusals(path, call):
                    call["responses"].setdefault(status, {
                        "description": "Refus", "content": {"application/json": {"schema": {"$ref": REFUSAL}}},
                    })  # fmt: skip
                for status, one in call["responses"].items():
                    shape = one.get("content", {}).get("application/json", {}).get("schema")
                    # What a token is refused with is RFC 6749's to say.
                    if int(status) >= 400 and shape is not None and not shape.get("$ref", "").endswith("/OAuthProblem"):
                        one["content"][PROBLEM] = one["content"].pop("application/json")
        return schema


def _refusals(path: str, call: dict[str, Any]) -> list[int]:
    """What the framework may answer to a call by itself."""
    found = [400]
    if call.get("security"):
        found.append(401)
    if call.get("security") and "/exchange/" in path:
        found.append(403)
    if call.get("parameters") or "requestBody" in call:
        found.append(422)
    if "/services/" in path:
        found.append(503)  # the outside services may not be plugged in at all
    return found


def as_problem(answer: HttpResponse) -> HttpResponse:
    """A refusal with what RFC 9457 names, from our code, sentence and remedy; any other answer as it is."""
    if answer.status_code < 400 or answer.streaming or not answer.headers.get("Content-Type", "").startswith("application/json"):
        return answer
    held = json.loads(answer.content)
    if not isinstance(held, dict) or not {"code", "message"} <= held.keys():
        return answer
    detail = f"{held['message']} {held.get('remedy', '')}".strip()
    named = {"type": f"urn:belvedere:probleme:{held['code']}", "title": held["message"], "status": answer.status_code, "detail": detail}
    answer.content = json.dumps({**named, **{name: value for name, value in held.items() if name not in named}}, ensure_ascii=False).encode()
    answer["Content-Type"], answer["Content-Length"] = PROBLEM, str(len(answer.content))  # the length was written before
    return answer


def told(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """What Django refuses before any operation of the API or of FHIR is found, in their words: a page says nothing to a program."""

    def middleware(request: HttpRequest) -> HttpResponse:
        path, fhir = request.path_info, request.path_info.split("/")[1] == "fhir"
        if not fhir and not path.startswith("/api/"):
            return get_response(request)
        # No address of ours holds a null character, and PostgreSQL takes none.
        if "\0" in path or "%00" in request.META.get("QUERY_STRING", ""):
            if fhir:
                issue = {"severity": "error", "code": "value", "diagnostics": NULL}
                return JsonResponse(
                    {"resourceType": "OperationOutcome", "issue": [issue]}, status=400, content_type="application/fhir+json; charset=utf-8"
                )
            return as_problem(JsonResponse(problem("D400").dict() | {"message": NULL}, status=400))
        answer = get_response(request)
        if not fhir:
            as_problem(answer)
        if answer.status_code not in (404, 405) or answer.headers.get("Content-Type", "").startswith("application/"):
            return answer
        made = as_problem(JsonResponse(problem(f"D{answer.status_code}").dict(), status=answer.status_code))
        if allowed := answer.headers.get("Allow"):
            made["Allow"] = allowed
        return made

    return middleware
