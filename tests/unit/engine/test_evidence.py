"""Merkle trees against the plain definition, the keys a reader trusts, time-stamps."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from belvedere.engine.evidence import archive, merkle, stamps
from tests import evidence


def plain_root(hashes):
    """The definition of RFC 9162 §2.1.1, word for word."""
    if not hashes:
        return merkle.EMPTY
    if len(hashes) == 1:
        return hashes[0]
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    return merkle.node_hash(plain_root(hashes[:middle]), plain_root(hashes[middle:]))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 9, 255, 256, 257, 511, 700, 1025])
def test_the_tree_is_that_of_the_rfc(size):
    hashes = [merkle.leaf_hash(str(rank).encode()) for rank in range(size)]
    growing, kept = merkle.Growing(), {}
    for leaf in hashes:
        kept |= {(height, rank): found for height, rank, found in growing.add(leaf)}
    read = []

    def leaves(low, high):
        read.append(high - low)
        return hashes[low:high]

    assert growing.root == plain_root(hashes) == merkle.root(hashes) == merkle.subtree(0, size, leaves, lambda *key: kept.get(key))
    assert sum(read) < 256, "complete subtrees are looked up, not read again"
    for index in {0, size // 2, size - 1} if size else ():
        path = merkle.inclusion(index, size, leaves, lambda *key: kept.get(key))
        assert merkle.implied_root(hashes[index], index, size, path) == growing.root
        assert merkle.implied_root(hashes[index], index, size, [*path, b""]) is None
    with pytest.raises(IndexError):
        merkle.inclusion(size, size, leaves)


def test_a_reader_may_trust_one_key_only():
    lines = evidence.export(evidence.entries(4), [2, 4])
    assert archive.verify(lines, key=evidence.KEY.public_key()).whole
    other = Ed25519PrivateKey.generate()
    assert "autre clé" in archive.verify(lines, key=other.public_key()).why
    forged = evidence.export(evidence.entries(4), [2, 4], other)
    assert archive.verify(forged).whole and "autre clé" in archive.verify(forged, key=evidence.KEY.public_key()).why


@pytest.mark.parametrize(
    "line", ["", "{}", "[]", "nothing", '{"format": "belvedere-journal-1"}', '{"format": "belvedere-journal-1", "key": "x", "final": 3}']
)
def test_what_is_no_journal_is_told(line):
    assert archive.verify([line]).why
    assert archive.verify_proof({"format": line}).why == "la preuve n’est pas lisible"


def test_an_erased_content_leaves_the_chain_readable():
    rows = evidence.entries(3)
    lines = evidence.export(rows, [3])
    entry = json.loads(lines[2])
    entry["entry"]["detail"] = {}
    lines[2] = json.dumps(entry)
    assert archive.verify(lines).number == 2


def test_an_unreadable_time_stamp_is_told():
    assert stamps.wrong("AAAA", b"x") == "n’est pas lisible"


def test_a_tree_that_goes_on_is_shown_to_and_one_rewritten_is_not():
    """Every pair of sizes up to 40, and each byte of the path or of either root changed."""
    hashes = [merkle.leaf_hash(bytes([rank])) for rank in range(40)]
    leaves = lambda low, high: hashes[low:high]  # noqa: E731
    roots = {size: merkle.root(hashes[:size]) for size in range(1, 41)}
    for second in range(1, 41):
        for first in range(1, second + 1):
            path = merkle.consistency(first, second, leaves)
            assert len(path) <= 2 * second.bit_length()
            assert merkle.implied_roots(first, second, roots[first], path) == (roots[first], roots[second]), (first, second)
            if first < second:
                assert merkle.implied_roots(first, second, roots[first], path[:-1]) != (roots[first], roots[second])
                assert merkle.implied_roots(first, second, roots[first], [*path, roots[1]]) != (roots[first], roots[second])
                changed = [bytes([path[0][0] ^ 1]) + path[0][1:], *path[1:]]
                assert merkle.implied_roots(first, second, roots[first], changed) != (roots[first], roots[second])
    rewritten = [*hashes[:5], merkle.leaf_hash(b"x"), *hashes[6:]]
    path = merkle.consistency(10, 40, lambda low, high: rewritten[low:high])
    assert merkle.implied_roots(10, 40, roots[10], path) != (roots[10], merkle.root(rewritten))
    with pytest.raises(IndexError):
        merkle.consistency(0, 5, leaves)
    assert merkle.implied_roots(5, 4, roots[5], []) is None and merkle.implied_roots(3, 3, roots[3], []) == (roots[3], roots[3])
