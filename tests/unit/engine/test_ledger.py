"""Counted once: the same number, the same care, in one file or in several."""

import numpy as np
import pyarrow as pa

from belvedere.engine.privacy.pseudonyms import PseudonymKeys
from belvedere.engine.warehouse import ledger
from belvedere.engine.warehouse.intake import examine
from tests.flows import a_file

KEYS = PseudonymKeys(b"1" * 32, b"2" * 32)


def table(rows: list[tuple[int, int, int, int]]) -> pa.Table:
    """Rows (invoice, patient, day, amount)."""
    invoice, patient, day, amount = (np.array(column) for column in zip(*rows, strict=True))
    same = np.ones(len(rows), dtype=np.int64)
    made = {name: pa.array(same) for name in ledger.COLUMNS}
    made |= {"invoice_no": pa.array(invoice), "patient": pa.array(patient), "amount_billed": pa.array(amount)}
    made["act_date"] = pa.array(day.astype(np.int32)).cast(pa.date32())
    return pa.table(made)


def test_lines_of_an_invoice_are_one_whatever_their_order():
    one = ledger.invoices_of(table([(1, 7, 100, 5), (1, 7, 103, 6), (2, 8, 100, 5)]))
    other = ledger.invoices_of(table([(2, 8, 100, 5), (1, 7, 103, 6), (1, 7, 100, 5)]))
    apart = ledger.invoices_of(table([(1, 7, 100, 5), (2, 8, 100, 5), (1, 7, 103, 6)]))
    for found in (one, other, apart):
        at = np.argsort(found.number)
        assert found.number[at].tolist() == [1, 2]
        assert (found.content[at] == one.content[np.argsort(one.number)]).all()
        assert (found.first[at].tolist(), found.last[at].tolist()) == ([100, 100], [103, 100])


def past(*rows):
    return lambda invoices: [(9, ledger.invoices_of(table(list(rows))), False)]


def test_the_past_decides():
    book = ledger.Ledger(past((1, 7, 100, 5), (2, 8, 100, 5), (3, 9, 100, 5), (4, 6, 100, 5)))
    sifted = book.sift(ledger.invoices_of(table([(1, 7, 100, 5), (2, 8, 101, 6), (30, 9, 100, 5), (4, 6, 900, 5)])))
    assert sifted.again.tolist() == [True, False, False, False]  # the very same
    assert sifted.corrects.tolist() == [False, True, False, False]  # its number, other content
    assert sifted.elsewhere.tolist() == [False, False, True, False]  # its care, other number
    assert sifted.kept.tolist() == [False, True, True, True]  # the last one uses a number again years later
    assert book.replaced == {9: {2, 3}}


def test_a_later_version_stands_whichever_is_treated_first():
    book = ledger.Ledger(lambda invoices: [(9, ledger.invoices_of(table([(1, 7, 100, 5), (3, 9, 100, 5)])), True)])
    sifted = book.sift(ledger.invoices_of(table([(1, 7, 100, 6), (30, 9, 100, 5), (4, 7, 100, 5)])))
    assert sifted.outdated.tolist() == [True, False, False]
    assert sifted.elsewhere.tolist() == [False, True, True]
    assert not sifted.kept.any() and not book.replaced


def test_a_number_seen_before_the_file_still_clashes_inside_it():
    book = ledger.Ledger(past((5, 7, 100, 5)))
    book.sift(ledger.invoices_of(table([(5, 7, 100, 5)])))
    assert book.sift(ledger.invoices_of(table([(5, 7, 100, 6)]))).clash.tolist() == [True]


def test_a_clash_does_not_hide_a_sound_invoice():
    book = ledger.Ledger()
    book.sift(ledger.invoices_of(table([(1, 7, 100, 5)])))
    sifted = book.sift(ledger.invoices_of(table([(1, 8, 100, 5), (2, 8, 100, 5)])))
    assert (sifted.clash.tolist(), sifted.kept.tolist()) == ([True, False], [False, True])


def invoice_again(clear: bytes, at: int, change: bool) -> bytes:
    """The file with its first invoice sent again right after itself, perhaps of another date; totals follow."""
    lines = [clear[n : n + 128] for n in range(0, len(clear), 128)]
    last = next(n for n, record in enumerate(lines) if record[:1] == b"5") + 1
    invoice = lines[2:last]
    if change:
        invoice = [record[:67] + b"250109" + record[73:] if record[:1] == b"4" and record[35:36] == b" " else record for record in invoice]
    five = invoice[-1]
    six, end = bytearray(lines[-2]), bytearray(lines[-1])
    for start, stop, more in ((10, 13, 1), (21, 24, 1), (24, 33, int(five[57:65])), (33, 42, int(five[65:73])), (42, 51, int(five[81:89]))):
        six[start:stop] = f"{int(six[start:stop]) + more:0{stop - start}d}".encode()
    end[55:63] = b"%08d" % (len(lines) + len(invoice))
    return b"".join([*lines[:last], *invoice, *lines[last:-2], bytes(six), bytes(end)])


def test_the_same_invoice_twice_in_a_row_counts_once():
    once = examine([a_file()], keys=KEYS)
    twice = examine([invoice_again(a_file(), 0, False)], keys=KEYS)
    assert [item.code for item in twice.findings] == ["S106"]
    assert (twice.lines, twice.amount_billed, twice.invoices) == (once.lines, once.amount_billed, once.invoices)
    other = examine([invoice_again(a_file(), 0, True)], keys=KEYS, policy="invoice")
    assert "S105" in [item.code for item in other.findings] and other.refused_count == 1
    assert (other.lines, other.amount_billed) == (once.lines, once.amount_billed)


def test_one_file_is_compared_with_itself():
    book = ledger.Ledger()
    book.sift(ledger.invoices_of(table([(1, 7, 100, 5), (2, 8, 100, 5)])))
    sifted = book.sift(ledger.invoices_of(table([(1, 7, 100, 5), (2, 8, 100, 6), (3, 8, 100, 5)])))
    assert (sifted.again.tolist(), sifted.clash.tolist(), sifted.elsewhere.tolist()) == (
        [True, False, False],
        [False, True, False],
        [False, False, True],
    )


def test_seen_keys_are_found_whatever_the_runs():
    seen, rng = ledger._Seen(), np.random.default_rng(1)
    keys = rng.permutation(50_000)
    for part in np.array_split(keys, 37):
        assert not seen.find(part)[0].any()
        seen.add(part, (part * 3).astype(np.uint64))
    found, value = seen.find(keys)
    assert found.all() and (value == keys * 3).all()
    assert len(seen.runs) < 12


def doubled(clear: bytes) -> bytes:
    """The file with its lot sent twice."""
    lot = clear[128:-128]
    last = bytearray(clear[-128:])
    last[55:63] = b"%08d" % (2 * (len(clear) // 128 - 2) + 2)
    last[82:85] = b"002"
    return clear[:128] + lot + lot + bytes(last)


def test_a_lot_sent_twice_in_a_file_counts_once():
    once, twice = examine([a_file()], keys=KEYS), examine([doubled(a_file())], keys=KEYS)
    assert (twice.lines, twice.invoices, twice.amount_billed) == (once.lines, once.invoices, once.amount_billed)
    assert [(item.code, item.count) for item in twice.findings] == [("S106", once.invoices)]
    assert twice.again == once.invoices
