"""A frozen release as a look-up table: the only road from the market's figures to a screen or the API.

The file holds every cell of the declared lattice; masked cells carry no values at all, so nothing that is
hidden can be served by mistake.
"""

import datetime as dt
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from belvedere.engine.indicators.lattice import ALL, DIMENSIONS, level_of
from belvedere.engine.indicators.measures import OF_CODES_ALONE
from belvedere.observatory.collect.vault import write_durably
from belvedere.observatory.environment import data_dir
from belvedere.observatory.publication.models import Release, ReleaseState

FOLDER = "releases"
MASKED = "masked"
PRODUCT = DIMENSIONS.index("product")
SUPPLEMENT = b"supplement"
Cell = Mapping[str, int]


class TamperedRelease(Exception):
    """The file of a release is not the one that was approved."""


@dataclass(frozen=True, eq=False)
class Frozen:
    """An opened release: `cells` maps a full key to its measures, None where masked."""

    label: str
    months: tuple[str, ...]
    published_at: dt.datetime | None
    groups: int
    cells: Mapping[tuple[str, ...], Cell | None]
    supplement: Mapping[str, Mapping[str, Mapping[str, object]]] = field(default_factory=dict)  # figure -> family -> period

    @cached_property
    def years(self) -> tuple[str, ...]:
        """Twelve-month periods, oldest first."""
        found = {key[2] for key in self.cells if key[2].startswith("12m-")}
        return tuple(sorted(found))

    @property
    def until(self) -> str:
        """Last month of the latest twelve-month period: the release may hold later months."""
        return self.years[-1].removeprefix("12m-")

    def cell(self, **codes: str) -> Cell | str | None:
        """Measures of a cell, `MASKED`, or None when the release does not declare it."""
        defaults = {"territory": "FR"}
        key = tuple(codes.get(name, defaults.get(name, ALL)) for name in DIMENSIONS)
        if key not in self.cells:
            return None
        return self.cells[key] or MASKED

    def measure(self, name: str, **codes: str) -> int | str | None:
        """One measure of a cell, `MASKED`, or None when undeclared."""
        found = self.cell(**codes)
        return found.get(name) if isinstance(found, Mapping) else found

    def beside(self, figure: str, product: str, period: str) -> object:
        """What the release tells beside its cells: courses, bands, a class; `MASKED`, or None when it does not speak of it."""
        by_period = self.supplement.get(figure, {}).get(product, {})
        if period not in by_period:
            return MASKED if self.measure("patients", product=product, period=period) == MASKED else None
        return by_period[period] or MASKED

    def course(self, product: str, period: str, code: str) -> int | str | None:
        """Persons of a family who took a course over a twelve-month period."""
        found = self.beside("courses", product, period)
        return found.get(code, MASKED) if isinstance(found, Mapping) else MASKED if found == MASKED else None


def freeze(
    keys: list[tuple[str, ...]], mask: np.ndarray, measures: Mapping[str, np.ndarray], label: str, supplement: Mapping[str, object] | None = None
) -> tuple[str, str]:
    """Write a release file and return (file name, SHA-256). Values of masked cells never reach the file, whose
    name carries its content's hash: no computation can overwrite another release."""
    columns: dict[str, pa.Array] = {d: pa.array([key[rank] for key in keys]) for rank, d in enumerate(DIMENSIONS)}
    families = np.array([level_of("product", key[PRODUCT]) != "lpp" for key in keys])
    for measure, values in measures.items():
        hidden = np.asarray(mask) | families if measure in OF_CODES_ALONE else np.asarray(mask)
        columns[measure] = pa.array(values, pa.int64(), mask=hidden)
    beside = json.dumps(supplement or {}, sort_keys=True, ensure_ascii=False)
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata({SUPPLEMENT: beside}), buffer, compression="zstd")
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    name = f"{label}-{digest[:16]}.parquet"
    write_durably(data_dir() / FOLDER / name, content)
    return name, digest


@lru_cache(maxsize=4)
def _opened(label: str, file_name: str, digest: str, months: tuple[str, ...], published_at: dt.datetime | None, groups: int) -> Frozen:
    content = (data_dir() / FOLDER / file_name).read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise TamperedRelease(f"La publication {label} a été modifiée après validation.")
    table = pq.read_table(io.BytesIO(content))
    names = [name for name in table.column_names if name not in DIMENSIONS]
    keys = zip(*(table[d].to_pylist() for d in DIMENSIONS), strict=True)
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    cells = {key: None if row[0] is None else dict(zip(names, row, strict=True)) for key, row in zip(keys, rows, strict=True)}
    beside = json.loads((table.schema.metadata or {}).get(SUPPLEMENT, b"{}"))
    return Frozen(label, months, published_at, groups, cells, beside)


def opened(release: Release) -> Frozen:
    """The look-up table of a release; TamperedRelease when its file changed."""
    return _opened(release.label, release.file_name, release.digest, tuple(release.months), release.published_at, release.groups)


def labelled(label: str) -> tuple[Release, Frozen] | None:
    """A release that went out, withdrawn or not, and its look-up table."""
    release = Release.objects.filter(label=label, state__in=(ReleaseState.PUBLISHED, ReleaseState.WITHDRAWN)).first()
    return (release, opened(release)) if release else None


def current() -> Frozen | None:
    """The latest published release; None before the gate first opened."""
    release = Release.objects.filter(state=ReleaseState.PUBLISHED).first()
    return opened(release) if release else None
