"""The files of a protected table: what may go out, and the sealed dossier from which every audit can be replayed.

`publication.csv` holds the published figures and one neutral symbol elsewhere. `dossier/` (mode 0700) holds the
statuses, the contributions, the rules' parameters and the certificate: it is as confidential as the data.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from belvedere.engine.secrecy import audit, rules
from belvedere.engine.secrecy import replay as audits
from belvedere.engine.secrecy.certificate import Certificate
from belvedere.engine.secrecy.contributions import Filled, fill, read_rows
from belvedere.engine.secrecy.errors import SecrecyError
from belvedere.engine.secrecy.lattice import Lattice
from belvedere.engine.secrecy.protect import Protection
from belvedere.engine.secrecy.rules import Affiliations, Contributions
from belvedere.engine.secrecy.specification import Specification, parse
from belvedere.engine.secrecy.specification import read as read_specification
from belvedere.engine.secrecy.table import Table, without_implied_zeros

PUBLISHED, PRIMARY, SECONDARY = "published", "primary", "secondary"
MASKED = "masked"  # one neutral symbol: any masked cell may be a sensitive one
SEALED = ("specification.yaml", "cellules.csv", "contributions.parquet", "certificat.npz")


def statuses(protection: Protection) -> np.ndarray:
    """Status of each cell."""
    return np.where(~protection.mask, PUBLISHED, np.where(protection.primary, PRIMARY, SECONDARY))


def write(folder: Path, specification: Specification, filled: Filled, protection: Protection, report: dict[str, object], words: str) -> None:
    """Write a new folder; FileExistsError when it already holds something. The caller has seen that nothing leaks."""
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(17, "le dossier n’est pas vide", str(folder))
    sealed = folder / "dossier"
    folder.mkdir(parents=True, exist_ok=True)
    sealed.mkdir(mode=0o700)
    lattice, given = filled.table.lattice, filled.table.given
    codes = {d.name: pa.array([key[place] for key in lattice.keys]) for place, d in enumerate(specification.dimensions)}
    figures: dict[str, np.ndarray] = {"patients": given.patients, **filled.measures}
    shown = {name: pa.array(values, mask=protection.mask) for name, values in figures.items()}
    pacsv.write_csv(pa.table(codes | shown), folder / "publication.csv")
    pacsv.write_csv(pa.table(codes | {"status": pa.array(statuses(protection))} | figures), sealed / "cellules.csv")
    parts, federations = filled.table.affiliated, [*filled.federations, None]  # -1, no federation, is the last one
    federation = pa.array([federations[number] for number in parts.federation], pa.string())
    contributions = {"cell": parts.cell, "holding": np.array(filled.holdings)[parts.holding], "federation": federation, "amount": parts.amount}
    pq.write_table(pa.table(contributions), sealed / "contributions.parquet")
    protection.certificate.save(sealed / "certificat.npz")
    (sealed / "specification.yaml").write_text(specification.source, encoding="utf-8")
    for name in SEALED:
        os.chmod(sealed / name, 0o600)
    digests = {f"dossier/{name}": _digest(sealed / name) for name in SEALED} | {"publication.csv": _digest(folder / "publication.csv")}
    (folder / "rapport.json").write_text(json.dumps(report | {"files": digests}, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    (folder / "rapport.md").write_text(words, encoding="utf-8")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def replay(folder: Path) -> list[str]:
    """What leaks or was altered in a protected table, from its files alone; empty when all holds. SecrecyError S116."""
    try:
        report = json.loads((folder / "rapport.json").read_text(encoding="utf-8"))
        found = [f"fichier altéré depuis la protection : {name}" for name, digest in report["files"].items() if _digest(folder / name) != digest]
        specification = parse((folder / "dossier" / "specification.yaml").read_text(encoding="utf-8"), folder)
        arrays = dict(np.load(folder / "dossier" / "certificat.npz"))
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, SecrecyError):
            raise
        raise SecrecyError("S116", str(folder), reason=str(error)) from None
    lattice = specification.lattice()
    cells = read_rows(folder / "dossier" / "cellules.csv")
    mask, _, patients = read_statuses(specification, lattice, cells)
    table = _table(specification, lattice, pq.read_table(folder / "dossier" / "contributions.parquet"), patients)
    primary = rules.primary(lattice, table.given, specification.parameters, table.affiliated) & ~table.told
    sensitive = without_implied_zeros(table, primary, seed=2)
    seed, proof = specification.seed + 1, Certificate.read(arrays)
    return found + audits.replay(table, mask, sensitive, specification.parameters, seed=seed, proof=proof)


def read_statuses(
    specification: Specification, lattice: Lattice, cells: pa.Table, column: str = "status"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(mask, primary, patients) of every cell from a table of cells with a status; a cell that is not listed counts
    as published. SecrecyError S104, S105, S106, S114."""
    for name in (*[d.name for d in specification.dimensions], column):
        if name not in cells.column_names:
            raise SecrecyError("S105", "table", code=name)
    mask, primary = np.zeros(len(lattice), dtype=bool), np.zeros(len(lattice), dtype=bool)
    patients, seen = np.zeros(len(lattice), dtype=np.int64), np.zeros(len(lattice), dtype=bool)
    counts = cells["patients"].to_pylist() if "patients" in cells.column_names else [None] * len(cells)
    keys = zip(*(cells[d.name].to_pylist() for d in specification.dimensions), strict=True)
    for row, (key, status, count) in enumerate(zip(keys, cells[column].to_pylist(), counts, strict=True)):
        where = f"ligne {row + 2}"
        cell = lattice.index.get(key)
        if cell is None:
            raise SecrecyError("S104", where, code=" · ".join(map(str, key)), hierarchy="treillis déclaré")
        if seen[cell]:
            raise SecrecyError("S106", where)
        if status not in (PUBLISHED, PRIMARY, SECONDARY, MASKED):
            raise SecrecyError("S114", where, code=str(status))
        seen[cell], mask[cell], primary[cell] = True, status != PUBLISHED, status in (PRIMARY, MASKED)
        patients[cell] = int(float(count)) if count not in (None, "") else 0
    return mask, primary, patients


def _table(specification: Specification, lattice: Lattice, rows: pa.Table, patients: np.ndarray) -> Table:
    names, holding = np.unique(np.array(rows["holding"].to_pylist(), dtype=str), return_inverse=True)
    labels = {name: number for number, name in enumerate(sorted({name for name in rows["federation"].to_pylist() if name is not None}))}
    federation = np.array([labels.get(name, -1) for name in rows["federation"].to_pylist()], dtype=np.int64)
    cell, amount = rows["cell"].to_numpy().astype(np.int64), rows["amount"].to_numpy().astype(float)
    affiliated = Affiliations(cell, holding.astype(np.int64), federation, amount)
    pair, place = np.unique(cell * len(names) + holding, return_inverse=True)
    given = Contributions(pair // len(names), pair % len(names), np.bincount(place, weights=amount), patients)
    value = np.bincount(given.cell, weights=given.amount, minlength=len(lattice))
    partition = np.array([d.name in specification.splits for d in specification.dimensions])
    told = np.zeros(len(lattice), dtype=bool)
    told[[lattice.index[key] for key in (*specification.forced, *specification.external)]] = True
    nothing = np.zeros(len(lattice), dtype=bool)
    return Table(lattice, given, value, partition, affiliated, told, nothing)


def elsewhere(cells: Path, spec: Path, column: str, contributions: Path | None) -> list[str]:
    """What leaks in a mask made elsewhere: cells that the published ones give away, and, with the contributions,
    what each holding learns and which derived sums break the rules. SecrecyError as `read_statuses` and `fill`."""
    specification = read_specification(spec)
    lattice = specification.lattice()
    mask, primary, _ = read_statuses(specification, lattice, read_rows(cells), column)
    if contributions is None:
        found = audit.determined(audit.System.of(lattice), mask, seed=specification.seed) & primary
        return [f"déduite par différence : {lattice.name(int(cell))}" for cell in np.flatnonzero(found)]
    table = fill(specification, read_rows(contributions)).table
    return audits.replay(table, mask, primary, specification.parameters, seed=specification.seed + 1, proof=None)
