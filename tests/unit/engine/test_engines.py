"""One definition, two engines: whatever DuckDB computes, a Spark Connect server computes to the cent."""

import datetime as dt

import numpy as np
import pytest

from belvedere.engine.indicators import cells, own, supplement
from belvedere.engine.indicators.lattice import lattice_of, release_periods, windows
from belvedere.engine.secrecy.rules import Parameters
from belvedere.engine.sector.billing import make_sector
from belvedere.engine.warehouse import engine
from belvedere.engine.warehouse.objected import Objected
from tests.sail import served
from tests.sectors import fact_files, payment_files


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(fact files, payments, groups, objections, months) of eight providers over 24 months, one of them plugged late."""
    folder = tmp_path_factory.mktemp("facts")
    sector = make_sector(seed=4, first=dt.date(2024, 1, 1), providers=8, groups=6, months=24, patients=500, establishments=1)
    paths = fact_files(sector, folder)
    import pyarrow.parquet as pq

    people = pq.read_table(paths[0], columns=["patient", "prescriber"])
    objected = Objected(((people["patient"][0].as_py(), 20_000),), (people["prescriber"][0].as_py(),))
    months = [sector.month(rank).isoformat()[:7] for rank in range(24)]
    return paths, payment_files(sector, folder), {item.rank + 1: item.group + 1 for item in sector.providers}, objected, months


@pytest.fixture(scope="module")
def address():
    with served() as found:
        yield found


def computed(world, address):
    """Everything that indicators read: own figures, cells with contributions, what is told beside them."""
    paths, payments, groups, objected, months = world
    connection = engine.connect(paths, groups=groups, objected=objected, materialise=True, returned=payments, address=address)
    try:
        figures = own.compute(connection, [months[-1]])
        periods = windows(months)
        lattice = lattice_of(periods, months)
        table = cells.compute(connection, lattice, periods, months=months)
        free = Parameters(patients=1, holdings=1, dominance_share=2.0, p_percent=0.0)
        told = supplement.compute(connection, periods, lambda family, period: figures.measure("patients", product=family, period=period), free)
        return figures, table, told
    finally:
        connection.close()


def test_duckdb_and_spark_agree_to_the_cent(world, address):
    (mine, cube, told), (theirs, other, told_there) = computed(world, engine.DUCKDB), computed(world, address)
    for name in mine.__dataclass_fields__:
        assert getattr(mine, name) == getattr(theirs, name), name
    assert mine.answered and mine.suspects is not None and mine.survival
    same_cells(cube, other)
    assert told == told_there and any(told["panel"].values())


def incremented(world, address):
    """A second year beside a first one that was closed before a provider's lines of that year came: (cells of the first, of both)."""
    paths, _, groups, objected, months = world
    periods = windows(months[:12])
    first = engine.connect(paths[:-1], groups=groups, objected=objected, materialise=True)
    closed = cells.compute(first, lattice_of(periods, months[:12]), periods, months=months[:12])
    both = release_periods(months, [periods])
    connection = engine.connect(paths, groups=groups, objected=objected, materialise=True, address=address)
    try:
        return closed, cells.compute(
            connection,
            lattice_of(both, months),
            both,
            months=months,
            closed=[closed.ledger],
            counted=[closed.counts],
            cutoffs=dict.fromkeys(months[:12], 12),
        )
    finally:
        connection.close()
        first.close()


def same_cells(mine, theirs):
    """Two tables of cells hold the same figures, contributions, ledger and counts."""
    for name, values in mine.measures.items():
        np.testing.assert_array_equal(values, theirs.measures[name], err_msg=name)
    for part in ("cell", "holding", "amount"):
        np.testing.assert_array_equal(getattr(mine.contributions, part), getattr(theirs.contributions, part), err_msg=part)
    for one, other in ((mine.ledger, theirs.ledger), (mine.counts, theirs.counts)):
        order = [(name, "ascending") for name in one.column_names]
        assert one.sort_by(order).equals(other.select(one.column_names).sort_by(order))


def test_one_more_year_beside_a_closed_one_is_the_same_on_both_engines(world, address):
    closed, mine = incremented(world, engine.DUCKDB)
    _, theirs = incremented(world, address)
    same_cells(mine, theirs)
    months = world[-1]
    before, after = lattice_of(windows(months[:12]), months[:12]), lattice_of(release_periods(months, [windows(months[:12])]), months)
    place = np.array([after.index[key] for key in before.index])
    for name, values in closed.measures.items():
        np.testing.assert_array_equal(values[list(before.index.values())], mine.measures[name][place], err_msg=f"a closed month moved: {name}")
    assert set(mine.ledger["month"].to_pylist()) == set(months[12:]), "what was closed is not added up again"


def test_a_parameter_is_a_literal_and_never_a_text():
    pytest.importorskip("pyspark", reason="le client Spark est un extra")
    from belvedere.engine.warehouse.spark import _filled, rendered

    query = _filled("SELECT family FROM f GROUP BY ALL HAVING max(month) < ?", ["2025-01' OR '1'='1"])
    ((_, _, text),) = rendered(query)
    assert text == "SELECT family FROM f GROUP BY family HAVING MAX(month) < '2025-01\\' OR \\'1\\'=\\'1'"
