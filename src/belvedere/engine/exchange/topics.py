"""Topics of subscriptions, and which one a deposited resource raises."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Topic:
    """One topic: code, French label, category of data that it tells of ("": none by itself)."""

    code: str
    label: str
    category: str


@cache
def _rows() -> list[dict[str, str]]:
    with (files(__package__) / "topics.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@cache
def topics() -> dict[str, Topic]:
    """Every topic by code."""
    return {row["topic"]: Topic(row["topic"], row["label"], row["categories"]) for row in _rows()}


@cache
def _by_profile() -> dict[str, str]:
    return {profile: row["topic"] for row in reversed(_rows()) for profile in row["profiles"].split()}


def topic_of(profile: str, facts: Mapping[str, object], rectified: bool, closed: bool = False) -> str:
    """The topic of a deposited resource, "" when it raises none. A stay that gets its end is its closing, not a rectification; one that was `closed` already
    is rectified."""
    if profile == "tddui-encounter-sejour" and not closed:
        return "sejour-clos" if facts.get("end") else "donnee-rectifiee" if rectified else "sejour-ouvert"
    if rectified:
        return "donnee-rectifiee"
    if profile == "tddui-questionnaire-response" and "aggir" not in str(facts.get("questionnaire", "")):
        return ""
    return _by_profile().get(profile, "")
