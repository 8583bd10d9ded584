"""What the worker does for the hub, over and over and once a day."""

from belvedere.observatory.exchange import bulk, portability, telling


def run() -> int:
    """Tell subscribers, and make the exports that wait."""
    return telling.deliver() + portability.run_due() + bulk.run_due()


def daily() -> None:
    """Let go of deliveries that are no longer kept."""
    telling.forget()
