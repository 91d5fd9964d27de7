"""What the reports say. Pure. Amounts in minor units; days are half-open, [from_on, to_on)."""

from collections.abc import Iterable
from datetime import date
from enum import StrEnum

import msgspec

from billing.charges.model import Charge
from billing.ledger.chart import Account
from marketplace.core.errors import Invalid
from marketplace.core.months import add_months, first_of_month
from marketplace.core.rates import divide_half_even

PPM = 1_000_000


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The days of a report, of a legal entity and in a currency where those are named."""

    from_on: date
    to_on: date
    entity_id: int | None = None
    currency: str | None = None

    def __post_init__(self) -> None:
        if self.to_on <= self.from_on:
            raise Invalid("to_on: is not after from_on", field="to_on")


class TrialRow(msgspec.Struct, frozen=True, kw_only=True):
    """An account over the days: where it stood before them, what moved it, where it stands at their end."""

    entity_id: int
    account: int
    name: str
    currency: str
    opening_minor: int
    debit_minor: int
    credit_minor: int
    closing_minor: int


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True):
    """A leg, with its entry's key."""

    effective_on: date
    merchant_id: int
    entry_no: int
    leg_no: int
    kind: str
    source_id: int
    currency: str
    dimension: int
    amount_minor: int


class Stream(StrEnum):
    """What the platform earns by."""

    COMMISSION = "commission"
    ADS = "ads"
    SUBSCRIPTIONS = "subscriptions"
    HARDWARE = "hardware"
    SERVICES = "services"
    RECHARGED_FEES = "recharged_fees"
    PAYERS = "payers"
    OWN_SALES = "own_sales"
    INCENTIVES = "incentives"


STREAMS = {
    Account.COMMISSION: Stream.COMMISSION,
    Account.AD_REVENUE: Stream.ADS,
    Account.SUBSCRIPTION: Stream.SUBSCRIPTIONS,
    Account.HARDWARE: Stream.HARDWARE,
    Account.MANAGED_SERVICE: Stream.SERVICES,
    Account.RECHARGED_FEES: Stream.RECHARGED_FEES,
    Account.PAYER_FEE: Stream.PAYERS,
    Account.SELF_OPERATED_SALES: Stream.OWN_SALES,
    Account.INCENTIVE_CONTRA_REVENUE: Stream.INCENTIVES,
}
"""Every account of revenue. 4090 is negative: what incentives take off it."""

FEES = (
    Account.COMMISSION, Account.AD_REVENUE, Account.SUBSCRIPTION, Account.MANAGED_SERVICE, Account.PAYER_FEE,
)  # fmt: skip
"""What the take rate counts: earned by others' sales. Not goods that the platform sells, nor what it passes on."""


class RevenueRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream earned in a month (of which only the report's days count)."""

    entity_id: int
    month_on: date
    stream: Stream
    currency: str
    revenue_minor: int


class TakeRateRow(msgspec.Struct, frozen=True, kw_only=True):
    """settled_minor: orders settled in the month, goods and freight less merchants' discounts and refunds. The gross
    rate is fees over that, the net rate after the incentives that the platform pays (5000 and 4090); ppm, half-even,
    None without orders.

    The metrics `gross_take_rate` and `net_take_rate` put other fees over another base: over `gmv_completed`, which is
    goods alone, on the day of delivery and as sold, with hardware among the fees and payers' fees not. On orders that
    are delivered and settled in one month, `settled_minor` is completed GMV, and freight, less merchants' discounts and
    refunds.
    """

    entity_id: int
    month_on: date
    currency: str
    settled_minor: int
    fees_minor: int
    incentives_minor: int
    gross_ppm: int | None
    net_ppm: int | None


class IncentiveRow(msgspec.Struct, frozen=True, kw_only=True):
    """What incentives cost whom, less what came back. funder: platform (by promotion), payer (by contract), merchant
    (its part of buyers' discounts and rebates)."""

    entity_id: int
    funder: str
    source_id: int
    currency: str
    cost_minor: int


class AgedRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a party owes at the end of a day, by the age of the debts that its payments do not cover: the newest ones.

    party: merchant or payer contract. credit_minor: negative, where it has paid more than it owes.
    """

    entity_id: int
    party: str
    party_id: int
    currency: str
    days_0_30_minor: int
    days_31_60_minor: int
    days_61_90_minor: int
    over_90_minor: int
    credit_minor: int
    balance_minor: int


class DeferredRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is not earned yet of charges, and in which month it will be; None: when the source says so (a deposit)."""

    entity_id: int
    month_on: date | None
    currency: str
    earned_minor: int


class CashRow(msgspec.Struct, frozen=True, kw_only=True):
    """Money that is to come, or to go (negative), on a day. What was due before comes first, on the day asked from.

    source: bank (where it stood before the first day), booked (what has moved it on a day since), clearing (with
    processors), claims, charges, payouts (on their way to the bank), payable (in no payout yet).
    balance_minor: where the bank will then stand.
    """

    entity_id: int
    due_on: date
    source: str
    currency: str
    amount_minor: int
    balance_minor: int


def rate_ppm(part_minor: int, whole_minor: int) -> int | None:
    """A share in parts per million; None of nothing."""
    return divide_half_even(part_minor * PPM, whole_minor) if whole_minor > 0 else None


def schedule_of(charge: Charge, from_on: date) -> list[tuple[date | None, int]]:
    """What a charge is still to earn, month by month from that of `from_on`; what should have been comes first.

    The sums of all months are what is left of it (`waiting_minor`).
    """
    left = charge.waiting_minor
    if charge.service_to is None:
        return [(None, left)] if left else []
    earned = charge.recognised_minor
    month = first_of_month(from_on)
    found: list[tuple[date | None, int]] = []
    while left:
        after = add_months(month, 1)
        until = charge.earned(after) if after < charge.service_to else charge.kept_minor
        if until != earned:
            found.append((month, until - earned))
            left -= until - earned
            earned = until
        elif after >= charge.service_to:
            break
        month = after
    return found


def forecast(
    bank: Iterable[tuple[int, str, int]], moves: Iterable[tuple[int, date, str, str, int]], on: date, to_on: date
) -> list[CashRow]:
    """The bank's balances by entity and currency, and what comes and goes until a day, added up day by day.

    moves: entity, day, source, currency, amount; those before `on` count on it, those from `to_on` not at all.
    """
    stands = {(entity_id, currency): minor for entity_id, currency, minor in bank}
    sums: dict[tuple[int, str, date, str], int] = {}
    for entity_id, due_on, source, currency, minor in moves:
        stands.setdefault((entity_id, currency), 0)
        if due_on < to_on:
            key = (entity_id, currency, max(due_on, on), source)
            sums[key] = sums.get(key, 0) + minor
    found = []
    for (entity_id, currency), opening in sorted(stands.items()):
        balance = opening
        found.append(_cash(entity_id, on, "bank", currency, 0, balance))
        own = sorted(
            (day, source, minor) for (e, c, day, source), minor in sums.items() if (e, c) == (entity_id, currency)
        )
        for day, source, minor in own:
            balance += minor
            found.append(_cash(entity_id, day, source, currency, minor, balance))
    return found


def _cash(entity_id: int, on: date, source: str, currency: str, minor: int, balance: int) -> CashRow:
    return CashRow(
        entity_id=entity_id, due_on=on, source=source, currency=currency, amount_minor=minor, balance_minor=balance
    )
