"""Rates and exchanges as values: exact pairs of integers, never a float. Pure."""

from datetime import date, datetime, timedelta
from enum import StrEnum
from math import gcd

import msgspec

from billing.ledger.chart import Account
from billing.ledger.model import Leg, legs
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.money import MINOR_DIGITS, check_currency
from marketplace.core.rates import divide_half_even

RATE_AGE = timedelta(days=7)
"""How long after its day a rate may still be used: over a long holiday, and no longer."""


class RateState(StrEnum):
    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    REPLACED = "replaced"


MOVES: dict[RateState, frozenset[RateState]] = {
    RateState.PROPOSED: frozenset({RateState.APPROVED, RateState.REJECTED}),
    RateState.APPROVED: frozenset({RateState.REPLACED}),
    RateState.REJECTED: frozenset(),
    RateState.REPLACED: frozenset(),
}


class Ratio(msgspec.Struct, frozen=True):
    """What one minor unit of the first currency is worth in minor units of the second: exactly, in lowest terms."""

    numerator: int
    denominator: int

    def convert(self, minor: int) -> int:
        """Minor units of the second currency, half-even."""
        return divide_half_even(minor * self.numerator, self.denominator)


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """A day's rate from a source. rate: as it was written, units of the second currency for one of the first."""

    rate_id: int
    from_currency: str
    to_currency: str
    rate_on: date
    rate: str
    numerator: int
    denominator: int
    source: str
    state: RateState
    made_by: str
    made_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    single_operator: bool

    @property
    def ratio(self) -> Ratio:
        return Ratio(self.numerator, self.denominator)


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """So much of one currency for so much of another, in the books of a merchant (2000) or the house's bank (1010).

    numerator, denominator: the rate in minor units, recorded here for both entries. rate_id: the approved rate, also
    the dimension of account 1900; 0 where the bank made the rate. bank_ref: the bank's name of it, of the house's.
    """

    merchant_id: int
    exchange_id: int
    account: int
    from_currency: str
    from_minor: int
    to_currency: str
    to_minor: int
    rate_id: int
    numerator: int
    denominator: int
    exchanged_on: date
    reason: str
    bank_ref: str | None
    sold_entry_no: int
    bought_entry_no: int
    made_by: str
    made_at: datetime


def ratio_of(rate: str, from_currency: str, to_currency: str) -> Ratio:
    """A rate as written, such as "1.0856", between minor units. Raises Invalid for zero and for one currency twice."""
    if check_currency(from_currency) == check_currency(to_currency):
        raise Invalid("to_currency: is the same as from_currency", pointer="/to_currency")
    whole, _, fraction = rate.partition(".")
    numerator = int(whole + fraction) * 10 ** MINOR_DIGITS[to_currency]
    denominator = 10 ** (len(fraction) + MINOR_DIGITS[from_currency])
    if numerator == 0:
        raise Invalid("rate: is zero", pointer="/rate")
    common = gcd(numerator, denominator)
    return Ratio(numerator // common, denominator // common)


def check_move(rate: Rate, then: RateState) -> None:
    """Raise Conflict when a rate cannot go to `then`."""
    if then not in MOVES[rate.state]:
        raise Conflict(f"rate {rate.rate_id} is {rate.state}; it cannot become {then}", state=rate.state.value)


def check_usable(rate: Rate, today: date) -> None:
    """Raise Conflict unless the rate is approved and of today or the RATE_AGE before."""
    if rate.state is not RateState.APPROVED:
        raise Conflict(f"rate {rate.rate_id} is {rate.state}: only an approved rate is used", state=rate.state.value)
    if not today - RATE_AGE <= rate.rate_on <= today:
        raise Conflict(f"rate {rate.rate_id} is of {rate.rate_on}: it is used on that day and {RATE_AGE.days} more")


def sold(account: Account, minor: int, rate_id: int) -> tuple[Leg, ...]:
    """Q, the currency that is given: off the merchant's balance or out of the bank, into the exchange position."""
    sign = 1 if account == Account.PAYABLE else -1
    return legs(
        {account: sign * minor, Account.EXCHANGE_POSITION: -sign * minor},
        dimensions={Account.EXCHANGE_POSITION: rate_id},
    )


def bought(account: Account, minor: int, rate_id: int) -> tuple[Leg, ...]:
    """Q, the currency that is got: the mirror of what is given."""
    return sold(account, -minor, rate_id)


def revalued(result_minor: int) -> tuple[Leg, ...]:
    """The exchange position is worth so much more than its cost (negative: less): a result of exchange, 6910."""
    return legs({Account.EXCHANGE_POSITION: result_minor, Account.EXCHANGE_RESULT: -result_minor})
