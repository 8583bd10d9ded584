"""Every declared cell, on both engines, against a slow count of the generator's truth, one line at a time."""

from itertools import product

import pytest

from belvedere.engine.b2.framing import frame
from belvedere.engine.b2.lines import read_lines
from belvedere.engine.indicators import cells, own
from belvedere.engine.indicators.lattice import release_lattice, windows, years
from belvedere.engine.nomenclature import products as nomenclature
from belvedere.engine.nomenclature.products import SUPPLY_MODES, families, products
from belvedere.engine.nomenclature.territories import departments
from belvedere.engine.privacy import pseudonyms
from belvedere.engine.sector.billing import make_sector, month_file, month_lines
from belvedere.engine.warehouse import engine, facts, files, objected
from tests.flows import FIRST
from tests.sail import served

MONTHS = ["2025-01", "2025-02", "2025-03"]
BANDS = (("0-19", 0), ("20-39", 20), ("40-59", 40), ("60-74", 60), ("75+", 75))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A small sector on disk, and its truth as one dictionary a line."""
    folder = tmp_path_factory.mktemp("cells")
    keys = pseudonyms.create_keys(folder / "k")
    sector = make_sector(seed=11, first=FIRST, providers=7, groups=4, months=3, patients=600, establishments=1)
    people, labels, places = sector.population, list(families()), departments()
    paths, truth = [], []
    for provider in sector.providers:
        for month in range(3):
            clear = month_file(sector, provider.rank, month)
            if not clear:
                continue
            table = facts.build(read_lines(frame(clear)), keys=keys, member_id=provider.rank + 1, flow_id=1)
            paths.append(folder / f"{provider.rank}-{month}.parquet")
            files.write(table, paths[-1])
            line = month_lines(sector, provider.rank, month)
            for n in range(len(line["lpp"])):
                who = int(people.patient[line["episode"][n]])
                place = places[people.department[who]]
                product = products()[int(line["lpp"][n])]
                age = 2025 - int(people.birth_year[who])
                truth.append({
                    "patient": who, "group": provider.group, "invoice": (provider.rank, month, int(line["invoice"][n])),
                    "territory": ("FR", place.region, place.code), "product": ("*", labels[people.family[line["episode"][n]]], str(product.lpp)),
                    "period": (years(MONTHS)[MONTHS[month]], MONTHS[month]),
                    "age": ("*", max(name for name, low in BANDS if age >= low) if age < 75 else "75+"), "sex": ("*", str(people.sex[who])),
                    "payer": ("*", {1: "general", 2: "agricole"}.get(int(people.regime[who]), "autres")),
                    "mode": ("*", SUPPLY_MODES.get("A" if provider.norm == "CP" else product.supply_type, "service")),
                    "units": int(line["units"][n]), "amount_amo": int(line["amo"][n]), "amount_amc": int(line["amc"][n]), "amount_billed": int(line["total"][n]),
                })  # fmt: skip
    groups = {p.rank + 1: p.group for p in sector.providers}
    return paths, groups, truth


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def address(request):
    """Where cells are computed: in this process, or on a Spark Connect server."""
    if request.param == "duckdb":
        yield engine.DUCKDB
    else:
        with served() as found:
            yield found


def test_every_cell_equals_the_slow_count(world, address):
    paths, groups, truth = world
    lattice = release_lattice(MONTHS)
    connection = engine.connect(paths, groups=groups, objected=objected.of(()), materialise=True, address=address)
    table = cells.compute(connection, lattice, windows(MONTHS))
    connection.close()
    by_key: dict[tuple, list[dict]] = {}
    names = ("territory", "product", "period", "age", "sex", "payer", "mode")
    for line in truth:
        for key in product(*(line[name] for name in names)):
            if key in lattice.index:
                by_key.setdefault(key, []).append(line)
    share = {
        (int(c), int(table.groups[h])): a
        for c, h, a in zip(table.contributions.cell, table.contributions.holding, table.contributions.amount, strict=True)
    }
    assert len(by_key) > 1000
    for key, cell in lattice.index.items():
        lines = by_key.get(key, [])
        assert table.measures["patients"][cell] == len({line["patient"] for line in lines}), key
        assert table.measures["invoices"][cell] == len({line["invoice"] for line in lines}), key
        assert table.measures["lines"][cell] == len(lines), key
        for name in ("units", "amount_amo", "amount_amc", "amount_billed"):
            assert table.measures[name][cell] == sum(line[name] for line in lines), (key, name)
    for key, lines in by_key.items():
        for group in {line["group"] for line in lines}:
            assert share[lattice.index[key], group] == sum(line["amount_billed"] for line in lines if line["group"] == group)


def test_own_years_follow_their_anchor(world, address):
    paths, groups, truth = world
    connection = engine.connect(paths, groups=groups, objected=objected.of(()), materialise=True, address=address)
    figures = own.compute(connection, ["2025-02"])
    connection.close()
    until_february = [line for line in truth if line["period"][1] <= "2025-02"]
    assert figures.measure("lines", period="12m-2025-02") == len(until_february)
    assert figures.measure("lines", period="12m-2025-03") == len(truth)
    assert figures.measure("patients", period="2025-01") == len({line["patient"] for line in truth if line["period"][1] == "2025-01"})


def test_a_code_that_moved_counts_in_each_family_at_its_dates(world, monkeypatch):
    """Liquid oxygen is made a code of PPC until 14 February 2025: the tree has a node for each life, and both add up."""
    paths, groups, _ = world
    code, day = 1130220, "2025-02-14"
    before = engine.connect(paths, groups=groups, objected=objected.of(())).sql("SELECT family, sum(amount_amo) FROM facts GROUP BY ALL").fetchall()
    monkeypatch.setattr(nomenclature, "moves", lambda: {code: ((day, "PPC"),)})
    connection = engine.connect(paths, groups=groups, objected=objected.of(()), materialise=True)
    rows = connection.sql(f"SELECT DISTINCT lpp_code, family, act_date < DATE '{day}' FROM facts WHERE lpp = {code}").fetchall()
    assert sorted(rows) == [(str(code), "OXY", False), (f"{code}@PPC", "PPC", True)]
    after = dict(connection.sql("SELECT family, sum(amount_amo) FROM facts GROUP BY ALL").fetchall())
    moved = connection.sql(f"SELECT sum(amount_amo) FROM facts WHERE lpp = {code} AND act_date < DATE '{day}'").fetchall()[0][0]
    assert after == {family: amount + {"OXY": -moved, "PPC": moved}.get(family, 0) for family, amount in before}
    lattice = release_lattice(MONTHS)
    table = cells.compute(connection, lattice, windows(MONTHS))
    goods = lattice.dimensions[1]
    for family in ("OXY", "PPC"):
        children = [code for code, parent in goods.parent.items() if parent == family]
        assert (f"{code}@PPC" in children, str(code) in children) == (family == "PPC", family == "OXY")
        at = lambda node: table.measures["amount_amo"][lattice.index["FR", node, years(MONTHS)["2025-01"], "*", "*", "*", "*"]]  # noqa: E731
        assert at(family) == sum(at(child) for child in children)
