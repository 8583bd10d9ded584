"""Dates and instants as FHIR writes them."""

import datetime as dt
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")  # a day that a person names is a French one


def moment(text: object) -> dt.datetime | None:
    """A FHIR date or dateTime, at its first instant, UTC when it names no zone; None when it is none."""
    if not isinstance(text, str):
        return None
    try:
        padded = text + {4: "-01-01", 7: "-01"}.get(len(text), "")
        found = dt.datetime.fromisoformat(padded)
    except ValueError:
        return None
    if not found.tzinfo:
        return found.replace(tzinfo=dt.UTC)
    try:
        found.astimezone(dt.UTC)
    except OverflowError:  # an instant before year 1 or after year 9999 once in UTC
        return None
    return found
