"""What the worker does for the hub, over and over and once a day."""

from django.utils import timezone

from belvedere.observatory.exchange import bulk, credentials, portability, telling


def run() -> int:
    """Tell subscribers, and make the exports that wait."""
    return telling.deliver() + portability.run_due() + bulk.run_due()


def daily() -> None:
    """Let go of deliveries that are no longer kept, and of the keys whose last tokens have run out."""
    telling.forget()
    credentials.forget_signing_keys(timezone.now())
