"""Business days of the calendars of banks and processors. Pure."""

from collections.abc import Collection
from datetime import date, timedelta

_SATURDAY = 5


def is_business_day(day: date, holidays: Collection[date]) -> bool:
    return day.weekday() < _SATURDAY and day not in holidays


def business_days_after(day: date, days: int, holidays: Collection[date]) -> date:
    """The business day that is `days` of them after a day; with none, that day or the next business day."""
    at, left = day, days
    while left > 0 or not is_business_day(at, holidays):
        at += timedelta(days=1)
        left -= is_business_day(at, holidays)
    return at


def business_days_between(first: date, last: date, holidays: Collection[date]) -> int:
    """How many business days have gone by after `first` until `last`; none when it is not after it."""
    days = (first + timedelta(days=number) for number in range(1, max((last - first).days, 0) + 1))
    return sum(is_business_day(day, holidays) for day in days)
