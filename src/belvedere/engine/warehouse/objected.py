"""Who objected, and what that takes away: a patient's lines of care before the day the objection ends (none, while it
stands), a prescriber's token on lines that otherwise stay: the care is the patient's."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from belvedere.engine.privacy.pseudonyms import BUCKETS

FOR_EVER = 2**31 - 1  # days since 1970: no date of care reaches it


@dataclass(frozen=True)
class Objected:
    """(pseudonym, day from which care counts again) of patients; pseudonyms of prescribers."""

    patients: tuple[tuple[int, int], ...] = ()
    prescribers: tuple[int, ...] = ()

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = sorted(self.patients)
        people = np.array([person for person, _ in rows], dtype=np.int64)
        return people, np.array([day for _, day in rows], dtype=np.int64), np.array(sorted(self.prescribers), dtype=np.int64)

    def table(self) -> pa.Table:
        """The patients as the compute engine joins them: patient, until (date)."""
        people, until, _ = self._sorted
        return pa.table({"patient": people, "until": pa.array(np.minimum(until, 2_932_896).astype(np.int32), pa.date32())})

    def hidden(self, table: pa.Table) -> np.ndarray:
        """(rows,) bool: lines of care that an objection covers; `table` has patient and act_date."""
        people, until, _ = self._sorted
        patient = table["patient"].to_numpy()
        if not len(people):
            return np.zeros(len(patient), dtype=bool)
        place = np.minimum(np.searchsorted(people, patient), len(people) - 1)
        day = table["act_date"].cast(pa.int32()).to_numpy()
        return (people[place] == patient) & (day < until[place])

    def named(self, table: pa.Table) -> np.ndarray:
        """(rows,) bool: lines whose prescriber objected."""
        return np.isin(table["prescriber"].to_numpy(), self._sorted[2])

    def without(self, table: pa.Table) -> pa.Table:
        """The facts that remain, prescribers who objected made unknown."""
        named = self.named(table) if self.prescribers else None
        if named is not None and named.any():
            column = pa.array(np.where(named, 0, table["prescriber"].to_numpy()), pa.int64())
            table = table.set_column(table.schema.get_field_index("prescriber"), table.schema.field("prescriber"), column)
        hidden = self.hidden(table)
        return table.filter(pa.array(~hidden)) if hidden.any() else table

    def buckets(self) -> list[int]:
        """The buckets of persons where its patients are; [] when a prescriber may be in any."""
        return [] if self.prescribers else sorted({person % BUCKETS for person, _ in self.patients})

    def touches(self, table: pa.Table) -> bool:
        """Whether anything of a table must go."""
        return bool(self.hidden(table).any() or (self.prescribers and self.named(table).any()))


def of(patients: Iterable[tuple[int, int | None]], prescribers: Iterable[int] = ()) -> Objected:
    """From rows (pseudonym, day in days since 1970 or None while it stands)."""
    return Objected(tuple((person, FOR_EVER if day is None else day) for person, day in patients), tuple(prescribers))
