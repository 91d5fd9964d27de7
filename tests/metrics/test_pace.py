"""Goals: what was to be expected by now, how fast it goes, where that leads; and alerts that do not flicker."""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.core.errors import Invalid
from marketplace.metrics.pace import Colour, Weighing, progress, weights
from marketplace.metrics.periods import Grain, Span, before, last_complete, span_of
from marketplace.metrics.watch import BoundSide, check_bounds, is_raised

WEEK = span_of(Grain.WEEK, date(2018, 9, 5))
NONE: frozenset[date] = frozenset()


def test_working_days_where_nothing_is_known() -> None:
    weighed, method = weights(WEEK, {}, NONE)
    assert method is Weighing.WORKING_DAYS
    assert [weighed[day] for day in WEEK] == [Fraction(1, 5)] * 5 + [0, 0]


def test_a_holiday_weighs_nothing() -> None:
    weighed, _ = weights(WEEK, {}, frozenset({date(2018, 9, 3)}))
    assert [weighed[day] for day in WEEK] == [0, *[Fraction(1, 4)] * 4, 0, 0]


def test_eight_of_the_same_weekday_say_what_a_day_weighs() -> None:
    """Mondays brought 6, Saturdays 2, whatever one of them did; the rest nothing."""
    by_day = {date(2018, 9, 3) - timedelta(weeks=back): 6 for back in range(1, 9)}
    by_day |= {date(2018, 9, 8) - timedelta(weeks=back): 2 for back in range(1, 9)}
    by_day[date(2018, 8, 27)] = 600
    weighed, method = weights(WEEK, by_day, NONE)
    assert method is Weighing.WEEKDAY_MEDIANS
    assert [weighed[day] for day in WEEK] == [Fraction(3, 4), 0, 0, 0, 0, Fraction(1, 4), 0]


@given(
    st.dates(date(2010, 1, 1), date(2030, 1, 1)),
    st.sampled_from([Grain.WEEK, Grain.MONTH]),
    st.dictionaries(st.integers(1, 70), st.integers(-5, 500)),
    st.sets(st.integers(0, 30)),
)
def test_weights_sum_to_one(on: date, grain: Grain, history: dict[int, int], off: set[int]) -> None:
    span = span_of(grain, on)
    by_day = {span.from_on - timedelta(days=back): brought for back, brought in history.items()}
    weighed, _ = weights(span, by_day, frozenset(span.from_on + timedelta(days=number) for number in off))
    assert sum(weighed.values()) == 1
    assert all(each >= 0 for each in weighed.values())


def test_a_goal_in_the_midst_of_its_week() -> None:
    """100 by Friday, two working days over, 50 reached: 40 were expected, pace 1.25, 50 + 60 x 1.25 = 125."""
    weighed, method = weights(WEEK, {}, NONE)
    found = progress(50, 100, weighed, date(2018, 9, 5), method)
    assert (found.expected, found.pace_ppm, found.forecast, found.colour) == (40, 1_250_000, 125, Colour.GREEN)
    assert (found.attainment_ppm, found.required_pace_ppm) == (500_000, 833_333)


@pytest.mark.parametrize(
    ("actual", "forecast", "colour"),
    [
        (0, 30, Colour.RED),
        (36, 90, Colour.AMBER),
        (35, 88, Colour.RED),
        (40, 100, Colour.GREEN),
        (200, 290, Colour.GREEN),
    ],
)
def test_a_pace_is_held_within_bounds(actual: int, forecast: int, colour: Colour) -> None:
    weighed, method = weights(WEEK, {}, NONE)
    found = progress(actual, 100, weighed, date(2018, 9, 5), method)
    assert (found.forecast, found.colour) == (forecast, colour)


def test_before_and_after_its_days() -> None:
    weighed, method = weights(WEEK, {}, NONE)
    first = progress(0, 100, weighed, date(2018, 9, 3), method)
    assert (first.expected, first.pace_ppm, first.forecast) == (0, None, 100)
    last = progress(80, 100, weighed, date(2018, 9, 10), method)
    assert (last.expected, last.pace_ppm, last.required_pace_ppm, last.forecast) == (100, 800_000, None, 80)


def test_periods() -> None:
    assert Span(date(2018, 9, 3), date(2018, 9, 10)) == WEEK
    assert last_complete(Grain.WEEK, date(2018, 9, 3)) == Span(date(2018, 8, 27), date(2018, 9, 3))
    assert last_complete(Grain.MONTH, date(2018, 3, 31)) == Span(date(2018, 2, 1), date(2018, 3, 1))
    assert before(span_of(Grain.MONTH, date(2018, 3, 5))) == Span(date(2018, 2, 1), date(2018, 3, 1))
    assert before(Span(date(2018, 3, 2), date(2018, 3, 5))) == Span(date(2018, 2, 27), date(2018, 3, 2))


def test_an_alert_stands_until_its_other_bound() -> None:
    raised, seen = False, []
    for value in (90, 101, 99, None, 95, 96, 94):
        raised = is_raised(BoundSide.ABOVE, 100, 95, value, was=raised)
        seen.append(raised)
    assert seen == [False, True, True, True, False, False, False]
    assert is_raised(BoundSide.BELOW, 10, 12, 9, was=False)
    assert is_raised(BoundSide.BELOW, 10, 12, 11, was=True)
    assert not is_raised(BoundSide.BELOW, 10, 12, 12, was=True)


def test_bounds_that_would_flicker_are_refused() -> None:
    check_bounds(BoundSide.ABOVE, 100, 100)
    with pytest.raises(Invalid, match="clear_bound"):
        check_bounds(BoundSide.ABOVE, 100, 101)
    with pytest.raises(Invalid, match="clear_bound"):
        check_bounds(BoundSide.BELOW, 100, 99)
