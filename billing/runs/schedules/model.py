"""A schedule of runs as a value, and the period that it opens next. Pure."""

from datetime import date, datetime, timedelta

import msgspec

from billing.cadence import Cadence, check_weekday, next_begin
from billing.runs.model import Period
from marketplace.core.errors import Refusals

PAYOUT_DAYS_MAX = 365
LAST_YEAR = 9000


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """How an entity's days are billed, in its zone.

    weekday: on which a week begins, 1 for Monday to 7 for Sunday. starts_on: the first day billed, where no run has
    billed any. payout_days: payouts are booked so many days after the period's last day. active: the clock opens runs.
    """

    entity_id: int
    cadence: Cadence
    weekday: int | None = None
    starts_on: date
    payout_days: int = 1
    active: bool = True

    def check(self) -> None:
        """Raise Invalid, naming all that is wrong, for a schedule that cannot be."""
        wrong = Refusals()
        if self.cadence is Cadence.DAILY:
            wrong.add("/cadence", "cadence: runs are weekly, ten_days or monthly")
        with wrong.at("/weekday"):
            check_weekday(self.cadence, self.weekday)
        if self.starts_on.year >= LAST_YEAR:
            wrong.add("/starts_on", f"starts_on: is not before the year {LAST_YEAR}")
        if not 1 <= self.payout_days <= PAYOUT_DAYS_MAX:
            wrong.add("/payout_days", f"payout_days: 1 to {PAYOUT_DAYS_MAX}")
        wrong.check()

    def period_from(self, from_on: date) -> Period:
        """The period that begins on a day: up to the next day on which one of this cadence begins."""
        return Period(from_on, next_begin(self.cadence, from_on, self.weekday))

    def payout_on(self, period: Period) -> date:
        return period.last_on + timedelta(days=self.payout_days)


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as it is kept: who set it when, and the period that follows the last one billed."""

    schedule: Schedule
    set_by: str
    set_at: datetime
    next_period: str
    opens_on: date
