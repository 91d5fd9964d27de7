"""What the ads speak of. Pure. Amounts are minor units; a rate per thousand impressions is minor units, too.

A thousandth of a minor unit (milli) is what one impression costs where a thousand are priced; hours add them up.
"""

from datetime import date, datetime
from enum import StrEnum

import msgspec

MILLI = 1_000


class Pricing(StrEnum):
    """What a placement sells: clicks, thousands of impressions, or slots of time at a fixed price."""

    CLICK = "click"
    THOUSAND = "thousand"
    SLOT = "slot"


class Pacing(StrEnum):
    """How a day's budget is spent: evenly over the day, or as soon as somebody looks."""

    EVEN = "even"
    AT_ONCE = "at_once"


class CampaignState(StrEnum):
    """Only an active campaign is shown, and only between its start and its end."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    ACTIVE = "active"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    ENDED = "ended"


class EventKind(StrEnum):
    IMPRESSION = "impression"
    CLICK = "click"


class TopUpSource(StrEnum):
    """Where the money of a top-up came from: the bank, a payment processor, or what the merchant has earned."""

    BANK = "bank"
    PROCESSOR = "processor"
    EARNINGS = "earnings"


class GrantState(StrEnum):
    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"


class BookingState(StrEnum):
    """A booked slot is paid for when it begins; until then its price is set aside."""

    BOOKED = "booked"
    CHARGED = "charged"
    CANCELLED = "cancelled"


class ChargeKind(StrEnum):
    """What a line of the ad bill is: use of an hour, a booked slot, or a credit of either."""

    USE = "use"
    SLOT = "slot"
    CREDIT = "credit"


class AdAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant's prepaid balance in one currency: what it has paid, what it was granted, what is set aside.

    topped_minor and vat_minor: all that was ever topped up and the VAT on it; refunded_…: what of them was given back.
    """

    merchant_id: int
    currency: str
    paid_minor: int
    granted_minor: int
    held_minor: int
    topped_minor: int
    vat_minor: int
    refunded_minor: int
    refunded_vat_minor: int

    @property
    def free_minor(self) -> int:
        """What may be spent: everything that is not set aside for booked slots."""
        return self.paid_minor + self.granted_minor - self.held_minor


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a prepaid balance that is no use of it. Signed; VAT beside it, never in it."""

    merchant_id: int
    movement_id: int
    currency: str
    kind: str
    source: str
    paid_minor: int
    granted_minor: int
    vat_minor: int
    ref: str
    reason: str
    entry_no: int
    at: datetime
    actor: str


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Ad credit that the platform gives a merchant, once a second person has agreed."""

    merchant_id: int
    grant_id: int
    currency: str
    amount_minor: int
    reason: str
    state: GrantState
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a currency of a legal entity from a day on: the VAT on top-ups, in ppm."""

    entity_id: int
    currency: str
    valid_from: date
    vat_ppm: int


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Where ads are shown. positions: sponsored ones in an answer; reserve_minor: the least that one costs.

    slot_minutes: the unit in which time is sold, from midnight UTC on, at slot_price_minor each. list_price_minor: of a
    click, or of a thousand impressions, where people sell so many of them; 0 where nobody does.
    """

    placement_id: int
    name: str
    pricing: Pricing
    currency: str
    positions: int
    reserve_minor: int
    slot_minutes: int
    slot_price_minor: int
    list_price_minor: int = 0
    open: bool
    version: int


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """What a merchant wants shown of a listing, where, and what it bids.

    bid_minor: at most so much for a click, or for a thousand impressions; 0 where slots are booked.
    total_minor: never more than that altogether, None for no such limit; spent_minor: billed so far, slots included.
    zone: in which the days of the daily budget begin. quality_ppm: how much oftener than usual it is clicked.
    guaranteed: a line of an insertion order, which says what is shown of it and what that costs; clicks cost nothing.
    """

    merchant_id: int
    campaign_id: int
    name: str
    placement_id: int
    product_id: int
    pricing: Pricing
    currency: str
    bid_minor: int
    total_minor: int | None
    spent_minor: int
    zone: str
    pacing: Pacing
    starts_at: datetime
    ends_at: datetime | None
    state: CampaignState
    quality_ppm: int
    guaranteed: bool = False
    version: int


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """An hour of a campaign: what was counted, what of it is not valid, and what of it has been rated.

    gross_milli: the price of all that was counted; invalid_milli: of what is not valid. rated_milli: their difference
    when it was rated last, of which billed_minor was charged and unbilled_minor was beyond a limit.
    """

    campaign_id: int
    hour_at: datetime
    on_day: date
    impressions: int
    invalid_impressions: int
    clicks: int
    invalid_clicks: int
    gross_milli: int
    invalid_milli: int
    rated_milli: int
    billed_minor: int
    unbilled_minor: int


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the ad bill: signed, of which granted_minor came out of granted credit and the rest was paid.

    A credit is negative and names the charge that it takes back a part of. hour_at: the hour it is for.
    """

    merchant_id: int
    charge_id: int
    campaign_id: int
    kind: ChargeKind
    currency: str
    hour_at: datetime
    on_day: date
    amount_minor: int
    granted_minor: int
    paid_minor: int
    credits_charge_id: int | None
    booking_id: int | None
    rules_version: int
    entry_no: int
    at: datetime


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """Slots of a placement that a campaign has: from from_at to before to_at, at one price."""

    merchant_id: int
    booking_id: int
    campaign_id: int
    placement_id: int
    from_at: datetime
    to_at: datetime
    price_minor: int
    state: BookingState
    made_by: str
    made_at: datetime
