"""FIDES: invoices sent one by one to the single paying office, then dispatched to the managing one; and how far its deployment is (reference §4)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from belvedere.engine.services.invoice_check import Billed


@dataclass(frozen=True)
class Route:
    """Where an invoice goes: the paying office that receives it, the managing office that decides."""

    payer: str
    manager: str


def route(billed: Billed, payer: str) -> Route:
    """The route of an invoice: regime, office and centre of the person say who decides."""
    zones = billed.zones
    return Route(payer, f"{zones['regime']}{zones['caisse']}{zones['centre']}")


def dispatched(found: Iterable[Billed], payer: str) -> Counter[str]:
    """Invoices by managing office, once received by the paying one."""
    return Counter(route(one, payer).manager for one in found)


def rate(emitting: int, target: int) -> float:
    """Percent of the target that emits, to two digits: 732 of 926 is 79.05. ValueError when there is no target."""
    if target <= 0 or not 0 <= emitting <= target:
        raise ValueError("la cible est un registre : elle compte au moins les émetteurs")
    return round(100 * emitting / target, 2)
