"""When periods begin: every day, week, third of a month, or month. Pure.

Days are local ones, of no zone and no length in hours: a day on which the clocks change is a day like any other.
"""

from datetime import date, timedelta
from enum import StrEnum

from marketplace.core.errors import Invalid
from marketplace.core.months import add_months, first_of_month


class Cadence(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"
    TEN_DAYS = "ten_days"
    MONTHLY = "monthly"


TENTHS = (1, 11, 21)
"""The days of a month on which its thirds begin: the last one ends with the month, however long that is."""


def next_begin(cadence: Cadence, after: date, weekday: int | None = None) -> date:
    """The first day after `after` on which a period begins; weekly ones on a weekday, 1 for Monday to 7 for Sunday."""
    if cadence is Cadence.DAILY:
        return after + timedelta(days=1)
    if cadence is Cadence.WEEKLY:
        return after + timedelta(days=((weekday or 1) - after.isoweekday() - 1) % 7 + 1)
    if cadence is Cadence.TEN_DAYS:
        later = [day for day in TENTHS if day > after.day]
        if later:
            return after.replace(day=later[0])
    return add_months(first_of_month(after), 1)


def check_weekday(cadence: Cadence | None, weekday: int | None) -> None:
    """Raise Invalid unless there is a weekday, 1 to 7, for weekly periods and none for others."""
    if (cadence is Cadence.WEEKLY) != (weekday is not None):
        raise Invalid("weekday: weekly periods have one, others have none", pointer="/weekday")
    if weekday is not None and not 1 <= weekday <= 7:
        raise Invalid("weekday: 1 for Monday to 7 for Sunday", pointer="/weekday")
