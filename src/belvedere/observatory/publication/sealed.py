"""What stays under seal beside a release: the ledger of the months it closed, and the proof of its protection.

Both hold figures by group: they are as confidential as the facts, readable by the service alone, and never
served. They contain no person. The release's row keeps their hash.
"""

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from belvedere.engine.secrecy.certificate import Certificate
from belvedere.engine.secrecy.protect import Protection
from belvedere.engine.secrecy.rules import Affiliations, Contributions
from belvedere.engine.secrecy.table import Table
from belvedere.observatory.collect.vault import write_durably
from belvedere.observatory.environment import data_dir
from belvedere.observatory.publication.models import Release

FOLDER = "releases/sealed"


class BrokenSeal(Exception):
    """A sealed file is missing or is not the one that was written."""


@dataclass(frozen=True)
class Proof:
    """All that replaying the audits of a release takes, over its linked lattice."""

    mask: np.ndarray
    sensitive: np.ndarray
    table: Table
    certificate: Certificate


def write(table: Table, protection: Protection, sensitive: np.ndarray, ledger: pa.Table, counts: pa.Table) -> dict[str, str]:
    """Write the sealed files of a release; their names and hashes."""
    given, split = table.given, table.affiliated
    arrays = {
        "mask": protection.mask, "sensitive": sensitive, "told": table.told, "patients": given.patients,
        "cell": given.cell, "holding": given.holding, "amount": given.amount, "federation": split.federation, "value": table.value,
        "partition": table.partition,
    }  # fmt: skip
    proof = io.BytesIO()
    np.savez_compressed(proof, **arrays, **{f"certificate_{name}": values for name, values in protection.certificate.arrays().items()})
    return {"proof": _seal(proof.getvalue(), "npz"), "ledger": _seal(_parquet(ledger), "parquet"), "counts": _seal(_parquet(counts), "parquet")}


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _seal(content: bytes, kind: str) -> str:
    digest = hashlib.sha256(content).hexdigest()
    folder = data_dir() / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    path = folder / f"{digest}.{kind}"
    write_durably(path, content)
    os.chmod(path, 0o600)
    return digest


def _unseal(digest: str, kind: str) -> io.BytesIO:
    if not digest:
        raise BrokenSeal("Cette publication n’a pas de dossier scellé : elle a été calculée par une version antérieure.")
    path = data_dir() / FOLDER / f"{digest}.{kind}"
    if not path.exists():
        raise BrokenSeal(f"Le dossier scellé {digest[:16]} manque.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise BrokenSeal(f"Le dossier scellé {digest[:16]} a été modifié.")
    return io.BytesIO(content)


def ledger(release: Release) -> pa.Table:
    """The figures by month, cell and group of the months that a release closed. BrokenSeal."""
    return pq.read_table(_unseal(release.sealed.get("ledger", ""), "parquet"))


def counts(releases: Sequence[Release]) -> list[pa.Table]:
    """The distinct counts by cell that releases sealed with their months; those of before this was sealed are counted again. BrokenSeal."""
    return [pq.read_table(_unseal(release.sealed["counts"], "parquet")) for release in releases if release.sealed.get("counts")]


def proof(release: Release, lattice) -> Proof:
    """The proof of a release over its lattice. BrokenSeal."""
    held = np.load(_unseal(release.sealed.get("proof", ""), "npz"))
    given = Contributions(held["cell"], held["holding"], held["amount"], held["patients"])
    affiliated = Affiliations(held["cell"], held["holding"], held["federation"], held["amount"])
    table = Table(lattice, given, held["value"], held["partition"], affiliated, held["told"], held["told"])
    certificate = Certificate.read({name.removeprefix("certificate_"): held[name] for name in held.files if name.startswith("certificate_")})
    return Proof(held["mask"], held["sensitive"], table, certificate)
