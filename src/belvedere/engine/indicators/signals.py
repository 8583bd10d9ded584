"""What leaves its habit: a control chart on three-month means, for the monthly letter.

Rule: individuals and moving range (Shewhart; Montgomery, *Statistical Quality Control*, §6.4). The last three-month mean is a signal
when it leaves mean ± 2.66 × mean moving range of the earlier ones. A decile or a percentage would cry every month for small providers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from belvedere.engine.indicators.own import OwnFigures
from belvedere.engine.indicators.weeks import mondays
from belvedere.engine.nomenclature.products import UNKNOWN_FAMILY, families

SMOOTH = 3
PAST = 9  # three-month means that make a habit
LEAST = 11  # patients in a month under which a family's changes are noise
# Indicators watched: measure, whether weeks that begin in the month matter, and what divides it.
WATCHED: Mapping[str, tuple[str, bool, str | None]] = {
    "patients": ("patients", False, None), "weeks": ("days", True, None), "amount_amo": ("amount_amo", True, None), "delay": ("delay", False, "lines"),
}  # fmt: skip


@dataclass(frozen=True)
class Signal:
    """A figure out of its habit: `change` of the last three months against the habit, and that of the market over the same months."""

    indicator: str
    product: str
    change: float
    market: float | None

    @property
    def up(self) -> bool:
        return self.change > 0


def smoothed(values: Sequence[float]) -> list[float]:
    """Three-month means."""
    return [sum(values[at - SMOOTH + 1 : at + 1]) / SMOOTH for at in range(SMOOTH - 1, len(values))]


def out_of_habit(values: Sequence[float]) -> float | None:
    """Relative change of the last three-month mean against the earlier ones that share no month with it; None within the habit, or without enough past."""
    means = smoothed(values)
    past = means[:-SMOOTH][-PAST:]
    if len(past) < PAST:
        return None
    habit = sum(past) / len(past)
    spread = 2.66 * sum(abs(now - before) for before, now in pairwise(past)) / (len(past) - 1)
    if not habit or abs(means[-1] - habit) <= spread:
        return None
    return means[-1] / habit - 1


def _monthly(source, measure: str, weekly: bool, per: str | None, months: Sequence[str], product: str) -> list[float] | None:
    found = []
    for month in months:
        value = source.measure(measure, product=product, period=month)
        below = source.measure(per, product=product, period=month) if per else mondays(month) if weekly else 1
        if not isinstance(value, int) or not isinstance(below, int) or not below:
            return None
        found.append(value / below)
    return found


def watch(own: OwnFigures, market=None) -> tuple[list[Signal], int]:
    """(signals, the strongest first; figures examined) over all families together and each family of eleven patients a month at least.
    Only months that both have are compared with the market."""
    signals, examined = [], 0
    for product in ("*", *(code for code in families() if code != UNKNOWN_FAMILY)):
        if (own.measure("patients", product=product, period=own.months[-1]) or 0) < LEAST:
            continue
        for name, (measure, weekly, per) in WATCHED.items():
            values = _monthly(own, measure, weekly, per, own.months, product)
            if values is None or len(values) < PAST + 2 * SMOOTH - 1:
                continue
            examined += 1
            change = out_of_habit(values)
            if change is not None:
                both = [month for month in own.months if market is not None and month in market.months]
                theirs = _monthly(market, measure, weekly, per, both, product) if both else None
                means = smoothed(theirs) if theirs and len(theirs) >= PAST + 2 * SMOOTH - 1 else []
                past = means[:-SMOOTH][-PAST:]
                signals.append(Signal(name, product, change, means[-1] / (sum(past) / len(past)) - 1 if past and sum(past) else None))
    return sorted(signals, key=lambda signal: -abs(signal.change)), examined


def year_change(own: OwnFigures, indicator: str, product: str) -> float | None:
    """Change of a watched figure's last three months against the same three a year before: smoothed, and free of seasons; None without that past."""
    measure, weekly, per = WATCHED[indicator]
    last = own.months[-SMOOTH:]
    before = [f"{int(month[:4]) - 1}{month[4:]}" for month in last]
    if len(last) < SMOOTH or any(month not in own.months for month in before):
        return None
    now, then = (_monthly(own, measure, weekly, per, months, product) for months in (last, before))
    return sum(now) / sum(then) - 1 if now and then and sum(then) else None
