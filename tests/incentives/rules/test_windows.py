"""Every instant of a schedule lies in exactly one window, in every zone and across every change of the clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from incentives.rules.evaluate import evaluate
from incentives.rules.events import Facts
from incentives.rules.index import Index, plan_of
from incentives.rules.model import Calendar, Hours, PerEvent, Recurring, Schedule, SinceOptIn, WholePromotion, Window
from incentives.rules.target import Progress
from incentives.rules.windows import Span, Timeline, schedule_span
from tests.incentives.rules.cases import AT, amount_of, order, per_order

ZONES = sorted(available_timezones())
TRICKY = ("Pacific/Apia", "America/Sao_Paulo", "America/Havana", "America/St_Johns", "Africa/Cairo", "Asia/Kathmandu")
"""A day left out; clocks changed at midnight, one hour and one minute around it."""

windows = st.one_of(
    st.builds(Calendar, period=st.sampled_from(["day", "week", "month"]), week_starts=st.integers(1, 7)),
    st.builds(Recurring, every=st.integers(1, 45), unit=st.sampled_from(["day", "week", "month"])),
)
instants = st.datetimes(datetime(2000, 1, 2), datetime(2037, 12, 30)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001


def schedule(zone: str, starts: str = "1999-12-31T18:30", ends: str | None = None) -> Schedule:
    return Schedule(zone=zone, starts=starts, ends=ends)


@given(st.sampled_from(ZONES) | st.sampled_from(TRICKY), windows, instants)
@example("Pacific/Apia", Calendar(period="day"), datetime(2011, 12, 30, 10, tzinfo=UTC))
@example("America/St_Johns", Calendar(period="day"), datetime(2010, 11, 7, 3, 0, tzinfo=UTC))
@example("America/Sao_Paulo", Calendar(period="day"), datetime(2018, 11, 4, 3, tzinfo=UTC))
def test_invariant_13_every_instant_is_in_exactly_one_window(zone: str, window: Window, at: datetime) -> None:
    timeline = Timeline(schedule(zone), window)
    span = timeline.window_at(at)
    assert span is not None
    assert span.ends is not None
    assert span.starts <= at < span.ends
    last = span.ends - timedelta(microseconds=1)
    assert timeline.window_at(span.starts) == timeline.window_at(last) == span
    following = timeline.window_at(span.ends)
    assert following is not None
    assert following.starts == span.ends, "no gap and no overlap, and the end is exclusive"
    assert following.ends is not None
    assert following.ends > following.starts


@given(st.sampled_from(TRICKY), windows, instants)
def test_invariant_13_the_zone_in_which_an_instant_is_written_does_not_matter(
    zone: str, window: Window, at: datetime
) -> None:
    timeline = Timeline(schedule(zone), window)
    assert timeline.window_at(at) == timeline.window_at(at.astimezone(ZoneInfo("Asia/Tokyo")))


@pytest.mark.parametrize("zone", ["Europe/Berlin", *TRICKY])
def test_invariant_13_days_tile_every_year_from_2000_to_2037(zone: str) -> None:
    timeline = Timeline(schedule(zone), Calendar(period="day"))
    at = datetime(2000, 1, 2, tzinfo=UTC)
    hours = set()
    while at.year < 2038:
        span = timeline.window_at(at)
        assert span is not None
        assert span.ends is not None
        assert span.ends > at >= span.starts
        hours.add((span.ends - span.starts) // timedelta(hours=1))
        at = span.ends
    assert hours <= {22, 23, 24, 25}


@given(st.sampled_from(ZONES), windows, instants)
def test_invariant_12_an_end_moved_leaves_earlier_windows_alone(zone: str, window: Window, at: datetime) -> None:
    """Ended sooner or later, a window that is over keeps its start and its end."""
    open_end = Timeline(schedule(zone), window).window_at(at)
    assert open_end is not None
    assert open_end.ends is not None
    ends = (open_end.ends + timedelta(days=2)).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M")
    assert Timeline(schedule(zone, ends=ends), window).window_at(at) == open_end


def test_a_schedule_clips_its_first_and_last_window() -> None:
    timeline = Timeline(schedule("UTC", "2026-11-11T06:00", "2026-11-17"), Calendar(period="week"))
    first = timeline.window_at(datetime(2026, 11, 12, tzinfo=UTC))
    assert first == Span(datetime(2026, 11, 11, 6, tzinfo=UTC), datetime(2026, 11, 16, tzinfo=UTC))
    last = timeline.window_at(datetime(2026, 11, 17, 23, 59, tzinfo=UTC))
    assert last == Span(datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 18, tzinfo=UTC))
    assert timeline.window_at(datetime(2026, 11, 18, tzinfo=UTC)) is None


def test_a_week_starts_on_its_day() -> None:
    sunday = Timeline(schedule("UTC"), Calendar(period="week", week_starts=7)).window_at(AT)
    assert sunday == Span(datetime(2026, 11, 15, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC))


def test_recurring_months_count_from_the_start() -> None:
    timeline = Timeline(schedule("UTC", "2026-01-31"), Recurring(every=1, unit="month"))
    assert timeline.window_at(datetime(2026, 3, 1, tzinfo=UTC)) == Span(
        datetime(2026, 2, 28, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC)
    )


def test_the_days_since_joining_are_clipped_to_the_schedule() -> None:
    timeline = Timeline(schedule("UTC", "2026-11-01", "2026-11-30"), SinceOptIn(days=7))
    joined = datetime(2026, 11, 15, 9, tzinfo=UTC)
    assert timeline.window_at(AT, joined) == Span(joined, joined + timedelta(days=7))
    assert timeline.window_at(AT) is None
    assert timeline.window_at(joined + timedelta(days=7), joined) is None


def test_windows_of_an_event_and_of_the_whole() -> None:
    whole = schedule("UTC", "2026-11-01", "2026-11-30")
    assert Timeline(whole, PerEvent()).window_at(AT) == Span(AT, AT)
    assert Timeline(whole, WholePromotion()).window_at(AT) == schedule_span(whole)


@pytest.mark.parametrize(
    ("zone", "starts", "ends", "first", "last"),
    [
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T02:45", "2026-03-29T01:30", "2026-03-29T01:45"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T02:30", "2026-10-25T00:30", "2026-10-25T01:30"),
        ("Pacific/Apia", "2011-12-30", "2011-12-30", "2011-12-30T10:00", "2011-12-30T10:00"),
    ],
)
def test_local_times_that_are_skipped_or_shown_twice(zone: str, starts: str, ends: str, first: str, last: str) -> None:
    """Skipped: moved forward. Shown twice: starts at the first, ends at the second."""
    expected = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (first, last)]
    span = schedule_span(schedule(zone, starts, ends))
    assert [span.starts, span.ends] == expected


def test_bug_14_a_promotion_that_ends_today_works_until_local_midnight() -> None:
    """s2Member #612, MIT xPRO #991."""
    timeline = Timeline(schedule("America/Sao_Paulo", "2026-11-01", "2026-11-18"), WholePromotion())
    midnight = datetime(2026, 11, 19, 3, tzinfo=UTC)
    assert timeline.why_closed(midnight - timedelta(microseconds=1)) is None
    assert timeline.why_closed(midnight) == "it ended at 2026-11-19 03:00 UTC"
    assert timeline.why_closed(datetime(2026, 11, 1, tzinfo=UTC)) == "it starts at 2026-11-01 03:00 UTC"


@pytest.mark.parametrize("day", [24, 25, 26])
def test_bug_14_hours_of_the_week_survive_the_change_of_the_clock(day: int) -> None:
    """Voucherify fixed this on 2025-12-03: from 18:00 to 20:00 on the clock, in summer and in winter."""
    only = (Hours(from_time="18:00", to_time="20:00"),)
    timeline = Timeline(Schedule(zone="Europe/Berlin", starts="2026-10-01", only=only), WholePromotion())
    for hour, minute, is_open in ((17, 59, False), (18, 0, True), (19, 59, True), (20, 0, False)):
        at = datetime(2026, 10, day, hour, minute, tzinfo=ZoneInfo("Europe/Berlin"))
        assert (timeline.why_closed(at) is None) == is_open
    assert "Europe/Berlin, outside its hours" in str(timeline.why_closed(AT))


def test_bug_14_a_new_version_leaves_placed_orders_alone() -> None:
    """Shopware #5766, #5854: a refund after the edit is judged by the version in force when the order was placed."""
    old = plan_of(1, 1, per_order({"gives": "once", "threshold": 100_00, "amount_minor": 20_00}))
    new = plan_of(1, 2, per_order({"gives": "once", "threshold": 50_00, "amount_minor": 1_00}))
    verdicts = [evaluate(Index([each]), order(100_00), Facts(), AT)[0] for each in (old, new)]
    assert [(verdict.version, amount_of(verdict)) for verdict in verdicts] == [(1, 20_00), (2, 1_00)]
    before = Progress(promised=100_00, settled=100_00, reached=100_00, granted_minor=20_00, award_minor=20_00)
    assert old.sides[""][0].goal.target(before).grant_minor == 0
    refunded = msgspec.structs.replace(before, promised=60_00, settled=60_00)
    assert old.sides[""][0].goal.target(refunded).grant_minor == -20_00
