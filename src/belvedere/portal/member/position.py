"""Presenter of "Ma position": own figures, live, beside the market's, frozen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from belvedere.engine.indicators.formulas.dynamics import mondays
from belvedere.engine.indicators.lattice import ALL, DIMENSIONS
from belvedere.engine.indicators.own import OwnFigures, Row, window, year_before
from belvedere.engine.nomenclature.products import families
from belvedere.engine.nomenclature.territories import FRANCE, departments
from belvedere.observatory.publication.frozen import Frozen
from belvedere.portal import charts, maps, market, numbers
from belvedere.portal.market import Value

SHARE_BREAKS = (0.02, 0.05, 0.10, 0.20)
SHARE_LABELS = ("moins de 2 %", "2 à 5 %", "5 à 10 %", "10 à 20 %", "20 % et plus")


@dataclass(frozen=True)
class Tile:
    """One headline figure: text, change on a year, the market's change, trend."""

    label: str
    definition: str
    value: str
    change: str
    beside: str
    spark: str
    band: "Band | None" = None

    @property
    def slug(self) -> str:
        return self.definition.replace("_", "-")


@dataclass(frozen=True)
class Band:
    """Where the reader stands between the first and the third quartile of the groups: places in per cent of the rail, and the sentence."""

    low: float
    high: float
    middle: float
    me: float
    said: str

    @property
    def width(self) -> float:
        return self.high - self.low


def _band(release: Frozen | None, figure: str, mine: float | None, written: Callable[[float], str]) -> Band | None:
    """The published quartiles of a figure and one's own value; None where they are not told or not comparable."""
    found = release.beside(figure, ALL, release.years[-1]) if release else None
    if mine is None or not isinstance(found, Mapping) or not {"p25", "p50", "p75"} <= set(found):
        return None
    low, middle, high = (float(found[name]) for name in ("p25", "p50", "p75"))
    spread = (high - low) or abs(middle) or 1.0
    start, end = low - spread, high + spread

    def place(value: float) -> float:
        return round(min(97.0, max(3.0, (value - start) / (end - start) * 100)), 1)

    side = "au-dessus du troisième quartile" if mine > high else "sous le premier quartile" if mine < low else "dans la moitié centrale"
    return Band(place(low), place(high), place(middle), place(mine), f"Vous êtes {side} des groupes ; médiane {written(middle)}")


@dataclass(frozen=True)
class Line:
    """One row of a table: own figures and the market's."""

    code: str
    label: str
    patients: int
    amount: int
    share: Value
    own_growth: Value
    market_growth: Value
    bar: float | None


@dataclass(frozen=True)
class Position:
    """Everything the page shows."""

    last: str
    lead: Mapping[str, str]
    tiles: tuple[Tile, ...]
    chart: str
    chart_title: str
    chart_rows: tuple[tuple[str, str, str], ...]
    families: tuple[Line, ...]
    departments: tuple[Line, ...]
    map: maps.Choropleth


def _row(own: OwnFigures, last: str, **codes: str) -> Row | None:
    """Own measures of the twelve months that end with a month; None where nothing was billed."""
    key = {"territory": FRANCE, "product": ALL, "period": window(last)} | codes
    return own.cells.get(tuple(key.get(d, ALL) for d in DIMENSIONS))


def _change(now: Row | None, before: Row | None, name: str) -> float | None:
    if not now or not before or not before[name]:
        return None
    return now[name] / before[name] - 1


def present(own: OwnFigures, release: Frozen | None) -> Position:
    """Build the page of a group that has at least one month of data."""
    last = own.months[-1]
    year, before = _row(own, last), _row(own, year_before(last))
    assert year is not None  # a group with data has a line in its last month
    # Two years are compared only when both are whole: a newly plugged member must not look like a boom.
    before = before if len(own.months) >= 24 else None
    totals = market.totals(release) if release else {}
    at = release.until if release else last  # the market is compared over the release's own twelve months

    def against(name: str) -> str:
        found = totals.get(f"{name}_growth")
        return f"marché {numbers.change(found)}" if isinstance(found, float) else "marché : n. d."

    share = _share(_row(own, at), release)
    share_before = _share(_row(own, year_before(at)), release, rank=-2)
    points = "—" if not (isinstance(share, float) and isinstance(share_before, float)) else f"{numbers.decimal((share - share_before) * 100, 2)} pt"
    points = points if points.startswith(("—", numbers.MINUS)) else f"+{points}"
    entries = {month: count for (month, family), count in own.new_by_month.items() if family == ALL}
    new = sum(count for month, count in entries.items() if month in own.months[-12:])
    average = year["amount_amo"] / max(year["patients"], 1)
    average_before = before["amount_amo"] / max(before["patients"], 1) if before else None
    tiles = (
        Tile("Patients suivis", "patients", numbers.integer(year["patients"]), numbers.change(_change(year, before, "patients")), against("patients"), _spark(own, "patients"), _band(release, "growth_patients", _change(year, before, "patients"), numbers.change)),
        Tile("Nouveaux patients", "new_for_me", numbers.integer(new) if entries else numbers.NOT_AVAILABLE, "", "nouveaux pour vous, sur douze mois", charts.sparkline([float(count) for _, count in sorted(entries.items())])),
        Tile("Semaines de traitement", "weeks", numbers.integer(round(year["days"] / 7)), numbers.change(_change(year, before, "days")), "", _spark(own, "days")),
        Tile("Montant remboursé", "amount_amo", numbers.euros(year["amount_amo"], short=True), numbers.change(_change(year, before, "amount_amo")), against("amount_amo"), _spark(own, "amount_amo"), _band(release, "growth", _change(year, before, "amount_amo"), numbers.change)),
        Tile("Part de marché", "share", numbers.percent(share) if isinstance(share, float) else ("masqué" if share else numbers.NOT_AVAILABLE), points, "France, montants facturés", ""),
        Tile("Remboursé par patient", "average_amo", numbers.euros(round(average)), numbers.change(average / average_before - 1 if average_before else None), _beside_average(totals.get("average")), "", _band(release, "average_amo", average, lambda value: numbers.euros(round(value)))),
    )  # fmt: skip
    chart, title, rows = _trend(own, release)
    return Position(
        last, _lead(year, before, totals, last), tiles, chart, title, rows,
        _families(own, release, last), *_departments(own, release, last),
    )  # fmt: skip


def _beside_average(value: Value) -> str:
    return f"marché : {numbers.euros(round(value))}" if isinstance(value, float) else "marché : n. d."


def _spark(own: OwnFigures, name: str) -> str:
    return charts.sparkline([float(own.measure(name, period=month) or 0) for month in own.months])


def _share(row: Row | None, release: Frozen | None, rank: int = -1, **codes: str) -> Value:
    """Own part of a published market cell of the same twelve months; never told when the cell is masked."""
    if row is None or release is None or len(release.years) < -rank:
        return None
    return market.ratio(row["amount_billed"], release.measure("amount_billed", period=release.years[rank], **codes))


def _lead(year: Row, before: Row | None, totals: Mapping[str, Value], last: str) -> dict[str, str]:
    lead = {"patients": numbers.integer(year["patients"]), "until": numbers.month(last, full=True)}
    own, market_change = _change(year, before, "patients"), totals.get("patients_growth")
    if own is not None:
        lead["own"] = numbers.percent(abs(own))
        lead["direction"] = "plus" if own >= 0 else "moins"
    if isinstance(market_change, float):
        lead["market"] = f"{'progresse' if market_change >= 0 else 'recule'} de {numbers.percent(abs(market_change))}"
    return lead


def _trend(own: OwnFigures, release: Frozen | None) -> tuple[str, str, tuple[tuple[str, str, str], ...]]:
    # Amounts by week that begins in the month: a month of five weeks is no boom.
    mine = market.index_100([(month, float(own.measure("amount_amo", period=month) or 0) / mondays(month)) for month in own.months])
    told = market.series(release, "amount_amo", [month for month in release.months if month in own.months]) if release else []
    theirs = market.index_100([(month, value / mondays(month)) for month, value in told])
    shown = {"Vous": mine} | ({"Marché": theirs} if theirs else {})
    title = "Votre activité, mois après mois"
    if mine and theirs and mine[-1][0] == theirs[-1][0]:
        gap = mine[-1][1] - theirs[-1][1]
        title = (
            "Votre activité progresse comme le marché"
            if abs(gap) < 1
            else f"Votre activité évolue {'mieux' if gap > 0 else 'moins vite'} que le marché"
        )
    finding = "; ".join(f"{name} : indice {numbers.decimal(points[-1][1], 0)}" for name, points in shown.items() if points)
    lookup = dict(theirs)
    rows = tuple((month, numbers.decimal(value), numbers.decimal(lookup[month]) if month in lookup else "—") for month, value in mine)
    figure = charts.figure(shown, {"Vous": charts.ME, "Marché": charts.MARKET}, finding) if len(mine) > 1 else ""
    return figure, title, rows


def _families(own: OwnFigures, release: Frozen | None, last: str) -> tuple[Line, ...]:
    growths = {row.code: row.growth for row in market.by_family(release)} if release else {}
    whole = len(own.months) >= 24
    at = release.until if release else last
    lines = []
    for code, label in families().items():
        now = _row(own, last, product=code)
        if not now:
            continue
        share = _share(_row(own, at, product=code), release, product=code)
        change = _change(now, _row(own, year_before(last), product=code), "amount_amo") if whole else None
        lines.append(Line(code, label, now["patients"], now["amount_amo"], share, change, growths.get(code), None))
    longest = max((line.share for line in lines if isinstance(line.share, float)), default=1.0) or 1.0
    lines = [replace(line, bar=line.share / longest * 100) if isinstance(line.share, float) else line for line in lines]
    return tuple(sorted(lines, key=lambda line: -line.amount))


def _departments(own: OwnFigures, release: Frozen | None, last: str) -> tuple[tuple[Line, ...], maps.Choropleth]:
    lines, values, tell = [], {}, {}
    at = release.until if release else last
    growths = {row.code: row.growth for row in market.by_department(release)} if release else {}
    for item in departments():
        now = _row(own, last, territory=item.code)
        if not now:
            tell[item.code] = f"{item.name} : aucune activité"
            continue
        share = _share(_row(own, at, territory=item.code), release, territory=item.code)
        change = _change(now, _row(own, year_before(last), territory=item.code), "amount_amo") if len(own.months) >= 24 else None
        values[item.code] = share
        told = numbers.percent(share) if isinstance(share, float) else "part masquée" if share else "marché non publié"
        tell[item.code] = f"{item.name} : {told}, {numbers.integer(now['patients'])} patients"
        lines.append(Line(item.code, item.name, now["patients"], now["amount_amo"], share, change, growths.get(item.code), None))
    lines.sort(key=lambda line: -line.amount)
    return tuple(lines), maps.choropleth(values, SHARE_BREAKS, SHARE_LABELS, tell)
