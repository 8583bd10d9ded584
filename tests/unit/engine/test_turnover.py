"""What changed between two counts of persons."""

from belvedere.engine.exchange.turnover import Change, between, forgotten, table_of

ABOVE = {"75": "R11", "92": "R11"}


def row(territory: str, gir: str, sex: str, place: int, person: int, *, identified: bool = True, known: bool = False):
    return (territory, gir, sex, f"o{place}", place, person, identified, known)


def told(change: Change) -> set[tuple]:
    return set(zip(*(change.rows[name].to_pylist() for name in change.rows.column_names), strict=True))


def shifted(change: Change) -> dict[tuple, float]:
    return {tuple(key): count for *key, count in zip(*(change.shifted[name].to_pylist() for name in change.shifted.column_names), strict=True)}


BEFORE = table_of([row("75", "1", "F", 7, 1), row("75", "2", "F", 7, 2), row("75", "2", "F", 8, 3), row("92", "2", "M", 9, 4)])


def test_who_came_left_moved_or_stayed():
    after = table_of([row("75", "1", "F", 7, 1), row("75", "3", "F", 7, 2), row("75", "2", "F", 8, 5), row("92", "2", "M", 9, 4)])
    change = between(BEFORE, after, ABOVE)
    assert told(change) == {("75", "2", "F", "o7", 0.0), ("75", "3", "F", "o7", 0.0), ("75", "2", "F", "o8", 2.0)}, "2 moved, 3 left, 5 came"
    assert change.moved == 2
    cells = shifted(change)
    assert cells["75", "2", "F", "o7"] == cells["R11", "3", "*", "o7"] == 1.0 and cells["*", "*", "*", "o8"] == 2.0
    assert ("75", "*", "F", "o7") not in cells, "a move inside a total changes nothing there"
    assert not between(BEFORE, BEFORE, ABOVE) and not between(after, after, ABOVE)


def test_who_proved_to_be_one_makes_nothing_thicker():
    twice = table_of([row("75", "1", "F", 7, 1), row("75", "1", "F", 7, 1), row("75", "2", "M", 8, 2)])
    change = between(twice, table_of([row("75", "1", "F", 7, 1), row("75", "2", "M", 8, 2)]), ABOVE)
    assert told(change) == {("75", "1", "F", "o7", 0.0)} and shifted(change)["*", "*", "*", "o7"] > 0


def test_who_was_erased_makes_nothing_thicker_nor_does_its_return():
    before = forgotten(table_of([row("75", "1", "F", 7, 1), row("75", "1", "F", 7, 2), row("75", "1", "F", 8, 1)]), 1, 7)
    after = table_of([row("75", "1", "F", 7, 2), row("75", "1", "F", 8, 1), row("75", "1", "F", 8, 9, known=True)])
    change = between(before, after, ABOVE)
    assert told(change) == {("75", "1", "F", "o7", 0.0), ("75", "1", "F", "o8", 0.0)} and change.moved == 0
    assert between(before, table_of([row("75", "1", "F", 7, 2), row("75", "1", "F", 8, 1), row("75", "1", "F", 8, 9)]), ABOVE).moved == 1, (
        "a newcomer"
    )
    assert told(between(table_of([]), table_of([]), ABOVE)) == set()


def test_persons_named_by_their_house_make_nothing_thicker():
    before = table_of([row("75", "1", "F", 7, rank, identified=False) for rank in range(1, 6)])
    anew = table_of([row("75", "1", "F", 7, rank, identified=False) for rank in range(101, 108)])
    assert between(before, anew, ABOVE).moved == 0 and between(before, anew, ABOVE), "five have another number, two came: nobody can tell"
