"""How far a goal has come: what was to be expected by now, how fast it goes, and where that leads. Pure.

expected = T x sum of w_d over the days that are over; pace = actual / expected; required pace = (T - actual) / (T x sum
of w_d to come); forecast = actual + T x sum of w_d to come x pace, the pace held within 0.5 and 1.5. The weights w of a
period's days sum to one: by the medians of the last eight same weekdays, or, where those say nothing, evenly over
working days. Floats do not come here: weights and ratios are exact.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction
from statistics import median

import msgspec

from marketplace.core.rates import PPM, divide_half_even
from marketplace.metrics.periods import Span

WEEKS = 8
_SLOWEST, _FASTEST = Fraction(1, 2), Fraction(3, 2)
_WORKING = range(5)


class Weighing(StrEnum):
    """How the days of a period were weighed."""

    WEEKDAY_MEDIANS = "weekday_medians"
    WORKING_DAYS = "working_days"


class Colour(StrEnum):
    """By forecast / target: from 1 on, from 0.9 on, below."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


class GoalPace(msgspec.Struct, frozen=True, kw_only=True):
    """pace, required pace and attainment in ppm; None where there is nothing to divide by."""

    actual: int
    target: int
    attainment_ppm: int | None
    expected: int
    pace_ppm: int | None
    required_pace_ppm: int | None
    forecast: int
    colour: Colour
    method: Weighing


def weights(span: Span, by_day: Mapping[date, int], holidays: frozenset[date]) -> tuple[dict[date, Fraction], Weighing]:
    """The weight of each day of a period.

    by_day: what the days before the period have brought. A holiday weighs nothing; where nothing would be left of a
    period, all its days weigh the same.
    """
    usual = {weekday: _usual(span.from_on, weekday, by_day) for weekday in range(7)}
    method = Weighing.WEEKDAY_MEDIANS if any(usual.values()) else Weighing.WORKING_DAYS
    if method is Weighing.WORKING_DAYS:
        usual = {weekday: Fraction(1 if weekday in _WORKING else 0) for weekday in range(7)}
    heavy = {day: Fraction(0) if day in holidays else usual[day.weekday()] for day in span}
    whole = sum(heavy.values())
    if not whole:
        return {day: Fraction(1, span.days) for day in span}, method
    return {day: each / whole for day, each in heavy.items()}, method


def _usual(before: date, weekday: int, by_day: Mapping[date, int]) -> Fraction:
    """The median of the last eight days of that weekday before a date; days without anything count as zero."""
    latest = before - timedelta(days=(before.weekday() - weekday - 1) % 7 + 1)
    return Fraction(median([max(by_day.get(latest - timedelta(weeks=back), 0), 0) for back in range(WEEKS)]))


def progress(actual: int, target: int, weighed: Mapping[date, Fraction], today: date, method: Weighing) -> GoalPace:
    """Where a goal stands when `today` begins: of what is measured so far, days before today are over.

    weighed: the weight of each day of the period. actual and target in whole units of the metric.
    """
    over = sum((each for day, each in weighed.items() if day < today), Fraction())
    expected, to_come = target * over, target * (1 - over)
    pace = Fraction(actual) / expected if expected else None
    held = min(max(pace if pace is not None else Fraction(1), _SLOWEST), _FASTEST)
    forecast = actual + to_come * held
    return GoalPace(
        actual=actual,
        target=target,
        attainment_ppm=_ppm(Fraction(actual, target) if target else None),
        expected=_whole(expected),
        pace_ppm=_ppm(pace),
        required_pace_ppm=_ppm((target - actual) / to_come if to_come else None),
        forecast=_whole(forecast),
        colour=colour_of(forecast, target),
        method=method,
    )


def colour_of(forecast: Fraction, target: int) -> Colour:
    """What a forecast looks like against its target."""
    if forecast >= target:
        return Colour.GREEN
    return Colour.AMBER if forecast >= target * Fraction(9, 10) else Colour.RED


def parts_left(whole: int, parts: Sequence[int]) -> int:
    """What a goal's parts leave of it, with its name: the residual. Below zero: they come to more."""
    return whole - sum(parts)


def _ppm(value: Fraction | None) -> int | None:
    return None if value is None else _whole(value * PPM)


def _whole(value: Fraction) -> int:
    return divide_half_even(value.numerator, value.denominator)
