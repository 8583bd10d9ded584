"""FINESS categories of the medico-social field (aggregates of TRE_R66 in the domain SOC): whose establishments deposit."""

import csv
from functools import cache
from importlib.resources import files


@cache
def categories() -> dict[str, str]:
    """Label of each category, by its code of three characters."""
    with (files(__package__) / "categories.csv").open(encoding="utf-8") as stream:
        return {row["code"]: row["label"] for row in csv.DictReader(stream)}
