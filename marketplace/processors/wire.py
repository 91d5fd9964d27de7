"""What goes over the wire between us and a processor that speaks the simulator's protocol. Pure.

Commands are POSTs of JSON with a bearer secret and an Idempotency-Key; events come back as Standard Webhooks whose
`webhook-id` is the event's id. Fields that a newer processor adds are passed over.
"""

from datetime import datetime
from typing import Any

import msgspec

from billing.payments.facts import DisputeFact, DisputeState, Fact, PaymentFact, PaymentState, RefundFact
from marketplace.core.errors import Invalid


class Authorise(msgspec.Struct, frozen=True, kw_only=True):
    reference: str
    amount_minor: int
    currency: str
    method: str


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    amount_minor: int
    currency: str


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    reference: str
    amount_minor: int
    currency: str


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The processor has taken a command on. payment: its own id of the payment."""

    payment: str
    reference: str


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """type: such as "payment.captured". data: PaymentData, RefundData or DisputeData, by the type's first word."""

    type: str
    occurred_at: datetime
    data: dict[str, Any]


class PaymentData(msgspec.Struct, frozen=True, kw_only=True):
    payment: str
    reference: str
    amount_minor: int
    currency: str
    failure: str | None = None


class RefundData(msgspec.Struct, frozen=True, kw_only=True):
    """reference: the refund's. payment_reference: that of the payment which it gives back."""

    reference: str
    payment_reference: str
    amount_minor: int
    currency: str
    failure: str | None = None


class DisputeData(msgspec.Struct, frozen=True, kw_only=True):
    """reference: the payment's."""

    dispute: str
    reference: str
    amount_minor: int
    fee_minor: int
    currency: str


PAYMENT_EVENTS = {
    f"payment.{state}": state
    for state in (PaymentState.AUTHORISED, PaymentState.CAPTURED, PaymentState.FAILED, PaymentState.VOIDED)
}
REFUND_EVENTS = {"refund.succeeded": True, "refund.failed": False}
DISPUTE_EVENTS = {f"dispute.{state}": state for state in DisputeState}


def read_event(body: bytes) -> Fact:
    """The fact that an event tells of. Raises Invalid naming what cannot be read, and for a type nobody knows."""
    try:
        event = msgspec.json.decode(body, type=Event)
        if event.occurred_at.tzinfo is None:
            raise Invalid("occurred_at: must carry an offset")
        if event.type in PAYMENT_EVENTS:
            payment = msgspec.convert(event.data, PaymentData)
            return PaymentFact(
                reference=payment.reference,
                state=PAYMENT_EVENTS[event.type],
                amount_minor=payment.amount_minor,
                currency=payment.currency,
                processor_ref=payment.payment,
                occurred_at=event.occurred_at,
                failure=payment.failure,
            )
        if event.type in REFUND_EVENTS:
            refund = msgspec.convert(event.data, RefundData)
            return RefundFact(
                reference=refund.reference,
                payment_reference=refund.payment_reference,
                ok=REFUND_EVENTS[event.type],
                amount_minor=refund.amount_minor,
                currency=refund.currency,
                occurred_at=event.occurred_at,
                failure=refund.failure,
            )
        if event.type in DISPUTE_EVENTS:
            dispute = msgspec.convert(event.data, DisputeData)
            return DisputeFact(
                dispute_ref=dispute.dispute,
                reference=dispute.reference,
                state=DISPUTE_EVENTS[event.type],
                amount_minor=dispute.amount_minor,
                fee_minor=dispute.fee_minor,
                currency=dispute.currency,
                occurred_at=event.occurred_at,
            )
    except msgspec.DecodeError as fault:
        raise Invalid(f"the event cannot be read: {fault}") from fault
    raise Invalid(f"type: {event.type[:60]!r} is no event we know")
