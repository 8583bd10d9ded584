"""A second, slow judge of secrecy that shares nothing with the engine: dictionaries, whole numbers modulo 2^61 - 1.

It is given relations as lists of cells and what a reader knows, and says what follows from it exactly.
"""

from collections.abc import Iterable, Mapping

PRIME = 2**61 - 1
Row = dict[object, int]


class Facts:
    """Linear facts a reader holds: rows over unknown quantities, reduced as they come."""

    def __init__(self) -> None:
        self.rows: dict[object, Row] = {}  # pivot -> reduced row, pivot coefficient 1

    def reduce(self, row: Mapping[object, int]) -> Row:
        """What is left of a combination once the facts are taken into account."""
        left = {k: v % PRIME for k, v in row.items() if v % PRIME}
        while True:
            pivot = next((k for k in left if k in self.rows), None)
            if pivot is None:
                return left
            factor = left[pivot]
            for k, v in self.rows[pivot].items():
                value = (left.get(k, 0) - factor * v) % PRIME
                if value:
                    left[k] = value
                else:
                    left.pop(k, None)

    def add(self, row: Mapping[object, int]) -> None:
        """Take in a combination known to be worth a known number."""
        left = self.reduce(row)
        if not left:
            return
        pivot = next(iter(left))
        inverse = pow(left[pivot], PRIME - 2, PRIME)
        new = {k: v * inverse % PRIME for k, v in left.items()}
        for other in self.rows.values():
            if pivot in other:
                factor = other[pivot]
                for k, v in new.items():
                    value = (other.get(k, 0) - factor * v) % PRIME
                    if value:
                        other[k] = value
                    else:
                        other.pop(k, None)
        self.rows[pivot] = new

    def tell(self, row: Mapping[object, int]) -> bool:
        """Whether a combination follows from the facts."""
        return not self.reduce(row)


def reader(relations: Iterable[tuple[object, list[object]]], known: set[object]) -> Facts:
    """The facts of someone who knows the relations and the `known` cells."""
    facts = Facts()
    for total, parts in relations:
        row: Row = {}
        for cell, sign in [(total, 1), *((part, -1) for part in parts)]:
            if cell not in known:
                row[cell] = row.get(cell, 0) + sign
        facts.add(row)
    return facts


def breaks(shares: Iterable[float], persons: int, *, patients: int = 11, holdings: int = 3, dominance: float = 0.85, p: float = 0.10) -> bool:
    """Whether a non-empty cell with these shares by holding breaks a primary rule, computed the long way."""
    ordered = sorted((abs(share) for share in shares), reverse=True)
    total, first, second = sum(ordered), ordered[0], ordered[1] if len(ordered) > 1 else 0.0
    return persons < patients or len(ordered) < holdings or first > dominance * total or total - first - second < p * first
