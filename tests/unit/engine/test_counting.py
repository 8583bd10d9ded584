"""Distinct persons and invoices, counted in one sorted reading, against the compute engine's own `count(DISTINCT …)`."""

import datetime as dt

import pytest

from belvedere.engine.indicators import cells, counting
from belvedere.engine.indicators.lattice import DIMENSIONS, lattice_of, windows
from belvedere.engine.sector.billing import make_sector
from belvedere.engine.warehouse import engine
from belvedere.engine.warehouse.objected import Objected
from tests.sectors import fact_files

MONTHS = [f"{2024 + rank // 12}-{rank % 12 + 1:02d}" for rank in range(26)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    sector = make_sector(seed=9, first=dt.date(2024, 1, 1), providers=5, groups=3, months=26, patients=300, establishments=1)
    paths = fact_files(sector, tmp_path_factory.mktemp("counting"))
    return lambda: engine.connect(paths, groups={item.rank + 1: item.group + 1 for item in sector.providers}, objected=Objected())


def as_set(table):
    return sorted(zip(*(table[name].to_pylist() for name in (*DIMENSIONS, "patients", "invoices")), strict=True))


@pytest.mark.parametrize("at_once", [10**9, 1_500, 100], ids=["one pass", "some buckets", "every bucket"])
def test_every_cell_equals_count_distinct(world, monkeypatch, at_once):
    monkeypatch.setattr(counting, "SORTED_AT_ONCE", at_once)
    monkeypatch.setattr(counting, "BATCH", 700)  # persons straddle batches
    periods = windows(MONTHS)
    assert len(periods) == 3
    connection = world()
    mine = cells.compute(connection, lattice_of(periods, MONTHS), periods, months=MONTHS).counts
    asked = cells._count(connection, {*periods, *MONTHS})
    assert as_set(mine) == as_set(asked) and len(mine) > 5_000


def test_a_new_month_counts_itself_and_what_is_still_open(world):
    """The months of a sealed period are not counted again; a new one, in no period yet, is."""
    connection = world()
    past, periods = MONTHS[:24], windows(MONTHS[:24])
    first = cells.compute(connection, lattice_of(periods, past), periods, months=past)
    both = MONTHS[:25]
    following = cells.compute(world(), lattice_of(periods, both), periods, months=both, closed=[first.ledger], counted=[first.counts])
    assert set(following.counts["period"].to_pylist()) == {MONTHS[24]}
    whole = cells.compute(world(), lattice_of(periods, both), periods, months=both)
    for name, values in whole.measures.items():
        assert (values == following.measures[name]).all(), name


def test_a_number_used_again_for_somebody_else_is_another_invoice(world):
    import pyarrow as pa

    from belvedere.engine.warehouse.schema import FACTS

    rows = [
        {name.name: "A" if pa.types.is_string(name.type) else dt.date(2024, 1 + rank, 1) if pa.types.is_date32(name.type) else 1 for name in FACTS}
        | {"patient": person, "invoice_no": 7, "department": "75"}
        for rank, person in enumerate((5, 6, 6))
    ]
    connection = engine.connect(pa.Table.from_pylist(rows, FACTS), groups={1: 1}, objected=Objected())
    months = MONTHS[:12]
    lattice = lattice_of(windows(months), months)
    table = cells.compute(connection, lattice, windows(months), months=months)
    whole = lattice.index["FR", "*", "12m-2024-12", "*", "*", "*", "*"]
    assert (table.measures["patients"][whole], table.measures["invoices"][whole]) == (2, 2)


def test_nothing_to_count_is_an_empty_table(world):
    connection = world()
    found = cells.compute(connection, lattice_of(windows(["2030-01"]), ["2030-01"]), windows(["2030-01"]), months=["2030-01"])
    assert len(found.counts) == 0 and not found.measures["patients"].any()
