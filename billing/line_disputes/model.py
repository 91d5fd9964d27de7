"""A merchant's dispute of a line: what it may be about, how much, and what moves it. Pure."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum

import msgspec

from billing.journals.model import JournalKind
from billing.ledger.chart import Account
from billing.ledger.model import Leg
from marketplace.core.errors import Conflict

ANSWERED_WITHIN = timedelta(days=10)
"""From the day it is opened to the day by which finance has decided on it."""


class CaseState(StrEnum):
    OPEN = "open"
    IN_REVIEW = "in_review"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


# accepted -> declined: what it was given back was reversed; it may be disputed anew.
MOVES: dict[CaseState, frozenset[CaseState]] = {
    CaseState.OPEN: frozenset({CaseState.IN_REVIEW, CaseState.DECLINED, CaseState.WITHDRAWN}),
    CaseState.IN_REVIEW: frozenset({CaseState.ACCEPTED, CaseState.DECLINED, CaseState.WITHDRAWN}),
    CaseState.ACCEPTED: frozenset({CaseState.DECLINED}),
    CaseState.DECLINED: frozenset(),
    CaseState.WITHDRAWN: frozenset(),
}


class Side(StrEnum):
    """Who speaks in a case."""

    MERCHANT = "merchant"
    HOUSE = "house"


class LineDispute(msgspec.Struct, frozen=True, kw_only=True):
    """A case, in minor units. line_minor: what the entry took from the merchant. due_on: when it will be decided.

    journal_id: the adjustment that was proposed; settled_entry_no: its entry, once somebody else has approved it.
    """

    merchant_id: int
    line_dispute_id: int
    entry_no: int
    charge_id: int | None
    currency: str
    line_minor: int
    disputed_minor: int
    accepted_minor: int
    text: str
    state: CaseState
    opened_at: datetime
    opened_by: str
    due_on: date
    journal_id: int | None
    settled_entry_no: int | None
    decided_at: datetime | None
    decision_reason: str | None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    message_no: int
    side: Side
    text: str
    at: datetime


def check_move(held: LineDispute, then: CaseState) -> None:
    """Raise Conflict when a case cannot go to `then`."""
    if then not in MOVES[held.state]:
        raise Conflict(
            f"dispute {held.line_dispute_id} is {held.state}; it cannot become {then}", state=held.state.value
        )


OWN = frozenset(
    {
        Account.MERCHANT_RECEIVABLE,
        Account.PAYABLE,
        Account.PENDING,
        Account.RESERVE,
        Account.PAYOUT_IN_TRANSIT,
        Account.INCENTIVE_PAYABLE,
        Account.AD_PREPAID_PAID,
        Account.AD_PREPAID_GRANTED,
    }
)
"""Accounts that say what the merchant has with the platform, or owes it."""


def taken_minor(legs: Iterable[Leg]) -> int:
    """What an entry took from the merchant: commission and VAT of a settlement, what a refund or a charge cost it.

    Zero or below when it took nothing: a payout, a set-off of what it owes, or something that it was given.
    """
    return sum(leg.amount_minor for leg in legs if leg.account in OWN)


def check_amount(asked_minor: int, line_minor: int, live_minor: int) -> None:
    """Raise Conflict for more than an entry took, less what is disputed or given back of it already."""
    if line_minor <= 0:
        raise Conflict("entry_no: this entry took nothing from the merchant; a payout is asked after with its number")
    left = line_minor - live_minor
    if asked_minor > left:
        raise Conflict(
            f"disputed_minor: {asked_minor} is more than {max(left, 0)}, what the entry took less what is disputed of"
            " it already",
            pointer="/disputed_minor",
        )


def kind_for(entry_kind: str) -> JournalKind:
    """The journal that answers a dispute of such an entry: it stands in the same column of the statement.

    Commission and VAT are the sums of their lines and documents, so what is given back of them is in `other`.
    """
    for beginning, kind in _KINDS.items():
        if entry_kind.startswith(beginning):
            return kind
    return JournalKind.LINE_DISPUTE


_KINDS = {
    "ad_": JournalKind.ADS_DISPUTE,
    "product_": JournalKind.PRODUCT_DISPUTE,
    "incentive_": JournalKind.INCENTIVE_DISPUTE,
    "rebate_": JournalKind.REBATE_DISPUTE,
}
