"""How often one visitor may do a thing that costs, or that tells something to who tries often enough."""

import hashlib
import ipaddress

from allauth.core.internal.httpkit import get_client_ip
from django.core.cache import cache
from django.http import HttpRequest


def allowed(request: HttpRequest, what: str, most: int, seconds: int) -> bool:
    """Whether a visitor's address (an IPv6 by its /64) is still under `most` tries in `seconds`; the address itself is not kept."""
    return granted(f"{what}:{_network(get_client_ip(request) or '')}", most, seconds)


def granted(what: str, most: int, seconds: int) -> bool:
    """Take one of `most` places, each held for `seconds`: taking is atomic, whatever process asks."""
    mark = hashlib.sha256(what.encode()).hexdigest()[:32]
    return any(cache.add(f"limit-{mark}-{place}", 1, seconds) for place in range(most))


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network(f"{found}/64", strict=False)) if found.version == 6 else address
