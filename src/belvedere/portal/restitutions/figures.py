"""The figure of an answer, as Vega-Lite: bars for rows, lines for months; rendered to SVG or PNG without a browser."""

import json
from collections import OrderedDict
from collections.abc import Callable

import altair as alt
import vl_convert
from django.utils.safestring import SafeString

from belvedere.portal import charts, numbers
from belvedere.portal.restitutions.answering import Row, Told

MOST_BARS = 24


def _scaled(value: object, display: str) -> float | None:
    """A value in the unit of the axis: euros, per cents, or as it is."""
    if not isinstance(value, int | float):
        return None
    return value / 100 if display in ("euros", "euros_cents") else value * 100 if display in ("pourcent", "variation", "points") else float(value)


def _axis(display: str) -> str:
    return ",.2~f" if display in ("decimal", "euros_cents", "indice", "points", "variation", "pourcent") else ",.0f"


def _unit(answer: Told) -> str:
    return {"euros": "€", "euros_cents": "€", "pourcent": "%", "variation": "%", "points": "points"}.get(
        answer.definition.display, answer.definition.unit
    )


def bars(answer: Told, width: int) -> dict:
    """Horizontal bars of the rows that are told, the longest first, each written beside; one's own as a mark."""
    display = answer.definition.display
    told = [(abs(row.value), row) for row in answer.rows if isinstance(row.value, int | float)]
    if answer.by not in ("mois", "age") and not answer.parts:
        told.sort(key=lambda pair: -pair[0])
    values = [
        {"libelle": _short(answer.label(row), width), "rang": rank, "valeur": _scaled(row.value, display), "texte": numbers.shown(row.value, display, short=True), "moi": row.code == "me", "vous": _scaled(row.own, display)}
        for rank, (_, row) in enumerate(told[:MOST_BARS])
    ]  # fmt: skip
    y = alt.Y(
        "libelle:N",
        sort=alt.EncodingSortField(field="rang", op="min", order="ascending"),
        title=None,
        axis=alt.Axis(labelLimit=width // 2, ticks=False, domain=False, labelPadding=8),
    )
    x = alt.X("valeur:Q", title=None, axis=None)
    base = alt.Chart(alt.Data(values=values))
    colour = charts.ME if answer.personal else charts.MARKET
    fill = alt.condition(alt.datum.moi, alt.value(charts.ME), alt.value(colour))
    drawn = base.mark_bar(height=15, cornerRadiusEnd=3).encode(x=x, y=y, color=fill)
    texts = base.mark_text(align="left", dx=5, fontSize=12, color=charts.GREY).encode(x=alt.X("max:Q"), y=y, text="texte:N")
    texts = texts.transform_calculate(max="max(0, datum.valeur, datum.vous)")
    layers = [drawn, texts]
    if any(value["vous"] is not None for value in values) and display in ("pourcent", "variation", "points", "indice", "decimal", "euros_cents"):
        layers.append(base.mark_tick(color=charts.ME, thickness=4, size=19).encode(x="vous:Q", y=y))
    return charts.finished(alt.layer(*layers).properties(width=width - width // 3, height=max(40, 25 * len(values))))


def _short(label: str, width: int) -> str:
    most = 44 if width > 400 else 24
    return label if len(label) <= most else label[: most - 1] + "…"


def lines(answer: Told, width: int) -> dict:
    """Month by month: the market and oneself, each written at its right end; masked months are gaps."""
    display = answer.definition.display

    def told(pick: Callable[[Row], object]) -> list[tuple[str, float]]:
        return [(row.code, value) for row in answer.series if (value := _scaled(pick(row), display)) is not None]

    series = {"Vous" if answer.personal else "Marché": told(lambda row: row.value)}
    if _comparable(answer) and (mine := told(lambda row: row.own)):
        series["Vous"] = mine
    colours = {"Vous": charts.ME, "Marché": charts.MARKET}
    for name, points in answer.companions.items():
        series[name] = [(month, value) for month, value in points if isinstance(value, float)]
        colours[name] = charts.GREY if name == "Champ constant" else charts.THIRD
    return charts.monthly(series, colours, width, written=lambda name, _: name, zero=display in PLAIN_ZERO, axis=_axis(display))


def curve(answer: Told, width: int) -> dict:
    """The share still treated, month after month (Kaplan-Meier), with the half marked."""
    found = answer.own.survival[answer.codes["product"]]
    values = [{"mois": month, "part": share * 100} for month, share in zip(found.months, found.still, strict=True) if month <= 36]
    x = alt.X("mois:Q", title="mois de traitement", axis=alt.Axis(grid=False, tickMinStep=3))
    y = alt.Y("part:Q", title=None, scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(tickCount=5, domain=False, ticks=False, format=".0f"))
    drawn = alt.Chart(alt.Data(values=values)).mark_line(interpolate="step-after", color=charts.ME, strokeWidth=2.6).encode(x=x, y=y)
    half = alt.Chart(alt.Data(values=[{"part": 50}])).mark_rule(strokeDash=[4, 4], color=charts.GREY).encode(y="part:Q")
    return charts.finished((half + drawn).properties(width=width - 80, height=220))


PLAIN_ZERO = ("nombre", "euros")


def _comparable(answer: Told) -> bool:
    """Levels of one provider and of the whole market do not share an axis; rates do."""
    return answer.definition.display in ("pourcent", "variation", "indice", "decimal", "euros_cents") and answer.definition.kind != "measure"


def specifications(answer: Told, width: int = charts.SIZES["wide"]) -> list[tuple[str, dict]]:
    """(caption, Vega-Lite) of the figures of an answer: the series, then the rows."""
    found = []
    if answer.definition.kind == "survival" and answer.own is not None and answer.codes["product"] in answer.own.survival:
        return [(f"Patients encore suivis ({_unit(answer)})", curve(answer, width))]
    if sum(isinstance(row.value, int | float) for row in answer.series) > 1 and answer.by != "mois":
        found.append((f"{answer.definition.label}, mois par mois ({_unit(answer)})", lines(answer, width)))
    if any(isinstance(row.value, int | float) and row.value for row in answer.rows):
        if answer.by == "mois" and len(answer.series) > 1:
            found.append((f"{answer.definition.label}, mois par mois ({_unit(answer)})", lines(answer, width)))
        else:
            found.append((f"{answer.definition.label} ({_unit(answer)})", bars(answer, width)))
    return found


# What was drawn, by the values drawn: nothing of an answer is kept beside its picture.
_DRAWN: OrderedDict[str, list[tuple[str, SafeString]]] = OrderedDict()
_MOST_DRAWN = 2048


def inline(answer: Told) -> list[tuple[str, SafeString]]:
    """(caption, both sizes as inline SVG) of each figure; the finding is the text alternative. The same values are drawn once."""
    values = [(row.code, row.label, str(row.value), str(row.own)) for row in (*answer.rows, *answer.series)]
    curve = answer.own.survival.get(answer.codes["product"]) if answer.definition.kind == "survival" and answer.own is not None else None
    key = json.dumps([answer.definition.name, answer.by, answer.personal, answer.finding, values, curve and curve.still])
    found = _DRAWN.get(key)
    if found is None:
        found = _DRAWN[key] = _inline(answer)
        if len(_DRAWN) > _MOST_DRAWN:
            _DRAWN.popitem(last=False)
    return found


def _inline(answer: Told) -> list[tuple[str, SafeString]]:
    return [
        (caption, charts.both_sizes(lambda width, rank=rank: specifications(answer, width)[rank][1], answer.finding))
        for rank, (caption, _) in enumerate(specifications(answer))
    ]


def image(answer: Told, kind: str, *, titled: bool = True) -> bytes | None:
    """The main figure as a file: "svg" or "png" (twice the size), with its title and source; None when there is nothing to draw."""
    found = specifications(answer)
    if not found:
        return None
    caption, specification = found[-1] if answer.rows else found[0]
    source = f"Belvédère, publication {answer.release.label}" if answer.release and not answer.personal else "Belvédère, chiffres propres"
    title = {"text": caption, "subtitle": [answer.place, source], "anchor": "start", "fontSize": 15, "subtitleColor": "#4d5863"}
    specification = {**specification, "background": "white"} | ({"title": title} if titled else {})
    text = json.dumps(specification, sort_keys=True)
    return vl_convert.vegalite_to_svg(text).encode() if kind == "svg" else vl_convert.vegalite_to_png(text, scale=2)
