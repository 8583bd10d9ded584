"""When each session was last seen: noted once a minute at most, so that reading a page writes nothing to the database."""

import time
from collections.abc import Callable

from allauth.usersessions.middleware import UserSessionsMiddleware
from django.http import HttpRequest, HttpResponse

EVERY_SECONDS = 60.0
KEPT = 10_000


class SeenEachMinute:
    """The library's activity tracking, skipped for a session that was noted less than a minute ago from the same place."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response, self._tracked = get_response, UserSessionsMiddleware(get_response)
        self._noted: dict[int, float] = {}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        session = getattr(request, "session", None)
        # The session key is read from the cookie; who it belongs to is settled by the session itself. Hashed: nothing of it is kept.
        given = (session.session_key if session is not None else None) or ""
        key = hash((given, request.META.get("REMOTE_ADDR"), request.META.get("HTTP_X_FORWARDED_FOR"), request.META.get("HTTP_USER_AGENT")))
        now = time.monotonic()
        if given and now - self._noted.get(key, -EVERY_SECONDS) < EVERY_SECONDS:
            return self._get_response(request)
        response = self._tracked(request)
        if given:
            if len(self._noted) >= KEPT:
                self._noted.clear()
            self._noted[key] = now
        return response
