"""One definition, two engines: whatever DuckDB computes, a Spark Connect server computes to the cent."""

import datetime as dt
import os

import numpy as np
import pytest

from belvedere.engine.indicators import cells, own, supplement
from belvedere.engine.indicators.lattice import lattice_of, windows
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
    """BELVEDERE_TEST_SPARK names a real cluster's Connect address; the light double otherwise."""
    if real := os.environ.get("BELVEDERE_TEST_SPARK"):
        yield real
    else:
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
    for name, values in cube.measures.items():
        np.testing.assert_array_equal(values, other.measures[name], err_msg=name)
    given, there = cube.contributions, other.contributions
    for part in ("cell", "holding", "amount"):
        np.testing.assert_array_equal(getattr(given, part), getattr(there, part), err_msg=part)
    order = [(name, "ascending") for name in cube.ledger.column_names]
    assert cube.ledger.sort_by(order).equals(other.ledger.sort_by(order))
    assert told == told_there and any(told["panel"].values())


def test_a_parameter_is_a_literal_and_never_a_text():
    pytest.importorskip("pyspark", reason="le client Spark est un extra")
    from belvedere.engine.warehouse.spark import _filled, rendered

    query = _filled("SELECT family FROM f GROUP BY ALL HAVING max(month) < ?", ["2025-01' OR '1'='1"])
    ((_, _, text),) = rendered(query)
    assert text == "SELECT family FROM f GROUP BY family HAVING MAX(month) < '2025-01\\' OR \\'1\\'=\\'1'"
