"""A journal by hand: which accounts it may touch, what moves it, and what a person may approve alone. Pure."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum

import msgspec

from billing.ledger.chart import Account
from billing.ledger.model import Leg
from marketplace.core.errors import Conflict, Forbidden, Invalid
from marketplace.core.money import written

LEGS_MAX = 20


class JournalKind(StrEnum):
    """What a journal is about; also the kind of its entry, and so the column of the statement that shows it.

    The dispute kinds give a merchant back what it was right about; the reversal of a journal is of the same kind.
    """

    MANUAL = "journal_posted"
    GOODWILL = "goodwill_granted"
    ADS_DISPUTE = "ads_dispute_upheld"
    PRODUCT_DISPUTE = "product_dispute_upheld"
    INCENTIVE_DISPUTE = "incentive_dispute_upheld"
    REBATE_DISPUTE = "rebate_dispute_upheld"
    LINE_DISPUTE = "line_dispute_upheld"


class GoodwillReason(StrEnum):
    SERVICE_FAILURE = "service_failure"
    OUTAGE = "outage"
    LATE_PAYOUT = "late_payout"
    RETENTION = "retention"
    OTHER = "other"


class JournalState(StrEnum):
    PROPOSED = "proposed"
    POSTED = "posted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


MOVES: dict[JournalState, frozenset[JournalState]] = {
    JournalState.PROPOSED: frozenset({JournalState.POSTED, JournalState.REJECTED, JournalState.WITHDRAWN}),
    JournalState.POSTED: frozenset(),
    JournalState.REJECTED: frozenset(),
    JournalState.WITHDRAWN: frozenset(),
}


def check_move(journal_id: int, now: JournalState, then: JournalState) -> None:
    """Raise Conflict when a journal in state `now` cannot go to `then`."""
    if then not in MOVES[now]:
        raise Conflict(f"journal {journal_id} is {now}; it cannot become {then}", state=now.value)


BY_HAND = frozenset(
    {
        Account.PROCESSOR_CLEARING,
        Account.MERCHANT_RECEIVABLE,
        Account.SUSPENSE,
        Account.SUBSCRIPTION,
        Account.HARDWARE,
        Account.MANAGED_SERVICE,
        Account.RECHARGED_FEES,
        Account.SELF_OPERATED_SALES,
        Account.PROCESSOR_FEES,
        Account.CHARGEBACK_LOSS,
        Account.BAD_DEBT,
        Account.COST_OF_GOODS,
        Account.ROUNDING,
        Account.ADJUSTMENTS,
    }
)
"""Accounts that a person may touch in any books. Every other one is tied by a proof to rows of its own (orders,
batches, payouts, charges, claims, campaigns, commission lines, VAT of documents), which a journal would contradict.
"""
OF_MERCHANTS = frozenset({Account.PAYABLE})
OF_THE_HOUSE = frozenset({Account.BANK})
OPENED = frozenset({Account.RESERVE, Account.PAYOUT_IN_TRANSIT, Account.DEFERRED_REVENUE})
"""Accounts of which a person may only release what was brought over from another system."""


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """A journal on one merchant's books or the house's, in one currency; amounts debit positive, credit negative.

    effective_on: the day it counts in. evidence: where what it says can be looked up. reversal_of: the journal whose
    mirror it is. dispute_id: the merchant's dispute of a line that it answers. entry_no: its entry, once posted.
    """

    merchant_id: int
    journal_id: int
    kind: JournalKind
    currency: str
    effective_on: date
    legs: tuple[Leg, ...]
    goodwill_reason: GoodwillReason | None
    reason: str
    evidence: str
    reversal_of: int | None
    dispute_id: int | None
    state: JournalState
    entry_no: int | None
    made_by: str
    made_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None
    single_operator: bool

    @property
    def amount_minor(self) -> int:
        """What it moves: the sum of its debits."""
        return moved(self.legs)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Of a legal entity in a currency. accountant_minor: what a journal may move that an accountant approves; above it
    a controller does. residue_minor: what a journal may write off as the residue of a match. Unset, both are 0.
    """

    accountant_minor: int = 0
    residue_minor: int = 0


def moved(legs: Sequence[Leg]) -> int:
    return sum(leg.amount_minor for leg in legs if leg.amount_minor > 0)


def check_legs(legs: Sequence[Leg], currency: str, *, of_house: bool, residue_minor: int) -> None:
    """Raise Invalid naming the leg unless a person may post these: balanced, on accounts open to a hand.

    What a proof ties to rows of their own stays closed. Account 1020 only takes the residue of a match, against 6900.
    """
    if not 2 <= len(legs) <= LEGS_MAX:
        raise Invalid(f"legs: a journal has 2 to {LEGS_MAX} of them", pointer="/legs")
    own = OF_THE_HOUSE if of_house else OF_MERCHANTS
    for number, leg in enumerate(legs):
        at = f"/legs/{number}"
        if leg.amount_minor == 0:
            raise Invalid(f"{at[1:]}/amount_minor: is zero", pointer=f"{at}/amount_minor")
        if leg.account not in BY_HAND | own | OPENED:
            raise Invalid(
                f"{at[1:]}/account: {leg.account} is not open to journals by hand in these books: it follows rows of"
                " its own",
                pointer=f"{at}/account",
            )
        if (leg.dimension != 0) != (leg.account == Account.PROCESSOR_CLEARING):
            raise Invalid(
                f"{at[1:]}/dimension: 1020 names its processor, and by hand no other account has a dimension",
                pointer=f"{at}/dimension",
            )
    if off := sum(leg.amount_minor for leg in legs):
        raise Invalid(f"legs: debits and credits differ by {written(abs(off), currency)}", pointer="/legs")
    accounts = {leg.account for leg in legs}
    if Account.PROCESSOR_CLEARING in accounts:
        if accounts != {Account.PROCESSOR_CLEARING, Account.ROUNDING}:
            raise Invalid("legs: 1020 takes the residue of a match, against 6900 only", pointer="/legs")
        if moved(legs) > residue_minor:
            asked, most = written(moved(legs), currency), written(residue_minor, currency)
            raise Invalid(f"legs: {asked} is more than a residue, which is {most} here", pointer="/legs")


def check_limit(legs: Sequence[Leg], currency: str, limits: Limits, *, is_controller: bool) -> None:
    """Raise Forbidden when this needs a controller and the approver is none."""
    if not is_controller and moved(legs) > limits.accountant_minor:
        asked, most = written(moved(legs), currency), written(limits.accountant_minor, currency)
        raise Forbidden(f"the journal moves {asked}, and above {most} a controller approves")


def check_opened(account: int, currency: str, before_minor: int, change_minor: int) -> None:
    """Raise Conflict unless a change only releases what was brought over: towards zero, and not beyond it."""
    after = before_minor + change_minor
    if abs(after) > abs(before_minor) or after * before_minor < 0:
        raise Conflict(
            f"legs: {written(abs(before_minor), currency)} of what was brought over is left on account {account}, and a"
            " journal may only release that",
            pointer="/legs",
        )


def check_owed(currency: str, owed_minor: int, change_minor: int) -> None:
    """Raise Conflict when more of account 1100 would be given up than is owed there without a charge."""
    if change_minor < 0 and owed_minor + change_minor < 0:
        raise Conflict(
            f"legs: {written(max(owed_minor, 0), currency)} is owed on account 1100 without a charge, and a journal"
            " gives up no more",
            pointer="/legs",
        )


def mirrored(legs: Sequence[Leg]) -> tuple[Leg, ...]:
    """The legs that take others back."""
    return tuple(Leg(leg.account, -leg.amount_minor, leg.dimension) for leg in legs)
