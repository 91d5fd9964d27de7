"""The terms of a merchant's payouts as values, and the arithmetic of what is kept back. Pure."""

from datetime import date, datetime
from enum import StrEnum

import msgspec

from marketplace.core.errors import Conflict, Invalid

PPM = 1_000_000
RESERVE_DAYS_MAX = 730


class TermsState(StrEnum):
    PROPOSED = "proposed"
    ACTIVE = "active"
    REPLACED = "replaced"
    REJECTED = "rejected"


_S = TermsState
MOVES: dict[TermsState, frozenset[TermsState]] = {
    _S.PROPOSED: frozenset({_S.ACTIVE, _S.REJECTED}),
    _S.ACTIVE: frozenset({_S.REPLACED}),
    _S.REPLACED: frozenset(),
    _S.REJECTED: frozenset(),
}


def check_move(now: TermsState, then: TermsState) -> None:
    """Raise Conflict when terms in state `now` cannot become `then`."""
    if then not in MOVES[now]:
        raise Conflict(f"state: the terms are {now}; they cannot become {then}", state=now.value)


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What a merchant is paid out on, in one currency.

    minimum_minor: below it nothing is paid, and the balance is carried over. reserve_ppm of each payout is kept on the
    reserve account for reserve_days.
    """

    minimum_minor: int = 0
    reserve_ppm: int = 0
    reserve_days: int = 0

    def check(self) -> None:
        """Raise Invalid for conditions that cannot be. A reserve of everything is a hold, which has a reason."""
        if self.minimum_minor < 0:
            raise Invalid("minimum_minor: is below zero", pointer="/minimum_minor")
        if not 0 <= self.reserve_ppm < PPM:
            raise Invalid("reserve_ppm: 0 to 999999; to pay nothing, hold the payouts", pointer="/reserve_ppm")
        if not 0 <= self.reserve_days <= RESERVE_DAYS_MAX:
            raise Invalid(f"reserve_days: 0 to {RESERVE_DAYS_MAX}", pointer="/reserve_days")
        if (self.reserve_ppm > 0) != (self.reserve_days > 0):
            raise Invalid("reserve_days: a reserve has both a share and days, or neither", pointer="/reserve_days")


NONE_AGREED = Conditions()
"""What holds without terms: everything is paid."""


def favours(before: Conditions, after: Conditions) -> bool:
    """Whether new conditions pay the merchant anything sooner than those before: then a second person approves them."""
    return (
        after.minimum_minor < before.minimum_minor
        or after.reserve_ppm < before.reserve_ppm
        or after.reserve_days < before.reserve_days
    )


def reserve_of(base_minor: int, held_minor: int, payout_minor: int, reserve_ppm: int) -> int:
    """What is kept of a payout, when payouts of base_minor came before it and held_minor was kept of them.

    Telescoping: after each payout floor((base + payout) * ppm / 10**6) is kept altogether, so that many small payouts
    are kept as much of as one that is as large. At least one minor unit is paid, and never is anything given back.
    """
    target = (base_minor + payout_minor) * reserve_ppm // PPM
    return max(min(target - held_minor, payout_minor - 1), 0)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a merchant's terms in a currency: who made it, and who approved it where that was needed."""

    merchant_id: int
    terms_id: int
    currency: str
    minimum_minor: int
    reserve_ppm: int
    reserve_days: int
    reason: str
    state: TermsState
    made_by: str
    made_at: datetime
    approved_by: str | None
    approved_at: datetime | None

    @property
    def conditions(self) -> Conditions:
        return Conditions(
            minimum_minor=self.minimum_minor, reserve_ppm=self.reserve_ppm, reserve_days=self.reserve_days
        )


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """All payouts of a merchant are held, why and by whom; until a second person releases them."""

    merchant_id: int
    hold_id: int
    reason: str
    placed_by: str
    placed_at: datetime
    released_by: str | None
    released_at: datetime | None
    release_reason: str | None


class Reserve(msgspec.Struct, frozen=True, kw_only=True):
    """What was kept of a payout: on the reserve account from a day on, due to be released on another.

    state: held, released by the clock, or cancelled with the run that had instructed the payout.
    """

    merchant_id: int
    payout_id: int
    currency: str
    held_minor: int
    held_on: date
    release_on: date
    state: str


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did not pay a merchant, and why: "minimum" or "on_hold"; limit_minor: the minimum that it missed."""

    merchant_id: int
    run_id: int
    currency: str
    amount_minor: int
    why: str
    limit_minor: int | None
