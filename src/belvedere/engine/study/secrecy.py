"""Which volumes of a study the public may read: one lattice for every table, protected from vendors, then from establishments."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from belvedere.engine.secrecy.contributions import fill
from belvedere.engine.secrecy.protect import protect
from belvedere.engine.secrecy.specification import parse
from belvedere.engine.study.market import UNKNOWN

DIMENSIONS = ("month", "device", "category", "algorithm", "named")
# What the tables of the study tell: each is a face of the same lattice, so that no two of them give a third by difference.
FACES = {"T06": ("month", "device"), "T08m": ("month", "algorithm"), "T12": ("month", "category", "named")}
TOTAL = "*"
Key = tuple[str, ...]


def _specification(cells: pa.Table) -> str:
    trees = {name: {TOTAL: None, **dict.fromkeys(sorted(pc.unique(cells[name]).to_pylist()), TOTAL)} for name in DIMENSIONS}
    faces = {code: {name: ["0", "1"] if name in face else ["0"] for name in DIMENSIONS} for code, face in FACES.items()}
    return yaml.safe_dump({
        "title": "Factures", "contributor": "contributor", "holding": "contributor", "patients": {"column": "invoices", "splits": []},
        "dimensions": {name: {"tree": tree} for name, tree in trees.items()}, "cubes": faces, "measures": {"invoices": "invoices"}, "seed": 7,
    }, allow_unicode=True, sort_keys=False)  # fmt: skip


def _closed(cells: pa.Table, contributor: pa.ChunkedArray) -> set[Key]:
    """The keys that may not be told when each value of `contributor` is somebody who reads; every key when no mask holds."""
    rows = cells.select(DIMENSIONS).append_column("contributor", contributor).append_column("invoices", cells["invoices"])
    rows = rows.group_by([*DIMENSIONS, "contributor"]).aggregate([("invoices", "sum")]).rename_columns([*DIMENSIONS, "contributor", "invoices"])
    specification = parse(_specification(cells), Path())
    filled = fill(specification, rows)
    done = protect(filled.table, specification.parameters, seed=specification.seed)
    index = filled.table.lattice.index
    return set(index) if done.leaks else {key for key, at in index.items() if done.mask[at]}


def closed(cells: pa.Table) -> set[Key]:
    """The keys of the lattice (month, device, category, algorithm, named; "*" for all) that the public may not read.

    A vendor knows its own volume, and so does an establishment: each is taken in turn for somebody who subtracts it. An establishment whose vendor is
    unknown stands for itself. What either closes is closed: more masks never open anything."""
    vendors = pc.if_else(pc.equal(cells["vendor"], UNKNOWN), pc.binary_join_element_wise("site ", cells["site"], ""), cells["vendor"])
    return _closed(cells, vendors) | _closed(cells, cells["site"])


def key_of(face: str, values: Sequence[str]) -> Key:
    """The key of a cell of a table, from its values in the order of its dimensions."""
    given = dict(zip(FACES[face], values, strict=True))
    return tuple(given.get(name, TOTAL) for name in DIMENSIONS)
