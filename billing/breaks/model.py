"""A break: what it is about, how old it is, and who may do what about it. Pure."""

from datetime import date, datetime, timedelta
from enum import StrEnum

import msgspec

from marketplace.core.errors import Conflict, Forbidden
from marketplace.core.money import text_from_minor


class BreakKind(StrEnum):
    """Why something does not match.

    expected: one-sided, and not due yet; cut_off: the same, over the end of a month. missing_external: due, and the
    other side does not have it; missing_internal: theirs, and our books know nothing of it. amount, currency, status,
    split_incomplete: both have it, and differ in this. fee_variance: not the fee that was agreed; fx_variance: an
    amount in a foreign currency differs. duplicate_…: one side has it twice. unidentified_receipt: money from nobody
    known; payout_returned: a payout came back. control_imbalance: a batch on account 1030 is not even; statement_gap: a
    statement is missing, or two overlap.
    """

    EXPECTED = "expected"
    MISSING_EXTERNAL = "missing_external"
    MISSING_INTERNAL = "missing_internal"
    AMOUNT = "amount"
    FEE_VARIANCE = "fee_variance"
    FX_VARIANCE = "fx_variance"
    CURRENCY = "currency"
    STATUS = "status"
    DUPLICATE_EXTERNAL = "duplicate_external"
    DUPLICATE_INTERNAL = "duplicate_internal"
    SPLIT_INCOMPLETE = "split_incomplete"
    CUT_OFF = "cut_off"
    UNIDENTIFIED_RECEIPT = "unidentified_receipt"
    PAYOUT_RETURNED = "payout_returned"
    CONTROL_IMBALANCE = "control_imbalance"
    STATEMENT_GAP = "statement_gap"


class BreakState(StrEnum):
    """open; accepting or writing_off while it waits for a second person; accepted until it is resolved; then an end."""

    OPEN = "open"
    ACCEPTING = "accepting"
    ACCEPTED = "accepted"
    WRITING_OFF = "writing_off"
    WRITTEN_OFF = "written_off"
    CLOSED = "closed"


_S = BreakState
MOVES: dict[BreakState, frozenset[BreakState]] = {
    _S.OPEN: frozenset({_S.ACCEPTING, _S.WRITING_OFF, _S.WRITTEN_OFF, _S.CLOSED}),
    _S.ACCEPTING: frozenset({_S.ACCEPTED, _S.OPEN, _S.CLOSED}),
    _S.ACCEPTED: frozenset({_S.OPEN, _S.WRITING_OFF, _S.WRITTEN_OFF, _S.CLOSED}),
    _S.WRITING_OFF: frozenset({_S.WRITTEN_OFF, _S.OPEN, _S.CLOSED}),
    _S.WRITTEN_OFF: frozenset(),
    _S.CLOSED: frozenset(),
}

AGES = (1, 3, 7, 30, 90)
"""Upper ends, in days, of the classes of age; what is older is in a class of its own."""

RESPONSES = ((10_000_000, 5, 24), (1_000_000, 3, 72), (100_000, 1, 120), (0, 0, 168))
"""From which amount in minor units, or from how many business days of age, within how many hours somebody responds."""


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """Something that does not match, see `billing.breaks.tables`. amount_minor: what is in question, signed.

    age_days: calendar days since it was expected; age_class: by AGES. respond_by: None before it is due.
    overdue: nobody has dealt with it in time.
    """

    break_id: int
    subject: str
    kind: BreakKind
    state: BreakState
    item_id: int | None
    other_id: int | None
    entity_id: int | None
    currency: str
    amount_minor: int
    detail: str
    expected_on: date
    respond_by: datetime | None
    owner: str | None
    opened_at: datetime
    closed_at: datetime | None
    asked_by: str | None
    reason: str
    decided_by: str | None
    single_operator: bool
    version: int
    age_days: int
    age_class: str
    overdue: bool


class BreakCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many breaks are not dealt with: due, of those how many nobody answered in time, and what is not due yet."""

    due: int
    overdue: int
    not_due: int


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a break, or what somebody said of it; evidence: where what it says can be looked up."""

    step_no: int
    what: str
    words: str
    detail: dict[str, str]
    actor: str
    at: datetime


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Up to how much, in minor units, a role writes off alone in an entity's currency. Unset, both are 0."""

    entity_id: int
    currency: str
    accountant_minor: int = 0
    controller_minor: int = 0

    def of(self, *, is_controller: bool) -> int:
        return self.controller_minor if is_controller else self.accountant_minor


def check_move(one: Break, then: BreakState) -> None:
    """Raise Conflict when a break cannot go to `then`."""
    if then not in MOVES[one.state]:
        raise Conflict(f"break {one.break_id} is {one.state}; it cannot become {then}", state=one.state.value)


def check_limit(what: str, minor: int, limits: Limits, *, is_controller: bool) -> None:
    """Raise Forbidden for an approval of more than anybody in the approver's role may write off."""
    if abs(minor) > limits.accountant_minor and not is_controller:
        asked, most = (text_from_minor(each, limits.currency) for each in (abs(minor), limits.accountant_minor))
        raise Forbidden(f"{what}: {asked} {limits.currency} is more than {most}, so a controller approves it")


def age_class(days: int) -> str:
    """Such as "0-1", "2-3" or "over 90" days."""
    lower = 0
    for upper in AGES:
        if days <= upper:
            return f"{lower}-{upper}"
        lower = upper + 1
    return f"over {AGES[-1]}"


def respond_within(amount_minor: int, age_days: int) -> timedelta:
    """How long somebody has to respond to a break of that size, or that age in business days."""
    hours = next(hours for least, days, hours in RESPONSES if abs(amount_minor) >= least or age_days >= days)
    return timedelta(hours=hours)
