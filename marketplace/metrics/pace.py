"""How far a goal has come: what was to be expected by now, how fast it goes, and where that leads. Pure.

Each day has a weight w: the median of the last eight same weekdays, or, where those say nothing, one for a working day.
expected = T x w of the days over / w of all; pace = actual / expected; required pace = (T - actual) / (T - expected).
The forecast knows nothing of the target T. The rate is what the days over brought by their w, or before any is over the
usual one; forecast = actual + rate x w of the days to come, today at least what it has brought already. Floats do not
come here: weights and ratios are exact.
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
    """pace, required pace and attainment in ppm; None where there is nothing to divide by. forecast, colour: None while
    neither the days before the period nor its own say what a day brings.
    """

    actual: int
    target: int
    attainment_ppm: int | None
    expected: int
    pace_ppm: int | None
    required_pace_ppm: int | None
    forecast: int | None
    colour: Colour | None
    method: Weighing


class Weighed(msgspec.Struct, frozen=True):
    """What each day of a period weighs: by medians, what such a day usually brings."""

    days: Mapping[date, Fraction]
    method: Weighing

    @property
    def usual_rate(self) -> Fraction | None:
        """What a weight of one brings, before any day of the period is over; None: not known."""
        return Fraction(1) if self.method is Weighing.WEEKDAY_MEDIANS else None


def weights(span: Span, by_day: Mapping[date, int], holidays: frozenset[date]) -> Weighed:
    """The weight of each day of a period.

    by_day: what the days before the period have brought. A holiday weighs nothing; where nothing would be left of a
    period, all its days weigh the same.
    """
    usual = {weekday: _usual(span.from_on, weekday, by_day) for weekday in range(7)}
    method = Weighing.WEEKDAY_MEDIANS if any(usual.values()) else Weighing.WORKING_DAYS
    if method is Weighing.WORKING_DAYS:
        usual = {weekday: Fraction(1 if weekday in _WORKING else 0) for weekday in range(7)}
    heavy = {day: Fraction(0) if day in holidays else usual[day.weekday()] for day in span}
    return (
        Weighed(heavy, method)
        if any(heavy.values())
        else Weighed(dict.fromkeys(span, Fraction(1)), Weighing.WORKING_DAYS)
    )


def _usual(before: date, weekday: int, by_day: Mapping[date, int]) -> Fraction:
    """The median of the last eight days of that weekday before a date; days without anything count as zero."""
    latest = before - timedelta(days=(before.weekday() - weekday - 1) % 7 + 1)
    return Fraction(median([max(by_day.get(latest - timedelta(weeks=back), 0), 0) for back in range(WEEKS)]))


def progress(actual: int, target: int, weighed: Weighed, today: date, *, of_today: int = 0) -> GoalPace:
    """Where a goal stands on a day: days before today are over.

    actual: all that is measured so far, of_today: the part of it that today has brought. Whole units of the metric.
    """
    whole = sum(weighed.days.values(), Fraction())
    over = sum((each for day, each in weighed.days.items() if day < today), Fraction())
    expected = target * over / whole
    pace = Fraction(actual) / expected if expected else None
    to_come = target - expected
    forecast = _forecast(actual, of_today, weighed, today, over, whole)
    return GoalPace(
        actual=actual,
        target=target,
        attainment_ppm=_ppm(Fraction(actual, target) if target else None),
        expected=_whole(expected),
        pace_ppm=_ppm(pace),
        required_pace_ppm=_ppm((target - actual) / to_come if to_come else None),
        forecast=None if forecast is None else _whole(forecast),
        colour=None if forecast is None else colour_of(forecast, target),
        method=weighed.method,
    )


def _forecast(
    actual: int, of_today: int, weighed: Weighed, today: date, over: Fraction, whole: Fraction
) -> Fraction | None:
    done = actual - of_today
    rate = done / over if over else weighed.usual_rate
    if rate is None:
        return None
    now = weighed.days.get(today, Fraction())
    return done + max(rate * now, Fraction(of_today)) + rate * (whole - over - now)


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
