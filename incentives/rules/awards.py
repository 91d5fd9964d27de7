"""What a promotion gives: how much, in which form, to whom, within which limits, and what a refund leaves. Pure."""

from typing import Annotated, Literal

import msgspec

from incentives.rules.parts import DAY, TIERS_MAX, Days, Minor, OptIn, Part, Positive, Rate, Role
from marketplace.core.rates import PPM

# 5. Reward: how much, as a function of the measure, and in which form.


class _Amount(Part, frozen=True, tag_field="gives"):
    """See `Amount`."""


class Fixed(_Amount, frozen=True, kw_only=True, tag="fixed"):
    """So much as soon as anything is measured: with a window of one event, for every event."""

    amount_minor: Positive


class Once(_Amount, frozen=True, kw_only=True, tag="once"):
    """So much when the measure reaches `threshold`: trade 100, get 20."""

    threshold: Positive
    amount_minor: Positive


class EveryN(_Amount, frozen=True, kw_only=True, tag="every"):
    """So much for every full `every` of the measure, `times_max` times at most."""

    every: Positive
    amount_minor: Positive
    times_max: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None


class Tier(Part, frozen=True, kw_only=True):
    """total_minor: what has been earned in all when the measure reaches `threshold`."""

    threshold: Positive
    total_minor: Minor


class Ladder(_Amount, frozen=True, kw_only=True, tag="ladder"):
    """Thresholds with what is earned in total at each.

    shown_as: the same terms seen as "the highest tier counts", or as "each milestone adds" the difference.
    """

    tiers: Annotated[tuple[Tier, ...], msgspec.Meta(min_length=1, max_length=TIERS_MAX)]
    shown_as: Literal["highest_tier", "each_adds"] = "highest_tier"


class Band(Part, frozen=True, kw_only=True):
    """From this amount upwards, this rate; up to where the next band begins."""

    from_minor: Minor
    rate_ppm: Rate


Bands = Annotated[tuple[Band, ...], msgspec.Meta(min_length=1, max_length=TIERS_MAX)]


class Graduated(_Amount, frozen=True, kw_only=True, tag="graduated"):
    """A percentage, each band at its own rate. One band from 0 is a plain percentage."""

    bands: Bands


class Volume(_Amount, frozen=True, kw_only=True, tag="volume"):
    """A percentage: the rate of the band that is reached, on the whole. Rates may not fall."""

    bands: Bands


Amount = Fixed | Once | EveryN | Ladder | Graduated | Volume


class _Form(Part, frozen=True, tag_field="as"):
    """See `Form`."""


class Credit(_Form, frozen=True, tag="credit"):
    """Paid to the merchant's payable balance, or to the buyer's credit."""


class NextOrderVoucher(_Form, frozen=True, kw_only=True, tag="next_order_voucher"):
    """For one later order of at least `minimum_minor`, until `valid_days` after it was issued."""

    valid_days: Days
    minimum_minor: Minor = 0


class FeeReduction(_Form, frozen=True, tag="fee_reduction"):
    """Off the merchant's commission and fees."""


class Discount(_Form, frozen=True, tag="discount"):
    """Off the price of the very order, at checkout: only for buyers, when an order is placed, per event."""


Form = Credit | NextOrderVoucher | FeeReduction | Discount


class Clawback(Part, frozen=True, kw_only=True):
    """What becomes of the reward when what was measured is refunded.

    strict: the reward of what is left. proportional: the part that is left of the measure keeps its part of the
    reward. keep: nothing is taken back. keep_tier: the rate that was reached, on what is left. None: strict for
    merchants, proportional for buyers. ignore_below_minor: less than this is not taken back. horizon_seconds: a refund
    later than this after settlement changes nothing any more.
    """

    policy: Literal["strict", "proportional", "keep", "keep_tier"] | None = None
    ignore_below_minor: Minor = 0
    horizon_seconds: Annotated[int, msgspec.Meta(ge=0, le=3_660 * DAY)] = 60 * DAY


class Reward(Part, frozen=True, kw_only=True):
    """cap_minor: at most for one beneficiary in one window. vest_seconds: after it is earned, before it is paid."""

    amount: Amount
    form: Form = Credit()
    cap_minor: Positive | None = None
    vest_seconds: Annotated[int, msgspec.Meta(ge=0, le=366 * DAY)] = 0
    clawback: Clawback = Clawback()


# 9. Limits: besides the reward's cap. They stand before 6, whose second side has its own.


class Limits(Part, frozen=True, kw_only=True):
    """None: no limit. per_event_minor, order_share_ppm: of an event's reward, as an amount and as a share of the order.

    lifetime_minor, grants: for one beneficiary in all its windows, how much and in how many of them.
    """

    per_event_minor: Positive | None = None
    order_share_ppm: Annotated[int, msgspec.Meta(ge=1, le=PPM)] | None = None
    lifetime_minor: Positive | None = None
    grants: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None


# 6. Beneficiary: who gets it.


class _Beneficiary(Part, frozen=True, tag_field="to"):
    """See `Beneficiary`."""


class ToMerchant(_Beneficiary, frozen=True, tag="merchant"):
    """The merchant of the event."""


class ToBuyer(_Beneficiary, frozen=True, kw_only=True, tag="buyer"):
    """The buyer of the event. opt_in: whether it must have joined, and from when on its events then count."""

    opt_in: OptIn = "not_needed"


class ToBoth(_Beneficiary, frozen=True, kw_only=True, tag="both"):
    """The merchant by the promotion's reward and limits, the buyer by these: two grants, two caps."""

    buyer_reward: Reward
    buyer_limits: Limits = Limits()


Beneficiary = ToMerchant | ToBuyer | ToBoth


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """What a promotion gives one of its beneficiaries."""

    role: Role
    reward: Reward
    limits: Limits


def sides(beneficiary: Beneficiary, reward: Reward, limits: Limits) -> tuple[Side, ...]:
    """One side, or the merchant's and the buyer's."""
    match beneficiary:
        case ToMerchant():
            return (Side(role="merchant", reward=reward, limits=limits),)
        case ToBuyer():
            return (Side(role="buyer", reward=reward, limits=limits),)
        case ToBoth(buyer_reward=buyer_reward, buyer_limits=buyer_limits):
            return (
                Side(role="merchant", reward=reward, limits=limits),
                Side(role="buyer", reward=buyer_reward, limits=buyer_limits),
            )
