"""What changed between two counts of persons."""

from belvedere.engine.exchange.turnover import Change, between, forgotten, table_of


def told(change: Change) -> set[tuple]:
    return set(zip(*(change.rows[name].to_pylist() for name in change.rows.column_names), strict=True))


def test_who_came_left_moved_or_stayed():
    before = table_of([("75", "1", "F", 7, 1), ("75", "2", "F", 7, 2), ("75", "2", "F", 8, 3), ("92", "2", "M", 9, 4)])
    after = table_of([("75", "1", "F", 7, 1), ("75", "3", "F", 7, 2), ("75", "2", "F", 8, 5), ("92", "2", "M", 9, 4)])
    change = between(before, after)
    assert told(change) == {("75", "2", "F", 7, 0.0), ("75", "3", "F", 7, 0.0), ("75", "2", "F", 8, 2.0)}, "2 moved, 3 left, 5 came"
    assert (change.moved, change.establishments) == (2, 1)
    assert not between(before, before) and not between(after, after)


def test_who_proved_to_be_one_makes_nothing_thicker():
    twice = table_of([("75", "1", "F", 7, 1), ("75", "1", "F", 7, 1), ("75", "2", "M", 8, 2)])
    assert told(between(twice, table_of([("75", "1", "F", 7, 1), ("75", "2", "M", 8, 2)]))) == {("75", "1", "F", 7, 0.0)}


def test_who_was_erased_has_left():
    before = forgotten(table_of([("75", "1", "F", 7, 1), ("75", "1", "F", 7, 2), ("75", "1", "F", 8, 1)]), 1, 7)
    after = table_of([("75", "1", "F", 7, 2), ("75", "1", "F", 8, 1)])
    assert told(between(before, after)) == {("75", "1", "F", 7, 1.0)}
    assert told(between(before, table_of([]))) == {("75", "1", "F", 7, 2.0), ("75", "1", "F", 8, 1.0)}
