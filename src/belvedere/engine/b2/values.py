"""Controls of one zone at a time, as data: `codes.csv` says which zone of which record must pass which test."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from belvedere.engine.b2 import keys
from belvedere.engine.b2.records import Records

LPP_DIGITS = 7
_SPACE = 32


@dataclass(frozen=True)
class Check:
    """One row: finding code, family (or ALL), record type, zone, name of the test and its argument."""

    code: str
    family: str
    record: str
    zone: str
    test: str
    argument: str


@cache
def checks(family: str) -> tuple[Check, ...]:
    """The checks of a family."""
    with (files(__package__) / "codes.csv").open(encoding="utf-8") as stream:
        rows = [Check(**row) for row in csv.DictReader(stream)]
    return tuple(row for row in rows if row.family in ("ALL", family))


def calendar_ok(dates: np.ndarray) -> np.ndarray:
    """Whether AAMMJJ integers are calendar dates (29 February accepted in leap years of 2000-2099)."""
    return _CALENDAR[np.clip(dates, 0, 999_999)]


def _calendar() -> np.ndarray:
    dates = np.arange(1_000_000)
    year, month, day = dates // 10_000, dates // 100 % 100, dates % 100
    lengths = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    known = (month >= 1) & (month <= 12)
    last = lengths[np.where(known, month, 0)] + ((month == 2) & (year % 4 == 0))
    return known & (day >= 1) & (day <= last)


_CALENDAR = _calendar()


def lpp_numbers(records: Records, detail: str) -> np.ndarray:
    """7-digit LPP codes of the details as int64; 0 where the code is not made of digits."""
    start = records.layout(detail)["lpp_code"].start - 1
    return records.digits(detail, slice(start, start + LPP_DIGITS))


@cache
def _letters(allowed: str) -> np.ndarray:
    table = np.zeros(256, dtype=bool)
    table[list(allowed.encode())] = True
    return table


@cache
def _numbers(allowed: str) -> np.ndarray:
    table = np.zeros(10_000, dtype=bool)
    table[[int(value) for value in allowed.split()]] = True
    return table


def _in(records: Records, check: Check) -> np.ndarray:
    return ~_numbers(check.argument)[np.minimum(records.number(check.record, check.zone), 9999)]


def _letter(records: Records, check: Check) -> np.ndarray:
    return ~_letters(check.argument + " ")[records.letter(check.record, check.zone)]


def _strict(records: Records, check: Check) -> np.ndarray:
    return ~_letters(check.argument)[records.letter(check.record, check.zone)]


def _code(records: Records, check: Check) -> np.ndarray:
    first = records.letter(check.record, check.zone)
    return (first < 65) | (first > 90)


def _left(records: Records, check: Check) -> np.ndarray:
    first = records.letter(check.record, check.zone) == _SPACE
    if not first.any():
        return first
    return first & (records.text(check.record, check.zone) != _SPACE).any(axis=1)


def _lpp(records: Records, check: Check) -> np.ndarray:
    codes = lpp_numbers(records, check.record)
    # The trade press speaks of alphanumeric codes: only numeric ones have a key to check.
    return (codes != 0) & ~keys.lpp_ok(codes)


def _modulo(records: Records, check: Check) -> np.ndarray:
    codes = records.number(check.record, check.zone)
    return (codes != 0) & ~keys.lpp_ok(codes)


def _luhn(records: Records, check: Check) -> np.ndarray:
    numbers = records.number(check.record, check.zone)
    return (numbers != 0) & ~keys.luhn_ok(numbers, int(check.argument))


def _date(records: Records, check: Check) -> np.ndarray:
    return ~calendar_ok(records.number(check.record, check.zone))


def _date0(records: Records, check: Check) -> np.ndarray:
    dates = records.number(check.record, check.zone)
    return (dates != 0) & ~calendar_ok(dates)


TESTS: dict[str, Callable[[Records, Check], np.ndarray]] = {
    "in": _in, "letter": _letter, "strict": _strict, "code": _code, "left": _left, "lpp": _lpp, "modulo": _modulo, "luhn": _luhn,
    "date": _date, "date0": _date0,
}  # fmt: skip


def failures(records: Records) -> list[tuple[Check, np.ndarray]]:
    """(check, failed (n_record,) bool) of every check whose record type is present."""
    return [(check, TESTS[check.test](records, check)) for check in checks(records.family) if len(records.rows(check.record))]
