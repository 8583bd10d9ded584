"""Changes over time: growth, indices, seasons, and what a change is made of."""

from belvedere.engine.indicators.formulas.ask import MASKED, Ask, Part, Value, formula, growth, ratio, split, told
from belvedere.engine.indicators.formulas.mixes import choices
from belvedere.engine.indicators.formulas.scalars import family_codes
from belvedere.engine.indicators.lattice import ALL
from belvedere.engine.indicators.weeks import mondays
from belvedere.engine.nomenclature.territories import FRANCE


@formula("growth")
def change(ask: Ask) -> Value:
    """Relative change of `of` over a year; `against: ytd` compares the months of the year so far."""
    if ask.formula.get("against") == "ytd":
        last = ask.period.removeprefix("12m-")
        months = [month for month in ask.source.months if month[:4] == last[:4] and month <= last]
        past = [f"{int(month[:4]) - 1}{month[4:]}" for month in months]
        return growth(_total(ask, months), _total(ask, past))
    if ask.formula.get("against") == "month":
        ask = ask.at(period=ask.period.removeprefix("12m-"))
    earlier = ask.before()
    return growth(ask.measure(ask.formula["of"]), ask.measure(ask.formula["of"], period=earlier)) if earlier else None


def _total(ask: Ask, months: list[str]) -> Value:
    values = [ask.measure(ask.formula["of"], period=month) for month in months]
    if (bad := told(*values)) is not None:
        return bad
    numbers = [value for value in values if isinstance(value, int | float)]
    return sum(numbers) if numbers and len(numbers) == len(values) else None


@formula("index")
def index(ask: Ask) -> Value:
    """`of` of the last month over the first month of the source, times 100; both by week that begins in the month."""
    points = index_series(ask)
    return points[-1][1] if points else None


def index_series(ask: Ask) -> list[tuple[str, Value]]:
    """The index of every month up to the period's last one; masked months stay masked."""
    months = [month for month in ask.source.months if month <= ask.period.removeprefix("12m-")]
    weekly = [(month, ratio(ask.measure(ask.formula["of"], period=month), mondays(month))) for month in months]
    base = next((value for _, value in weekly if isinstance(value, float) and value), None)
    return [(month, ratio(value, base, 100)) for month, value in weekly] if base else []


def panel_series(ask: Ask, of: str) -> list[tuple[str, Value]]:
    """The index over a constant panel (`constant`) or `extrapolated`, as a release tells it beside its cells; one's own figures have one sender:
    their index is the plain one, 100 at the first month of the same window."""
    beside = getattr(ask.source, "beside", None)
    if beside is None:
        months = set(ask.window())
        points = [point for point in index_series(ask.with_formula(of="amount_amo")) if point[0] in months]
        return [(month, ratio(value, points[0][1], 100)) for month, value in points]
    if ask.codes["territory"] != FRANCE or any(ask.codes.get(name, ALL) != ALL for name in ("payer", "mode", "age", "sex")):
        return []
    found = beside("panel", ask.codes["product"], ask.period)
    if not isinstance(found, dict):
        return []
    return [(month, float(value)) for month, value in sorted(found.get(of, {}).items())]


@formula("panel")
def panel(ask: Ask) -> Value:
    """The last point of the series `of`."""
    points = panel_series(ask, ask.formula["of"])
    if not points and (beside := getattr(ask.source, "beside", None)) is not None:
        return MASKED if beside("panel", ask.codes["product"], ask.period) == MASKED else None
    return points[-1][1] if points else None


@split("seasonality")
def seasons(ask: Ask) -> list[Part]:
    """Each month of the period: `of` by week that begins in it, over the mean of the twelve, times 100."""
    weekly = [(month, ratio(ask.measure(ask.formula["of"], period=month), mondays(month))) for month in ask.window()]
    known = [value for _, value in weekly if isinstance(value, float)]
    mean = sum(known) / len(known) if len(known) == 12 else None
    return [Part(month, month, ratio(value, mean, 100) if mean else MASKED if value == MASKED else None) for month, value in weekly]


@formula("seasonality")
def season(ask: Ask) -> Value:
    """The strongest month's index."""
    values = [part.value for part in seasons(ask)]
    numbers = [value for value in values if isinstance(value, float)]
    return max(numbers) if numbers else told(*values)


def effects(ask: Ask) -> dict[str, Value]:
    """Change of the amount over a year, split: price (today's quantities at the change of each code's mean price), volume (all units, at
    yesterday's mean price), mix (the rest: the glide to other codes, and the codes that are masked). Each is a share of yesterday's amount;
    they add up to the growth. Units are told code by code alone, so prices and volumes are those of the codes that are told."""
    earlier, of = ask.before(), ask.formula["of"]
    now, then = ask.measure(of), ask.measure(of, period=earlier) if earlier else None
    if (bad := told(now, then)) is not None:
        return dict.fromkeys(("price", "volume", "mix"), bad)
    rows = []
    for code in family_codes(ask.codes["product"]) if earlier else ():
        row = [ask.measure(m, product=code, period=p) for p in (ask.period, str(earlier)) for m in ("units", of)]
        numbers = [float(value) for value in row if isinstance(value, int | float)]
        if len(numbers) == 4:
            rows.append(numbers)
    units_now, units_then, amount_then = (sum(row[place] for row in rows) for place in (0, 2, 3))
    if not isinstance(now, int | float) or not isinstance(then, int | float) or not then or not units_then:
        return dict.fromkeys(("price", "volume", "mix"))
    price = sum(q * (a / q - paid / before) for q, a, before, paid in rows if q > 0 and before > 0)
    volume = (units_now / units_then - 1) * amount_then
    return {"price": price / then, "volume": volume / then, "mix": (now - then - price - volume) / then}


@formula("effect")
def effect(ask: Ask) -> Value:
    """One `effect` of three: price, volume or mix."""
    return effects(ask)[ask.formula["effect"]]


@split("contribution")
def contributions(ask: Ask) -> list[Part]:
    """What each code of `over` adds to the growth of `of`, in points of yesterday's total."""
    earlier, of, over = ask.before(), ask.formula["of"], ask.formula["over"]
    if earlier is None:
        return []
    base, found = ask.measure(of, period=earlier), []
    for code, label in choices(ask, over).items():
        now, then = ask.measure(of, **{over: code}), ask.measure(of, period=earlier, **{over: code})
        if (bad := told(now, then, base)) is not None:
            found.append(Part(code, label, bad))
        elif isinstance(now, int | float) and isinstance(then, int | float) and (now or then):
            found.append(Part(code, label, ratio(now - then, base)))
    return found


@formula("contribution")
def strongest(ask: Ask) -> Value:
    """The contribution that weighs most."""
    values = [part.value for part in contributions(ask) if isinstance(part.value, float)]
    return max(values, key=abs) if values else None
