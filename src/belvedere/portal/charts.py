"""Charts as Vega-Lite specifications written with Altair, rendered to SVG without a browser.

Roles are constant: "vous" thick vermilion, "marché" blue; lines are labelled directly, colours never speak
alone. Two sizes are made, so that text stays readable on a phone.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import altair as alt
import vl_convert
from django.utils.safestring import SafeString, mark_safe

from belvedere.portal import numbers

ME, MARKET, GREY, THIRD = "#C25400", "#0072B2", "#6b7580", "#8a5a9e"
SIZES = {"wide": 640, "narrow": 300}
HEIGHT = 240
FRENCH = alt.Locale(number=alt.NumberLocale(decimal=",", thousands="\u202f", grouping=[3], currency=["", " €"]))
Series = Mapping[str, Sequence[tuple[str, float]]]


def monthly(
    series: Series, colours: Mapping[str, str], width: int, *, written: Callable[[str, float], str], zero: bool = False, axis: str = ".0f"
) -> dict:
    """Lines by month (AAAA-MM), one per named series, `written` at their right end; two labels that would overlap are moved apart."""
    rows = [{"mois": f"{month}-01", "serie": name, "valeur": round(value, 4)} for name, points in series.items() for month, value in points]
    ends = [
        {"mois": f"{points[-1][0]}-01", "serie": name, "valeur": points[-1][1], "texte": written(name, points[-1][1])}
        for name, points in series.items()
        if points
    ]
    colour = alt.Color("serie:N", scale=alt.Scale(domain=list(colours), range=list(colours.values())), legend=None)
    x = alt.X("mois:T", title=None, axis=alt.Axis(format="%m/%y", grid=False, tickCount=6, domainColor=GREY))
    y = alt.Y("valeur:Q", title=None, scale=alt.Scale(zero=zero, nice=True), axis=alt.Axis(tickCount=5, domain=False, ticks=False, format=axis))
    chart = alt.Chart(alt.Data(values=rows)).mark_line(strokeWidth=2.6).encode(x=x, y=y, color=colour)
    chart += (
        alt.Chart(alt.Data(values=ends))
        .mark_point(filled=True, size=60, opacity=1)
        .encode(x=x, y=y, color=colour, shape=alt.Shape("serie:N", legend=None))
    )
    ends.sort(key=lambda row: -row["valeur"])
    values = [row["valeur"] for row in rows]
    near = len(ends) == 2 and ends[0]["valeur"] - ends[1]["valeur"] < 0.1 * (max(values) - (0 if zero else min(values)))
    for rank, end in enumerate(ends):
        text = alt.Chart(alt.Data(values=[end])).mark_text(
            align="left", dx=9, dy=(-8 if rank == 0 else 8) if near else 0, fontSize=13, fontWeight=600
        )
        chart += text.encode(x=x, y=y, text="texte:N", color=colour)
    return finished(chart.properties(width=width - 130, height=HEIGHT))


def finished(chart: alt.Chart) -> dict:
    """The specification of a chart, in the portal's look."""
    chart = chart.properties(background="transparent", padding={"left": 26, "top": 6, "right": 64, "bottom": 4})
    axis = alt.AxisConfig(labelFontSize=12, labelColor=GREY, gridColor="#9aa3ad", gridOpacity=0.3)
    # One call: each call of `configure` forgets those before it.
    return chart.configure(font="system-ui, sans-serif", locale=FRENCH, view=alt.ViewConfig(stroke=None), axis=axis).to_dict(validate=False)


@lru_cache(maxsize=1024)
def _svg(specification: str) -> str:
    text = vl_convert.vegalite_to_svg(specification)
    text = text.replace('role="graphics-document"', "").replace('aria-roledescription="visualization"', "")
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def both_sizes(specify: Callable[[int], dict], finding: str) -> SafeString:
    """A chart of some width as inline SVG, wide and narrow; `finding` is the text alternative."""
    label = finding.replace('"', "’").replace("<", "").replace("&", "et")
    parts = [
        f'<div class="chart {css}" role="img" aria-label="{label}">{_svg(json.dumps(specify(width), sort_keys=True))}</div>'
        for css, width in SIZES.items()
    ]
    return mark_safe("".join(parts))  # noqa: S308 (made of our own specification)


def figure(series: Series, colours: Mapping[str, str], finding: str) -> SafeString:
    """An index chart in both sizes. The same points are drawn once."""
    return _figure(tuple((name, tuple(points)) for name, points in series.items()), tuple(colours.items()), finding)


@lru_cache(maxsize=512)
def _figure(points: tuple[tuple[str, tuple[tuple[str, float], ...]], ...], shades: tuple[tuple[str, str], ...], finding: str) -> SafeString:
    def specify(width: int) -> dict:
        return monthly(dict(points), dict(shades), width, written=lambda name, value: f"{name} {numbers.decimal(value, 0)}")

    return both_sizes(specify, finding)


def sparkline(values: Sequence[float], width: int = 72, height: int = 24) -> str:
    """SVG path of a tile's trend; "" when there is nothing to draw."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    spread = (high - low) or 1
    step = (width - 4) / (len(values) - 1)
    points = [f"{2 + rank * step:.1f},{height - 3 - (value - low) / spread * (height - 6):.1f}" for rank, value in enumerate(values)]
    return "M" + " L".join(points)
