"""Stretches of days and how a figure changed between two of them. Pure."""

from datetime import date, timedelta

import msgspec


class Days(msgspec.Struct, frozen=True):
    """A month up to a day, and the same stretch of the month before: both ends belong to it."""

    first: date
    last: date
    earlier_first: date
    earlier_last: date

    @property
    def count(self) -> int:
        return (self.last - self.first).days + 1


def month_to(on: date) -> Days:
    """The month of `on` up to `on`. The stretch before ends with its month, where that one is shorter."""
    first = on.replace(day=1)
    earlier_end = first - timedelta(days=1)
    earlier_first = earlier_end.replace(day=1)
    return Days(first, on, earlier_first, min(earlier_first + (on - first), earlier_end))


def weeks_to(on: date, weeks: int) -> Days:
    """The `weeks` weeks that end with `on`, and as many before."""
    first = on - timedelta(days=7 * weeks - 1)
    return Days(first, on, first - timedelta(days=7 * weeks), first - timedelta(days=1))


class Change(msgspec.Struct, frozen=True):
    """A figure now and in the stretch before."""

    now: int
    earlier: int

    @property
    def by(self) -> int:
        return self.now - self.earlier

    @property
    def by_ppm(self) -> int | None:
        """The relative change in parts per million; None when there was nothing before."""
        return self.by * 1_000_000 // self.earlier if self.earlier > 0 else None
