"""Rows of contributions (one per contributor and finest cell) to the table that is protected."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from scipy import sparse

from belvedere.engine.secrecy import rules
from belvedere.engine.secrecy.errors import SecrecyError
from belvedere.engine.secrecy.lattice import Dimension, Lattice
from belvedere.engine.secrecy.rules import Affiliations, Contributions
from belvedere.engine.secrecy.specification import Specification
from belvedere.engine.secrecy.table import Table


@dataclass(frozen=True)
class Filled:
    """A table with the names of its holdings and federations and the measures of every cell (float64, cells)."""

    table: Table
    holdings: tuple[str, ...]
    federations: tuple[str, ...]
    measures: dict[str, np.ndarray]


def read_rows(path: Path) -> pa.Table:
    """The rows of a CSV (codes kept as text) or Parquet file. SecrecyError S101."""
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        with pacsv.open_csv(path) as reader:
            names = reader.schema.names
        options = pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        return pacsv.read_csv(path, convert_options=options)
    except (OSError, pa.ArrowInvalid) as error:
        raise SecrecyError("S101", path.name, reason=str(error)) from None


def fill(specification: Specification, rows: pa.Table) -> Filled:
    """The table of a specification from its rows.

    SecrecyError S104 (unknown code), S105 (unknown column), S106 (given twice), S107 (not a number), S108 (negative
    count), S109 (a contributor in two holdings), S110 (a sensitive cell that must be
    published), S113 (a contributor in two federations); each names row and code."""
    names = [specification.columns[d.name] for d in specification.dimensions]
    wanted = [*names, specification.contributor, specification.holding, specification.patients, *specification.measures.values()]
    for name in [*wanted, *([specification.federation] if specification.federation else [])]:
        if name not in rows.column_names:
            raise SecrecyError("S105", "table", code=name)
    codes = [_codes(rows, name, set(d.parent), d.name) for name, d in zip(names, specification.dimensions, strict=True)]
    contributor, _ = _numbered(rows, specification.contributor)
    holding, holdings = _numbered(rows, specification.holding)
    _one_each(rows, contributor, holding, specification.contributor, specification.holding, "S109")
    federation, federations = np.full(len(rows), -1, dtype=np.int64), np.zeros(0, dtype=str)
    if specification.federation:
        federation, federations = _numbered(rows, specification.federation)
        _one_each(rows, contributor, federation, specification.contributor, specification.federation, "S113")
    measures = {name: _numbers(rows, column) for name, column in specification.measures.items()}
    lattice = specification.lattice()
    leaf, keys = _leaves(codes)
    persons = None if specification.distinct else _numbers(rows, specification.patients, count=True)
    if not specification.distinct:
        _given_once(rows, leaf, contributor, specification.contributor)
    reach = _reach(specification, lattice, keys)
    lead = np.abs(measures[specification.lead])
    cell, who, amount = _spread(reach, leaf, holding, lead)
    sides = len(federations) + 1
    split, pair, part = _spread(reach, leaf, holding * sides + federation % sides, lead)
    side = pair % sides
    affiliated = Affiliations(split, pair // sides, np.where(side == sides - 1, -1, side), part)
    if persons is None:
        person, _ = _numbered(rows, specification.patients)
        patients = _distinct(reach, leaf, person)
    else:
        patients = np.asarray(reach @ np.bincount(leaf, weights=persons, minlength=len(keys))).round().astype(np.int64)
    # Rounded: the last digits of a floating sum would tell how it was made.
    totals = {name: np.asarray(reach @ np.bincount(leaf, weights=values, minlength=len(keys))).ravel().round(2) for name, values in measures.items()}
    given = Contributions(cell, who, amount, patients)
    told = np.zeros(len(lattice), dtype=bool)
    for key in (*specification.forced, *specification.external):
        if key not in lattice.index:
            raise SecrecyError("S104", " · ".join(key), code=" · ".join(key), hierarchy="cellules déclarées")
        told[lattice.index[key]] = True
    value = np.asarray(reach @ np.bincount(leaf, weights=lead, minlength=len(keys))).ravel()
    partition = np.array([d.name in specification.splits for d in specification.dimensions])
    nothing = np.zeros(len(lattice), dtype=bool)
    table = Table(lattice, given, value, partition, affiliated, told, nothing)
    sensitive = rules.primary(lattice, given, specification.parameters, affiliated)
    for key in specification.forced:
        if sensitive[lattice.index[key]]:
            raise SecrecyError("S110", " · ".join(key))
    return Filled(table, tuple(map(str, holdings)), tuple(map(str, federations)), totals)


def _spread(reach: sparse.csr_matrix, leaf: np.ndarray, who: np.ndarray, amount: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(cell, who, amount) of every cell reached, sorted. Presence stands in the real part and the amount in the
    imaginary one: who billed nothing is still there."""
    shape = (reach.shape[1], int(who.max(initial=0)) + 1)
    found = (reach @ sparse.csr_matrix((1 + 1j * amount, (leaf, who)), shape=shape)).tocoo()
    order = np.lexsort((found.col, found.row))
    return found.row[order].astype(np.int64), found.col[order].astype(np.int64), found.data.imag[order]


def _line(row: int) -> str:
    return f"ligne {row + 2}"  # a line of titles, and lines count from 1


def _codes(rows: pa.Table, column: str, known: set[str], dimension: str) -> np.ndarray:
    values = np.array(rows[column].cast(pa.string()).to_pylist(), dtype=object)
    for code in dict.fromkeys(values.tolist()):
        if code not in known:
            raise SecrecyError("S104", _line(int(np.argmax(values == code))), code=str(code), hierarchy=dimension)
    return values


def _numbered(rows: pa.Table, column: str) -> tuple[np.ndarray, np.ndarray]:
    """(number of each row, names): names sorted."""
    names, number = np.unique(np.array(rows[column].cast(pa.string()).fill_null("").to_pylist(), dtype=str), return_inverse=True)
    return number.astype(np.int64), names


def _one_each(rows: pa.Table, of: np.ndarray, value: np.ndarray, column: str, other: str, error: str) -> None:
    first = np.full(int(of.max(initial=-1)) + 1, -1, dtype=np.int64)
    first[of[::-1]] = np.arange(len(of))[::-1]
    wrong = np.flatnonzero(value != value[first[of]])
    if len(wrong):
        row, before = int(wrong[0]), int(first[of[wrong[0]]])
        facts = {"code": str(rows[column][row]), "first": str(rows[other][before]), "second": str(rows[other][row])}
        raise SecrecyError(error, _line(row), **facts)


def _numbers(rows: pa.Table, column: str, *, count: bool = False) -> np.ndarray:
    values = rows[column]
    if pa.types.is_string(values.type):
        numbers = np.array([_number(text) for text in values.to_pylist()])
    else:
        numbers = pc.fill_null(values.cast(pa.float64()), float("nan")).to_numpy()
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise SecrecyError("S107", _line(int(bad[0])), code=column)
    if count and (numbers < 0).any():
        raise SecrecyError("S108", _line(int(np.argmax(numbers < 0))), code=column)
    return np.asarray(numbers, dtype=np.float64)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _leaves(codes: list[np.ndarray]) -> tuple[np.ndarray, list[tuple[str, ...]]]:
    """(leaf of each row, key of each leaf)."""
    found: dict[tuple[str, ...], int] = {}
    rank = [found.setdefault(key, len(found)) for key in zip(*codes, strict=True)]
    return np.array(rank, dtype=np.int64), list(found)


def _given_once(rows: pa.Table, leaf: np.ndarray, contributor: np.ndarray, column: str) -> None:
    pair = leaf * (int(contributor.max(initial=0)) + 1) + contributor
    _, first = np.unique(pair, return_index=True)
    if len(first) < len(pair):
        row = int(np.setdiff1d(np.arange(len(pair)), first)[0])
        raise SecrecyError("S106", f"{_line(row)}, {column} {rows[column][row]}")


def _reach(specification: Specification, lattice: Lattice, keys: list[tuple[str, ...]]) -> sparse.csr_matrix:
    """(cells x leaves): the declared cells that each finest cell adds to. A dated hierarchy counts for the leaves
    of its own periods."""
    when = [d.name for d in specification.dimensions].index(specification.calendar) if specification.calendar else None
    above: list[dict[tuple[str, str], list[str]]] = [{} for _ in specification.dimensions]
    cells, leaves = [], []
    for leaf, key in enumerate(keys):
        period = key[when] if when is not None else ""
        choices = []
        for place, dimension in enumerate(specification.dimensions):
            known = above[place]
            if (key[place], period) not in known:
                known[key[place], period] = _ancestors(dimension, key[place], period)
            choices.append(known[key[place], period])
        for combination in itertools.product(*choices):
            cell = lattice.index.get(combination)
            if cell is not None:
                cells.append(cell)
                leaves.append(leaf)
    return sparse.csr_matrix((np.ones(len(cells)), (cells, leaves)), shape=(len(lattice), len(keys)))


def _ancestors(dimension: Dimension, code: str, period: str) -> list[str]:
    found, todo = {code: None}, [code]
    while todo:
        current = todo.pop()
        for hierarchy in dimension.hierarchies():
            if hierarchy.during is not None and period not in hierarchy.during:
                continue
            for total, codes in hierarchy.sums.items():
                if current in codes and total not in found:
                    found[total] = None
                    todo.append(total)
    return list(found)


def _distinct(reach: sparse.csr_matrix, leaf: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Distinct persons of each cell."""
    met = sparse.csr_matrix((np.ones(len(leaf)), (leaf, person)), shape=(reach.shape[1], int(person.max(initial=0)) + 1))
    return np.diff((reach @ met).tocsr().indptr).astype(np.int64)
