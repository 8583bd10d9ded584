"""Security headers of every page: nothing runs or loads that is not ours."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def content_security_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Add the content policy; signed-in pages are not kept by caches."""

    def middleware(request: HttpRequest) -> HttpResponse:
        # No address of ours holds a null character, and PostgreSQL takes none. Programs are answered in theirs (`belvedere.api.described`).
        empty = not request.path_info.startswith(("/api/", "/fhir")) and ("\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""))
        response = HttpResponseBadRequest("Adresse illisible.", content_type="text/plain; charset=utf-8") if empty else get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        if getattr(request, "user", None) is not None and request.user.is_authenticated:
            response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    return middleware
