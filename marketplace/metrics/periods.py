"""Days, weeks and months, as figures and goals speak of them. Pure. A week begins on Monday (ISO 8601)."""

from collections.abc import Iterator
from datetime import date, timedelta
from enum import StrEnum

import msgspec

from marketplace.core.errors import Invalid
from marketplace.core.months import add_months, first_of_month

DAYS_MAX = 3_660


class Grain(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Span(msgspec.Struct, frozen=True):
    """The days of [from_on, to_on)."""

    from_on: date
    to_on: date

    @property
    def days(self) -> int:
        return (self.to_on - self.from_on).days

    def __iter__(self) -> Iterator[date]:
        return (self.from_on + timedelta(days=number) for number in range(self.days))


def check_day(on: date, field: str) -> date:
    """Raise Invalid for a day of years that nobody has figures of."""
    if not 2000 <= on.year < 2200:
        raise Invalid(f"{field}: must lie between the years 2000 and 2200", pointer=f"/{field}")
    return on


def span_of(grain: Grain, on: date) -> Span:
    """The day, week or month that `on` falls in."""
    if grain is Grain.DAY:
        return Span(on, on + timedelta(days=1))
    if grain is Grain.WEEK:
        monday = on - timedelta(days=on.weekday())
        return Span(monday, monday + timedelta(days=7))
    return Span(first_of_month(on), add_months(first_of_month(on), 1))


def last_complete(grain: Grain, today: date) -> Span:
    """The newest period that is over when `today` begins."""
    return span_of(grain, span_of(grain, today).from_on - timedelta(days=1))


def before(span: Span) -> Span:
    """What a period is compared with: a whole month with the month before, anything else with as many days before."""
    if span == span_of(Grain.MONTH, span.from_on):
        return span_of(Grain.MONTH, span.from_on - timedelta(days=1))
    return Span(span.from_on - timedelta(days=span.days), span.from_on)


def compared(span: Span, today: date) -> tuple[Span, Span]:
    """A period and what it is compared with: of one that is running, its days that are over, and as many before. On
    its first day, when none is, that day so far and one before.
    """
    earlier = before(span)
    if not span.from_on <= today < span.to_on:
        return span, earlier
    seen = Span(span.from_on, max(today, span.from_on + timedelta(days=1)))
    return seen, Span(earlier.from_on, min(earlier.from_on + timedelta(days=seen.days), earlier.to_on))


def checked(from_on: date, to_on: date) -> Span:
    """The days of [from_on, to_on). Raises Invalid for none, for too many, and for years that nobody has figures of."""
    if to_on <= from_on:
        raise Invalid("to_on: must lie after from_on", field="to_on")
    if (to_on - from_on).days > DAYS_MAX or from_on.year < 2000 or to_on.year > 2200:
        raise Invalid(f"from_on: at most {DAYS_MAX} days, of the years 2000 to 2200", field="from_on")
    return Span(from_on, to_on)
