"""The terms of a merchant's payouts as values, and the arithmetic of what is kept back. Pure."""

from datetime import date, datetime, timedelta
from enum import StrEnum

import msgspec

from billing.cadence import Cadence, check_weekday, next_begin
from marketplace.core.errors import Conflict, Invalid

PPM = 1_000_000
RESERVE_DAYS_MAX = 730


class PayoutDays(StrEnum):
    """On which days a merchant is paid what final runs owe it. manual: when somebody asks for it."""

    EVERY_RUN = "every_run"
    DAILY = "daily"
    WEEKLY = "weekly"
    TEN_DAYS = "ten_days"
    MONTHLY = "monthly"
    MANUAL = "manual"


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
    reserve account for reserve_days. days: when payouts are due; weekday: that of weekly ones, 1 for Monday.
    """

    minimum_minor: int = 0
    reserve_ppm: int = 0
    reserve_days: int = 0
    days: PayoutDays = PayoutDays.EVERY_RUN
    weekday: int | None = None

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
        check_weekday(Cadence.WEEKLY if self.days is PayoutDays.WEEKLY else None, self.weekday)


NONE_AGREED = Conditions()
"""What holds without terms: everything is paid."""


def favours(before: Conditions, after: Conditions) -> tuple[str, ...]:
    """By which of the new conditions the merchant is paid anything sooner: then a second person approves them."""
    kept_back = ("minimum_minor", "reserve_ppm", "reserve_days")
    lowered = [name for name in kept_back if getattr(after, name) < getattr(before, name)]
    if (after.days, after.weekday) != (before.days, before.weekday) and after.days is not PayoutDays.MANUAL:
        lowered.append("days")
    return tuple(lowered)


def due_on(days: PayoutDays, weekday: int | None, from_on: date) -> date | None:
    """The first day from `from_on` on which a payout is due, None for one that waits until it is asked for.

    Days are those of the entity's zone; a week's is `weekday`, a month's its first, a third of a month's the 1st, 11th
    and 21st.
    """
    if days is PayoutDays.MANUAL:
        return None
    if days is PayoutDays.EVERY_RUN:
        return from_on
    return next_begin(Cadence(days), from_on - timedelta(days=1), weekday)


DAYS = tuple(
    (days, weekday)
    for days in PayoutDays
    if days is not PayoutDays.EVERY_RUN
    for weekday in (range(1, 8) if days is PayoutDays.WEEKLY else (None,))
)
"""Every schedule of payouts other than with each run."""


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
    days: PayoutDays
    weekday: int | None
    reason: str
    state: TermsState
    made_by: str
    made_at: datetime
    approved_by: str | None
    approved_at: datetime | None

    @property
    def conditions(self) -> Conditions:
        return Conditions(**{name: getattr(self, name) for name in Conditions.__struct_fields__})


class TermsMade(Terms, frozen=True, kw_only=True):
    """Terms just made. favours: by which of them the merchant is paid anything sooner than before, so that they are
    proposed and somebody else approves them; without any they are active at once."""

    favours: tuple[str, ...]


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


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What a final run left to be paid on a day of the merchant's terms; without a day, when somebody asks for it.

    state: waiting, paid (by payout_id), replaced by what a later run left, nothing (there was nothing left to pay, or
    less than the minimum), or cancelled with the run.
    """

    merchant_id: int
    run_id: int
    currency: str
    due_on: date | None
    state: str
    payout_id: int | None
