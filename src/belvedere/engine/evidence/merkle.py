"""A Merkle tree over a growing list of leaves (RFC 9162 §2.1): root and inclusion proofs, built and checked.

The tree is asked through two functions, so that no caller has to hold all leaves: `leaves(low, high)` gives
leaf hashes, `kept(height, rank)` gives a stored complete subtree or None.
"""

import hashlib
from collections.abc import Callable, Sequence

EMPTY = hashlib.sha256(b"").digest()
BLOCK = 8  # complete subtrees of 2**8 leaves and more are worth storing: two nodes for 256 leaves

Leaves = Callable[[int, int], Sequence[bytes]]
Kept = Callable[[int, int], bytes | None]


def leaf_hash(content: bytes) -> bytes:
    """Hash of a leaf; the prefix keeps leaves and nodes apart (RFC 9162 §2.1.1)."""
    return hashlib.sha256(b"\0" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return hashlib.sha256(b"\1" + left + right).digest()


def _never(height: int, rank: int) -> bytes | None:
    return None


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << (size - 1).bit_length() - 1


def subtree(low: int, high: int, leaves: Leaves, kept: Kept = _never) -> bytes:
    """Root of the leaves `low` to `high` (excluded), which start at a multiple of their size rounded up."""
    size = high - low
    if size == 0:
        return EMPTY
    if (size == 1 << BLOCK and low % size == 0) or size < 1 << BLOCK:
        stored = kept(BLOCK, low >> BLOCK) if size == 1 << BLOCK else None
        return stored or _fold(leaves(low, high))
    if size & (size - 1) == 0 and (stored := kept(size.bit_length() - 1, low // size)):
        return stored
    middle = low + _split(size)
    return node_hash(subtree(low, middle, leaves, kept), subtree(middle, high, leaves, kept))


def _fold(hashes: Sequence[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    middle = _split(len(hashes))
    return node_hash(_fold(hashes[:middle]), _fold(hashes[middle:]))


def root(hashes: Sequence[bytes]) -> bytes:
    """Root of a whole list of leaf hashes."""
    return subtree(0, len(hashes), lambda low, high: hashes[low:high])


def inclusion(index: int, size: int, leaves: Leaves, kept: Kept = _never) -> list[bytes]:
    """The audit path of leaf `index` (from 0) in the tree of the first `size` leaves, leaf side first."""
    if not 0 <= index < size:
        raise IndexError(f"leaf {index} of a tree of {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(subtree(middle, high, leaves, kept))
            high = middle
        else:
            path.append(subtree(low, middle, leaves, kept))
            low = middle
    return path[::-1]


def implied_root(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that an audit path leads to (RFC 9162 §2.1.3.2); None when the path has not the right length."""
    if not 0 <= index < size:
        return None
    here, last, found = index, size - 1, leaf
    for other in path:
        if last == 0:
            return None
        if here & 1 or here == last:
            found = node_hash(other, found)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            found = node_hash(found, other)
        here, last = here >> 1, last >> 1
    return found if last == 0 else None


def consistency(first: int, second: int, leaves: Leaves, kept: Kept = _never) -> list[bytes]:
    """What shows that the tree of the first `second` leaves begins with that of the first `first` (RFC 9162 §2.1.4.1)."""
    if not 0 < first <= second:
        raise IndexError(f"{first} leaves before {second}")
    path: list[bytes] = []
    low, high, whole = 0, second, True  # `whole`: the first tree's own root is known to the reader
    while first < high:
        middle = low + _split(high - low)
        if first <= middle:
            path.append(subtree(middle, high, leaves, kept))
            high = middle
        else:
            path.append(subtree(low, middle, leaves, kept))
            low, whole = middle, False
    if not whole:
        path.append(subtree(low, high, leaves, kept))
    return path[::-1]


def implied_roots(first: int, second: int, first_root: bytes, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The roots of both trees that a consistency path leads to (RFC 9162 §2.1.4.2); None when the path has not the right shape."""
    if not 0 < first <= second:
        return None
    if first == second:
        return (first_root, first_root) if not path else None
    rest = [first_root, *path] if first & (first - 1) == 0 else list(path)
    if not rest:
        return None
    here, last = first - 1, second - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    old = new = rest[0]
    for other in rest[1:]:
        if last == 0:
            return None
        if here & 1 or here == last:
            old, new = node_hash(other, old), node_hash(other, new)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            new = node_hash(new, other)
        here, last = here >> 1, last >> 1
    return (old, new) if last == 0 else None


class Growing:
    """A tree that leaves are added to one after another: the complete subtrees on its right edge are all it keeps."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[tuple[int, bytes]] = []  # (height, hash), highest first

    def add(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add a leaf hash; returns the subtrees it completes, as (height, rank, hash)."""
        height, found, done = 0, leaf, []
        self.size += 1
        while self._edge and self._edge[-1][0] == height:
            found = node_hash(self._edge.pop()[1], found)
            height += 1
            done.append((height, (self.size >> height) - 1, found))
        self._edge.append((height, found))
        return done

    @property
    def root(self) -> bytes:
        """Root of the leaves added so far."""
        if not self._edge:
            return EMPTY
        found = self._edge[-1][1]
        for _, left in reversed(self._edge[:-1]):
            found = node_hash(left, found)
        return found
