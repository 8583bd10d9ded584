"""The norm's round trips and invariants: bytes to columns to bytes for every record type; batches of any size agree."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from belvedere.engine.b2 import columns
from belvedere.engine.b2.framing import Framer, frame
from belvedere.engine.b2.layouts import Layout, all_layouts
from belvedere.engine.b2.records import CODE, KINDS, classify
from belvedere.engine.privacy.pseudonyms import PseudonymKeys
from belvedere.engine.warehouse.intake import examine
from tests.flows import a_file

quick = settings(deadline=None, max_examples=120)
KEYS = PseudonymKeys(b"1" * 32, b"2" * 32)


def _zone(draw, zone) -> bytes:
    """What a zone may hold in the field: as the norm says, blank, or anything at all."""
    how = draw(st.sampled_from(["norm", "norm", "norm", "blank", "anything"]))
    if zone.constant:
        return zone.constant.ljust(zone.width).encode()
    if how == "blank":
        return b" " * zone.width
    if how == "anything":
        return bytes(draw(st.lists(st.integers(0, 255), min_size=zone.width, max_size=zone.width)))
    if zone.type == "N":
        return str(draw(st.integers(0, 10**zone.width - 1))).zfill(zone.width).encode()
    return draw(st.text("ABCDEFGHIJ 0123456789", max_size=zone.width)).ljust(zone.width).encode()


@st.composite
def records(draw, layout: Layout) -> bytes:
    return b"".join(_zone(draw, zone) for zone in layout.zones)


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(sorted(all_layouts())), st.data())
def test_every_record_type_goes_to_columns_and_back_without_loss(key, data):
    layout = all_layouts()[key]
    content = b"".join(data.draw(st.lists(records(layout), min_size=1, max_size=4)))
    block = np.frombuffer(content, dtype=np.uint8).reshape(-1, 128)
    assert columns.encode(columns.decode(block, layout), len(block)).tobytes() == content


@quick
@given(st.sampled_from(sorted(key for key in all_layouts() if key[1] in ("STD", "CP"))), st.data())
def test_every_record_type_is_told_from_its_bytes(key, data):
    record, family = key
    layout = all_layouts()[key]
    content = bytearray(data.draw(records(layout)))
    for zone in layout.zones:  # the letter of the sub-type, and blanks or digits where there is none
        if zone.name in ("complement",):
            content[zone.slice] = (zone.constant or " ").ljust(zone.width).encode()
        elif zone.name in ("invoice_no", "beneficiary_rank", "operation_nature", "mode_traitement", "sequence", "n_lines"):
            content[zone.slice] = b"0" * zone.width
    view = np.frombuffer(bytes(content), dtype=np.uint8).reshape(1, 128)
    assert KINDS[classify(view, family)[0]] == record


def test_a_whole_file_goes_to_columns_and_back():
    for rank in range(6):
        if content := a_file(rank):
            assert columns.rebuild(columns.split(frame(content))) == content


@quick
@given(st.integers(0, 5), st.integers(128, 60_000), st.integers(1, 50_000), st.sampled_from([b"", b"\n", b"\r\n", b"\r"]))
def test_batches_and_pieces_of_any_size_agree(provider, batch, piece, end):
    content = a_file(provider)
    if end:
        content = end.join(content[at : at + 128] for at in range(0, len(content), 128)) + end
    whole = examine([content], keys=KEYS)
    framer = Framer(batch_bytes=batch)
    kinds = np.concatenate([part.kind for part in framer.batches(content[at : at + piece] for at in range(0, len(content), piece))])
    assert (kinds == frame(content).kind).all()
    cut = examine((content[at : at + piece] for at in range(0, len(content), piece)), keys=KEYS)
    assert cut == whole
    assert whole.lines > 0 and not whole.refused


def test_no_batch_cuts_an_invoice():
    for part in Framer(batch_bytes=1000).batches([a_file()]):
        assert part.kind[-1] in (CODE["5"], CODE["6"], CODE["999"])
