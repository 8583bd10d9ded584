"""Record layouts of the B2 norm, as data.

`layouts.csv` holds one row per zone (positions 1-based, inclusive) for the two families of the
norm: STD ("toutes normes sauf CP", suppliers) and CP (establishments). Reader, writer and the
reference documentation are all made from this table. Source: reference of the norm, §4.
"""

import csv
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

RECORD_LENGTH = 128
FAMILIES = ("STD", "CP")


@dataclass(frozen=True)
class Zone:
    """One zone of a record: 1-based inclusive positions, N(umeric) or A(lpha), O(bligatory) or not."""

    name: str
    start: int
    end: int
    type: str
    presence: str
    constant: str
    decimals: int
    note: str

    @property
    def width(self) -> int:
        return self.end - self.start + 1

    @property
    def place(self) -> str:
        """Positions as findings cite them: "68-73", or "56" for one character."""
        return f"{self.start}-{self.end}" if self.end > self.start else str(self.start)

    @property
    def slice(self) -> slice:
        """0-based Python slice of the zone inside a record."""
        return slice(self.start - 1, self.end)


@dataclass(frozen=True)
class Layout:
    """All zones of one record type in one family; the zones tile positions 1 to 128."""

    record: str
    family: str
    zones: tuple[Zone, ...]

    @cached_property
    def _by_name(self) -> dict[str, Zone]:
        return {zone.name: zone for zone in reversed(self.zones)}

    def __getitem__(self, name: str) -> Zone:
        if name in self._by_name:
            return self._by_name[name]
        raise KeyError(f"record {self.record} ({self.family}) has no zone {name!r}")


@cache
def all_layouts() -> dict[tuple[str, str], Layout]:
    """Every layout by (record, family); records common to both families appear under both."""
    rows: dict[tuple[str, str], list[Zone]] = {}
    with (files(__package__) / "layouts.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            zone = Zone(
                name=row["zone"],
                start=int(row["start"]),
                end=int(row["end"]),
                type=row["type"],
                presence=row["presence"],
                constant=row["constant"],
                decimals=int(row["decimals"] or 0),
                note=row["note"],
            )
            for family in FAMILIES if row["family"] == "ALL" else (row["family"],):
                rows.setdefault((row["record"], family), []).append(zone)
    return {key: Layout(*key, tuple(zones)) for key, zones in rows.items()}


def layout(record: str, family: str, *, old: bool = False) -> Layout:
    """The layout of one record type, e.g. ``layout("4F", "STD")``; KeyError when there is none. `old` asks
    for the layout of the edition of 02/2003 where there is one (§13)."""
    if old and (record, f"{family}-2003") in all_layouts():
        return all_layouts()[record, f"{family}-2003"]
    return all_layouts()[record, family]
