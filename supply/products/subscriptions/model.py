"""What subscriptions speak of: plans in versions, and what a period of one costs. Pure. Amounts in minor units, net.

Days are of the calendar of the merchant's legal entity. A change takes effect when its day begins: proration is to
the day, and of a year by calendar months (`marketplace.core.months`).
"""

from datetime import date, datetime
from enum import StrEnum

import msgspec

from marketplace.core.errors import Invalid
from marketplace.core.months import add_months, used
from supply.products.model import Means


class Per(StrEnum):
    """What a plan's price is for."""

    SEAT = "seat"
    FLAT = "flat"


class Interval(StrEnum):
    MONTH = "month"
    YEAR = "year"


MONTHS = {Interval.MONTH: 1, Interval.YEAR: 12}


class Refunds(StrEnum):
    """What a merchant gets back that cancels at once: what it has not used, or nothing."""

    UNUSED = "unused"
    NOTHING = "nothing"


class SubscriptionState(StrEnum):
    TRIALING = "trialing"
    TRIAL_ENDED = "trial_ended"
    ACTIVE = "active"
    LEAVING = "leaving"
    SUSPENDED = "suspended"
    ENDED = "ended"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A version of what is sold; a merchant keeps the version that it subscribed to until it changes plan.

    follow_up_day: on which day of a trial a person takes it up when no means of payment is agreed (0: only when it
    ends). follow_up_uses: from so many uses on the tool is in use. owner: the login whose task that is.
    """

    plan_id: int
    code: str
    version_no: int
    name: str
    currency: str
    price_minor: int
    per: Per
    every: Interval
    trial_days: int
    vat_ppm: int
    due_days: int
    refunds: Refunds
    follow_up_day: int
    follow_up_uses: int
    owner: str
    offered: bool
    made_by: str
    made_at: datetime

    def price_of(self, seats: int) -> int:
        """What a period costs, without VAT."""
        return self.price_minor * (seats if self.per is Per.SEAT else 1)


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant's subscription.

    The paid period is [period_from, period_to), the period_no-th after anchored_on. next_plan_id and next_seats: what
    it changes to when the period ends. acts_on: the day on which the clock has something to do with it.
    """

    merchant_id: int
    subscription_id: int
    plan_id: int
    seats: int
    state: SubscriptionState
    pays_by: Means | None
    trial_from: date | None
    trial_to: date | None
    anchored_on: date | None
    period_no: int
    period_from: date | None
    period_to: date | None
    next_plan_id: int | None
    next_seats: int | None
    acts_on: date | None
    followed_up: bool
    ended_on: date | None
    version: int
    made_by: str
    made_at: datetime


class SubscriptionStep(msgspec.Struct, frozen=True, kw_only=True):
    """A move that a subscription has made."""

    merchant_id: int
    subscription_id: int
    step_no: int
    move: str
    state: SubscriptionState
    detail: str
    at: datetime
    actor: str


def period(anchored_on: date, interval: Interval, number: int) -> tuple[date, date]:
    """The number-th period after the anchor, from 0: always counted from there, so that a 31st does not drift."""
    return (
        add_months(anchored_on, MONTHS[interval] * number),
        add_months(anchored_on, MONTHS[interval] * (number + 1)),
    )


def unused(price_minor: int, period_from: date, period_to: date, on: date) -> int:
    """What of a period's price is for the day `on` and those after it."""
    return price_minor - used(price_minor, period_from, period_to, on)


def difference(unused_minor: int, price_minor: int, period_from: date, period_to: date, on: date) -> int:
    """What a change in the middle of a period costs (positive) or gives back (negative).

    unused_minor: what the merchant has paid for the day `on` and those after it. Afterwards it has paid exactly what
    the new price makes of them: so changes telescope, and one that is taken back on the same day costs nothing.
    """
    return unused(price_minor, period_from, period_to, on) - unused_minor


def check_seats(plan: Plan, seats: int) -> int:
    """The seats of a subscription to this plan. Raises Invalid for a flat one with more than one."""
    if plan.per is Per.FLAT and seats != 1:
        raise Invalid(f"seats: {plan.code} has one price for everybody; leave it at 1", pointer="/seats")
    return seats
