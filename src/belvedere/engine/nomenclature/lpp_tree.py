"""Where a code stands in the LPP: the headings above it.

Paths are those of the CNAM nomenclature (NT_LPP), whose tree moves between versions: they are those of the snapshot of July 2020, and
are shown as such. Headings are the official ones, shortened.
"""

import csv
from functools import cache
from importlib.resources import files

SNAPSHOT = "2020-07"


@cache
def _headings() -> dict[str, str]:
    with (files(__package__) / "lpp_headings.csv").open(encoding="utf-8") as stream:
        return {row["path"]: row["label"] for row in csv.DictReader(stream)}


@cache
def _paths() -> dict[int, str]:
    with (files(__package__) / "lpp_tree.csv").open(encoding="utf-8") as stream:
        return {int(row["lpp"]): row["path"] for row in csv.DictReader(stream)}


def above(lpp: int) -> list[tuple[str, str]]:
    """(path, heading) of a code from the title down; headings that the snapshot does not name are left out."""
    steps = _paths().get(lpp, "").split(".")
    paths = [".".join(steps[: rank + 1]) for rank in range(len(steps))]
    return [(path, _headings()[path]) for path in paths if path in _headings()]
