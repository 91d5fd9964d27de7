"""Figures for Plotly, as plain dictionaries: pure functions from data to what is drawn.

Amounts are decimals in text, so none passes through a float on our side. Colours are names of the stylesheet's tokens,
which the script looks up, so a figure is right in light, dark and print. Words come from the caller, in its language.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from marketplace.core.money import text_from_minor

Figure = dict[str, Any]
"""`data` and `layout` as Plotly takes them; colours are `token:` and a name."""

_ACCENT, _GHOST, _GOOD, _BAD = "token:accent", "token:ghost", "token:good", "token:bad"
_INK, _SOFT, _LINE, _WASH, _SURFACE = "token:ink", "token:soft", "token:line", "token:wash", "token:surface"
PPM = 1_000_000


class Point(msgspec.Struct, frozen=True):
    """One place of a trend: a figure and the one of the stretch before. href: where a click on it leads."""

    on: date
    minor: int
    earlier_minor: int
    words: str
    href: str


class Step(msgspec.Struct, frozen=True):
    """A step of a waterfall; a total shows what all before it sum to, and its own amount is not added."""

    words: str
    minor: int
    shown: str
    total: bool = False


class Bar(msgspec.Struct, frozen=True):
    words: str
    minor: int
    shown: str


class Driver(msgspec.Struct, frozen=True):
    """A node of a driver tree. better: whether its change is good, None where it did not change."""

    key: str
    parent: str | None
    words: str
    shown: str
    better: bool | None = None


class Burn(msgspec.Struct, frozen=True):
    """A budget on a day: what is left, and where that was expected between; of days to come only the expectation."""

    on: date
    left_minor: int | None
    low_minor: int
    high_minor: int


def trend(points: Sequence[Point], currency: str, *, now: str, earlier: str) -> Figure:
    """Bars of a stretch of days, with the stretch before behind them."""
    x = [point.on.isoformat() for point in points]
    common = {"type": "bar", "x": x, "hoverinfo": "text", "hovertext": [point.words for point in points]}
    was = {"y": [text_from_minor(point.earlier_minor, currency) for point in points], "name": earlier}
    is_ = {"y": [text_from_minor(point.minor, currency) for point in points], "name": now}
    return _figure(
        [
            common | was | {"marker": {"color": _GHOST}, "width": _width(0.9), "offset": -_width(0.45)},
            common
            | is_
            | {
                "marker": {"color": _ACCENT},
                "width": _width(0.55),
                "offset": -_width(0.275),
                "customdata": [point.href for point in points],
            },
        ],
        barmode="overlay",
        xaxis={"type": "date", "tickformat": "%-d %b", "nticks": 8},
        yaxis={"rangemode": "tozero"},
        showlegend=False,
    )


def _width(days: float) -> int:
    """Widths on an axis of days are milliseconds."""
    return int(days * 86_400_000)


def waterfall(steps: Sequence[Step], currency: str) -> Figure:
    """From a first amount over what was added and taken to what is left; downwards, so that words fit a phone, too."""
    return _figure(
        [
            {
                "type": "waterfall",
                "orientation": "h",
                "y": [step.words for step in steps],
                "x": [text_from_minor(step.minor, currency) for step in steps],
                "measure": ["total" if step.total else "relative" for step in steps],
                "text": [step.shown for step in steps],
                "textposition": "outside",
                "cliponaxis": False,
                "hoverinfo": "y+text",
                "increasing": {"marker": {"color": _GOOD}},
                "decreasing": {"marker": {"color": _BAD}},
                "totals": {"marker": {"color": _ACCENT}},
                "connector": {"line": {"color": _LINE, "width": 1}},
            }
        ],
        xaxis={"nticks": 4},
        yaxis={"type": "category", "autorange": "reversed", "automargin": True},
        showlegend=False,
        margin={"l": 52, "r": 72, "t": 12, "b": 28},
    )


def ageing(bars: Sequence[Bar], currency: str) -> Figure:
    """What is owed by age, the oldest in the colour of what is wrong."""
    oldest = len(bars) - 1
    return _figure(
        [
            {
                "type": "bar",
                "x": [bar.words for bar in bars],
                "y": [text_from_minor(bar.minor, currency) for bar in bars],
                "text": [bar.shown for bar in bars],
                "textposition": "outside",
                "cliponaxis": False,
                "hoverinfo": "x+text",
                "marker": {"color": [_BAD if place == oldest else _ACCENT for place in range(len(bars))]},
            }
        ],
        xaxis={"type": "category"},
        yaxis={"rangemode": "tozero"},
        showlegend=False,
    )


def funnel(stages: Sequence[tuple[str, int]]) -> Figure:
    """How many reached each stage, and the part of the first and of the one before."""
    return _figure(
        [
            {
                "type": "funnel",
                "y": [words for words, _ in stages],
                "x": [reached for _, reached in stages],
                "textinfo": "value+percent initial",
                "hoverinfo": "y+x+percent previous",
                "textfont": {"color": "token:on-accent"},
                "marker": {"color": _ACCENT},
                "connector": {"fillcolor": _WASH, "line": {"width": 0}},
            }
        ],
        yaxis={"type": "category", "automargin": True},
        showlegend=False,
    )


def cohorts(rows: Sequence[str], columns: Sequence[str], shares_ppm: Sequence[Sequence[int | None]]) -> Figure:
    """A row for each cohort, a column for each period after it: the share that was still there; None is not yet."""
    cells = [
        (row, column, ppm)
        for row, shares in enumerate(shares_ppm)
        for column, ppm in enumerate(shares)
        if ppm is not None
    ]
    texts = [f"{round(ppm / 10_000)}%" for _, _, ppm in cells]
    squares = [
        {
            "type": "rect",
            "x0": column - _CELL,
            "x1": column + _CELL,
            "y0": row - _CELL,
            "y1": row + _CELL,
            "line": {"width": 0},
            "fillcolor": _ACCENT,
            "opacity": _PALEST + (_DARKEST - _PALEST) * ppm / PPM,
            "layer": "below",
        }
        for row, column, ppm in cells
    ]
    return _figure(
        [
            {
                "type": "scatter",
                "mode": "text",
                "x": [column for _, column, _ in cells],
                "y": [row for row, _, _ in cells],
                "text": texts,
                "textfont": {"color": _INK},
                "hoverinfo": "text",
                "hovertext": [
                    f"{rows[row]} · {columns[column]}: {text}"
                    for (row, column, _), text in zip(cells, texts, strict=True)
                ],
            }
        ],
        shapes=squares,
        xaxis=_named(columns) | {"side": "top", "range": [-0.5, len(columns) - 0.5]},
        yaxis=_named(rows) | {"range": [len(rows) - 0.5, -0.5], "automargin": True},
        showlegend=False,
    )


_CELL, _PALEST, _DARKEST = 0.48, 0.06, 0.6
"""Half a cell's side, and how dense its colour is for nobody and for all: text stays legible on it.

Plotly's own heat map is a picture in a `data:` address, which our policy refuses.
"""


def _named(words: Sequence[str]) -> Figure:
    places = list(range(len(words)))
    return {"tickmode": "array", "tickvals": places, "ticktext": list(words), "showgrid": False, "zeroline": False}


def burn_down(days: Sequence[Burn], currency: str, *, left: str, expected: str) -> Figure:
    """What is left of a budget, on the interval in which it was expected."""
    x = [day.on.isoformat() for day in days]
    band = {"type": "scatter", "x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    return _figure(
        [
            band | {"y": [text_from_minor(day.high_minor, currency) for day in days], "showlegend": False},
            band
            | {
                "y": [text_from_minor(day.low_minor, currency) for day in days],
                "fill": "tonexty",
                "fillcolor": _WASH,
                "name": expected,
            },
            {
                "type": "scatter",
                "x": x,
                "y": [None if day.left_minor is None else text_from_minor(day.left_minor, currency) for day in days],
                "mode": "lines",
                "line": {"color": _ACCENT, "width": 2},
                "name": left,
            },
        ],
        xaxis={"type": "date"},
        yaxis={"rangemode": "tozero"},
        showlegend=True,
    )


def driver_tree(drivers: Sequence[Driver]) -> Figure:
    """A figure on the left, and to its right what it is made of, each with a line to what it drives.

    Raises ValueError when a parent is missing or named later than its child.
    """
    places = _places(drivers)
    lines: list[Figure] = []
    for driver in drivers:
        if driver.parent is not None:
            (x0, y0), (x1, y1) = places[driver.parent], places[driver.key]
            elbow = f"M {x0} {y0} H {(x0 + x1) / 2} V {y1} H {x1}"
            lines.append({"type": "path", "path": elbow, "layer": "below", "line": {"color": _LINE, "width": 1.5}})
    colours = {True: _GOOD, False: _BAD, None: _SOFT}
    return _figure(
        [
            {
                "type": "scatter",
                "x": [places[driver.key][0] for driver in drivers],
                "y": [places[driver.key][1] for driver in drivers],
                "mode": "markers+text",
                "marker": {"size": 12, "color": [colours[driver.better] for driver in drivers]},
                "text": [f"{driver.words}<br>{driver.shown}" for driver in drivers],
                "textposition": "top center",
                "hoverinfo": "text",
                "cliponaxis": False,
            }
        ],
        shapes=lines,
        xaxis={"visible": False, "range": [-0.4, max(x for x, _ in places.values()) + 0.4]},
        yaxis={"visible": False, "range": [max(y for _, y in places.values()) + 0.4, -0.8]},
        showlegend=False,
    )


def _places(drivers: Sequence[Driver]) -> dict[str, tuple[float, float]]:
    """Depth and height of each node: leaves lie one below the other, a parent in the middle of its children."""
    depth: dict[str, int] = {}
    for driver in drivers:
        if driver.parent is not None and driver.parent not in depth:
            raise ValueError(f"driver {driver.key!r}: its parent {driver.parent!r} does not stand before it")
        depth[driver.key] = 0 if driver.parent is None else depth[driver.parent] + 1
    children: dict[str, list[str]] = {driver.key: [] for driver in drivers}
    for driver in drivers:
        if driver.parent is not None:
            children[driver.parent].append(driver.key)
    height: dict[str, float] = {}
    leaves = 0

    def place(key: str) -> float:
        nonlocal leaves
        if children[key]:
            below = [place(child) for child in children[key]]
            height[key] = (below[0] + below[-1]) / 2
        else:
            height[key] = float(leaves)
            leaves += 1
        return height[key]

    for driver in drivers:
        if driver.parent is None:
            place(driver.key)
    return {key: (float(depth[key]), height[key]) for key in depth}


def _figure(data: list[Figure], **layout: Any) -> Figure:
    axis = {"gridcolor": _LINE, "zerolinecolor": _LINE, "linecolor": _LINE, "fixedrange": True}
    axes = {name: axis | layout.pop(name, {}) for name in ("xaxis", "yaxis")}
    frame = {
        "margin": {"l": 52, "r": 12, "t": 22, "b": 36},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": _SOFT, "size": 12},
        "hoverlabel": {"bgcolor": _SURFACE, "bordercolor": _LINE, "font": {"color": _INK}},
        "legend": {"orientation": "h", "y": 1.12},
    }
    return {"data": data, "layout": frame | axes | layout}
