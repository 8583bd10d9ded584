"""What the worker does for the hub, over and over and once a day."""

from django.utils import timezone

from belvedere.observatory.exchange import availability, bulk, credentials, doubles, portability, telling


def tell() -> int:
    """Tell subscribers."""
    return telling.deliver()


def make() -> int:
    """Make the exports that wait: apart from notifications, which none of them holds up."""
    return portability.run_due() + bulk.run_due()


def watch() -> None:
    """Ask, once a minute, whether the door of the hub is open."""
    availability.watch()


def run() -> int:
    """Both, one after the other."""
    return tell() + make()


def daily() -> None:
    """Let go of deliveries and compared files that are no longer kept, and of the keys whose last tokens have run out."""
    telling.forget()
    doubles.forget()
    credentials.forget_signing_keys(timezone.now())
