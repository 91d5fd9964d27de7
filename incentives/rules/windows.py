"""When a promotion counts, and over which time: half-open spans that tile its schedule without gap or overlap. Pure.

Edges are local midnights in the promotion's zone and are made in local time, then converted: a midnight that the clock
skips is moved forward, one that it shows twice is the first (the end of a schedule: the second). Membership is decided
by the instant of the event alone; neither the zone of the machine nor the time of processing matters.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from incentives.rules.events import once
from incentives.rules.model import Calendar, Hours, PerEvent, Recurring, Schedule, SinceOptIn, WholePromotion, Window
from marketplace.core.months import add_months


class Span(msgspec.Struct, frozen=True, dict=True):
    """[starts, ends), in UTC; ends None: open."""

    starts: datetime
    ends: datetime | None

    @once
    def name(self) -> str:
        """What windows that start then are known by."""
        return self.starts.isoformat()

    def holds(self, at: datetime) -> bool:
        return self.starts <= at and (self.ends is None or at < self.ends)


def instant(local: datetime, zone: ZoneInfo, *, fold: int = 0) -> datetime:
    """A local time as an instant. fold 0: the first of two; a time that is skipped is moved forward by the gap."""
    return local.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def schedule_span(schedule: Schedule) -> Span:
    """From the start to the end of a schedule. Raises ValueError for what is no local time or no zone."""
    zone = zone_named(schedule.zone)
    starts = instant(datetime.fromisoformat(schedule.starts), zone)
    if schedule.ends is None:
        return Span(starts, None)
    local = datetime.fromisoformat(schedule.ends)
    if "T" not in schedule.ends:
        local += timedelta(days=1)
    ends, first = instant(local, zone, fold=1), instant(local, zone)
    return Span(starts, max(ends, first))  # of a time that is skipped, fold 1 is the earlier one


def zone_named(name: str) -> ZoneInfo:
    """The IANA zone of this name. Raises ValueError where there is none."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as fault:  # KeyError: ZoneInfoNotFoundError; OSError: a folder of zones
        raise ValueError(f"{name!r} is no zone of the IANA database") from fault


class Timeline:
    """A schedule with its windows, prepared for being asked often."""

    def __init__(self, schedule: Schedule, window: Window) -> None:
        self.span = schedule_span(schedule)
        self._zone = zone_named(schedule.zone)
        self._hours = [_minutes(hours) for hours in schedule.only]
        self._window = window
        self._latest = Span(self.span.starts, self.span.starts)  # what was asked last: events come close together
        if isinstance(window, Calendar | Recurring):
            anchor = date.fromisoformat(schedule.starts[:10])
            self._number, self._start_of = _steps(window, anchor)

    def why_closed(self, at: datetime) -> str | None:
        """Why nothing counts at an instant; None when it does."""
        if at < self.span.starts:
            return f"it starts at {self.span.starts:%Y-%m-%d %H:%M} UTC"
        if self.span.ends is not None and at >= self.span.ends:
            return f"it ended at {self.span.ends:%Y-%m-%d %H:%M} UTC"
        if self._hours:
            local = at.astimezone(self._zone)
            day, minute = local.isoweekday(), 60 * local.hour + local.minute
            if not any(day in days and begin <= minute < end for days, begin, end in self._hours):
                return f"it is {local:%A %H:%M} in {self._zone.key}, outside its hours"
        return None

    def window_at(self, at: datetime, joined_at: datetime | None = None) -> Span | None:
        """The window that an instant of the schedule belongs to; of one event, the instant itself.

        joined_at: when the beneficiary joined. None: outside the schedule, or of its days since joining.
        """
        if self._latest.holds(at):
            return self._latest
        if not self.span.holds(at):
            return None
        match self._window:
            case PerEvent():
                return Span(at, at)
            case WholePromotion():
                return self.span
            case SinceOptIn(days=days):
                span = None if joined_at is None else self._clipped(joined_at, joined_at + timedelta(days=days))
                return span if span is not None and span.holds(at) else None
            case _:
                return self._tile(at)

    def _tile(self, at: datetime) -> Span:
        """The window between two edges of the calendar that holds an instant."""
        number = self._number(at.astimezone(self._zone).date())
        while self._edge(number + 1) <= at:  # where the clock was put back over midnight, or a day left out
            number += 1
        while self._edge(number) > at:
            number -= 1
        self._latest = span = self._clipped(self._edge(number), self._edge(number + 1))
        return span

    def _edge(self, number: int) -> datetime:
        return instant(datetime.combine(self._start_of(number), time()), self._zone)

    def _clipped(self, starts: datetime, ends: datetime) -> Span:
        first, last = self.span.starts, self.span.ends
        return Span(max(starts, first), ends if last is None else min(ends, last))


def _minutes(hours: Hours) -> tuple[tuple[int, ...], int, int]:
    begin, end = (60 * int(text[:2]) + int(text[3:]) for text in (hours.from_time, hours.to_time))
    return hours.weekdays, begin, end


def _steps(window: Calendar | Recurring, anchor: date) -> tuple[Callable[[date], int], Callable[[int], date]]:
    """The number of the window that a local day belongs to, give or take one, and the first day of a window."""
    match window:
        case Calendar(period="month"):
            return lambda on: 12 * on.year + on.month - 1, lambda n: date(n // 12, n % 12 + 1, 1)
        case Recurring(every=every, unit="month"):
            first = 12 * anchor.year + anchor.month
            return lambda on: (12 * on.year + on.month - first) // every, lambda n: add_months(anchor, n * every)
        case Calendar(period=period, week_starts=week_starts):
            length, origin = (7, week_starts) if period == "week" else (1, 1)  # day 1 of the calendar is a Monday
        case Recurring(every=every, unit=unit):
            length, origin = every * (7 if unit == "week" else 1), anchor.toordinal()
    return lambda on: (on.toordinal() - origin) // length, lambda n: date.fromordinal(n * length + origin)
