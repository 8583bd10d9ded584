"""Who would be made one of two: chains of numbers, whatever their length and order."""

import pytest

from belvedere.engine.exchange.sameness import conflicts

X, Y = ("INS-X", ["1"]), ("INS-Y", ["2"])


@pytest.mark.parametrize("patients, known, ranks", [
    ([X, Y], {}, []),
    ([X, ("INS-Y", ["1"])], {}, [1]),
    ([X, Y, ("", ["1", "2"])], {}, [2]),
    ([("", ["1", "2"]), X, Y], {}, [2]),
    ([("", ["1", "3"]), ("", ["3", "2"]), X, Y], {}, [3]),
    ([X, ("INS-X", ["2"]), ("", ["1", "2"])], {}, []),
    ([("INS-X", ["1"])], {"1": ("p", False)}, []),
    ([("INS-X", ["1"])], {"1": ("p", True)}, [0]),
    ([("INS-X", ["1"])], {"1": ("p", True), "INS-X": ("p", True)}, []),
    ([("", ["1", "2"])], {"1": ("p", True), "2": ("q", True)}, [0]),
    ([("", ["1", "2"])], {"1": ("p", True), "2": ("q", False)}, []),
    ([("", [])], {}, []),
])  # fmt: skip
def test_two_known_persons_are_never_one(patients, known, ranks):
    assert conflicts(patients, known) == ranks
