"""Insertion orders: lines of units at a price, how far each should be by now, and when it is billed. Pure.

Amounts are minor units without VAT. What is billed is the price of all that was delivered so far, less what was billed
before: so it does not matter in how many parts a line is billed.
"""

from datetime import date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction

import msgspec

from billing.ads.events import LATE_MAX
from billing.ads.model import Placement, Pricing
from billing.ads.orders.lifecycle import OrderState
from billing.ads.pacing import LEAD
from billing.ads.tokens import LIFETIME
from billing.charges.model import PaysBy
from marketplace.core.clock import day_begins, local_date
from marketplace.core.months import add_months, first_of_month
from marketplace.core.rates import PPM, divide_half_even

GRACE = LIFETIME + LATE_MAX
"""So long after a line's end something that was shown before may still be clicked, and the click be believed."""
SETTLES = timedelta(minutes=10)
"""A window is billed when it has been over for so long: until then, what comes in by batches is on its way."""
PER = {Pricing.CLICK: 1, Pricing.THOUSAND: 1_000, Pricing.SLOT: 1}
"""How many units a price is for."""


class LineState(StrEnum):
    """A planned line is a part of a quote, or a make-good that nobody has approved; an ended one is wholly billed."""

    PLANNED = "planned"
    RUNNING = "running"
    ENDED = "ended"
    DROPPED = "dropped"


class AdOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner, one of the house's people, sells to a merchant. zone: in which its months end.

    expected_minor, expected_on: what the owner hopes for, and when; None where it is shown to the merchant.
    valid_until: the last day on which the quote may be accepted. evidence: how the merchant agreed. reason: of its last
    move.
    """

    merchant_id: int
    order_id: int
    name: str
    owner: str
    currency: str
    zone: str
    expected_minor: int | None
    expected_on: date | None
    due_days: int
    valid_until: date | None
    state: OrderState
    quoted_at: datetime | None
    edited_by: str
    submitted_by: str | None
    pays_by: PaysBy | None
    evidence: str
    reason: str
    version: int
    made_by: str
    made_at: datetime


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """quantity units (clicks, impressions, slots) from from_at to before to_at, or until it was stopped_at.

    Prices are for one click, a thousand impressions, one slot. makes_good_line_no: the line whose shortfall it makes
    good. charged_units, charged_minor: billed so far and not credited, of what was counted up to billed_through.
    """

    merchant_id: int
    order_id: int
    line_no: int
    placement_id: int
    pricing: Pricing
    product_id: int
    categories: tuple[str, ...]
    words: tuple[str, ...]
    from_at: datetime
    to_at: datetime
    quantity: int
    list_price_minor: int
    unit_price_minor: int
    makes_good_line_no: int | None
    state: LineState
    shown: bool
    made_by: str
    decided_by: str | None
    campaign_id: int | None
    stopped_at: datetime | None
    billed_through: datetime | None
    bill_at: datetime | None
    charged_units: int
    charged_minor: int

    def price(self, units: int) -> int:
        """What so many units cost, rounded down."""
        return units * self.unit_price_minor // PER[self.pricing]

    @property
    def total_minor(self) -> int:
        return self.price(self.quantity)

    @property
    def list_minor(self) -> int:
        """What all of it costs by the list."""
        return self.quantity * self.list_price_minor // PER[self.pricing]

    @property
    def discount_ppm(self) -> int:
        """By how much it is sold below the list, in ppm of the list; negative above it."""
        return divide_half_even((self.list_price_minor - self.unit_price_minor) * PPM, self.list_price_minor)

    @property
    def ends_at(self) -> datetime:
        return min(self.to_at, self.stopped_at) if self.stopped_at else self.to_at

    @property
    def kept_for_it(self) -> int:
        """Units that it has been given of the quantity of the line it makes good."""
        if self.state is LineState.DROPPED:
            return 0
        return self.charged_units if self.state is LineState.ENDED else self.quantity


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """A line as it was billed up to through_at: units in all, and what that came to more or less than before, signed.

    charge_id: the charge of it where it was more; less was credited.
    """

    merchant_id: int
    order_id: int
    line_no: int
    bill_no: int
    through_at: datetime
    delivered: int
    units: int
    amount_minor: int
    charge_id: int | None
    at: datetime


class Window(msgspec.Struct, frozen=True):
    """What of a line is billed next: all up to `through`, once it is `bill_at`, for the local day `on`."""

    through: datetime
    bill_at: datetime
    on: date
    last: bool


def list_price(placement: Placement) -> int:
    """What a unit of a placement costs by the list; 0 where people do not sell it."""
    return placement.slot_price_minor if placement.pricing is Pricing.SLOT else placement.list_price_minor


def next_window(line: OrderLine, zone: str) -> Window:
    """A line is billed at the end of each local month, and for the last time GRACE after its end."""
    last = line.ends_at + GRACE
    since = max(line.billed_through or line.from_at, line.from_at)
    month = add_months(first_of_month(local_date(since, zone)), 1)
    through = day_begins(month, zone)
    if through < last:
        return Window(through, through + SETTLES, month - timedelta(days=1), last=False)
    return Window(last, last + SETTLES, local_date(last, zone), last=True)


def allowed_units(quantity: int, from_at: datetime, to_at: datetime, now: datetime) -> int:
    """How many units of a line may be delivered by now: evenly over its window, LEAD ahead; all of them at the end."""
    length = int((to_at - from_at).total_seconds())
    gone = min(int((now + LEAD - from_at).total_seconds()), length)
    return quantity * max(gone, 0) // length


def behind(quantity: int, delivered: int, from_at: datetime, to_at: datetime, now: datetime) -> Fraction:
    """Which part of its quantity a line lacks of what may be delivered by now; not above 0 when it is on its way."""
    return Fraction(allowed_units(quantity, from_at, to_at, now) - delivered, quantity)


def billable(line: OrderLine, delivered: int, lines: list[OrderLine]) -> int:
    """The units of a line that may be billed: no more than agreed, less what others make good of it."""
    given = sum(other.kept_for_it for other in lines if other.makes_good_line_no == line.line_no)
    return max(min(delivered, line.quantity - given), 0)


def shortfall(line: OrderLine, lines: list[OrderLine]) -> int:
    """The units of an ended line that nobody has delivered or is to deliver."""
    given = sum(other.kept_for_it for other in lines if other.makes_good_line_no == line.line_no)
    return max(line.quantity - line.charged_units - given, 0)
