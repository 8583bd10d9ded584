"""A journal that was touched anywhere is found out, and the entry is named."""

import json

from hypothesis import given
from hypothesis import strategies as st

from belvedere.engine.evidence import archive, merkle
from tests import evidence


@st.composite
def journals(draw):
    """(entries, sizes of the heads); the last head covers everything."""
    count = draw(st.integers(3, 40))
    return evidence.entries(count), sorted({*draw(st.lists(st.integers(1, count), max_size=4)), count})


def numbered(lines: list[str]) -> list[int]:
    """Rank, among the lines, of each entry."""
    return [rank for rank, line in enumerate(lines) if '"entry"' in line[:10]]


@given(journals())
def test_an_untouched_journal_is_whole(journal):
    rows, sizes = journal
    found = archive.verify(evidence.export(rows, sizes))
    assert (found.why, found.entries, found.heads) == ("", len(rows), len(sizes))


@given(journals(), st.data())
def test_a_flipped_character_is_found_where_it_is(journal, data):
    lines = evidence.export(*journal)
    number = data.draw(st.integers(1, len(journal[0])))
    place = numbered(lines)[number - 1]
    line = lines[place]
    spots = [rank for rank, sign in enumerate(line) if sign.isalnum() and rank > 11]
    spot = data.draw(st.sampled_from(spots))
    other = data.draw(st.sampled_from("0123456789abcdef").filter(lambda sign: sign != line[spot]))
    lines[place] = line[:spot] + other + line[spot + 1 :]
    assert archive.verify(lines).number == number


@given(journals(), st.data())
def test_a_dropped_entry_is_found(journal, data):
    lines = evidence.export(*journal)
    number = data.draw(st.integers(1, len(journal[0])))
    del lines[numbered(lines)[number - 1]]
    assert archive.verify(lines).number == number


@given(journals(), st.data())
def test_swapped_entries_are_found(journal, data):
    lines = evidence.export(*journal)
    first, second = sorted(data.draw(st.lists(st.integers(0, len(journal[0]) - 1), min_size=2, max_size=2, unique=True)))
    one, other = numbered(lines)[first], numbered(lines)[second]
    lines[one], lines[other] = lines[other], lines[one]
    assert archive.verify(lines).number == first + 1


@given(journals(), st.data())
def test_an_inserted_entry_is_found(journal, data):
    rows, sizes = journal
    lines = evidence.export(rows, sizes)
    number = data.draw(st.integers(1, len(rows)))
    place = numbered(lines)[number - 1]
    lines.insert(place, lines[place].replace('"essai"', '"faux"'))
    assert archive.verify(lines).number == number


@given(journals(), st.data())
def test_a_truncated_journal_is_found(journal, data):
    lines = evidence.export(*journal)
    kept = data.draw(st.integers(1, len(lines) - 1))
    assert not archive.verify(lines[:kept]).whole


@given(journals(), st.data())
def test_a_head_of_another_place_is_found(journal, data):
    lines = evidence.export(*journal)
    heads = [rank for rank, line in enumerate(lines) if line.startswith('{"head"')]
    place = data.draw(st.sampled_from(heads))
    other = evidence.head(evidence.entries(len(journal[0]), "y"), json.loads(lines[place])["head"]["size"])
    lines[place] = json.dumps({"head": vars(other)})
    assert not archive.verify(lines).whole


@given(journals())
def test_a_journal_written_anew_is_found_by_who_kept_a_head(journal):
    rows, sizes = journal
    known = evidence.head(rows, sizes[0])
    forged = evidence.export(evidence.entries(len(rows), "y"), sizes)
    assert archive.verify(forged).whole
    assert archive.verify(forged, [known]).number == sizes[0]
    shorter = evidence.export(rows[: len(rows) - 1], [len(rows) - 1])
    assert "raccourci" in archive.verify(shorter, [evidence.head(rows, len(rows))]).why


@given(journals(), st.data())
def test_a_proof_holds_for_its_entry_alone(journal, data):
    rows, _ = journal
    hashes = evidence.leaves(rows)
    index = data.draw(st.integers(0, len(rows) - 1))
    path = merkle.inclusion(index, len(rows), lambda low, high: hashes[low:high])
    proof = archive.proof(rows[index], evidence.head(rows, len(rows)), path, evidence.KEY.public_key())
    assert archive.verify_proof(proof).whole
    touched = data.draw(st.sampled_from(("subject", "at", "digest", "previous", "salt")))
    text = str(proof["entry"][touched])
    assert not archive.verify_proof(proof | {"entry": proof["entry"] | {touched: text[:-1] + ("0" if text[-1] != "0" else "1")}}).whole
    if len(rows) > 1:
        assert not archive.verify_proof(proof | {"path": proof["path"][:-1]}).whole
        assert not archive.verify_proof(proof | {"entry": rows[index - 1]}).whole
