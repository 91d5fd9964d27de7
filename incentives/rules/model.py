"""What a promotion says: twelve parts, each a closed choice, so that any promotion is a combination of them. Pure.

Amounts are minor units of the promotion's currency, rates parts per million (30,000 is 3 %), delays seconds, and
thresholds units of the measure: minor units for an amount, otherwise pieces. Every range is half-open. Whatever a
file or the API says is decoded strictly; what contradicts itself is found by `incentives.rules.check.problems`.
"""

from typing import Annotated, Literal

import msgspec

from incentives.rules.awards import Beneficiary, Limits, Reward
from incentives.rules.parts import (
    ARMS_MAX,
    BUDGETS_MAX,
    FUNDERS_MAX,
    Currency,
    Days,
    LocalHour,
    LocalTime,
    OptIn,
    Part,
    Positive,
    Slots,
    Tags,
    Text,
    Weight,
)
from incentives.rules.predicates import Predicate

# 1. Trigger: which events count.


class _Trigger(Part, frozen=True, tag_field="on"):
    """See `Trigger`."""


class OrderPlaced(_Trigger, frozen=True, tag="order.placed"):
    """An order is placed: it is promised at once and earned when it settles. Reversed by refund and cancellation."""


class OrderSettled(_Trigger, frozen=True, tag="order.settled"):
    """An order settles: it is earned at once. Reversed by a refund."""


class ListingPublished(_Trigger, frozen=True, tag="listing.published"):
    """A merchant publishes a listing. Reversed when it is withdrawn."""


class CustomEvent(_Trigger, frozen=True, kw_only=True, tag="custom"):
    """An event that is reported through the API, by its name. Reversed by the same event with nothing left of it."""

    name: Text


Trigger = OrderPlaced | OrderSettled | ListingPublished | CustomEvent


# 2. Qualify: which of them, and which of their lines.


class Qualify(Part, frozen=True, kw_only=True):
    """event: what the event, its merchant and its buyer must satisfy. lines: which lines count; None means all.

    opt_in: whether the merchant of the event must have joined, whoever gets the reward, and from when on its events
    then count: what a merchant bears of a buyer's discount it has consented to.
    """

    event: Predicate | None = None
    lines: Predicate | None = None
    opt_in: OptIn = "not_needed"


# 3. Measure: what is added up.


class Measure(Part, frozen=True, kw_only=True):
    """Always before any incentive, net of what was refunded, without self-trades.

    amount: of the qualifying lines. orders, distinct_buyers: those of which something is left. quantity: pieces.
    """

    of: Literal["amount", "orders", "distinct_buyers", "quantity"] = "amount"


# 4. Window: over which time it is added up, per beneficiary.


class _Window(Part, frozen=True, tag_field="over"):
    """See `Window`."""


class PerEvent(_Window, frozen=True, tag="event"):
    """Every event on its own."""


class Calendar(_Window, frozen=True, kw_only=True, tag="calendar"):
    """Local days, weeks or months in the promotion's zone. week_starts: 1 is Monday, 7 is Sunday."""

    period: Literal["day", "week", "month"]
    week_starts: Annotated[int, msgspec.Meta(ge=1, le=7)] = 1


class Recurring(_Window, frozen=True, kw_only=True, tag="recurring"):
    """Every so many local days, weeks or months, counted from the day on which the promotion starts."""

    every: Annotated[int, msgspec.Meta(ge=1, le=366)]
    unit: Literal["day", "week", "month"]


class WholePromotion(_Window, frozen=True, tag="promotion"):
    """From its start to its end."""


class SinceOptIn(_Window, frozen=True, kw_only=True, tag="opt_in"):
    """So many days of 24 hours from the moment in which the beneficiary joined."""

    days: Days


Window = PerEvent | Calendar | Recurring | WholePromotion | SinceOptIn


# 7. Funding: who bears it.


class _Funder(Part, frozen=True, tag_field="by"):
    """See `Funder`."""


class ByPlatform(_Funder, frozen=True, kw_only=True, tag="platform"):
    weight: Weight = 1


class ByMerchant(_Funder, frozen=True, kw_only=True, tag="merchant"):
    """The merchant of the event."""

    weight: Weight = 1


class ByPayer(_Funder, frozen=True, kw_only=True, tag="payer"):
    """A third party, under its contract of this name, which must be one that pays promotions."""

    contract: Text
    weight: Weight = 1


Funder = ByPlatform | ByMerchant | ByPayer


# 8. Budgets: how much there is.


class _Budget(Part, frozen=True, kw_only=True, tag_field="per"):
    """limit_minor: of `currency`, the promotion's. on_shortfall: what an award gets that does not fit.

    reject: nothing; partial: what is left; queue: it waits for a top-up. advisory: exceeding it only warns.
    """

    limit_minor: Positive
    currency: Currency
    on_shortfall: Literal["reject", "partial", "queue"] = "reject"
    advisory: bool = False


class TotalBudget(_Budget, frozen=True, tag="promotion"):
    """For the whole promotion."""


class DayBudget(_Budget, frozen=True, tag="day"):
    """For each local day in the promotion's zone."""


class RegionBudget(_Budget, frozen=True, kw_only=True, tag="region"):
    """For the merchants of one region."""

    region: Text


class FunderBudget(_Budget, frozen=True, kw_only=True, tag="funder"):
    """For the part of one funder: `platform`, `merchant`, or the name of a payer contract of the funding."""

    funder: Text


Budget = TotalBudget | DayBudget | RegionBudget | FunderBudget


# 10. Stacking: beside which others.


class Stacking(Part, frozen=True, kw_only=True):
    """Lanes are decided in order; see `incentives.rules.stacking`. priority: higher first.

    Two promotions meet on one event only if each allows a tag of the other; one without tags is allowed by all.
    base: whether a percentage is of the original amount, or of what discounts of earlier lanes left of it. A threshold
    is always compared with the original amount.
    """

    lane: Text = "standard"
    priority: Annotated[int, msgspec.Meta(ge=-1_000, le=1_000)] = 0
    tags: Tags = ()
    allows: Tags = ()
    base: Literal["original", "after_earlier_lanes"] = "original"


# 11. Schedule: when.


class Hours(Part, frozen=True, kw_only=True):
    """On these local weekdays (1 is Monday), from one time of the day to before another."""

    weekdays: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=1, le=7)], ...], msgspec.Meta(min_length=1, max_length=7)
    ] = (1, 2, 3, 4, 5, 6, 7)
    from_time: LocalHour = "00:00"
    to_time: LocalHour = "24:00"


class Schedule(Part, frozen=True, kw_only=True):
    """Local times in `zone` (IANA). A date alone starts at its midnight and ends at the midnight after it.

    ends None: until further notice. only: besides, only within these hours of the week.
    """

    zone: Text
    starts: LocalTime
    ends: LocalTime | None = None
    only: Annotated[tuple[Hours, ...], msgspec.Meta(max_length=50)] = ()


# 12. Experiment: for whom, by lot.


class Arm(Part, frozen=True, kw_only=True):
    """weight: of the slots that are not held out. reward: in place of the promotion's."""

    name: Text
    weight: Weight = 1
    reward: Reward | None = None


class Experiment(Part, frozen=True, kw_only=True):
    """Units fall into 10,000 slots by a hash of `salt` and the unit; the first `holdout_slots` get nothing.

    unit: what is drawn; region where treated merchants would take orders from others of their region.
    """

    salt: Text
    unit: Literal["merchant", "buyer", "region"] = "merchant"
    holdout_slots: Slots = 0
    arms: Annotated[tuple[Arm, ...], msgspec.Meta(min_length=1, max_length=ARMS_MAX)] = (Arm(name="treated"),)


class Terms(Part, frozen=True, kw_only=True):
    """One version of a promotion, as files and the API write it. Versions never change; an edit is a new one."""

    name: Text
    currency: Currency
    trigger: Trigger
    qualify: Qualify = Qualify()
    measure: Measure = Measure()
    window: Window
    reward: Reward
    beneficiary: Beneficiary
    funding: Annotated[tuple[Funder, ...], msgspec.Meta(min_length=1, max_length=FUNDERS_MAX)] = (ByPlatform(),)
    budgets: Annotated[tuple[Budget, ...], msgspec.Meta(max_length=BUDGETS_MAX)] = ()
    limits: Limits = Limits()
    stacking: Stacking = Stacking()
    schedule: Schedule
    experiment: Experiment | None = None


def funder_name(funder: Funder) -> str:
    """`platform`, `merchant`, or the payer contract's name."""
    match funder:
        case ByPayer(contract=contract):
            return contract
        case ByMerchant():
            return "merchant"
        case ByPlatform():
            return "platform"


def merchants_pay(terms: Terms) -> bool:
    """Whether the merchant of the event bears a part."""
    return any(isinstance(funder, ByMerchant) and funder.weight for funder in terms.funding)
