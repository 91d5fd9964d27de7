"""What an hour of a campaign costs: min(what was clicked, what is left of every limit). Pure.

A charge is never edited: an hour that changes is rated by the difference. What was once beyond a limit stays unbilled,
even when there is money later; and it is the first to go when clicks turn out not to be valid. Only what goes beyond
that is credited.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

import msgspec

from billing.ads.model import MILLI
from marketplace.core.rates import divide_half_even


class Rated(msgspec.Struct, frozen=True):
    """The difference to what an hour was rated at before: a charge or a credit, and what is unbilled more (or less)."""

    charge_minor: int
    credit_minor: int
    unbilled_minor: int


class Parts(msgspec.Struct, frozen=True):
    """An amount by where it comes from."""

    granted_minor: int
    paid_minor: int

    @property
    def amount_minor(self) -> int:
        return self.granted_minor + self.paid_minor


class Creditable(msgspec.Struct, frozen=True, kw_only=True):
    """A charge with what is left of it after the credits that it has had."""

    charge_id: int
    granted_minor: int
    paid_minor: int


class Hour(msgspec.Struct, frozen=True, kw_only=True):
    """An hour to be rated. due_minor: what its valid events come to; the other two: what was made of it before."""

    campaign_id: int
    currency: str
    hour_at: datetime
    on_day: date
    due_minor: int
    billed_minor: int
    unbilled_minor: int


def due_minor(gross_milli: int, invalid_milli: int) -> int:
    """What the valid events of an hour come to, rounded down: no part of a minor unit is charged before it is full."""
    return (gross_milli - invalid_milli) // MILLI


def rate_hour(due: int, billed: int, unbilled: int, left: int) -> Rated:
    """The difference that makes an hour right, never charging more than `left`, all in minor units.

    left: the least of what is left of the day's budget, of the campaign's total and of the prepaid balance.
    """
    more = due - billed - unbilled
    if more >= 0:
        charge = min(more, max(left, 0))
        return Rated(charge, 0, more - charge)
    forgiven = min(-more, unbilled)
    return Rated(0, -more - forgiven, -forgiven)


def rate_hours(
    hours: Iterable[Hour],
    *,
    day_left: Mapping[tuple[int, date], int],
    total_left: Mapping[int, int | None],
    free: Mapping[str, int],
) -> list[tuple[Hour, Rated]]:
    """Rate hours of one merchant, the earlier ones first, equal ones by campaign, each within what the others left.

    day_left: of the budgets, by campaign and day; total_left: by campaign, None for no limit; free: by currency. A
    credit gives back to all three.
    """
    days, totals, balance = dict(day_left), dict(total_left), dict(free)
    rated = []
    for hour in sorted(hours, key=lambda hour: (hour.hour_at, hour.campaign_id)):
        day, total = days[hour.campaign_id, hour.on_day], totals[hour.campaign_id]
        limits = [day, balance[hour.currency], *([] if total is None else [total])]
        found = rate_hour(hour.due_minor, hour.billed_minor, hour.unbilled_minor, min(limits))
        change = found.charge_minor - found.credit_minor
        days[hour.campaign_id, hour.on_day] = day - change
        if total is not None:
            totals[hour.campaign_id] = total - change
        balance[hour.currency] -= change
        rated.append((hour, found))
    return rated


def split(amount: int, granted: int) -> Parts:
    """A charge by where it comes from: granted credit first, since it cannot be paid back."""
    from_granted = min(amount, granted)
    return Parts(from_granted, amount - from_granted)


def split_credit(amount: int, charges: Sequence[Creditable]) -> list[tuple[int, Parts]]:
    """Which charges a credit takes back, and which part of each: the newest first, and what was paid before a grant.

    charges: the hour's own, newest first. Raises ValueError when they do not come to the amount.
    """
    parts = []
    for charge in charges:
        paid = min(amount, charge.paid_minor)
        granted = min(amount - paid, charge.granted_minor)
        if paid + granted:
            parts.append((charge.charge_id, Parts(granted, paid)))
            amount -= paid + granted
    if amount:
        raise ValueError(f"a credit exceeds the charges of its hour by {amount}")
    return parts


def refund_vat(amount: int, topped_minor: int, vat_minor: int) -> int:
    """The VAT that goes back with a refund of unspent credit: its share of what was charged, half-even.

    topped_minor, vat_minor: what was ever topped up and the VAT on it, less what was refunded of either. The last
    refund of everything takes all that is left, so partial refunds come to the same as one.
    """
    return divide_half_even(vat_minor * amount, topped_minor)
