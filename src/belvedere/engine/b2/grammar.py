"""The order of record types (norm reference §3), as a table of what may follow what."""

import numpy as np

from belvedere.engine.b2.records import CODE, KINDS

DETAILS = {"STD": ("4F", "4B", "4C", "4D", "4M", "4T", "4U"), "CP": ("3F", "3H", "4B", "4H", "4M")}
# Most details a base line may carry (§3); the maximum of 4F in STD is not sourced.
MOST = {("CP", "3F"): 10, ("CP", "3H"): 10, ("CP", "4B"): 10, ("CP", "4H"): 10, ("CP", "4M"): 26, ("STD", "4M"): 26}
MOST_LINES, MOST_INVOICES = 999, 999


def _follows() -> np.ndarray:
    allowed = np.zeros((len(KINDS), len(KINDS)), dtype=bool)
    invoice_head = ("2", "2S", "2M", "2P", "2B", "2C")
    threes, fours = ("3", "3S", "3E", "3F", "3H"), tuple(k for k in KINDS if k.startswith("4"))

    def may(before: tuple[str, ...], after: tuple[str, ...]) -> None:
        for a in before:
            for b in after:
                allowed[CODE[a], CODE[b]] = True

    may(("000", "6"), ("1",))
    may(("1", "5"), ("2",))
    may(("2",), ("2S",))
    may(invoice_head, ("2M", "2P", "2B", "2C", "3", "4"))
    may(threes + fours, ("3", "4", "5"))
    may(threes, ("3S", "3E", "3F", "3H"))
    may(fours, tuple(k for k in fours if k != "4"))
    may(("5",), ("6",))
    may(("6",), ("999",))
    return allowed


_MAY_FOLLOW = _follows()


def misplaced(kind: np.ndarray, previous: int | None) -> np.ndarray:
    """(n,) bool: records whose type may not follow the one before; `previous` is the type before the first
    (None at the head of the file, where only a 000 may stand)."""
    wrong = np.zeros(len(kind), dtype=bool)
    wrong[1:] = ~_MAY_FOLLOW[kind[:-1], kind[1:]]
    wrong[0] = kind[0] != CODE["000"] if previous is None else not _MAY_FOLLOW[previous, kind[0]]
    return wrong
