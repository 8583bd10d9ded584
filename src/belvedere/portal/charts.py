"""Charts as Vega-Lite specifications written with Altair, rendered to SVG without a browser.

Roles are constant: "vous" thick vermilion, "marché" blue; lines are labelled directly, colours never speak
alone. Two sizes are made, so that text stays readable on a phone.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

import altair as alt
import vl_convert
from django.utils.safestring import SafeString, mark_safe

from belvedere.portal import numbers

ME, MARKET, GREY = "#C25400", "#0072B2", "#6b7580"
WIDE, NARROW = (640, 260), (300, 220)
Series = Mapping[str, Sequence[tuple[str, float]]]


def index_chart(series: Series, colours: Mapping[str, str], size: tuple[int, int]) -> dict:
    """Lines by month (AAAA-MM), one per named series, labelled at their right end."""
    rows = [{"mois": f"{month}-01", "serie": name, "valeur": round(value, 2)} for name, points in series.items() for month, value in points]
    ends = [{**row, "texte": f"{row['serie']} {numbers.decimal(row['valeur'], 0)}"} for row in _ends(rows)]
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    x = alt.X("mois:T", title=None, axis=alt.Axis(format="%m/%y", grid=False, tickCount=6, labelColor=GREY, domainColor=GREY))
    y = alt.Y(
        "valeur:Q",
        title=None,
        scale=alt.Scale(zero=False, nice=True),
        axis=alt.Axis(tickCount=5, labelColor=GREY, domain=False, ticks=False, format=".0f"),
    )
    lines = alt.Chart(alt.Data(values=rows)).mark_line(strokeWidth=2.6).encode(x=x, y=y, color=alt.Color("serie:N", scale=scale, legend=None))
    points = (
        alt.Chart(alt.Data(values=ends))
        .mark_point(filled=True, size=60, opacity=1)
        .encode(x=x, y=y, color=alt.Color("serie:N", scale=scale, legend=None), shape=alt.Shape("serie:N", legend=None))
    )
    chart = lines + points
    ends.sort(key=lambda row: -row["valeur"])
    spread = max((row["valeur"] for row in rows), default=1) - min((row["valeur"] for row in rows), default=0)
    near = len(ends) == 2 and ends[0]["valeur"] - ends[1]["valeur"] < 0.1 * spread
    for rank, end in enumerate(ends):
        text = alt.Chart(alt.Data(values=[end])).mark_text(
            align="left", dx=9, dy=(-8 if rank == 0 else 8) if near else 0, fontSize=13, fontWeight=600
        )
        chart += text.encode(x=x, y=y, text="texte:N", color=alt.Color("serie:N", scale=scale, legend=None))
    chart = chart.properties(width=size[0] - 130, height=size[1], background="transparent", padding={"left": 4, "top": 6, "right": 34, "bottom": 4})
    # One call: each call of `configure` forgets those before it.
    return chart.configure(
        font="system-ui, sans-serif",
        locale=alt.Locale(number=alt.NumberLocale(decimal=",", thousands="\u202f", grouping=[3], currency=["", " €"])),
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(labelFontSize=12, gridColor="#9aa3ad", gridOpacity=0.3),
    ).to_dict(validate=False)


def _ends(rows: list[dict]) -> list[dict]:
    """Last point of each series; when two would overlap the label of the lower one is pushed down."""
    last: dict[str, dict] = {}
    for row in rows:
        if row["serie"] not in last or row["mois"] > last[row["serie"]]["mois"]:
            last[row["serie"]] = row
    return list(last.values())


@lru_cache(maxsize=512)
def _svg(specification: str) -> str:
    text = vl_convert.vegalite_to_svg(specification)
    return text.replace('role="graphics-document"', "").replace('aria-roledescription="visualization"', "")


def figure(series: Series, colours: Mapping[str, str], finding: str) -> SafeString:
    """Both sizes of an index chart as inline SVG; `finding` is the text alternative. The same points are drawn once."""
    return _figure(tuple((name, tuple(points)) for name, points in series.items()), tuple(colours.items()), finding)


@lru_cache(maxsize=512)
def _figure(points: tuple[tuple[str, tuple[tuple[str, float], ...]], ...], shades: tuple[tuple[str, str], ...], finding: str) -> SafeString:
    series, colours = dict(points), dict(shades)
    parts = []
    for css, size in (("wide", WIDE), ("narrow", NARROW)):
        body = _svg(json.dumps(index_chart(series, colours, size), sort_keys=True))
        body = body.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
        label = finding.replace('"', "’")
        parts.append(f'<div class="chart {css}" role="img" aria-label="{label}">{body}</div>')
    return mark_safe("".join(parts))  # noqa: S308 (made of our own specification)


def sparkline(values: Sequence[float], width: int = 72, height: int = 24) -> str:
    """SVG path of a tile's trend; "" when there is nothing to draw."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    spread = (high - low) or 1
    step = (width - 4) / (len(values) - 1)
    points = [f"{2 + rank * step:.1f},{height - 3 - (value - low) / spread * (height - 6):.1f}" for rank, value in enumerate(values)]
    return "M" + " L".join(points)
