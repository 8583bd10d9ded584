"""How often one visitor may do a thing that costs, or that tells something to who tries often enough."""

import hashlib

from allauth.core.internal.httpkit import get_client_ip
from django.core.cache import cache
from django.http import HttpRequest


def allowed(request: HttpRequest, what: str, most: int, seconds: int) -> bool:
    """Whether a visitor's address is still under `most` tries in a window; the address itself is not kept."""
    mark = hashlib.sha256(f"{what}:{get_client_ip(request)}".encode()).hexdigest()[:32]
    key = f"limit-{mark}"
    if cache.add(key, 1, seconds):
        return True
    try:
        return cache.incr(key) <= most
    except ValueError:  # it expired in between
        return True
