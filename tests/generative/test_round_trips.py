"""Round trips: digits, queries, and a sector's lines through B2 bytes and back."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from belvedere.engine.b2 import digits
from belvedere.engine.b2.framing import frame
from belvedere.engine.b2.layouts import all_layouts
from belvedere.engine.b2.lines import read_lines, share_out
from belvedere.engine.b2.writer import render
from belvedere.engine.indicators.query import PARAMETERS, Query
from belvedere.engine.sector.billing import make_sector, month_file, month_lines
from tests.flows import FIRST

quick = settings(deadline=None, max_examples=60)


@quick
@given(st.integers(1, 14), st.lists(st.integers(0, 10**14 - 1), min_size=1, max_size=20))
def test_digits_round_trip(width, values):
    values = np.array(values) % 10**width
    out = np.full((len(values), 128), 32, dtype=np.uint8)
    digits.write(out, slice(3, 3 + width), values)
    read, bad = digits.read(out, slice(3, 3 + width))
    assert (read == values).all() and not bad.any()
    out[0, 3] = ord("A")
    assert digits.read(out, slice(3, 3 + width))[1][0]


@quick
@given(st.sampled_from(sorted(all_layouts())), st.data())
def test_every_record_type_renders_and_reads_back(key, data):
    spec = all_layouts()[key]
    zones = [zone for zone in spec.zones if zone.type == "N" and not zone.constant and zone.name != "filler" and zone.width <= 14]
    names = [zone.name for zone in zones]
    zones = [zone for zone in zones if names.count(zone.name) == 1]
    values = {zone.name: np.array([data.draw(st.integers(0, 10**zone.width - 1))]) for zone in zones}
    record = render(*key, 1, values)
    assert record.shape == (1, 128)
    for zone in zones:
        assert digits.read(record, zone.slice)[0].tolist() == values[zone.name].tolist()


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10**6))
def test_sector_lines_survive_the_norm(seed):
    sector = make_sector(seed=seed, first=FIRST, providers=5, groups=3, months=2, patients=250, establishments=1)
    for provider in sector.providers:
        truth = month_lines(sector, provider.rank, 1)
        content = month_file(sector, provider.rank, 1)
        if not content:
            assert not len(truth["lpp"])
            continue
        lines = read_lines(frame(content))
        for ours, theirs in (("lpp", "lpp"), ("units", "units"), ("total", "amount_billed"), ("amo", "amount_amo"), ("amc", "amount_amc")):
            assert lines.columns[theirs].tolist() == truth[ours].tolist(), ours


@quick
@given(st.lists(st.tuples(st.integers(0, 10**7), st.lists(st.integers(0, 10**6), min_size=1, max_size=6)), min_size=1, max_size=8))
def test_shares_add_up(groups):
    totals = np.array([total for total, _ in groups])
    owner = np.repeat(np.arange(len(groups)), [len(weights) for _, weights in groups])
    shares = share_out(totals, owner, np.array([w for _, weights in groups for w in weights]))
    assert np.bincount(owner, weights=shares).astype(int).tolist() == totals.tolist()
    assert (shares >= 0).all()


@quick
@given(st.builds(Query, *[st.text("ABCabc0123-*", min_size=1, max_size=8) for _ in PARAMETERS]))
def test_query_round_trip(query):
    assert Query.from_params(query.to_params()) == query
