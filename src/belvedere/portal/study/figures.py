"""The figure of each table that has one: bars, months, shares, intervals, moves. Colours never speak alone."""

import datetime as dt
import json
from collections.abc import Callable

import altair as alt
from django.utils.safestring import SafeString

from belvedere.engine.study.market import Cell
from belvedere.engine.study.tiers import MASKED, Told
from belvedere.portal import charts, numbers

TOP = 15
SHADES = [charts.MARKET, charts.ME, charts.THIRD, charts.GREY, "#4d7c4d", "#b08900"]
Row = dict[str, Cell]
Specify = Callable[[int], dict]


def of(told: Told) -> tuple[SafeString | str, str]:
    """(the figure in both sizes, the wide SVG for print); "" and "" when a table has none."""
    make = _FIGURES.get(told.definition.code)
    rows = [dict(zip([column.name for column in told.columns], row, strict=True)) for row in told.rows]
    made = make(rows) if make and rows else None
    if made is None:
        return "", ""
    specify, finding = made
    return charts.both_sizes(specify, finding), charts._svg(json.dumps(specify(charts.SIZES["wide"]), sort_keys=True))


def _number(value: Cell) -> float | None:
    return None if value is None or value == MASKED or not isinstance(value, int | float) else float(value)


def _bars(rows: list[Row], label: str, value: str, written: Callable[[float], str], said: str) -> tuple[Specify, str] | None:
    """Horizontal bars in the order of the rows, each with its label and its value."""
    points = [
        {"nom": str(row[label])[:44], "valeur": number, "texte": written(number)}
        for row in rows[:TOP]
        if (number := _number(row.get(value))) is not None
    ]
    if not points:
        return None

    def specify(width: int) -> dict:
        room = 210 if width > 400 else 124
        y = alt.Y("nom:N", sort=None, title=None, axis=alt.Axis(labelLimit=room, ticks=False, domain=False, labelPadding=6))
        x = alt.X("valeur:Q", title=None, axis=None, scale=alt.Scale(zero=True))
        base = alt.Chart(alt.Data(values=points)).encode(y=y, x=x)
        chart = base.mark_bar(color=charts.MARKET, height={"band": 0.66}) + base.mark_text(align="left", dx=5, fontSize=12, color=charts.GREY).encode(
            text="texte:N"
        )
        return charts.finished(chart.properties(width=max(width - room - 110, 70), height=alt.Step(24)))

    first = points[0]
    return specify, f"{said} : {first['nom']}, {first['texte']}, sur {len(points)} lignes ; le tableau dit les autres."


def _lines(rows: list[Row], series: str, value: str, said: str, *, axis: str = ",.0f") -> tuple[Specify, str] | None:
    """A line a series by month, with its legend in words under the colours and shapes."""
    points = [
        {"mois": f"{row['month']:%Y-%m-%d}", "serie": str(row[series]), "valeur": number}
        for row in rows if isinstance(row["month"], dt.date) and (number := _number(row.get(value))) is not None
    ]  # fmt: skip
    names = sorted({str(point["serie"]) for point in points})
    months = sorted({str(point["mois"]) for point in points})
    if len(months) < 2 or len(names) > len(SHADES):
        return None

    def specify(width: int) -> dict:
        legend = alt.Legend(
            title=None, orient="bottom", columns=3 if width > 400 else 1, labelLimit=240, symbolSize=70, labelFontSize=12, labelColor=charts.GREY
        )
        scale = alt.Scale(domain=names, range=SHADES[: len(names)])
        step = max(1, len(months) // (6 if width > 400 else 3))
        axis_x = alt.Axis(
            format="%m/%y",
            grid=False,
            values=[1000 * int(dt.datetime.fromisoformat(m + "T00:00:00+00:00").timestamp()) for m in months[::step]],
            domainColor=charts.GREY,
        )
        x = alt.X("mois:T", title=None, axis=axis_x)
        y = alt.Y("valeur:Q", title=None, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=5, domain=False, ticks=False, format=axis))
        base = alt.Chart(alt.Data(values=points)).encode(x=x, y=y)
        marks = base.mark_point(filled=True, size=44, opacity=1).encode(
            color=alt.Color("serie:N", scale=scale, legend=legend), shape=alt.Shape("serie:N", scale=alt.Scale(domain=names), legend=legend)
        )
        chart = marks + base.mark_line(strokeWidth=2.2).encode(color=alt.Color("serie:N", scale=scale, legend=None))
        return charts.finished(chart.properties(width=width - 130, height=charts.HEIGHT))

    return specify, f"{said}, de {points[0]['mois'][:7]} à {points[-1]['mois'][:7]} : {', '.join(names)}."


def _intervals(rows: list[Row]) -> tuple[Specify, str] | None:
    points = [
        {"nom": str(row["vendor"])[:44], "taux": row["rate"], "bas": row["low"], "haut": row["high"], "texte": f"{numbers.decimal(float(str(row['rate'])), 2)} %"}
        for row in rows[:TOP] if _number(row["rate"]) is not None
    ]  # fmt: skip
    if not points:
        return None

    def specify(width: int) -> dict:
        room = 210 if width > 400 else 124
        y = alt.Y("nom:N", sort=None, title=None, axis=alt.Axis(labelLimit=room, ticks=False, domain=False, labelPadding=6))
        base = alt.Chart(alt.Data(values=points)).encode(y=y)
        x = alt.X("taux:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4, format=".1f"))
        chart = base.mark_rule(strokeWidth=3, color=charts.GREY).encode(x=alt.X("bas:Q", title=None), x2="haut:Q")
        chart += base.mark_point(filled=True, size=70, color=charts.ME, opacity=1).encode(x=x)
        chart += base.mark_text(align="left", dx=6, fontSize=12, color=charts.GREY).encode(x="haut:Q", text="texte:N")
        return charts.finished(chart.properties(width=max(width - room - 110, 70), height=alt.Step(24)))

    return specify, f"Taux de rejet et son intervalle à 95 %, {len(points)} éditeurs, du plus bas au plus haut."


def _moves(rows: list[Row]) -> tuple[Specify, str] | None:
    told = [row | {"passage": f"{row['from_vendor']} → {row['to_vendor']}"} for row in rows]
    return _bars(told, "passage", "sites", lambda value: numbers.integer(round(value)), "Passages d’un éditeur à un autre")


def _percent(value: float) -> str:
    return f"{numbers.decimal(value, 1)}{numbers.NBSP}%"


def _integer(value: float) -> str:
    return numbers.integer(round(value))


_FIGURES: dict[str, Callable[[list[Row]], tuple[Specify, str] | None]] = {
    "T01": lambda rows: _bars([row for row in rows if row["category"] != "Ensemble"], "category", "n", _integer, "Établissements par catégorie"),
    "T02": lambda rows: _bars(rows, "segment", "vendors", _integer, "Éditeurs par segment"),
    "T03": lambda rows: _bars(rows, "vendor", "share", _percent, "Part des factures"),
    "T03n": lambda rows: _bars(rows, "vendor", "share", _percent, "Part des factures, noms d’aujourd’hui"),
    "T05": lambda rows: _bars(rows, "service", "rate", _percent, "Part des établissements visés qui émettent"),
    "T06": lambda rows: _lines(rows, "device", "invoices", "Factures par mois et par dispositif") or _lines(rows, "device", "share", "Part des factures par dispositif", axis=".0f"),
    "T07": lambda rows: _bars(rows, "service", "equipped_share", _percent, "Part des établissements visés qui sont équipés"),
    "T08m": lambda rows: _lines(rows, "algorithm", "share", "Part des factures par algorithme", axis=".0f"),
    "T10": _moves,
    "T11": _intervals,
    "T12": lambda rows: _lines(rows, "category", "share", "Part non renseignée par catégorie", axis=".1f"),
}  # fmt: skip
