"""Service by service: what is real here, what a simulator stands for, what the real one needs, how to plug it."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Service:
    """One service."""

    code: str
    name: str
    real: str
    simulated: str
    needs: str
    plug: str


@cache
def services() -> tuple[Service, ...]:
    """Every service, in the order of a stay."""
    with (files(__package__) / "services.csv").open(encoding="utf-8") as stream:
        return tuple(Service(**row) for row in csv.DictReader(stream))
