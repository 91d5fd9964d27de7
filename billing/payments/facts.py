"""What a processor says has happened, in our words: facts that hold whenever and however often they are told. Pure.

Amounts are minor units of `currency`. A reference is ours: it goes out with a command and comes back with the facts.
"""

import re
from datetime import datetime
from enum import StrEnum

import msgspec

from marketplace.core.errors import Invalid


class PaymentState(StrEnum):
    """A payment is created, then authorised, then captured; or it ends as failed or voided."""

    CREATED = "created"
    AUTHORISED = "authorised"
    CAPTURED = "captured"
    FAILED = "failed"
    VOIDED = "voided"


class PaymentFact(msgspec.Struct, frozen=True, kw_only=True):
    """A payment has come to a state. amount_minor: what was authorised, or all that was captured.

    processor_ref: the processor's own id of the payment. failure: why it failed, in the processor's words.
    """

    reference: str
    state: PaymentState
    amount_minor: int
    currency: str
    processor_ref: str
    occurred_at: datetime
    failure: str | None = None


class RefundFact(msgspec.Struct, frozen=True, kw_only=True):
    """A refund has reached the buyer, or it could not. payment_reference: of the payment that it was given back to."""

    reference: str
    payment_reference: str
    ok: bool
    amount_minor: int
    currency: str
    occurred_at: datetime
    failure: str | None = None


class DisputeState(StrEnum):
    OPENED = "opened"
    WON = "won"
    LOST = "lost"


class DisputeFact(msgspec.Struct, frozen=True, kw_only=True):
    """A buyer's bank has taken a payment back, or decided on it; won: the platform has the money again.

    reference: the payment's. dispute_ref: the processor's id of the dispute. fee_minor: what the processor charges for
    the dispute, on top of amount_minor.
    """

    dispute_ref: str
    reference: str
    state: DisputeState
    amount_minor: int
    fee_minor: int
    currency: str
    occurred_at: datetime


Fact = PaymentFact | RefundFact | DisputeFact

_REFERENCE = re.compile(r"(-?[0-9]{1,19})-([0-9]{1,19})")


def payment_reference(buyer_id: int, payment_id: int) -> str:
    return f"{buyer_id}-{payment_id}"


def refund_reference(merchant_id: int, refund_id: int) -> str:
    """refund_id: a refund's. For money that came for nothing, the payment's where it was to pay an order, and the
    amendment's where it was to pay one; the facts name the payment beside it, so that none is taken for another.
    """
    return f"{merchant_id}-{refund_id}"


def ids_of(reference: str) -> tuple[int, int]:
    """The two ids of a reference: (buyer_id, payment_id) or (merchant_id, refund_id). Raises Invalid."""
    found = _REFERENCE.fullmatch(reference)
    if found is None or max(abs(int(part)) for part in found.groups()) >= 2**63:
        raise Invalid(f"reference: {reference[:60]!r} is none of ours")
    return int(found[1]), int(found[2])
