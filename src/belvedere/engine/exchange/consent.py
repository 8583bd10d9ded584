"""What a person says of the use of its data: an append-only list, read at a date, and as it was known at a date."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from belvedere.engine.exchange.vocabulary import Statement

ANY = ""


@dataclass(frozen=True, slots=True)
class Said:
    """One statement, never changed: about which purpose, category and recipient (`ANY`: all), true from `at`, known from `known_at`."""

    kind: Statement
    at: dt.datetime
    known_at: dt.datetime
    purpose: str = ANY
    category: str = ANY
    recipient: str = ANY
    collector: str = ""  # who collected it: an agreement counts for that one's data alone, a withdrawal takes back what was said there

    def concerns(self, purpose: str, category: str, recipients: Sequence[str]) -> bool:
        return self.purpose in (ANY, purpose) and self.category in (ANY, category) and (self.recipient == ANY or self.recipient in recipients)


@dataclass(frozen=True, slots=True)
class State:
    """Whether the person is opposed, whether it has agreed, and whether an agreement names the recipient."""

    opposed: bool = False
    agreed: bool = False
    named: bool = False


SILENT = State()


def state(
    said: Iterable[Said], purpose: str, category: str, recipients: Sequence[str], at: dt.datetime, known: dt.datetime | None = None, source: str = "",
) -> State:  # fmt: skip
    """The state at an instant, from what was known then, for data that `source` deposited: within each scope and collector the last statement stands;
    one that opposes is enough, wherever it was said; an agreement opens the data of whoever collected it, so that nobody grants itself another's.

    Adding an opposition or taking an agreement away can only close: each scope is told by its own last statement."""
    last: dict[tuple[str, str, str, str], Said] = {}
    for one in said:
        if one.at <= at and one.known_at <= (known or at) and one.concerns(purpose, category, recipients):
            scope = (one.purpose, one.category, one.recipient, one.collector)
            before = last.get(scope)
            # Of two statements of one instant the one that closes stands.
            if before is None or (one.at, one.known_at, one.kind != Statement.AGREEMENT) >= (
                before.at,
                before.known_at,
                before.kind != Statement.AGREEMENT,
            ):
                last[scope] = one
    agreements = [one for one in last.values() if one.kind == Statement.AGREEMENT and one.collector == source]
    opposed = any(one.kind == Statement.OPPOSITION for one in last.values())
    return State(opposed, bool(agreements), any(one.recipient != ANY for one in agreements))
