"""Weeks in a month: weekly forfaits make months of four or five (domain reference §7, trap 2)."""

import calendar
import datetime as dt
from functools import cache


@cache
def mondays(month: str) -> int:
    """Weeks that begin in a month (AAAA-MM): four or five weekly forfaits are billed in it."""
    year, number = int(month[:4]), int(month[5:])
    _, length = calendar.monthrange(year, number)
    return sum(dt.date(year, number, day).weekday() == 0 for day in range(1, length + 1))
