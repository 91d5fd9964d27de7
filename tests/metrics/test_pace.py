"""Goals: what was to be expected by now, how fast it goes, where that leads; and alerts that do not flicker."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.core.errors import Invalid
from marketplace.metrics.pace import Colour, Weighing, progress, weights
from marketplace.metrics.periods import Grain, Span, before, compared, last_complete, span_of
from marketplace.metrics.watch import BoundSide, check_bounds, is_raised

WEEK = span_of(Grain.WEEK, date(2018, 9, 5))
NONE: frozenset[date] = frozenset()


def test_working_days_where_nothing_is_known() -> None:
    weighed = weights(WEEK, {}, NONE)
    assert weighed.method is Weighing.WORKING_DAYS
    assert list(weighed.days.values()) == [1, 1, 1, 1, 1, 0, 0]


def test_a_holiday_weighs_nothing() -> None:
    weighed = weights(WEEK, {}, frozenset({date(2018, 9, 3)}))
    assert list(weighed.days.values()) == [0, 1, 1, 1, 1, 0, 0]


def test_eight_of_the_same_weekday_say_what_a_day_weighs() -> None:
    """Mondays brought 6, Saturdays 2, whatever one of them did; the rest nothing."""
    by_day = {date(2018, 9, 3) - timedelta(weeks=back): 6 for back in range(1, 9)}
    by_day |= {date(2018, 9, 8) - timedelta(weeks=back): 2 for back in range(1, 9)}
    by_day[date(2018, 8, 27)] = 600
    weighed = weights(WEEK, by_day, NONE)
    assert weighed.method is Weighing.WEEKDAY_MEDIANS
    assert list(weighed.days.values()) == [6, 0, 0, 0, 0, 2, 0]


@given(
    st.dates(date(2010, 1, 1), date(2030, 1, 1)),
    st.sampled_from([Grain.WEEK, Grain.MONTH]),
    st.dictionaries(st.integers(1, 70), st.integers(-5, 500)),
    st.sets(st.integers(0, 30)),
)
def test_every_period_has_days_that_weigh(on: date, grain: Grain, history: dict[int, int], off: set[int]) -> None:
    span = span_of(grain, on)
    by_day = {span.from_on - timedelta(days=back): brought for back, brought in history.items()}
    weighed = weights(span, by_day, frozenset(span.from_on + timedelta(days=number) for number in off))
    assert list(weighed.days) == list(span)
    assert sum(weighed.days.values()) > 0
    assert all(each >= 0 for each in weighed.days.values())


def test_a_goal_in_the_midst_of_its_week() -> None:
    """100 by Friday, two working days over, 50 reached: 40 were expected, pace 1.25; 25 a day, 50 + 3 x 25 = 125."""
    found = progress(50, 100, weights(WEEK, {}, NONE), date(2018, 9, 5))
    assert (found.expected, found.pace_ppm, found.forecast, found.colour) == (40, 1_250_000, 125, Colour.GREEN)
    assert (found.attainment_ppm, found.required_pace_ppm) == (500_000, 833_333)


@pytest.mark.parametrize(
    ("actual", "forecast", "colour"),
    [(0, 0, Colour.RED), (36, 90, Colour.AMBER), (35, 88, Colour.RED), (40, 100, Colour.GREEN)],
)
def test_a_forecast_has_its_colour(actual: int, forecast: int, colour: Colour) -> None:
    found = progress(actual, 100, weights(WEEK, {}, NONE), date(2018, 9, 5))
    assert (found.forecast, found.colour) == (forecast, colour)


BY_DAY = {
    WEEK.from_on + timedelta(days=number - 7 * back): brought
    for back in range(1, 9)
    for number, brought in enumerate((10, 20, 30, 20, 10, 5, 5))
}
"""Each of the eight weeks before brought 100."""


@pytest.mark.parametrize(
    ("today", "actual", "of_today", "forecast"),
    [
        (date(2018, 9, 3), 0, 0, 100),  # nothing is over: the usual week
        (date(2018, 9, 3), 4, 4, 100),  # Monday has begun: of its usual 10
        (date(2018, 9, 3), 16, 16, 106),  # and has brought more than that
        (date(2018, 9, 5), 45, 0, 150),  # 45 where 30 are usual: 45 + 70 x 1.5
        (date(2018, 9, 5), 15, 0, 50),  # 15 + 70 x 0.5
        (date(2018, 9, 5), 35, 5, 100),  # 30 of the days over, Wednesday has brought 5 of 30
        (date(2018, 9, 10), 80, 0, 80),  # it is over
    ],
)
@pytest.mark.parametrize("target", [4, 100, 10_000_000])
def test_a_forecast_knows_nothing_of_its_target(
    today: date, actual: int, of_today: int, forecast: int, target: int
) -> None:
    found = progress(actual, target, weights(WEEK, BY_DAY, NONE), today, of_today=of_today)
    assert found.forecast == forecast


def test_before_and_after_its_days() -> None:
    """On the first day nothing is over and nothing usual is known: there is no forecast."""
    weighed = weights(WEEK, {}, NONE)
    first = progress(3, 100, weighed, date(2018, 9, 3), of_today=3)
    assert (first.expected, first.pace_ppm, first.forecast, first.colour) == (0, None, None, None)
    last = progress(80, 100, weighed, date(2018, 9, 10))
    assert (last.expected, last.pace_ppm, last.required_pace_ppm, last.forecast) == (100, 800_000, None, 80)


def test_periods() -> None:
    assert Span(date(2018, 9, 3), date(2018, 9, 10)) == WEEK
    assert last_complete(Grain.WEEK, date(2018, 9, 3)) == Span(date(2018, 8, 27), date(2018, 9, 3))
    assert last_complete(Grain.MONTH, date(2018, 3, 31)) == Span(date(2018, 2, 1), date(2018, 3, 1))
    assert before(span_of(Grain.MONTH, date(2018, 3, 5))) == Span(date(2018, 2, 1), date(2018, 3, 1))
    assert before(Span(date(2018, 3, 2), date(2018, 3, 5))) == Span(date(2018, 2, 27), date(2018, 3, 2))


@pytest.mark.parametrize(
    ("today", "now", "then"),
    [
        (date(2018, 12, 1), Span(date(2018, 11, 1), date(2018, 12, 1)), Span(date(2018, 10, 1), date(2018, 11, 1))),
        (date(2018, 11, 23), Span(date(2018, 11, 1), date(2018, 11, 23)), Span(date(2018, 10, 1), date(2018, 10, 23))),
        (date(2018, 11, 2), Span(date(2018, 11, 1), date(2018, 11, 2)), Span(date(2018, 10, 1), date(2018, 10, 2))),
        (date(2018, 11, 1), Span(date(2018, 11, 1), date(2018, 11, 2)), Span(date(2018, 10, 1), date(2018, 10, 2))),
        (date(2018, 10, 31), Span(date(2018, 11, 1), date(2018, 12, 1)), Span(date(2018, 10, 1), date(2018, 11, 1))),
    ],
)
def test_a_running_month_is_compared_with_as_many_days(today: date, now: Span, then: Span) -> None:
    assert compared(span_of(Grain.MONTH, date(2018, 11, 5)), today) == (now, then)


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
