"""Tiny charts as SVG: pure functions from integers to markup, without script, style or floats.

The drawing is stretched to the width of its place, so it carries no text; axis labels are HTML around it. Colours
come from the stylesheet by class.
"""

from collections.abc import Sequence
from datetime import date

import msgspec
from markupsafe import Markup

_HEIGHT = 1000
_STEP = 100
_BAR = 64
_GHOST = 84
_ROUND = (10, 12, 16, 20, 30, 40, 50, 60, 80)


class Column(msgspec.Struct, frozen=True):
    """One column: a value of 0 or more, an optional earlier value to stand behind it, its words, where it leads."""

    value: int
    words: str
    href: str = ""
    earlier: int | None = None


class Chart(msgspec.Struct, frozen=True):
    """A drawing and what stands at its edges: the value at the top, the days at its two ends."""

    drawing: Markup
    top: int
    first: date
    last: date


def ceiling(value: int) -> int:
    """The top of an axis: the smallest round number not below `value` whose half is round, too. At least 10."""
    step = 1
    while True:
        for factor in _ROUND:
            if factor * step >= value:
                return factor * step
        step *= 10


def top(columns: Sequence[Column]) -> int:
    """The value at the upper edge of a chart of these columns."""
    return ceiling(max((max(column.value, column.earlier or 0) for column in columns), default=0))


def bars(columns: Sequence[Column], title: str) -> Markup:
    """A column chart, each column a link with its words as a tip. Raises ValueError for a negative value."""
    if any(min(column.value, column.earlier or 0) < 0 for column in columns):
        raise ValueError("a column starts at zero: it cannot be negative")
    edge = top(columns)
    drawn = Markup().join(_bar(number, column, edge) for number, column in enumerate(columns))
    grid = Markup().join(
        Markup('<line class="grid" x1="0" x2="{}" y1="{}" y2="{}"/>').format(len(columns) * _STEP, y, y)
        for y in (0, _HEIGHT // 2)
    )
    return Markup(
        '<svg class="bars" viewBox="0 0 {} {}" preserveAspectRatio="none" role="group" aria-label="{}">'
    ).format(max(len(columns), 1) * _STEP, _HEIGHT, title) + Markup("{}{}</svg>").format(grid, drawn)


def _bar(number: int, column: Column, edge: int) -> Markup:
    left = number * _STEP
    parts = [Markup('<rect class="reach" x="{}" y="0" width="{}" height="{}"/>').format(left, _STEP, _HEIGHT)]
    if column.earlier is not None:
        parts.append(_rect("earlier", left + (_STEP - _GHOST) // 2, _GHOST, column.earlier, edge))
    parts.append(_rect("now", left + (_STEP - _BAR) // 2, _BAR, column.value, edge))
    drawn = Markup("<title>{}</title>").format(column.words) + Markup().join(parts)
    if not column.href:
        return Markup("<g>{}</g>").format(drawn)
    return Markup('<a href="{}" aria-label="{}">{}</a>').format(column.href, column.words, drawn)


def _rect(kind: str, x: int, width: int, value: int, edge: int) -> Markup:
    height = value * _HEIGHT // edge
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
        kind, x, _HEIGHT - height, width, height
    )
