"""Runs and their periods, statements and payouts as values, and the moves a run may make. Pure."""

from datetime import date, datetime, timedelta
from enum import StrEnum

import msgspec

from marketplace.core.errors import Conflict, Invalid
from marketplace.core.months import add_months, first_of_month


class RunState(StrEnum):
    DRAFT = "draft"
    PREVIEWED = "previewed"
    APPROVED = "approved"
    FINALISING = "finalising"
    FINALISED = "finalised"
    REVERSING = "reversing"
    REVERSED = "reversed"
    ABORTED = "aborted"


# finalising -> previewed: entries posted after the approval changed some statements, which must be approved again.
MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.DRAFT: frozenset({RunState.PREVIEWED, RunState.ABORTED}),
    RunState.PREVIEWED: frozenset({RunState.DRAFT, RunState.APPROVED, RunState.ABORTED}),
    RunState.APPROVED: frozenset({RunState.DRAFT, RunState.FINALISING, RunState.ABORTED}),
    RunState.FINALISING: frozenset({RunState.PREVIEWED, RunState.FINALISED}),
    RunState.FINALISED: frozenset({RunState.REVERSING}),
    RunState.REVERSING: frozenset({RunState.REVERSED}),
    RunState.REVERSED: frozenset(),
    RunState.ABORTED: frozenset(),
}

AT_WORK = frozenset({RunState.DRAFT, RunState.FINALISING, RunState.REVERSING})
"""The states in which buckets of merchants are worked on, by whatever process takes them."""


def check_move(run_id: int, now: RunState, then: RunState) -> None:
    """Raise Conflict when a run in state `now` cannot go to `then`."""
    if then not in MOVES[now]:
        raise Conflict(f"run {run_id} is {now}; it cannot become {then}")


class Period(msgspec.Struct, frozen=True):
    """The days [from_on, to_on), at most a month of them, so that one calendar month ends within at the most."""

    from_on: date
    to_on: date

    @property
    def name(self) -> str:
        """ "2018-05" for a calendar month, "2018-05-01..2018-05-10" from the first to the last day of any other."""
        if self.from_on.day == 1 and self.to_on == add_months(self.from_on, 1):
            return f"{self.from_on:%Y-%m}"
        return f"{self.from_on}..{self.last_on}"

    @property
    def last_on(self) -> date:
        return self.to_on - timedelta(days=1)

    @property
    def month_ended(self) -> "Period | None":
        """The calendar month whose last day is within the period: what is charged by the month, this period charges."""
        ended_on = first_of_month(self.to_on)
        return Period(add_months(ended_on, -1), ended_on) if ended_on > self.from_on else None


def period_named(name: str) -> Period:
    """The period "YYYY-MM", or that from day to day "YYYY-MM-DD..YYYY-MM-DD". Raises Invalid."""
    first, between, last = name.partition("..")
    try:
        if not between and len(name) != len("YYYY-MM"):
            raise ValueError
        from_on = date.fromisoformat(first if between else f"{name}-01")
        to_on = date.fromisoformat(last) + timedelta(days=1) if between else add_months(from_on, 1)
        if between and (f"{from_on}", f"{to_on - timedelta(days=1)}") != (first, last):
            raise ValueError  # it reads 20180531 and 2018-W22-4, too
    except (ValueError, OverflowError):  # the calendar ends with 9999-12
        raise Invalid(
            f"period: {name!r} is not a month written YYYY-MM, nor days written YYYY-MM-DD..YYYY-MM-DD",
            field="period",
        ) from None
    if not from_on < to_on <= add_months(from_on, 1):
        raise Invalid(f"period: {name} is not between a day and a month long", field="period")
    return Period(from_on, to_on)


def check_payout_day(period: Period, payout_on: date) -> None:
    """Raise Invalid unless payouts for the period may be booked on that day: after it, within a year."""
    if not period.to_on <= payout_on <= period.to_on + timedelta(days=365):
        raise Invalid(f"payout_on: {payout_on} is not within a year after {period.name}", field="payout_on")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A billing run. single_operator: maker and checker were one person, under the policy of that name.

    parent_run_id: the final run of the same period whose parked merchants this one bills.
    """

    run_id: int
    entity_id: int
    from_on: date
    to_on: date
    payout_on: date
    state: RunState
    batch_id: int | None
    made_by: str
    made_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    single_operator: bool
    finalised_at: datetime | None
    reversed_by: str | None
    reversed_at: datetime | None
    closed_before: date | None
    parent_run_id: int | None

    @property
    def period(self) -> Period:
        return Period(self.from_on, self.to_on)


COLUMNS = (
    "goods_minor",
    "freight_minor",
    "discount_minor",
    "refund_minor",
    "commission_minor",
    "vat_minor",
    "incentive_minor",
    "rebate_minor",
    "ads_minor",
    "products_minor",
    "other_minor",
    "payout_minor",
)
"""What stands between opening and closing."""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant's payable account over a period: minor units, signed from the merchant's view.

    closing = opening + the COLUMNS. to_no: the merchant's last entry when the statement was computed.
    """

    merchant_id: int
    run_id: int
    currency: str
    from_on: date
    to_on: date
    to_no: int
    orders: int
    opening_minor: int
    goods_minor: int
    freight_minor: int
    discount_minor: int
    refund_minor: int
    commission_minor: int
    vat_minor: int
    incentive_minor: int
    rebate_minor: int
    ads_minor: int
    products_minor: int
    other_minor: int
    payout_minor: int
    closing_minor: int
    state: str
    reason: str | None

    @property
    def period(self) -> Period:
        return Period(self.from_on, self.to_on)


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant that a run leaves out, with everything it has in this currency, and why."""

    merchant_id: int
    currency: str
    reason: str


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """A run's statements and payouts in one currency, summed."""

    currency: str
    statements: int
    orders: int
    opening_minor: int
    goods_minor: int
    freight_minor: int
    discount_minor: int
    refund_minor: int
    commission_minor: int
    vat_minor: int
    incentive_minor: int
    rebate_minor: int
    ads_minor: int
    products_minor: int
    other_minor: int
    payout_minor: int
    closing_minor: int
    payouts: int
    payouts_minor: int


class Payout(msgspec.Struct, frozen=True, kw_only=True):
    """An instruction to pay a merchant, in minor units.

    bank_account_id: where to, the account that was active when it was instructed. held: why it cannot leave, if so.
    bank_ref, return_ref: the bank's names of the movements that paid it and brought it back. file_id: the live
    instruction file that it is in. retry_of: the payout that came back and that this one pays again.
    """

    merchant_id: int
    payout_id: int
    run_id: int
    currency: str
    amount_minor: int
    instructed_on: date
    state: str
    bank_account_id: int | None
    held: str | None
    bank_ref: str | None
    confirmed_on: date | None
    return_ref: str | None
    returned_on: date | None
    return_reason: str | None
    file_id: int | None
    retry_of: int | None


PAYOUT_KINDS = ("payout_instructed", "payout_cancelled", "payout_returned")
INCENTIVE_KINDS = ("incentive_vested", "incentive_clawed_back", "incentive_dispute_upheld")
REBATE_KINDS = ("rebate_shared", "rebate_dispute_upheld")
AD_KINDS = ("ad_topped_up", "ad_refunded", "ad_order_netted", "ad_order_credited", "ads_dispute_upheld")
PRODUCT_KINDS = ("product_netted", "product_credited", "product_dispute_upheld")
NAMED_KINDS = (*PAYOUT_KINDS, *INCENTIVE_KINDS, *REBATE_KINDS, *AD_KINDS, *PRODUCT_KINDS)
"""Entry kinds by statement column; goods to vat come from the commission lines, those of `ledger.tables.BESIDE_ORDERS`
that are not named here are other."""
