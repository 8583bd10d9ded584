"""What each service may answer: codes of ours, told useful or not, with what to do (the official lists are not public)."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FOUND = "00"


@dataclass(frozen=True)
class Result:
    """A result code of a service."""

    service: str
    code: str
    label: str
    useful: bool
    remedy: str


@cache
def results() -> dict[tuple[str, str], Result]:
    """Every result by (service, code)."""
    with (files(__package__) / "results.csv").open(encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        return {(row["service"], row["code"]): Result(row["service"], row["code"], row["label"], row["useful"] == "1", row["remedy"]) for row in rows}
